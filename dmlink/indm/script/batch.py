"""Batch: processes every frame of an in-situ recording, and leaves images with the results of all frames."""

import os
import re
import time

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.gms import axis, clamped, delete_image, on_main_thread
from dmlink.indm.info import Info, ascii_text, tags_of
from dmlink.indm.recorded import tree_times
from dmlink.indm.script.cell import Cell, rectangle
from dmlink.indm.windows import ImageWindow

EXPOSURE = "Acquisition:Parameters:High Level:Exposure (s)"
ANNOUNCED = "In-situ:Recorded:# Frames"


class Recorded(Cell):
    """The cell, run over a recording with this many frames; it keeps the image results of all of them.

    Of frames without one, the pixels are NaN.
    """

    def __init__(self, name, names, mechanics, header, frames):
        Cell.__init__(self, name, names, mechanics, header)
        self.frames, self.stacks = frames, {}

    def draw(self, name, values, axes, unit="", line=False, new=slice(None), kind=None):
        """Show values in their window, and keep them if they are an image."""
        window = Cell.draw(self, name, values, axes, unit, line, new, kind or ImageWindow)
        if kind is ImageWindow:
            if name not in self.stacks:
                self.stacks[name] = np.full((self.frames, *values.shape), np.nan, np.float32)
            self.stacks[name][self.index] = values
        return window

    def finish(self):
        """Show the images of all frames, with the recording's tags, so that the player can follow them."""
        tags = self.image.GetTagGroup()
        for name, stack in self.stacks.items():
            image = DM.CreateImage(stack)
            if image is None:
                raise RuntimeError(f"DigitalMicrograph cannot create an image of shape {stack.shape}.")
            image.SetName(ascii_text(f"{name} of {self.image.GetName()}, all frames"))
            for dimension in range(2):
                shown = self.windows[name].image
                if shown is not None:
                    image.SetDimensionCalibration(dimension, *shown.GetDimensionCalibration(dimension, 0), 0)
            image.SetDimensionCalibration(2, 0.0, 1.0, "frames", 0)
            image.ShowImage()
            image.GetTagGroup().CopyTagsFrom(tags)
            image.UpdateImage()
        for window in self.windows.values():
            if getattr(window, "image", None) is not None:  # marks have no window of their own
                window.image.GetTagGroup().CopyTagsFrom(tags)


def recording_at(path):
    """Return a recording's header, the time of each frame (s), and an iterator over the frames."""
    if os.path.isdir(path):
        files = [os.path.join(folder, f) for folder, _, names in os.walk(path) for f in names]
        files = [f for f in files if re.search(r"Second_\d+[\\/][^\\/]+\.dm[34]$", f)]
        files.sort(key=lambda f: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", f)])
        if not files:
            raise ValueError("there is no image in Hour_..., Minute_... and Second_... folders")
        header, folders = DM.OpenImage(files[0]), [os.path.dirname(os.path.relpath(f, path)) for f in files]
        return header, tree_times(folders, 1 / seconds_per_frame(header)), one_by_one(files)
    header, base = DM.OpenImage(path), os.path.splitext(path)[0]
    parts = [base + ".raw"]
    while os.path.exists(f"{base}.raw_{len(parts)}"):
        parts.append(f"{base}.raw_{len(parts)}")
    picture = header.GetNumArray()
    shape = picture.shape[-2:]  # the header may contain one frame, or describe all of them
    size = shape[0] * shape[1] * picture.dtype.itemsize
    n = sum(os.path.getsize(part) for part in parts) // size
    found, announced = header.GetTagGroup().GetTagAsLong(ANNOUNCED)
    n = min(n, int(announced)) if found and announced > 0 else n
    return header, np.arange(n) * seconds_per_frame(header), streamed(parts, shape, picture.dtype, size)


def one_by_one(files):
    """Yield the frames of a tree."""
    for file in files:
        image = DM.OpenImage(file)
        frame = np.array(image.GetNumArray())
        delete_image(image)
        yield frame


def streamed(parts, shape, dtype, size):
    """Yield the frames of .raw files, each of `size` bytes; one may start in a file and end in the next."""
    pixels = b""
    for part in parts:
        with open(part, "rb") as file:
            pixels += file.read(size - len(pixels))
            while len(pixels) == size:
                yield np.frombuffer(pixels, dtype).reshape(shape)
                pixels = file.read(size)


def seconds_per_frame(header):
    """Return s from frame to frame, 1 if unknown: in-situ cameras read out while they expose."""
    found, seconds = header.GetTagGroup().GetTagAsDouble(EXPOSURE)
    return float(seconds) if found and seconds > 0 else 1.0


def process_recording(name, mechanics, names, recording, reads, roi=None, place_of=rectangle):
    """Run process() on every frame of a recording, or on the rectangle `roi` of it."""
    try:
        header, times, frames = recording_at(recording)
    except Exception as error:
        return print(f"{name}: set RECORDING at the top. {recording!r} cannot be read: {error}")
    try:
        place = roi and clamped(roi, *header.GetNumArray().shape[-2:])
    except Exception as error:
        delete_image(header)
        return print(f"{name}: set ROI at the top to 4 numbers or None. {roi!r} cannot be used: {error}")
    top, left, bottom, right = place or (0, 0, None, None)
    cell = Recorded(name, names, mechanics, header, len(times))
    main, told = on_main_thread(unknown=False), time.monotonic()  # DoEvents is for the main thread only
    tags = tags_of(header) if "tags" in reads else {}
    try:
        for i, frame in zip(range(len(times)), frames):
            cell.index = i
            info = Info(i, float(times[i]), axis(header, 0).part(left), axis(header, 1).part(top))
            info.source, info.tags = str(header.GetName()), dict(tags)
            info.roi = place_of(place, True) if place else None
            cell.run(np.array(frame[top:bottom, left:right]) if place else frame, info)
            if main:
                DM.DoEvents()  # so that windows are drawn and can be closed
            if cell.unseen():
                return cell.end("its window was closed")
            if time.monotonic() - told > 5:
                told = time.monotonic()
                print(f"{name}: {i + 1} of {len(times)} frames")
        cell.finish()
        cell.end("all frames are done")
    finally:
        cell.end("the script was stopped")
        delete_image(header)

"""The mechanics of a batch script: process() on every frame of an in-situ recording, results in images.

They go into people's scripts as they stand, as those of livescript.py do.
"""

import os
import re
import time

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.livescript import Live, own_names
from dmlink.indm.scriptresults import Axis
from dmlink.indm.scriptwindow import Window, ascii_text


def remember(live, name, column, empty):
    """Put a column into those of all frames."""
    if name not in live.columns or len(live.columns[name]) != len(column):
        live.columns[name] = np.full(
            (len(column), live.frames), np.where(np.isfinite(empty), empty, 0), np.float32
        )
    live.columns[name][:, live.index] = column
    return live.columns[name], Axis(0.0, 1.0, "frames"), slice(live.index, live.index + 1)


class Batch(Live):
    """A recording instead of a live view; as many columns and images as it has frames."""

    def __init__(self, header, frames, name, names, meaning, about):
        Live.__init__(self, header, name, names, meaning, about)
        self.frames, self.stacks, self.background = frames, {}, True

    def draw(self, name, values, axes, unit="", line=False, new=slice(None), kind=None):
        window = Live.draw(self, name, values, axes, unit, line, new, kind or Window)
        if kind is Window:
            stack = self.stacks.setdefault(name, np.zeros((self.frames, *values.shape), np.float32))
            stack[self.index] = values
        return window

    def finish(self, header):
        """Leave all images as results of the recording: with its tags, by which the player goes along."""
        for name, stack in self.stacks.items():
            image = DM.CreateImage(stack)
            if image is None:
                raise RuntimeError(f"DigitalMicrograph cannot make an image of shape {stack.shape}.")
            image.SetName(ascii_text(f"{name} of {header.GetName()}, all frames"))
            for dimension in range(2):
                shown = self.windows[name].image
                if shown is not None:
                    image.SetDimensionCalibration(dimension, *shown.GetDimensionCalibration(dimension, 0), 0)
            image.SetDimensionCalibration(2, 0.0, 1.0, "frames", 0)
            image.ShowImage()
            image.GetTagGroup().CopyTagsFrom(header.GetTagGroup())
            image.UpdateImage()
        for window in self.windows.values():
            if window.image is not None:
                window.image.GetTagGroup().CopyTagsFrom(header.GetTagGroup())


def recorded(path):
    """Return the header of a recording, the number of its frames, and the frames one after the other."""
    if os.path.isdir(path):
        files = [os.path.join(folder, f) for folder, _, names in os.walk(path) for f in names]
        files = [f for f in files if re.search(r"Second_\d+[\\/][^\\/]+\.dm[34]$", f)]
        files.sort(key=lambda f: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", f)])
        if not files:
            raise ValueError("there is no image in Hour_..., Minute_... and Second_... folders")
        return DM.OpenImage(files[0]), len(files), one_by_one(files)
    header, base = DM.OpenImage(path), os.path.splitext(path)[0]
    parts = [base + ".raw"]
    while os.path.exists(f"{base}.raw_{len(parts)}"):
        parts.append(f"{base}.raw_{len(parts)}")
    picture = header.GetNumArray()
    shape = picture.shape[-2:]  # the header may hold one frame, or stand for all
    size = shape[0] * shape[1] * picture.dtype.itemsize
    n = sum(os.path.getsize(part) for part in parts) // size
    return header, n, streamed(parts, shape, picture.dtype, size)


def one_by_one(files):
    for file in files:
        image = DM.OpenImage(file)
        frame = np.array(image.GetNumArray())
        DM.DeleteImage(image)
        yield frame


def streamed(parts, shape, dtype, size):
    pixels = b""
    for part in parts:
        with open(part, "rb") as file:
            pixels += file.read(size - len(pixels))
            while len(pixels) == size:
                yield np.frombuffer(pixels, dtype).reshape(shape)
                pixels = file.read(size)  # the rest of a frame may be in the next file


def frame_seconds(header):
    """Return seconds from frame to frame: in-situ cameras read out while they expose. Where unknown 1."""
    path = "Acquisition:Parameters:High Level:Exposure (s)"
    found, seconds = header.GetTagGroup().GetTagAsDouble(path)
    return float(seconds) if found and seconds > 0 else 1.0


def process_recording(name, caller, kinds, meaning, **about):
    """Run the process() of the calling script on every frame of its RECORDING."""
    names = own_names(caller, kinds)
    if names is None:
        return
    try:
        header, n, frames = recorded(names["RECORDING"])
    except Exception as error:
        return print(f"{name}: set RECORDING on top. {names['RECORDING']!r} cannot be read: {error}")
    batch, seconds = Batch(header, n, name, names, meaning, about), frame_seconds(header)
    main, told = DM.IsScriptOnMainThread(), time.monotonic()
    try:
        for batch.index, frame in enumerate(frames):
            batch.waiting = frame, batch.info(0, 0, None)
            batch.waiting[1].time = batch.index * seconds
            batch.run()
            if main:
                DM.DoEvents()  # so that windows are drawn, and can be closed
            if batch.unseen():
                return batch.end("its window was closed")
            if time.monotonic() - told > 5:
                told = time.monotonic()
                print(f"{name}: {batch.index + 1} of {n} frames")
        batch.finish(header)
        batch.end("all frames are done")
    finally:
        batch.end("the script was stopped")
        DM.DeleteImage(header)

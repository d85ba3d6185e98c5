"""The mechanics of a batch script: process() on every frame of an in-situ recording, results in images.

Together with livescript.py they go into people's scripts as they stand.
"""

import os
import re
import time
from types import SimpleNamespace

import DigitalMicrograph as DM
import numpy as np

from dmlink.indm.livescript import Axis, Live, ascii_text, own_names


class Batch(Live):
    """A recording instead of a live view; as many columns and images as it has frames."""

    def __init__(self, header, n, name, process, first, meaning, tags):
        Live.__init__(self, header, name, process, first, meaning, tags)
        self.n, self.stacks, self.background = n, {}, True

    def remember(self, name, column):
        columns = self.columns.get(name)
        if columns is None or len(columns) != len(column):
            columns = self.columns[name] = np.zeros((len(column), self.n), np.float32)
        columns[:, self.index] = column
        return columns, Axis(0.0, 1.0, "frames"), slice(self.index, self.index + 1)

    def window(self, name, values, line=False):
        window = Live.window(self, name, values, line)
        if not line and values.ndim == 2 and " in time" not in name:
            if name not in self.stacks:
                shape = (self.n, *values.shape)
                self.stacks[name] = np.zeros(shape, np.float32)
            self.stacks[name][self.index] = values
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


def process_recording(name, caller, kinds, meaning=lambda result: result, tags=lambda image: {}):
    """Run the process() of the calling script on every frame of its RECORDING."""
    names = own_names(caller)
    if names is None:
        return
    for kind in kinds:
        names.setdefault(kind.__name__, kind)
    try:
        header, n, frames = recorded(names["RECORDING"])
    except Exception as error:
        return print(f"{name}: set RECORDING on top. {names['RECORDING']!r} cannot be read: {error}")
    first = names["dmlink_live"].__code__.co_firstlineno
    batch = Batch(header, n, name, names["process"], first, meaning, tags)
    main, told = DM.IsScriptOnMainThread(), time.time()
    try:
        axes = [header.GetDimensionCalibration(i, 0) for i in range(header.GetNumDimensions())][:2]
        x, y = (Axis(a[0], a[1], ascii_text(a[2])) for a in (axes + axes)[:2])
        about = {"scale": x.scale, "origin": x.origin, "unit": x.unit, "tags": tags(header), "roi": None}
        for batch.index, frame in enumerate(frames):
            frame.flags.writeable = False
            info = SimpleNamespace(x=x, y=y, index=batch.index, time=0.0, source=header.GetName(), **about)
            batch.waiting = frame, info
            batch.run()
            if main:
                DM.DoEvents()  # so that windows are drawn, and can be closed
            if batch.windows and all(window.image is None for window in batch.windows.values()):
                return batch.end("its window was closed")
            if time.time() - told > 5:
                told = time.time()
                print(f"{name}: {batch.index + 1} of {n} frames")
        batch.finish(header)
        batch.end("all frames are done")
    finally:
        batch.end("the script was stopped")
        DM.DeleteImage(header)

"""Cells: the code that the benchmark's notebooks run."""

from __future__ import annotations

VIEW = "dmlink.view(link, size=512)"
LIVE = {
    "mean": "frame.mean()",
    "profile": "frame.mean(axis=0)",
    "darkest": "frame.min()",
    "picture": "frame[::2, ::2]",
    "doubled": "frame[::2, ::2] * 2.0",
    "halved": "frame[::2, ::2] / 2",
}
# live view and cells side by side, all on the screen
DASHBOARD = """from IPython.display import HTML, display
display(HTML("<style>.jp-InputArea {{ display: none !important }}</style>"))
cells = [dmlink.LiveCell(text, name).start(link) for name, text in {cells!r}.items()]
dmlink.dashboard(link, size={size})"""
# jupyter_rfb with just an image: the same pixels, reduction and contrast, its own JPEG
REMOTE_FRAME_BUFFER = """
import asyncio
import threading
import jupyter_rfb
from dmlink_widgets.drawing import picture
from dmlink_widgets.drawing.contrast import Contrast

class View(jupyter_rfb.RemoteFrameBuffer):
    def get_frame(self):
        if link.newest is None:
            return None
        grey = picture.reduced(link.newest.data, 512)
        contrast = Contrast()
        return contrast.apply(grey, contrast.limits(grey))

view = View()
view.css_width, view.css_height, view.resizable = "512px", "512px", False
loop = asyncio.get_running_loop()

def follow():
    for _ in link:
        loop.call_soon_threadsafe(view.request_draw)

threading.Thread(target=follow, daemon=True).start()
view
"""
# a live plot without flow control: it pushes every frame
IMAGE_GL = """
import threading
import bqplot
import numpy as np
from bqplot_image_gl import ImageGL

scales = {"x": bqplot.LinearScale(min=0, max=1), "y": bqplot.LinearScale(min=0, max=1)}
scales["image"] = bqplot.ColorScale(min=0, max=4095, colors=["black", "white"])
mark = ImageGL(image=np.zeros((2, 2), np.float32), scales=scales)
mark.x = mark.y = [0, 1]
figure = bqplot.Figure(marks=[mark], axes=[], fig_margin=dict.fromkeys(("top", "bottom", "left", "right"), 0))
figure.layout.width = figure.layout.height = "512px"

def push():
    for frame in link:
        mark.image = frame.data.astype(np.float32)

threading.Thread(target=push, daemon=True).start()
figure
"""
BUSY = """import time
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    sum(range(1000))
"""

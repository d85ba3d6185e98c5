"""KernelStatus: messages for which the kernel does not report that it is busy.

For each message that it handles, a kernel reports that it is busy, then that it is idle, and JupyterLab
redraws its window for both. With acknowledgements, this would happen for each picture.
"""

from __future__ import annotations

import inspect
from typing import Any

from IPython.core.getipython import get_ipython

MARK = "dmlink_quiet"  # in a message's metadata


def quiet_mark() -> str:
    """Return the mark of messages for which the kernel reports no status, or "" if this kernel always does.

    The page must make JupyterLab forget such a message, which otherwise waits until the kernel is idle.
    """
    kernel: Any = getattr(get_ipython(), "kernel", None)
    publish = getattr(kernel, "_publish_status", None)  # ipykernel has no public way
    if publish is None:
        return ""
    if getattr(publish, MARK, False):
        return MARK
    if list(inspect.signature(publish).parameters) != ["status", "channel", "parent"]:
        return ""

    def publish_unless_quiet(status: str, channel: str, parent: dict[str, Any] | None = None) -> None:
        message = parent or kernel.get_parent(channel)
        if not message.get("metadata", {}).get(MARK):
            publish(status, channel, parent)

    setattr(publish_unless_quiet, MARK, True)
    kernel._publish_status = publish_unless_quiet  # noqa: SLF001
    return MARK

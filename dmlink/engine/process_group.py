"""Process group: a worker and all that its cell started, which end together; and how a process ended."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

if TYPE_CHECKING:
    import subprocess

KILLED = 0x4B494C4C  # the exit code of a process that we killed on Windows; "KILL"
# https://learn.microsoft.com/windows-hardware/drivers/debugger/bug-check-code-reference2: NTSTATUS values
WINDOWS_FAULTS = {
    0xC0000005: "an access violation",
    0xC0000017: "lack of memory",
    0xC000001D: "an illegal instruction",
    0xC0000094: "an integer division by zero",
    0xC00000FD: "a stack overflow",
    0xC000013A: "Ctrl+C or the closing of its console",
    0xC0000374: "damage to its heap",
    0xC0000409: "abort()",
}


def python() -> tuple[str, dict[str, str]]:
    """Return this Python's executable and the environment variables that it needs.

    On Windows, a virtual environment's executable only launches the real one as another process.
    """
    base = getattr(sys, "_base_executable", sys.executable)
    if sys.platform != "win32" or base == sys.executable:
        return sys.executable, {}
    return base, {"__PYVENV_LAUNCHER__": sys.executable}


def ending(code: int, system: str = sys.platform) -> str:
    """Return how a process with this exit code ended on this system, as a sentence."""
    if system != "win32":
        if code < 0:
            name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
            return f"The cell's process was ended by {name}."
        return f"The cell's process exited with code {code}."
    code &= 0xFFFFFFFF
    if code >= 0xC0000000:
        return f"The cell's process was ended by {WINDOWS_FAULTS.get(code, 'a fault')} (0x{code:08X})."
    if code == KILLED:
        return "The cell's process was killed."
    if code == 1:  # also from the Task Manager and Python's kill()
        return "The cell's process was killed, or exited with code 1."
    if code == 3:
        return "The cell's process exited with code 3, possibly by abort()."
    return f"The cell's process exited with code {code}."


class ProcessGroup:
    """A process and all that it starts: its own session on POSIX, a job on Windows.

    Windows ends the job together with this process, which holds its only handle.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        if sys.platform == "win32":
            self._job = _new_job()
            _kernel().AssignProcessToJobObject(self._job, int(process._handle))  # noqa: SLF001

    @property
    def ended(self) -> bool:
        """Whether the process itself has ended; what it started may go on until `kill`."""
        if not hasattr(os, "waitid"):  # Windows, and macOS before Python 3.13
            return self._process.poll() is not None
        with contextlib.suppress(ChildProcessError):  # it has been waited for
            how = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self._process.pid, how) is not None
        return True

    def kill(self) -> None:
        """Kill all of its processes at once, also if the first one has ended."""
        if sys.platform == "win32":
            if self._job:
                _kernel().TerminateJobObject(self._job, KILLED)
            self._process.kill()  # in case it could not be put into the job
        elif self._process.returncode is None:  # until it is waited for, no other process gets its number
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it has just ended
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Close the handle; on Windows, this ends whatever is still running."""
        if sys.platform == "win32" and self._job:
            _kernel().CloseHandle(self._job)
            self._job = 0


if sys.platform == "win32":
    _LIMITS = 9  # JobObjectExtendedLimitInformation
    _KILL_ON_CLOSE = 0x2000  # JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE

    class _BasicLimits(ctypes.Structure):
        """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

        _fields_ = (
            ("PerProcessUserTimeLimit", wintypes.LARGE_INTEGER),
            ("PerJobUserTimeLimit", wintypes.LARGE_INTEGER),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
        )

    class _Limits(ctypes.Structure):
        """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

        _fields_ = (
            ("BasicLimitInformation", _BasicLimits),
            ("IoInfo", ctypes.c_ulonglong * 6),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        )

    def _kernel() -> ctypes.WinDLL:
        kernel = ctypes.WinDLL("kernel32")
        kernel.CreateJobObjectW.restype = wintypes.HANDLE
        kernel.CreateJobObjectW.argtypes = (wintypes.LPVOID, wintypes.LPCWSTR)
        kernel.SetInformationJobObject.argtypes = (
            *(wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD),
        )
        kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
        kernel.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
        kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
        return kernel

    def _new_job() -> int:
        """Return a job whose processes end when its last handle is closed; 0 if that fails."""
        kernel, limits = _kernel(), _Limits()
        job: int = kernel.CreateJobObjectW(None, None) or 0
        limits.BasicLimitInformation.LimitFlags = _KILL_ON_CLOSE
        if job:
            kernel.SetInformationJobObject(job, _LIMITS, ctypes.byref(limits), ctypes.sizeof(limits))
        return job

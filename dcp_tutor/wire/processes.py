"""What each process of a launch asks of the system: to end with its parent, to know what is open.

From the server and the supervisor down to the rank, a process must not outlive the one above it,
and a forked one must not keep what it never opened. `prctl` is Linux's (numbers of
linux/prctl.h); on other systems these requests do nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_LINUX = sys.platform.startswith("linux")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent() -> None:
    """Let the kernel end this process when the thread that started it ends.

    A parent that ended before this call goes unnoticed: compare `os.getppid()` afterwards.
    """
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def outlive_parent() -> None:
    """Take `die_with_parent` back."""
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends."""
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def highest_descriptor() -> int:
    """Return the highest open descriptor, or the highest that may be where none can be listed."""
    if not _LINUX:
        return os.sysconf("SC_OPEN_MAX") - 1
    return max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - fork-safe

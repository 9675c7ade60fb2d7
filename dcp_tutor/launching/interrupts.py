"""Interrupts that come at a bad moment: held back, or kept away while ranks are being stopped."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any


class HeldInterrupts:
    """Holds a kernel interrupt back until a launch that has just begun can be stopped.

    Between the start of a process and the line that knows of it, a `KeyboardInterrupt` would lose
    the process. Python delivers signals to the main thread alone; elsewhere this does nothing.

    Example:
        >>> held = HeldInterrupts()
        >>> held.release()

    """

    def __init__(self) -> None:
        self._came = False
        self._previous: Any = None
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._note)

    def release(self) -> None:
        """Let interrupts through again.

        Raises:
            KeyboardInterrupt: one came meanwhile.

        """
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None
        if self._came:
            self._came = False
            raise KeyboardInterrupt

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._came = True


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Let no second interrupt disturb the stopping of ranks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def import_whole(name: str) -> None:
    """Import a module, and let an interrupt that comes meanwhile through afterwards.

    torch cannot be imported by halves: after a `KeyboardInterrupt` in the midst of it the next
    `import torch` ends in a `SystemError` or an `AttributeError`, until the kernel is restarted
    (seen on torch 2.13.0). A notebook's first launch is when this kit imports it.

    Args:
        name: of the module; nothing happens where it has been imported already.

    Raises:
        KeyboardInterrupt: one came meanwhile; the module is there all the same.

    Example:
        >>> import_whole("torch.distributed.run")

    """
    if name in sys.modules:
        return
    held = HeldInterrupts()
    try:
        import_module(name)
    finally:
        held.release()

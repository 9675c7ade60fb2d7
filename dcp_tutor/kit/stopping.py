"""Ctrl-C and SIGTERM, while notebooks run."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """Somebody wants this process to end.

    A `KeyboardInterrupt`, for asyncio lets no other exception of a signal through.

    Attributes:
        signal: which one came.

    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number

    @property
    def exit_status(self) -> int:
        """What a shell expects of a process that a signal ended."""
        return 128 + self.signal


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` at the first signal; let later ones wait until all is cleaned up.

    Example:
        >>> with stoppable():
        ...     pass

    """

    def stop(number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        # What asyncio was doing is abandoned on purpose; it would complain about each of it.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise Stopped(number)

    previous = {each: signal.signal(each, stop) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)

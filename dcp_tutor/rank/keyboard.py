"""A rank has no keyboard: `breakpoint()` and `input()` get a sentence instead of a hang."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn


class NoKeyboard(RuntimeError):
    """Raised by `breakpoint()` in a rank."""


_INSTEAD = (
    "Print what you want to see, or copy this launch's command (`run.command`) into a terminal "
    "with --nproc-per-node 1, where a debugger can ask you."
)


def guard_keyboard() -> None:
    """Let `breakpoint()` raise, unless there is a terminal or the user chose a debugger."""
    has_terminal = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
    if not has_terminal and "PYTHONBREAKPOINT" not in os.environ:
        sys.breakpointhook = _refuse


def hint_for(error: BaseException) -> str | None:
    """Return what to say beside an error that comes from asking for input."""
    if isinstance(error, EOFError) and "EOF when reading a line" in str(error):
        return f"A rank has no keyboard, so input() has nothing to read. {_INSTEAD}"
    return None


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise NoKeyboard(f"A rank has no keyboard, so breakpoint() would wait for ever. {_INSTEAD}")

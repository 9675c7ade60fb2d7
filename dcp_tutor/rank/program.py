"""Run a file as `__main__`, as the interpreter itself would, and keep its globals."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any


def make_main(path: Path, arguments: list[str], inputs: Mapping[str, Any]) -> ModuleType:
    """Make the module `__main__` for the program at `path` and put it in its place.

    `sys.argv` and `sys.path[0]` become what `python PROGRAM ARGUMENTS` makes them. `runpy` is not
    used because it takes the module away when the program ends, while threads and `atexit`
    functions of the program still need its globals.
    """
    main = ModuleType("__main__")
    main.__file__ = str(path)
    main.__loader__ = SourceFileLoader("__main__", str(path))
    main.__spec__ = None
    vars(main)["__builtins__"] = builtins
    vars(main)["__cached__"] = None
    vars(main).update(inputs)
    sys.modules["__main__"] = main
    sys.argv = [str(path), *arguments]
    if not sys.flags.safe_path:
        sys.path[0] = str(path.parent)
    return main


def own_frames(error: BaseException, path: Path) -> TracebackType | None:
    """Return the error's traceback from the program's first line on, without our own frames."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != str(path):
        trace = trace.tb_next
    return trace

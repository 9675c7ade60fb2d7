"""Where a rank was: read from the stacks that it dumped, in the learner's words."""

from __future__ import annotations

import linecache
import re
from dataclasses import dataclass
from pathlib import Path

# Frames that only pass a call on; the name that the learner typed stands beside them.
_PASSING = {"wrapper", "inner", "_wrapped_call_impl", "_call_impl", "decorate_context", "_fn"}
_FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+)(?: in (?P<name>.+))?$')


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rank was.

    Attributes:
        file: name of the learner's file.
        line_number: line in it.
        line: text of that line.
        inside: the function it had called and not come back from, or an empty string.

    """

    file: str
    line_number: int
    line: str
    inside: str

    def __str__(self) -> str:
        inside = f"  (inside {self.inside})" if self.inside else ""
        return f"line {self.line_number}: {self.line}{inside}"


def find_place(dump: str, own_folders: tuple[Path, ...]) -> Place | None:
    """Find the learner's innermost line in a dump of all threads.

    Args:
        dump: text that `faulthandler` wrote: each thread's frames, innermost first; if there are
            several dumps, the last one counts.
        own_folders: where the learner's files are.

    Returns:
        The place, or None where no thread was in the learner's code.

    """
    found = None
    called: str | None = ""
    for line in dump.splitlines():
        frame = _FRAME.match(line)
        if frame is None:
            called = ""  # a new thread begins
            continue
        path = Path(frame["file"])
        if path.parent in own_folders:
            if called is not None:
                text = linecache.getline(str(path), int(frame["line"])).strip()
                found = Place(path.name, int(frame["line"]), text, called)
            called = None  # the frames that follow called this one
        elif called is not None and frame["name"] not in _PASSING:
            called = frame["name"] or ""
    return found

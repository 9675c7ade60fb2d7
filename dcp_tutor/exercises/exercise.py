"""The data of an exercise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcp_tutor.exercises.verdict import Verdict

_ROOM = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Exercise:
    """One exercise of a lesson.

    Attributes:
        name: as typed in `tutor.check("01-reshard", ...)`; begins with the lesson's number.
        lesson: name of the lesson's notebook.
        title: heading of the exercise in the notebook.
        minutes: how long it takes somebody who has read the lesson.
        goal: the verb of the lesson's goals that it tests.
        judge: decides on an answer; returns a `Verdict` or raises `Settled` with one.

    """

    name: str
    lesson: str
    title: str
    minutes: int
    goal: str
    judge: Callable[[Any], Verdict]

    @property
    def blank(self) -> str:
        """The learner's cell as the notebook gives it: it runs, and does nothing yet."""
        return (_ROOM / "blanks" / f"{self.name}.ipy").read_text().rstrip("\n")

    @property
    def solution(self) -> str:
        """The same cell, filled in."""
        return (_ROOM / "solutions" / f"{self.name}.ipy").read_text().rstrip("\n")

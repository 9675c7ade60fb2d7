"""What a check says: one outcome, one short paragraph."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import dataclass
from enum import Enum

_COLUMNS = 88


class Outcome(Enum):
    """How an answer was judged; the value is the verdict's first words."""

    RIGHT = "Right."
    WRONG = "Not quite."
    NOT_YET = "Not yet."
    UNDECIDED = "Not decided."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says of an answer.

    Attributes:
        outcome: right, wrong, not yet answered, or not decided (no fault of the answer).
        reason: why, in a few sentences; code stands in backticks.

    Example:
        >>> str(Verdict(Outcome.RIGHT, "All four came back."))
        'Right. All four came back.'

    """

    outcome: Outcome
    reason: str

    def __str__(self) -> str:
        return f"{self.outcome.value} {self.reason}"

    def show(self) -> None:
        """Show it once: as an output of the notebook's cell, else on the terminal."""
        plain = textwrap.fill(str(self), _COLUMNS, break_long_words=False, break_on_hyphens=False)
        if not _in_ipython():
            print(plain)
            return
        from IPython.display import display

        markdown = f"**{self.outcome.value}** {self.reason}"
        display({"text/plain": plain, "text/markdown": markdown}, raw=True)  # type: ignore[no-untyped-call]


class Settled(Exception):
    """Raised inside a check as soon as the verdict is known."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict


def right(reason: str) -> Verdict:
    """Return the verdict on a right answer: why it is right."""
    return Verdict(Outcome.RIGHT, reason)


def wrong(reason: str) -> Settled:
    """Return, to be raised, what this very mistake does and what to try next."""
    return Settled(Verdict(Outcome.WRONG, reason))


def not_yet(missing: str) -> Settled:
    """Return, to be raised, what is still missing."""
    return Settled(Verdict(Outcome.NOT_YET, missing))


def undecided(why: str) -> Settled:
    """Return, to be raised, why this cannot be judged here."""
    return Settled(Verdict(Outcome.UNDECIDED, why))


def _in_ipython() -> bool:
    """Say whether this runs in a notebook or in IPython, without importing it."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return get_ipython() is not None

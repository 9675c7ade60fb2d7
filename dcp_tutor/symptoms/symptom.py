"""One entry: a message by its words, where it comes from, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Source = Literal["dcp_tutor", "torchrun", "torch", "Python", "the system"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """A message that a learner may meet.

    Attributes:
        code: its name, for links: `rank-timeout`.
        says: the message's words, in one form or several. `<n>` stands for a number and
            `<anything else>` for any text; case, blanks, line breaks and quotes do not matter.
        source: who prints it.
        cause: one to three sentences.
        mend: one to three sentences; says what to type.
        general: it says that something failed, not what: others that match come before it.
        cases: headings of the clinic, `notebooks/13_when_it_breaks.ipynb`, that show it live.

    Example:
        >>> Symptom(
        ...     code="rank-killed",
        ...     says=("was killed by <signal>",),
        ...     source="dcp_tutor",
        ...     cause="A signal ended the rank.",
        ...     mend="Read the rank's last lines.",
        ... ).title
        'was killed by <signal>'

    """

    code: str
    says: tuple[str, ...]
    source: Source
    cause: str
    mend: str
    general: bool = False
    cases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.code), self.code
        assert isinstance(self.says, tuple) and self.says, "says is a tuple: mind its comma"
        assert isinstance(self.cases, tuple), "cases is a tuple: mind its comma"
        assert self.cause.endswith(".") and self.mend.endswith("."), "sentences end in a full stop"

    @property
    def title(self) -> str:
        """The message as a heading shows it: its first form."""
        return self.says[0]

    def as_dict(self) -> dict[str, object]:
        """Return this entry for JSON."""
        return {
            "code": self.code,
            "message": self.title,
            "source": self.source,
            "cause": self.cause,
            "mend": self.mend,
            "cases": list(self.cases),
        }

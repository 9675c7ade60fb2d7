"""From a pasted text to the entries that explain it, best first."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from dcp_tutor.symptoms.registry import SYMPTOMS
from dcp_tutor.symptoms.symptom import Symptom

_MOST_CHARACTERS = 2_000_000
"""Of a longer text the end is searched: that is where errors stand."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# What viewers, mails and torch put before each line: `[rank0]:`, `[ranks 0-1]`, `> `, `| `.
_LINE_START = re.compile(r"^(?:\s*(?:\[ranks? ?[\d, -]+\]:?|[>|│]+))+", re.MULTILINE)
# Neither blanks nor quotes carry meaning, and a terminal may have broken a line in mid-word.
_DROPPED = re.compile(r"[\s'\"`‘’“”]+")  # noqa: RUF001 - the quotes that word processors make
_GAP = re.compile(r"<[^<>]+>")
# A gap at either end says nothing, and at the beginning makes the search slow.
_OUTER_GAPS = re.compile(r"^(?:\s*<[^<>]+>)+|(?:<[^<>]+>\s*)+$")


@dataclass(frozen=True, slots=True)
class _Match:
    symptom: Symptom
    start: int
    end: int
    num_letters: int  # of the message's fixed words: the more agree, the surer

    def inside(self, other: _Match) -> bool:
        return (
            other.start <= self.start
            and self.end <= other.end
            and other.num_letters > self.num_letters
        )


def find(text: str, symptoms: Iterable[Symptom] = SYMPTOMS) -> tuple[Symptom, ...]:
    """Return the entries whose messages stand in `text`, best first.

    Entries that say what failed come before those that only say that something did; among
    equals, the one of which more words agree.

    Example:
        >>> [symptom.code for symptom in find("rank 3 of 8 ended with exit status 17")]
        ['exit-status']

    """
    plain = _plain(text[-_MOST_CHARACTERS:])
    matches = [match for symptom in symptoms if (match := _match(symptom, plain)) is not None]
    matches = [one for one in matches if not any(one.inside(other) for other in matches)]
    matches.sort(key=lambda match: (match.symptom.general, -match.num_letters))
    return tuple(match.symptom for match in matches)


def _plain(text: str) -> str:
    """Return a text without all that may differ between two pastes of one message."""
    text = _LINE_START.sub("", _ESCAPES.sub("", text))
    return _DROPPED.sub("", text).lower()


def _match(symptom: Symptom, plain: str) -> _Match | None:
    """Return the surest match of one entry, or None."""
    best = None
    for form in symptom.says:
        pattern, num_letters = _compiled(form)
        found = pattern.search(plain)
        if found is not None and (best is None or num_letters > best.num_letters):
            best = _Match(symptom, found.start(), found.end(), num_letters)
    return best


@cache
def _compiled(form: str) -> tuple[re.Pattern[str], int]:
    """Return the pattern for one form of a message, and the number of its fixed letters."""
    form = _OUTER_GAPS.sub("", form)
    fixed = [_DROPPED.sub("", part).lower() for part in _GAP.split(form)]
    gaps: list[str] = _GAP.findall(form)
    pattern = re.escape(fixed[0])
    for gap, part in zip(gaps, fixed[1:], strict=True):
        # Lazy and bounded, so that a gap does not reach into another message.
        pattern += (r"-?[\d.,]+" if gap == "<n>" else ".{1,200}?") + re.escape(part)
    return re.compile(pattern), sum(map(len, fixed))

"""From a pasted text to the entries that explain it, best first."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from dcp_tutor.symptoms.plain import parts_of, plain_text
from dcp_tutor.symptoms.quotes import quoted
from dcp_tutor.symptoms.registry import SYMPTOMS
from dcp_tutor.symptoms.symptom import Symptom

_MOST_CHARACTERS = 2_000_000
"""Of a longer text the end is searched: that is where errors stand."""


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


def find(
    text: str, symptoms: Iterable[Symptom] = SYMPTOMS, *, quotes: bool = True
) -> tuple[Symptom, ...]:
    """Return the entries whose messages stand in `text`, best first.

    Entries that say what failed come before those that only say that something did; among
    equals, the one of which more words agree. Where no entry's message stands in a text that
    says what failed, the text may be a quote: a part of a message, see `quotes.quoted`.

    Args:
        text: what was pasted.
        symptoms: the entries to search.
        quotes: also take the text for a part of a message.

    Example:
        >>> [symptom.code for symptom in find("rank 3 of 8 ended with exit status 17")]
        ['exit-status']
        >>> [symptom.code for symptom in find("metadata is None")]
        ['metadata-none']

    """
    symptoms = tuple(symptoms)
    found = _standing_in(text, symptoms)
    if quotes and all(symptom.general for symptom in found):
        return tuple(dict.fromkeys((*quoted(text, symptoms), *found)))
    return found


def _standing_in(text: str, symptoms: Iterable[Symptom]) -> tuple[Symptom, ...]:
    plain = plain_text(text[-_MOST_CHARACTERS:])
    matches = [match for symptom in symptoms if (match := _match(symptom, plain)) is not None]
    matches = [one for one in matches if not any(one.inside(other) for other in matches)]
    matches.sort(key=lambda match: (match.symptom.general, -match.num_letters))
    return tuple(match.symptom for match in matches)


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
    fixed, gaps = parts_of(form)
    pattern = re.escape(fixed[0])
    for gap, part in zip(gaps, fixed[1:], strict=True):
        # Lazy and bounded, so that a gap does not reach into another message.
        pattern += (r"-?[\d.,]+" if gap == "<n>" else ".{1,200}?") + re.escape(part)
    return re.compile(pattern), sum(map(len, fixed))

"""Texts without what may differ between two pastes of one message."""

from __future__ import annotations

import re

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# What viewers, mails and torch put before each line: `[rank0]:`, `[ranks 0-1]`, `> `, `| `.
_LINE_START = re.compile(r"^(?:\s*(?:\[ranks? ?[\d, -]+\]:?|[>|│]+))+", re.MULTILINE)
# Neither blanks nor quotes carry meaning, and a terminal may have broken a line in mid-word.
_DROPPED = re.compile(r"[\s'\"`‘’“”]+")  # noqa: RUF001 - the quotes that word processors make
_GAP = re.compile(r"<[^<>]+>")
# A gap at either end says nothing, and at the beginning makes the search slow.
_OUTER_GAPS = re.compile(r"^(?:\s*<[^<>]+>)+|(?:<[^<>]+>\s*)+$")


def plain_text(text: str) -> str:
    """Return a text without colours, line starts, blanks and quotation marks, in small letters."""
    return _DROPPED.sub("", without_marks(text)).lower()


def without_marks(text: str) -> str:
    """Return a text without colours, and without what viewers put before each line."""
    return _LINE_START.sub("", _ESCAPES.sub("", text))


def parts_of(form: str) -> tuple[list[str], list[str]]:
    """Split one form of a message: its fixed words, plain, and the gaps between them.

    Example:
        >>> parts_of("rank <n> of <n> raised <error>")
        (['rank', 'of', 'raised'], ['<n>', '<n>'])

    """
    form = _OUTER_GAPS.sub("", form)
    fixed = [_DROPPED.sub("", part).lower() for part in _GAP.split(form)]
    return fixed, _GAP.findall(form)

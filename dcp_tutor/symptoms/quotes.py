"""From a part of a message to its entry: people type the words that they remember.

`metadata is None` is a part of one message and of no other. `of the program` is a part of several
and says nothing. A part counts as a quote if it has two words of its own, or one that nobody uses
elsewhere (`connectFullMesh`), and if few entries have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dcp_tutor.symptoms.plain import parts_of, plain_text, without_marks
from dcp_tutor.symptoms.symptom import Symptom

_MOST_CHARACTERS = 200
"""A longer text is a paste, no quote."""

_FEWEST_LETTERS = 10
"""A shorter text is in many messages by chance: `data file`."""

_MOST_ENTRIES = 3
"""What stands in more messages than this tells none of them from the others."""

# `RuntimeError: `, before the message itself.
_ERROR = re.compile(r"^\s*[\w.]*(?:Error|Exception|Warning)\s*:")
_WORD = re.compile(r"\S*[A-Za-z]{3}\S*")
_NAME = re.compile(r"\w*[a-z]{2}[A-Z][a-z]+\w*")  # with humps: connectFullMesh
_EDGES = " \t\n.,:;!?…'\"`‘’“”"  # noqa: RUF001 - the quotes that word processors make
_LITTLE = re.compile(
    "all|and|any|are|but|can|for|from|had|has|have|her|his|into|its|may|must|nor|not|one|only|our|"
    "that|the|their|them|then|they|this|two|was|were|what|when|which|who|why|will|with|you|your",
    re.IGNORECASE,
)

# What programs of all kinds print; only with the rest of its message does it say something here.
_EVERYDAY = ("no such file or directory",)


def quoted(text: str, symptoms: Iterable[Symptom]) -> list[Symptom]:
    """Return the entries of which `text` is a part, those that it tells most of first.

    Example:
        >>> from dcp_tutor.symptoms.registry import SYMPTOMS
        >>> [symptom.code for symptom in quoted("RuntimeError: metadata is None", SYMPTOMS)]
        ['metadata-none']
        >>> quoted("the program", SYMPTOMS)
        []

    """
    if len(text) > _MOST_CHARACTERS:
        return []
    text = _ERROR.sub("", without_marks(text)).strip(_EDGES)
    if not _is_telling(text):
        return []
    quote = plain_text(text)
    if len(quote) < _FEWEST_LETTERS or any(quote in plain_text(words) for words in _EVERYDAY):
        return []
    found: dict[Symptom, float] = {}
    for symptom in symptoms:
        for form in symptom.says:
            fixed, _ = parts_of(form)
            if any(quote in part for part in fixed):
                share = len(quote) / sum(map(len, fixed))
                found[symptom] = max(share, found.get(symptom, 0.0))
    if len(found) > _MOST_ENTRIES:
        return []
    return sorted(found, key=lambda symptom: (symptom.general, -found[symptom]))


def _is_telling(text: str) -> bool:
    own = {word for word in _WORD.findall(text) if not _LITTLE.fullmatch(word)}
    return len(own) >= 2 or any(map(_NAME.fullmatch, own))

"""What a check can find, and how bad each is: `Finding`, `Verification`, the list of codes.

Severities:
    error      some load fails, or returns wrong values
    warning    every load works, but something lies there that should not, or is not used
    suspicion  a sound checkpoint may look like this too; it fails nothing
    note       something that could not be checked, or that is good to know; it fails nothing
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "suspicion", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "suspicion", "note")
CODES: dict[str, Severity] = {
    "file-missing": "error",
    "file-empty": "error",
    "file-truncated": "error",
    "file-longer": "warning",
    "file-hole": "warning",
    "file-unreferenced": "warning",
    "path-escapes": "error",
    "range-impossible": "error",
    "ranges-overlap": "error",
    "chunk-not-stored": "error",
    "chunk-outside": "error",
    "chunk-too-short": "error",
    "chunks-overlap": "error",
    "chunks-gap": "error",
    "chunks-tangled": "note",
    "record-size-odd": "error",
    "place-unused": "warning",
    "rank-metadata-missing": "error",
    "ranks-differ": "warning",
    "save-unfinished": "warning",
    "newer-than-metadata": "suspicion",
    "class-unknown": "note",
    "entry-skipped": "note",
    "record-damaged": "error",
    "record-differs": "error",
    "record-not-checked": "note",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or may be.

    Attributes:
        code: a word for programs, one of `CODES`.
        message: a sentence on what it means for a load.
        file: the file it is about, if it is about one.
        fqn: the tensor or other entry it is about, if it is about one.

    """

    code: str
    message: str
    file: str | None = None
    fqn: str | None = None

    @property
    def severity(self) -> Severity:
        """How bad it is: it follows from the code."""
        return CODES[self.code]

    def __str__(self) -> str:
        subject = " ".join(part for part in (self.fqn, self.file) if part is not None)
        return f"{self.severity} {self.code} {subject}: {self.message}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    Attributes:
        findings: worst first.
        deep: whether every record was read.
        files_checked: data files that were looked at.
        records_checked: places in files that were looked at; with `deep`, records read.

    """

    findings: tuple[Finding, ...]
    deep: bool
    files_checked: int
    records_checked: int

    @property
    def sound(self) -> bool:
        """True if there is no error and no warning."""
        return not any(f.severity in ("error", "warning") for f in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __bool__(self) -> bool:
        raise TypeError("a Verification has no truth of its own; ask for .sound or len(...)")

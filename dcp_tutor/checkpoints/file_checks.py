"""What can be wrong with one data file: its size, and how records lie in it."""

from __future__ import annotations

from dcp_tutor.checkpoints.findings import Finding
from dcp_tutor.checkpoints.nouns import Blob, Chunk, Entry
from dcp_tutor.checkpoints.storage import File

StoredRecord = tuple[Entry, Chunk | Blob]
"""A record, with the entry that it is of."""


def of_file(
    name: str, file: File | None, records: list[StoredRecord]
) -> tuple[list[Finding], list[StoredRecord]]:
    """Check one data file; return findings, and the records that lie wholly in it."""
    needed = _entries(records)
    if file is None:
        message = f"{needed} lie in it; a load of any of them fails"
        return [Finding("file-missing", message, name)], []
    if file.size_bytes == 0:
        message = f"it has no bytes, but {needed} should lie in it; a load of any of them fails"
        return [Finding("file-empty", message, name)], []
    findings: list[Finding] = []
    whole: list[StoredRecord] = []
    cut: list[StoredRecord] = []
    for entry, record in sorted(records, key=lambda pair: pair[1].byte_offset):
        fqn = entry.fqn
        if record.byte_offset < 0 or record.byte_length <= 0:
            message = (
                f"its record is said to start at byte {record.byte_offset} and to have "
                f"{record.byte_length} bytes; a load of it fails"
            )
            findings.append(Finding("range-impossible", message, name, fqn))
        elif record.byte_offset + record.byte_length > file.size_bytes:
            cut.append((entry, record))
        else:
            whole.append((entry, record))
    if cut:
        reach = max(record.byte_offset + record.byte_length for _, record in cut)
        message = (
            f"it has {file.size_bytes:,} bytes, but {_entries(cut)} should reach to byte "
            f"{reach:,}; a load of any of them fails"
        )
        findings.append(Finding("file-truncated", message, name, cut[0][0].fqn))
    end = 0
    hole = 0
    last = ""
    overlap = False
    for entry, record in whole:
        fqn = entry.fqn
        again = fqn == last and record.byte_offset + record.byte_length == end  # one chunk, twice
        if record.byte_offset < end and not overlap and not again:
            overlap = True
            message = (
                f"its record and that of {last} share bytes of the file; one of them is not what "
                f"was saved"
            )
            findings.append(Finding("ranges-overlap", message, name, fqn))
        hole += max(0, record.byte_offset - end)
        end, last = max(end, record.byte_offset + record.byte_length), fqn
    if hole:
        message = f"{hole:,} bytes between its records belong to no entry; DCP leaves no such holes"
        findings.append(Finding("file-hole", message, name))
    if not cut and end < file.size_bytes:
        message = (
            f"{file.size_bytes - end:,} bytes follow its last record; DCP ends a file there, so "
            f"it may be another save's, and its records may hold that save's values"
        )
        findings.append(Finding("file-longer", message, name))
    return findings, whole


def _entries(records: list[StoredRecord]) -> str:
    fqns = list(dict.fromkeys(entry.fqn for entry, _ in records))
    more = f" and {len(fqns) - 1} more entries" if len(fqns) > 1 else ""
    return f"records of {fqns[0]}{more}"

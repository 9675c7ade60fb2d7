"""fsck for a checkpoint: what a load would run into.

`verify(checkpoint)` looks at the metadata (`chunk_checks.py`) and at the sizes of files
(`file_checks.py`), and reads no data.
`verify(checkpoint, deep=True)` also reads every record once (`deep.py`).

What can not be found: two files swapped that hold records of equal dtypes and sizes at equal
places. No data file carries the save's id, so every check of both agrees; only times of change
may give a hint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dcp_tutor.checkpoints.chunk_checks import not_stored, of_tensor
from dcp_tutor.checkpoints.file_checks import StoredRecord, of_file
from dcp_tutor.checkpoints.findings import SEVERITIES, Finding, Verification
from dcp_tutor.checkpoints.nouns import Tensor
from dcp_tutor.checkpoints.storage import File, stays_inside
from dcp_tutor.checkpoints.torch_private import DATA_FILE, METADATA_FILE, RANK_METADATA_FILE

if TYPE_CHECKING:
    from dcp_tutor.checkpoints.checkpoint import Checkpoint

_LEFT_OVER = frozenset({"file-hole", "file-longer", "file-unreferenced"})


def verify(checkpoint: Checkpoint, *, deep: bool = False) -> Verification:
    """Check a checkpoint.

        open_checkpoint("runs/step-3").verify().sound  # True

    Args:
        checkpoint: an opened one. Files are listed anew.
        deep: also read every record, check its checksums, and compare what it says of itself
            with the metadata. Nothing is unpickled.

    Raises:
        CheckpointUnreadable: the folder went away meanwhile.

    """
    findings: list[Finding] = []
    findings += _of_metadata(checkpoint)
    for fqn, entry in checkpoint.entries.items():
        if isinstance(entry, Tensor):
            findings += of_tensor(entry)
        elif entry.file is None:
            findings.append(not_stored(fqn))
    files = dict(checkpoint.folder.files())
    by_file: dict[str, list[StoredRecord]] = {}
    for entry, record in checkpoint.records():
        if record.file is not None:
            by_file.setdefault(record.file, []).append((entry, record))
    readable: dict[str, list[StoredRecord]] = {}
    for name, records in by_file.items():
        if not stays_inside(name):
            findings.append(
                Finding(
                    "path-escapes",
                    f"{len(records)} records are said to lie in {name!r}, outside this folder; "
                    f"torch would read that file. It was not touched here",
                    name,
                    records[0][0].fqn,
                )
            )
            continue
        file = files.get(name) or checkpoint.folder.file(name)
        found, whole = of_file(name, file, records)
        findings += found
        readable[name] = whole
    findings += _of_folder(checkpoint, files, by_file)
    num_records = sum(map(len, by_file.values()))
    if deep:
        from dcp_tutor.checkpoints.deep import check_records  # zip code, wanted only when deep

        findings += check_records(checkpoint, readable)
    if checkpoint.skipped:  # what was not understood has records too: nothing is left over then
        findings = [f for f in findings if f.code not in _LEFT_OVER]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Verification(tuple(findings), deep, len(by_file), num_records)


def _of_metadata(checkpoint: Checkpoint) -> Iterator[Finding]:
    for name in checkpoint.unknown:
        yield Finding(
            "class-unknown",
            f"the metadata names {name}, which we do not know; it was not imported here, but "
            f"torch imports it when it loads",
        )
    for fqn, name in checkpoint.skipped:
        yield Finding("entry-skipped", f"it is a {name}, which we do not know", fqn=fqn)
    for fqn in checkpoint.not_listed:
        yield Finding(
            "place-unused",
            "a place in a file is told for it, but no chunk or entry; no load reads that",
            fqn=fqn,
        )
    for fqn, name in checkpoint.differing:
        yield Finding(
            "ranks-differ",
            f"{name} tells another shape, dtype or kind than the first rank's metadata; a load "
            f"on that rank sees its own: open_checkpoint(..., rank=...)",
            name,
            fqn,
        )


def _of_folder(
    checkpoint: Checkpoint,
    files: dict[str, File],
    by_file: dict[str, list[StoredRecord]],
) -> Iterator[Finding]:
    ranks = {
        int(match[1])
        for name in checkpoint.metadata_files
        if (match := RANK_METADATA_FILE.fullmatch(name))
    }
    missing: set[int] = set()
    for name in files:
        is_metadata = name == METADATA_FILE or RANK_METADATA_FILE.fullmatch(name)
        if name.endswith(".metadata.tmp"):
            yield Finding(
                "save-unfinished",
                "a later save into this folder died just before it was finished; data files may "
                "be that save's, and a load would mix both without an error",
                name,
            )
        elif is_metadata and name not in checkpoint.metadata_files:
            if METADATA_FILE in checkpoint.metadata_files:
                message = "a load prefers .metadata and never reads it; it is another save's"
                yield Finding("file-unreferenced", message, name)
        elif (match := DATA_FILE.fullmatch(name)) and name not in by_file:
            if ranks and int(match[1]) not in ranks:
                missing.add(int(match[1]))
            elif files[name].size_bytes > 0:
                # A rank that had nothing to save leaves a file of no bytes: nothing is lost there.
                message = (
                    f"no entry lies in its {files[name].size_bytes:,} bytes; it is left over from "
                    f"another save into this folder, and no load reads it"
                )
                yield Finding("file-unreferenced", message, name)
    if len(checkpoint.metadata_files) > 1 or not ranks:
        missing |= set(range(max(ranks, default=0))) - ranks if ranks else set()
        for rank in sorted(missing):
            yield Finding(
                "rank-metadata-missing",
                f"other ranks have a metadata file of their own, rank {rank} has none; its load "
                f"fails, and what only it saved cannot be found",
                f"__{rank}.metadata",
            )
    times = [files[name].modified for name in checkpoint.metadata_files if name in files]
    known = [time for time in times if time is not None]
    if known and len(known) == len(times) and checkpoint.folder.is_local:
        newer = {
            name: files[name].modified
            for name in by_file
            if name in files and (files[name].modified or 0.0) > max(known)
        }
        late = max((time - max(known) for time in newer.values() if time is not None), default=0.0)
        if len(newer) == len(by_file) > 1:
            yield Finding(
                "newer-than-metadata",
                f"all data files were written after the metadata, by up to {late:.1f} s: so it is "
                f"after a copy, or a later save died here. Which of both cannot be proven",
            )
        else:
            for name in newer:
                yield Finding(
                    "newer-than-metadata",
                    "it was written after the metadata: a later save may have died here, or the "
                    "file was only copied. Which of both cannot be proven",
                    name,
                )

"""fsck for a checkpoint: what a load would run into.

`verify(checkpoint)` looks at the metadata and at the sizes of files, and reads no data.
`verify(checkpoint, deep=True)` also reads every record once (`deep.py`).

What can not be found: two files swapped that hold records of equal dtypes and sizes at equal
places. No data file carries the save's id, so every check of both agrees; only times of change
may give a hint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dcp_tutor.checkpoints.boxes import TooTangledError, first_overlap, is_inside, volume
from dcp_tutor.checkpoints.findings import SEVERITIES, Finding, Verification
from dcp_tutor.checkpoints.nouns import Blob, Chunk, Entry, Tensor
from dcp_tutor.checkpoints.storage import File, stays_inside
from dcp_tutor.checkpoints.torch_private import DATA_FILE, METADATA_FILE, RANK_METADATA_FILE

if TYPE_CHECKING:
    from dcp_tutor.checkpoints.checkpoint import Checkpoint

_LEFT_OVER = frozenset({"file-hole", "file-longer", "file-unreferenced"})
_Record = tuple[Entry, Chunk | Blob]


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
            findings += _of_tensor(entry)
        elif entry.file is None:
            findings.append(_not_stored(fqn))
    files = dict(checkpoint.folder.files())
    by_file: dict[str, list[_Record]] = {}
    for entry, record in checkpoint.records():
        if record.file is not None:
            by_file.setdefault(record.file, []).append((entry, record))
    readable: dict[str, list[_Record]] = {}
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
        found, whole = _of_file(name, file, records)
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


def _not_stored(fqn: str, what: str = "") -> Finding:
    return Finding(
        "chunk-not-stored",
        f"the metadata tells no place in a file{what}; a load that needs it fails",
        fqn=fqn,
    )


def _of_tensor(tensor: Tensor) -> Iterator[Finding]:
    fqn, itemsize = tensor.fqn, tensor.dtype.itemsize
    inside = [chunk for chunk in tensor.chunks if is_inside(chunk, tensor.shape)]
    for chunk in tensor.chunks:
        if not is_inside(chunk, tensor.shape):
            yield Finding(
                "chunk-outside",
                f"a chunk at {chunk.offsets} of {chunk.sizes} lies outside the tensor's "
                f"{tensor.shape}; a load takes wrong elements or fails",
                chunk.file,
                fqn,
            )
        elif chunk.file is None:
            yield _not_stored(fqn, f" for the chunk at {chunk.offsets}")
        elif not chunk.transforms and 0 < chunk.byte_length < chunk.numel * itemsize:
            yield Finding(
                "chunk-too-short",
                f"the chunk at {chunk.offsets} has {chunk.numel * itemsize:,} bytes of elements, "
                f"but {chunk.byte_length:,} bytes in the file; a load of it fails",
                chunk.file,
                fqn,
            )
    # Where each rank has its own metadata, ranks may store the same box: each reads its own.
    by_metadata: dict[str, list[Chunk]] = {}
    for chunk in inside:
        by_metadata.setdefault(chunk.metadata_file, []).append(chunk)
    for chunks in by_metadata.values():
        try:
            pair = first_overlap(chunks)
        except TooTangledError:
            yield Finding(
                "chunks-tangled", "its chunks overlap too much to compare each with each", fqn=fqn
            )
            return
        if pair is not None:
            yield Finding(
                "chunks-overlap",
                f"the chunks at {pair[0].offsets} and {pair[1].offsets} hold the same elements; "
                f"which of them a load takes is chance",
                pair[1].file,
                fqn,
            )
            return
    distinct = list({(c.offsets, c.sizes): c for c in inside}.values())
    missing = tensor.numel - volume(distinct)
    if missing > 0:
        yield Finding(
            "chunks-gap",
            f"{missing:,} of its {tensor.numel:,} elements are in no chunk; a load leaves them "
            f"as they were, without an error",
            fqn=fqn,
        )


def _of_file(
    name: str, file: File | None, records: list[_Record]
) -> tuple[list[Finding], list[_Record]]:
    """Check one data file; return findings, and the records that lie wholly in it."""
    needed = _entries(records)
    if file is None:
        message = f"{needed} lie in it; a load of any of them fails"
        return [Finding("file-missing", message, name)], []
    if file.size_bytes == 0:
        message = f"it has no bytes, but {needed} should lie in it; a load of any of them fails"
        return [Finding("file-empty", message, name)], []
    findings: list[Finding] = []
    whole: list[_Record] = []
    cut: list[_Record] = []
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


def _of_folder(
    checkpoint: Checkpoint,
    files: dict[str, File],
    by_file: dict[str, list[_Record]],
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


def _entries(records: list[_Record]) -> str:
    fqns = list(dict.fromkeys(entry.fqn for entry, _ in records))
    more = f" and {len(fqns) - 1} more entries" if len(fqns) > 1 else ""
    return f"records of {fqns[0]}{more}"

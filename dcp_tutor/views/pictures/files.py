"""`file_map`: the byte ranges of a checkpoint's files, and the commit that makes them one."""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dcp_tutor.checkpoints import Blob, Checkpoint, Chunk
from dcp_tutor.checkpoints.checkpoint import opened
from dcp_tutor.checkpoints.text import bytes_text, plain, table
from dcp_tutor.checkpoints.torch_private import rank_of
from dcp_tutor.views.pictures.file_drawing import draw_files
from dcp_tutor.views.pictures.picture import Picture
from dcp_tutor.views.words import box_text, count_text

_MOST_LINES, _LAST_LINES = 200, 9


@dataclass(frozen=True, slots=True)
class Record:
    """A byte range of a file. A large checkpoint has a million of them: nothing is copied.

    Attributes:
        number: of its entry, from 1, as the picture shows it.
        fqn: key of the entry.
        place: the chunk, or the object that is no tensor.

    """

    number: int
    fqn: str
    place: Chunk | Blob

    @property
    def is_blob(self) -> bool:
        """Whether it is no tensor's."""
        return isinstance(self.place, Blob)

    @property
    def start(self) -> int:
        """First byte, in the file."""
        return self.place.byte_offset

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.place.byte_length

    @property
    def stop(self) -> int:
        """The byte after its last."""
        return self.place.byte_offset + self.place.byte_length

    @property
    def part(self) -> str:
        """Which box of the tensor, in words; "object" for an entry that is no tensor."""
        place = self.place
        return "object" if isinstance(place, Blob) else box_text(place.offsets, place.sizes)


@dataclass(frozen=True, slots=True)
class FileBytes:
    """A data file.

    Attributes:
        name: in the checkpoint's folder.
        rank: that wrote it, by its name; None for names that DCP does not give.
        records: by their place in the file.
        told: bytes that the metadata tells of, up to the last record's end.
        size: of the file as it lies there; None if it is not there.

    """

    name: str
    rank: int | None
    records: tuple[Record, ...]
    told: int
    size: int | None

    @property
    def state(self) -> str:
        """What is wrong with it, in words; "" when nothing is."""
        if self.size is None:
            return "missing"
        if self.size < self.told:
            return f"cut short: {count_text(self.told - self.size, 'byte')} missing"
        return "" if self.records else "not named: no entry has bytes in it"

    @property
    def length(self) -> int:
        """Bytes to be drawn."""
        return max(self.told, self.size or 0)


@dataclass(frozen=True, slots=True)
class Files:
    """All that is drawn of one checkpoint.

    Attributes:
        name: last part of its path.
        files: its data files, by rank.
        metadata: names of the metadata files.
        entries: number of an entry → its key, for the entries that have a byte range.
        blob_numbers: numbers of those that are no tensors.
        num_tensors: entries that are tensors.
        num_records: byte ranges, of all files.

    """

    name: str
    files: tuple[FileBytes, ...]
    metadata: tuple[str, ...]
    entries: Mapping[int, str]
    blob_numbers: frozenset[int]
    num_tensors: int
    num_records: int

    @property
    def num_blobs(self) -> int:
        """Entries that are no tensors."""
        return len(self.blob_numbers)


def file_map(checkpoint: Checkpoint | str | Path) -> Picture:
    """Draw each file of a checkpoint as a bar of its byte ranges: which entry lies where.

    Bars are to one scale; a range too short for it keeps a mark that can be seen. `.metadata` is
    drawn as what it is, the commit: it is written last, and names all other bytes. A file that is
    missing, cut short, or named by no entry is said to be so. Nothing but the checkpoint's
    metadata and its folder's listing is used.

    Args:
        checkpoint: its path or URL, or an opened one.

    Returns:
        A `Picture`; its text has one line for each byte range, with the entry's full key.

    Raises:
        UsageError: it is neither.
        CheckpointUnreadable: it is no checkpoint.

    Example:
        >>> file_map("runs/step-3")  # doctest: +SKIP

    """
    takes = "file_map draws a checkpoint: its path, or what open_checkpoint(path) returns"
    files = _files(opened(checkpoint, takes))
    alt = _said(files)
    return Picture(svg=draw_files(files, alt), text=_text(files), alt=alt)


def _files(checkpoint: Checkpoint) -> Files:
    numbers = {fqn: number for number, fqn in enumerate(checkpoint, 1)}
    records: dict[str, list[Record]] = {}
    for entry, place in checkpoint.records():
        if place.file is not None:
            record = Record(numbers[entry.fqn], entry.fqn, place)
            records.setdefault(place.file, []).append(record)
    placed = {record.fqn for some in records.values() for record in some}
    others = [
        name for name in checkpoint.files
        if name not in records and name.endswith(".distcp") and rank_of(name) is not None
    ]  # fmt: skip
    files = [
        FileBytes(
            name=name,
            rank=rank_of(name),
            records=tuple(sorted(records.get(name, ()), key=lambda r: (r.start, r.stop))),
            told=max((record.stop for record in records.get(name, ())), default=0),
            size=file.size_bytes if (file := checkpoint.files.get(name)) is not None else None,
        )
        for name in (*checkpoint.bytes_by_file(), *sorted(others))
    ]
    return Files(
        name=posixpath.basename(checkpoint.url.rstrip("/")) or "checkpoint",
        files=tuple(files),
        metadata=checkpoint.metadata_files,
        entries={number: fqn for fqn, number in numbers.items() if fqn in placed},
        blob_numbers=frozenset(numbers[fqn] for fqn in checkpoint.blobs),
        num_tensors=len(checkpoint.tensors),
        num_records=sum(map(len, records.values())),
    )


def _said(files: Files) -> str:
    words = [
        f"{plain(file.name)} {bytes_text(file.told)} in "
        f"{count_text(len(file.records), 'byte range')}{f' ({file.state})' if file.state else ''}"
        for file in files.files
    ]
    if len(words) > 6:
        words = [*words[:4], f"{len(words) - 5:,} more files", words[-1]]
    return (
        f"The files of checkpoint {plain(files.name)}, each a bar cut into the byte ranges of "
        f"its entries: {'; '.join(words)}. Beneath them {_metadata_text(files)}."
    )


def _metadata_text(files: Files) -> str:
    one = files.metadata[0]
    who = one if len(files.metadata) == 1 else f"{len(files.metadata)} metadata files"
    return (
        f"{plain(who)}, the commit, which names {count_text(files.num_records, 'byte range')} "
        f"of {count_text(files.num_tensors, 'tensor')} and "
        f"{count_text(files.num_blobs, 'other object')}"
    )


def _text(files: Files) -> str:
    rows: list[Sequence[str]] = [("file", "rank", "bytes from", "to", "length", "entry", "part")]
    count = sum(len(file.records) + bool(file.state) for file in files.files)
    lines = _lines(files.files)
    if count <= _MOST_LINES:
        rows += [_row(*line) for line in lines]
    else:
        first = [*islice(lines, _MOST_LINES - _LAST_LINES)]
        rows += [_row(*line) for line in (*first, *deque(lines, _LAST_LINES))]
    table_lines = table(rows, right=(1, 2, 3, 4)).split("\n")
    if count > _MOST_LINES:
        cut = f"… {count - _MOST_LINES:,} more lines (dcp-tutor inspect PATH --all has them)"
        table_lines.insert(1 + _MOST_LINES - _LAST_LINES, cut)
    head = f"checkpoint {plain(files.name)}: the byte ranges of its files"
    return "\n".join([head, *table_lines, _metadata_text(files)])


def _lines(files: Iterable[FileBytes]) -> Iterator[tuple[FileBytes, Record | None]]:
    """Yield each record with its file, and None after those of a file that is not as told."""
    for file in files:
        for record in file.records:
            yield file, record
        if file.state:
            yield file, None


def _row(file: FileBytes, record: Record | None) -> Sequence[str]:
    name, rank = plain(file.name), "" if file.rank is None else str(file.rank)
    if record is None:
        return name, rank, "", "", "", "", f"({file.state})"
    return (
        name, rank, f"{record.start:,}", f"{record.stop:,}", f"{record.length:,}",
        plain(record.fqn), record.part,
    )  # fmt: skip

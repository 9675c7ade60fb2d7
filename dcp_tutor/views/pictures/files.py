"""`file_map`: the byte ranges of a checkpoint's files, and the commit that makes them one."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcp_tutor.checkpoints import Blob, Checkpoint, Chunk, Entry
from dcp_tutor.checkpoints.torch_private import rank_of
from dcp_tutor.views.pictures.file_drawing import draw_files
from dcp_tutor.views.pictures.picture import Picture
from dcp_tutor.views.words import box_text, bytes_text, count_text, printable, table

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_LINES = 200


@dataclass(frozen=True, slots=True)
class Record:
    """A byte range of a file.

    Attributes:
        number: of its entry, from 1, as the picture shows it.
        fqn: key of the entry.
        part: which box of the tensor, in words; "object" for an entry that is no tensor.
        is_blob: whether it is no tensor's.
        start: first byte, in the file.
        length: number of bytes.

    """

    number: int
    fqn: str
    part: str
    is_blob: bool
    start: int
    length: int

    @property
    def stop(self) -> int:
        """The byte after its last."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class FileBytes:
    """A data file.

    Attributes:
        name: in the checkpoint's folder.
        rank: that wrote it, by its name; None for names that DCP does not give.
        records: by their place in the file.
        size: of the file as it lies there; None if it is not there.

    """

    name: str
    rank: int | None
    records: tuple[Record, ...]
    size: int | None

    @property
    def told(self) -> int:
        """Bytes that the metadata tells of: up to the last record's end."""
        return max((record.stop for record in self.records), default=0)

    @property
    def state(self) -> str:
        """What is wrong with it, in words; "" when nothing is."""
        if self.size is None:
            return "missing"
        if self.size < self.told:
            return f"cut short: {count_text(self.told - self.size, 'byte')} missing"
        return "" if self.records else "named by no entry"

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
        num_tensors: entries that are tensors.
        num_blobs: other entries.

    """

    name: str
    files: tuple[FileBytes, ...]
    metadata: tuple[str, ...]
    num_tensors: int
    num_blobs: int

    @property
    def num_records(self) -> int:
        """Byte ranges, of all files."""
        return sum(len(file.records) for file in self.files)

    @property
    def entries(self) -> Mapping[int, str]:
        """Number of an entry → its key, for the entries that have a byte range."""
        return dict(sorted({r.number: r.fqn for file in self.files for r in file.records}.items()))


def file_map(checkpoint: Checkpoint) -> Picture:
    """Draw each file of a checkpoint as a bar of its byte ranges: which entry lies where.

    Bars are to one scale; a range too short for it keeps a mark that can be seen. `.metadata` is
    drawn as what it is, the commit: it is written last, and names all other bytes. A file that is
    missing, cut short, or named by no entry is said to be so. Nothing but the checkpoint's
    metadata and its folder's listing is used.

    Args:
        checkpoint: as `open_checkpoint` returned it.

    Returns:
        A `Picture`; its text has one line for each byte range, with the entry's full key.

    Example:
        >>> file_map(open_checkpoint("runs/step-3"))  # doctest: +SKIP

    """
    files = _files(checkpoint)
    alt = _said(files)
    return Picture(svg=draw_files(files, alt), text=_text(files), alt=alt)


def _files(checkpoint: Checkpoint) -> Files:
    numbers = {fqn: number for number, fqn in enumerate(checkpoint, 1)}
    records: dict[str, list[Record]] = {}
    for entry, place in checkpoint.records():
        if place.file is not None:
            record = _record(numbers[entry.fqn], entry, place)
            records.setdefault(place.file, []).append(record)
    others = [
        name for name in checkpoint.files
        if name not in records and name.endswith(".distcp") and rank_of(name) is not None
    ]  # fmt: skip
    files = [
        FileBytes(
            name=name,
            rank=rank_of(name),
            records=tuple(sorted(records.get(name, ()), key=lambda r: (r.start, r.stop))),
            size=file.size_bytes if (file := checkpoint.files.get(name)) is not None else None,
        )
        for name in (*checkpoint.bytes_by_file(), *sorted(others))
    ]
    return Files(
        name=posixpath.basename(checkpoint.url.rstrip("/")) or "checkpoint",
        files=tuple(files),
        metadata=checkpoint.metadata_files,
        num_tensors=len(checkpoint.tensors),
        num_blobs=len(checkpoint.blobs),
    )


def _record(number: int, entry: Entry, place: Chunk | Blob) -> Record:
    blob = isinstance(place, Blob)
    part = "object" if isinstance(place, Blob) else box_text(place.offsets, place.sizes)
    return Record(number, entry.fqn, part, blob, place.byte_offset, place.byte_length)


def _said(files: Files) -> str:
    words = [
        f"{printable(file.name)} {bytes_text(file.told)} in "
        f"{count_text(len(file.records), 'byte range')}{f' ({file.state})' if file.state else ''}"
        for file in files.files
    ]
    if len(words) > 6:
        words = [*words[:4], f"{len(words) - 5:,} more files", words[-1]]
    return (
        f"The files of checkpoint {printable(files.name)}, each a bar cut into the byte ranges of "
        f"its entries: {'; '.join(words)}. Beneath them {_metadata_text(files)}."
    )


def _metadata_text(files: Files) -> str:
    one = files.metadata[0]
    who = one if len(files.metadata) == 1 else f"{len(files.metadata)} metadata files"
    return (
        f"{printable(who)}, the commit, which names {count_text(files.num_records, 'byte range')} "
        f"of {count_text(files.num_tensors, 'tensor')} and "
        f"{count_text(files.num_blobs, 'other object')}"
    )


def _text(files: Files) -> str:
    rows: list[Sequence[str]] = [("file", "rank", "bytes from", "to", "length", "entry", "part")]
    rows += _lines(files.files)
    shown = rows if len(rows) <= _MOST_LINES else [*rows[: _MOST_LINES - 10], *rows[-9:]]
    lines = table(shown, right=(1, 2, 3, 4)).split("\n")
    if len(rows) > len(shown):
        cut = f"… {len(rows) - len(shown):,} more lines (dcp-tutor inspect PATH --all has them)"
        lines.insert(_MOST_LINES - 10, cut)
    head = f"checkpoint {printable(files.name)}: the byte ranges of its files"
    return "\n".join([head, *lines, _metadata_text(files)])


def _lines(files: Iterable[FileBytes]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for file in files:
        rank = "" if file.rank is None else str(file.rank)
        for record in file.records:
            rows.append(
                (
                    printable(file.name), rank, f"{record.start:,}", f"{record.stop:,}",
                    f"{record.length:,}", printable(record.fqn), record.part,
                )
            )  # fmt: skip
        if file.state:
            rows.append((printable(file.name), rank, "", "", "", "", f"({file.state})"))
    return rows

"""The drawing of `file_map`: a bar for each file, and the commit beneath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcp_tutor.checkpoints.text import bytes_text
from dcp_tutor.views.pictures.card import INNER, MARGIN, Legend, draw_card, label
from dcp_tutor.views.pictures.folding import fold
from dcp_tutor.views.pictures.lettering import text_width
from dcp_tutor.views.pictures.palette import hue
from dcp_tutor.views.pictures.svg import Markup, element, group
from dcp_tutor.views.words import count_text, ranks_text

if TYPE_CHECKING:
    from dcp_tutor.views.pictures.files import FileBytes, Files, Record

_NAMES = 150.0
_SIZES = 92.0
_BAR = INNER - _NAMES - _SIZES
_ROW, _HEIGHT = 42.0, 28.0
_MOST_FILES = 12
_MOST_RECORDS = 48
_LEAST = 4.0
_MOST_KEYS = 30


@dataclass(frozen=True, slots=True)
class Piece:
    """What is drawn as one: a record, a gap between two, or many records.

    Attributes:
        records: that lie in it; none for bytes that no record names.
        length: bytes.

    """

    records: tuple[Record, ...]
    length: int


def draw_files(files: Files, alt: str) -> str:
    """Draw the map."""
    slots = fold([_likeness(file) for file in files.files], _MOST_FILES)
    shown = [files.files[slot[0]] for slot in slots if len(slot) == 1]
    pieces = {file.name: _pieces(file) for file in shown}
    scale = min((_scale(some) for some in pieces.values() if some), default=1.0)
    legend = Legend()
    marks: list[Markup] = []
    y = 0.0
    for slot in slots:
        some = [files.files[at] for at in slot]
        if len(slot) > 1:
            marks.append(_folded(some, y))
            legend.add("many in one block, not to scale", "fold")
        else:
            marks.append(_file(some[0], pieces[some[0].name], scale, y, legend))
        y += _ROW
    marks += _commit(files, y)
    y += _ROW + 12
    keys, y = _keys(files, pieces, y)
    return draw_card(
        "file-map", f"Files of checkpoint {files.name}", _notes(files), [*marks, *keys], y,
        alt, legend=legend,
    )  # fmt: skip


def _likeness(file: FileBytes) -> tuple[object, ...]:
    return (file.told, file.size, tuple((r.number, r.place.byte_length) for r in file.records))


def _notes(files: Files) -> list[str]:
    total = sum(record.length for file in files.files for record in file.records)
    wrong = [file for file in files.files if file.state]
    return [
        f"{bytes_text(total)} in {count_text(files.num_records, 'byte range')} of "
        f"{count_text(len(files.files), 'file')}. Numbers are those of the entries beneath.",
        *(f"{file.name}: {file.state}." for file in wrong[:4]),
        *([f"And {len(wrong) - 4:,} more files that are not as told."] if wrong[4:] else []),
    ]


def _pieces(file: FileBytes) -> list[Piece]:
    """Cut a file into what is drawn: records, and bytes that none of them names."""
    pieces = []
    at = 0
    for record in file.records:
        if record.start > at:
            pieces.append(Piece((), record.start - at))
        pieces.append(Piece((record,), record.length))
        at = max(at, record.stop)
    if file.size is not None and file.size > at:
        pieces.append(Piece((), file.size - at))
    if len(pieces) <= _MOST_RECORDS:
        return pieces
    # The largest stay; what lies between them is drawn as one.
    largest = sorted(range(len(pieces)), key=lambda n: (-pieces[n].length, n))[: _MOST_RECORDS // 2]
    kept = set(largest)
    joined: list[Piece] = []
    for number, piece in enumerate(pieces):
        if number in kept or number - 1 in kept or not joined:
            joined.append(piece)
        else:
            last = joined[-1]
            joined[-1] = Piece((*last.records, *piece.records), last.length + piece.length)
    return joined


def _scale(pieces: Sequence[Piece]) -> float:
    """Return units for a byte so that these fit, those that are too small keeping a mark."""
    small: set[int] = set()
    while True:
        large = sum(piece.length for n, piece in enumerate(pieces) if n not in small)
        scale = (_BAR - len(small) * _LEAST) / max(1, large)
        more = {n for n, piece in enumerate(pieces) if piece.length * scale < _LEAST} - small
        if not more:
            return scale
        small |= more


def _file(
    file: FileBytes, pieces: Sequence[Piece], scale: float, y: float, legend: Legend
) -> Markup:
    middle = y + _HEIGHT / 2 + 4.5
    marks = [label(MARGIN, middle, file.name, "mono", room=_NAMES - 16)]
    start = x = MARGIN + _NAMES
    for piece in pieces:
        width = max(_LEAST, piece.length * scale)
        marks.append(_piece(piece, x, y, width, file.size or 0, legend))
        x += width
    if file.state:
        place = {"x": start - 2, "y": y - 2, "width": max(12.0, x - start) + 4}
        frame = element("rect", **place, height=_HEIGHT + 4, class_="bad dash", stroke_width=1.5)
        marks.append(frame)
        words = file.state.partition(":")[0]
        marks.append(label(MARGIN + INNER, middle, words, "end", "bad", room=_SIZES - 8))
    else:
        marks.append(label(MARGIN + INNER, middle, bytes_text(file.told), "end", "muted"))
    return group(marks, class_="file", data_file=file.name, data_rank=file.rank)


def _piece(piece: Piece, x: float, y: float, width: float, there: int, legend: Legend) -> Markup:
    """Draw a record, a gap or a block; of the file there are `there` bytes."""
    place: dict[str, float] = {"x": x, "y": y, "width": width, "height": _HEIGHT}
    if not piece.records:
        legend.add("bytes that no entry names", "line", "hatch")
        marks = [element("rect", **place, class_="hatch"), element("rect", **place, class_="line")]
        return group(marks, class_="gap", data_bytes=piece.length)
    if len(piece.records) > 1:
        legend.add("several in one block", "fold")
        words = f"+{len(piece.records)}"
        marks = [element("rect", **place, class_="fold")]
        if text_width(words, bold=True) <= width - 2:
            marks.append(label(x + width / 2, y + _HEIGHT / 2 + 4.5, words, "strong", "mid"))
        return group(marks, class_="records", data_records=len(piece.records))
    record = piece.records[0]
    is_there = record.stop <= there
    title = (
        f"{record.fqn}, {record.part}: {bytes_text(record.length)}, "
        f"bytes {record.start:,} to {record.stop - 1:,}"
    )
    fill = hue(record.number - 1) if is_there else "line dash"
    marks = [element("title", title), element("rect", **place, class_=fill)]
    if not is_there:
        legend.add("named, but not there", "line dash")
    elif record.is_blob:
        legend.add("an object that is no tensor", "c-", "dots")
        marks.append(_blob_mark(x, y, width, _HEIGHT))
    ways = (f"{record.number}  {record.fqn}", str(record.number))
    words = next((way for way in ways if text_width(way, bold=True) <= width - 3), "")
    if words:
        base = y + _HEIGHT / 2 + (2 if record.is_blob and is_there else 4.5)
        marks.append(label(x + width / 2, base, words, "strong", "mid"))
    return group(
        marks, class_="record", data_entry=record.number, data_start=record.start,
        data_length=record.length,
    )  # fmt: skip


def _blob_mark(x: float, y: float, width: float, height: float) -> Markup:
    """Draw the dots of an object beneath its number."""
    return element(
        "rect", x=x + 1, y=y + height * 0.68, width=max(1.0, width - 2), height=height * 0.32 - 1,
        class_="dots",
    )  # fmt: skip


def _folded(files: Sequence[FileBytes], y: float) -> Markup:
    ranks = [file.rank for file in files if file.rank is not None]
    least, most = min(file.told for file in files), max(file.told for file in files)
    size = bytes_text(least) if least == most else f"{bytes_text(least)} to {bytes_text(most)}"
    words = f"{count_text(len(files), 'more file')}, {ranks_text(ranks)}: {size} each"
    room = text_width(words, bold=True) + 14
    x = MARGIN + _NAMES
    plate = {"x": x + (_BAR - room) / 2, "y": y + 4, "width": room, "height": 20}
    return group(
        [
            element("rect", x=x, y=y, width=_BAR, height=_HEIGHT, class_="fold"),
            element("rect", **plate, rx=3, class_="card", stroke_width=0),
            label(x + _BAR / 2, y + _HEIGHT / 2 + 4.5, words, "strong", "mid", room=_BAR - 20),
        ],
        class_="files", data_files=len(files),
    )  # fmt: skip


def _commit(files: Files, y: float) -> list[Markup]:
    name = (
        files.metadata[0] if len(files.metadata) == 1 else f"{len(files.metadata)} metadata files"
    )
    x, height = MARGIN + _NAMES, _HEIGHT + 4
    words = f"the commit: written last, names all {files.num_records:,} byte ranges above"
    if len(files.metadata) > 1:
        words = f"one for each rank, the last file of each; they name {files.num_records:,} ranges"
    notch = 12
    shape = [
        f"M {x:g} {y:g}", f"H {x + _BAR - notch:g}", f"L {x + _BAR:g} {y + height / 2:g}",
        f"L {x + _BAR - notch:g} {y + height:g}", f"H {x:g}", "Z",
    ]  # fmt: skip
    return [
        group(
            [
                label(MARGIN, y + height / 2 + 4.5, name, "mono", room=_NAMES - 16),
                element("path", d=" ".join(shape), class_="c-", stroke_width=1.5),
                element(
                    "path", class_="line ink", stroke_width=2.5,
                    d=f"M {x + 14:g} {y + height / 2:g} l 5 6 l 9 -12",
                ),
                label(x + 42, y + height / 2 + 4.5, words, "strong", room=_BAR - 60),
            ],
            class_="commit",
        )
    ]  # fmt: skip


def _keys(files: Files, pieces: dict[str, list[Piece]], y: float) -> tuple[list[Markup], float]:
    """List the entries by number, in two columns."""
    entries = list(files.entries.items())
    blobs = files.blob_numbers
    left = entries[: _MOST_KEYS - 1] if len(entries) > _MOST_KEYS else entries
    marks = []
    width = INNER / 2
    half = -(-(len(left) + (len(left) < len(entries))) // 2)
    for at, (number, fqn) in enumerate(left):
        x, line = MARGIN + at // half * width, y + at % half * 21
        swatch = {"x": x, "y": line, "width": 26.0, "height": 16.0}
        marks.append(element("rect", **swatch, class_=hue(number - 1)))
        if number in blobs:
            marks.append(_blob_mark(x, line, 26.0, 16.0))
        marks.append(label(x + 13, line + 12.5, str(number), "strong", "mid"))
        marks.append(label(x + 34, line + 12.5, fqn, "mono", room=width - 44))
    if len(left) < len(entries):
        more = f"… {len(entries) - len(left):,} more entries, in the text form"
        at = len(left)
        x, line = MARGIN + at // half * width, y + at % half * 21
        marks.append(label(x + 34, line + 12.5, more, "muted"))
    return marks, y + half * 21

"""The drawing of `shard_map`: bands of rows and of columns to scale, and the ranks in each cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dcp_tutor.checkpoints.text import bytes_text
from dcp_tutor.views.pictures.bands import (
    AXIS,
    Bands,
    column_bands,
    drawn_dimensions,
    is_cut,
    row_bands,
)
from dcp_tutor.views.pictures.card import INNER, MARGIN, Legend, draw_card, label
from dcp_tutor.views.pictures.folding import Slot
from dcp_tutor.views.pictures.lettering import shorten, text_width
from dcp_tutor.views.pictures.palette import hue
from dcp_tutor.views.pictures.svg import Markup, element, group
from dcp_tutor.views.words import count_text, indices_text, ranks_text, shape_text

if TYPE_CHECKING:
    from dcp_tutor.views.pictures.shards import Held, Shards

_SHEET = 6.0

Cell = tuple[tuple[int, int], tuple[int, int]]
"""First and last slot of the rows, and of the columns."""


def draw_shards(shards: Shards, alt: str) -> str:
    """Draw the map."""
    rows_dim, columns_dim = drawn_dimensions(shards)
    rows = row_bands(shards, rows_dim)
    columns = column_bands(shards, columns_dim, rows)
    copies = {len(held.ranks) for held in shards.filled}
    sheets = min(2, copies.pop() - 1) if len(copies) == 1 and copies != {0} else 0
    left = MARGIN + AXIS
    top = _heading(columns) + sheets * _SHEET
    marks: list[Markup] = []
    for sheet in range(sheets, 0, -1):
        shift = sheet * _SHEET
        marks.append(
            element(
                "rect", x=left + shift, y=top - shift, width=columns.length, height=rows.length,
                class_="back",
            )
        )  # fmt: skip
    marks += _axes(rows, columns, left, top, sheets * _SHEET)
    cells = _cells(shards, rows, columns)
    for (row, column), held in cells.items():
        marks.append(_cell(rows, columns, row, column, held, left, top))
    if len(columns.slots) == 1 and len(shards.shape) > 0:
        x = left + columns.length + 14 + sheets * _SHEET
        for (row, _), held in cells.items():
            marks.append(_beside(shards, rows, row, held, x, top))
    frame = {"x": left, "y": top, "width": columns.length, "height": rows.length}
    marks.append(element("rect", **frame, class_="line", stroke_width=1.5))
    height = top + rows.length
    empty, height = _empty(shards, height)
    marks += empty
    legend = Legend()
    if any(len(slot) > 1 for slot in (*rows.slots, *columns.slots)):
        legend.add("many in one block, not to scale", "fold")
    return draw_card(
        "shard-map", f"{shards.name} {shape_text(shards.shape)}", _notes(shards, rows, columns),
        marks, height, alt, cautions=shards.cautions, legend=legend,
    )  # fmt: skip


def _heading(columns: Bands) -> float:
    """Return the room that the names of the columns need: none, one line or two."""
    if columns.dimension is None:
        return 8.0
    pairs = zip(columns.slots, columns.places, strict=True)
    wide = any(text_width(_band_text(columns, s).split(" ")[-1]) > at[1] - 4 for s, at in pairs)
    return 40.0 if wide else 25.0


def _notes(shards: Shards, rows: Bands, columns: Bands) -> list[str]:
    size = [shards.dtype] if shards.dtype else []
    if shards.itemsize:
        total = sum(held.numel for held in shards.filled) * shards.itemsize
        size.append(f"{bytes_text(total)}")
    notes = [", ".join([*size, count_text(shards.num_ranks, "rank"), *shards.notes])]
    copies = {len(held.ranks) for held in shards.filled}
    if copies and max(copies) > 1:
        many = f"{min(copies)}" if len(copies) == 1 else f"up to {max(copies)}"
        notes.append(f"Each part is held by {many} ranks: replicas.")
    others = [d for d in range(len(shards.shape)) if d not in (rows.dimension, columns.dimension)]
    cut = [d for d in others if is_cut(shards, d)]
    if others:
        named = ", ".join(f"dim {d} (size {shards.shape[d]:,})" for d in others)
        notes.append(
            f"Drawn: dims {rows.dimension} and {columns.dimension}. Not drawn: {named}"
            + (f"; cut along {cut} too, so that ranks in one cell differ there." if cut else ".")
        )
    return notes


def _cells(
    shards: Shards, rows: Bands, columns: Bands
) -> dict[tuple[tuple[int, int], tuple[int, int]], list[Held]]:
    """Put shards that are drawn in the same place together."""
    cells: dict[Cell, list[Held]] = {}
    for held in shards.filled:
        where = tuple(
            bands.covered(held.offsets[bands.dimension], held.sizes[bands.dimension])
            if bands.dimension is not None
            else (0, 0)
            for bands in (rows, columns)
        )
        cells.setdefault((where[0], where[1]), []).append(held)
    return cells


def _span(bands: Bands, slots: tuple[int, int]) -> tuple[float, float]:
    start = bands.places[slots[0]][0]
    stop, length = bands.places[slots[1]]
    return start, stop + length - start


def _cell(
    rows: Bands, columns: Bands, row: tuple[int, int], column: tuple[int, int],
    held: Sequence[Held], left: float, top: float,
) -> Markup:  # fmt: skip
    x, width = _span(columns, column)
    y, height = _span(rows, row)
    ranks = sorted({rank for some in held for rank in some.ranks})
    folded = any(
        len(bands.slots[number]) > 1
        for bands, span in ((rows, row), (columns, column))
        for number in range(span[0], span[1] + 1)
    )
    data: dict[str, str | float] = {}
    if not folded and len(held) == 1:
        data = {
            "data_offsets": " ".join(map(str, held[0].offsets)),
            "data_sizes": " ".join(map(str, held[0].sizes)),
            "data_ranks": " ".join(map(str, ranks)),
        }
    else:
        data = {"data_parts": len(held), "data_num_ranks": len(ranks)}
    marks = [
        element(
            "rect", x=left + x, y=top + y, width=width, height=height,
            class_="fold" if folded else hue(ranks[0] if ranks else None),
        )
    ]  # fmt: skip
    words = _fitting(ranks, len(held), width - 8)
    if words and height >= 15:
        middle, base = left + x + width / 2, top + y + height / 2 + 4.5
        if folded:
            room = text_width(words, bold=True) + 10
            marks.append(
                element(
                    "rect", x=middle - room / 2, y=base - 14, width=room, height=19, rx=3,
                    class_="card", stroke_width=0,
                )
            )  # fmt: skip
        marks.append(label(middle, base, words, "strong", "mid"))
    return group(marks, class_="cell", **data)


def _fitting(ranks: Sequence[int], num_parts: int, room: float) -> str:
    """Return the longest of some ways to name ranks that fits."""
    if not ranks:
        return count_text(num_parts, "part")
    ways = [ranks_text(ranks)]
    ways += [f"{len(ranks):,} ranks", f"{len(ranks):,}"] if len(ranks) > 1 else [f"{ranks[0]}"]
    return next((way for way in ways if text_width(way, bold=True) <= room), "")


def _beside(
    shards: Shards, rows: Bands, row: tuple[int, int], held: Sequence[Held], x: float, top: float
) -> Markup:
    y, height = _span(rows, row)
    numel = {some.numel for some in held}
    words = count_text(max(numel), "element")
    if shards.itemsize:
        words += f", {bytes_text(max(numel) * shards.itemsize)}"
    if len(held) > 1:
        words = f"{'each ' if len(numel) == 1 else 'each up to '}{words}"
    room = MARGIN + INNER - x
    return label(x, top + y + height / 2 + 4.5, shorten(words, room), "muted")


def _axes(rows: Bands, columns: Bands, left: float, top: float, above: float) -> list[Markup]:
    marks = []
    if rows.dimension is not None:
        for slot, (at, length) in zip(rows.slots, rows.places, strict=True):
            if length >= 13:
                y = top + at + length / 2 + 4.5
                marks.append(label(left - 10, y, _band_text(rows, slot), "end", room=AXIS - 12))
    if columns.dimension is not None:
        y = top - above - 9
        if len(columns.slots) > 1:
            name = "columns" if columns.dimension == 1 else f"dim {columns.dimension}"
            marks.append(label(left - 10, y, name, "end"))
        for slot, (at, length) in zip(columns.slots, columns.places, strict=True):
            middle = left + at + length / 2
            words = _band_text(columns, slot)
            if len(columns.slots) > 1:
                words = words.partition(" ")[2] if columns.dimension == 1 else words.split(": ")[1]
            first, _, last = words.partition("-")
            if text_width(words) <= length - 4:
                marks.append(label(middle, y, words, "mid"))
            elif max(text_width(f"{first}-"), text_width(last)) <= length:
                marks.append(label(middle, y - 15, f"{first}-", "mid"))
                marks.append(label(middle, y, last, "mid"))
    return marks


def _band_text(bands: Bands, slot: Slot) -> str:
    assert bands.dimension is not None
    offset = bands.starts[slot[0]]
    size = bands.starts[slot[-1]] + bands.sizes[slot[-1]] - offset
    return indices_text(bands.dimension, offset, size)


def _empty(shards: Shards, y: float) -> tuple[list[Markup], float]:
    """Draw a dashed box for each rank that holds nothing."""
    if not shards.empty:
        return [], y
    verb = "hold" if shards.verb == "holds" else "wrote"
    marks = [label(MARGIN + AXIS - 10, y + 33, f"{verb} nothing", "end", "muted")]
    names = [f"rank {rank}" for rank in shards.empty]
    if len(names) > 8:
        names = [ranks_text(shards.empty)]
    x = MARGIN + AXIS
    for name in names:
        width = text_width(name, bold=True) + 18
        box = element("rect", x=x, y=y + 16, width=width, height=26, rx=3, class_="line dash")
        text = label(x + width / 2, y + 33, name, "strong", "mid")
        marks.append(group([box, text], class_="empty"))
        x += width + 8
    return marks, y + 46

"""The drawing of `overlap_map`: lanes of chunks, lanes of shards, and a ribbon for each read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcp_tutor.views.pictures.card import INNER, MARGIN, Legend, draw_card, label
from dcp_tutor.views.pictures.folding import Slot, fold, slot_of
from dcp_tutor.views.pictures.gauges import draw_gauge
from dcp_tutor.views.pictures.palette import hue
from dcp_tutor.views.pictures.svg import Markup, element, group, path
from dcp_tutor.views.words import box_text, bytes_text, count_text, ranks_text, shape_text

if TYPE_CHECKING:
    from dcp_tutor.plans import Read
    from dcp_tutor.views.pictures.overlap import Overlap

_LEFT, _RIGHT = 168.0, 196.0
_MOST_LANES = 9
_PITCH, _GAP = 50.0, 10.0
_TALLEST = 400.0
_LEAST = 3.0

Rectangle = tuple[float, float, float, float]  # x, y, width, height


@dataclass(frozen=True, slots=True)
class View:
    """Two dimensions of the tensor, and their scale.

    Attributes:
        rows: dimension that runs down; None for a scalar.
        columns: dimension that runs across; None where there is none.
        row_height: units for an index of `rows`.
        column_width: units for an index of `columns`.
        width: of the whole tensor.

    """

    rows: int | None
    columns: int | None
    row_height: float
    column_width: float
    width: float

    def height_of(self, sizes: Sequence[int]) -> float:
        """Return the height of a box."""
        return self.row_height * (1 if self.rows is None else sizes[self.rows])

    def place(
        self, x: float, y: float, offsets: Sequence[int], sizes: Sequence[int], top: int
    ) -> Rectangle:
        """Return where a box lies in a lane at (x, y) whose first row is `top`."""
        down = 0.0 if self.rows is None else (offsets[self.rows] - top) * self.row_height
        height = self.height_of(sizes)
        if self.columns is None:
            return x, y + down, self.width, max(_LEAST, height)
        across = offsets[self.columns] * self.column_width
        width = sizes[self.columns] * self.column_width
        return x + across, y + down, max(_LEAST, width), max(_LEAST, height)


@dataclass(frozen=True, slots=True)
class Lane:
    """What stands at one height on one side: a chunk, a shard, or a block of many.

    Attributes:
        slot: positions of the chunks, or ranks, that stand here.
        y: top.
        height: of the box, without what is kept free beneath it.

    """

    slot: Slot
    y: float
    height: float

    @property
    def folded(self) -> bool:
        """Whether many stand here."""
        return len(self.slot) > 1


def draw_overlap(overlap: Overlap, alt: str, *, style: str = "") -> str:
    """Draw the map. `style` are further rules, such as an explorer's hover on `.read`."""
    chunk_slots, rank_slots = _slots(overlap)
    view = _view(overlap, chunk_slots, rank_slots)
    chunks, left_height = _lanes([c.sizes for c in overlap.chunks], chunk_slots, view)
    ranks, right_height = _lanes([s.sizes for s in overlap.shards], rank_slots, view)
    height = max(left_height, right_height)
    chunks = _down(chunks, (height - left_height) / 2 + 24)
    ranks = _down(ranks, (height - right_height) / 2 + 24)
    left, right = MARGIN + _LEFT, MARGIN + INNER - _RIGHT - view.width
    marks = [
        label(left + view.width / 2, 8, "stored chunks", "strong", "mid"),
        label(right + view.width / 2, 8, "new ranks", "strong", "mid"),
        label(MARGIN + INNER - _RIGHT + 14, 8, "what each rank reads", "strong"),
    ]
    legend = Legend()
    legend.add("needed, in the colour of its chunk", "c0")
    marks += [_chunk(overlap, view, lane, left, legend) for lane in chunks]
    marks += [_shard(overlap, view, lane, right, legend) for lane in ranks]
    marks += _reads(overlap, view, chunks, ranks, left, right)
    marks += [mark for lane in chunks for mark in _chunk_label(overlap, lane)]
    marks += _gauges(overlap, ranks, legend)
    load = overlap.load
    return draw_card(
        "overlap-map", f"{load.fqn} {shape_text(load.shape)}", _notes(overlap, view), marks,
        height + 24, alt, legend=legend, style=style,
    )  # fmt: skip


def _notes(overlap: Overlap, view: View) -> list[str]:
    notes = [
        f"{count_text(len(overlap.order), 'stored chunk')} to "
        f"{count_text(len(overlap.shards), 'rank')}, {overlap.how}.",
        f"{count_text(len(overlap.reads), 'read')}: {bytes_text(overlap.needed_bytes)} needed, "
        f"{bytes_text(overlap.read_bytes)} read, {overlap.factor} times as much. A chunk's "
        f"record is read whole, whatever part of it is needed.",
    ]
    if overlap.num_empty:
        notes.append(f"Not drawn: {count_text(overlap.num_empty, 'chunk')} without elements.")
    others = [d for d in range(len(overlap.load.shape)) if d not in (view.rows, view.columns)]
    if others and view.rows is not None:
        notes.append(f"Drawn: dims {view.rows} and {view.columns}; not drawn: dims {others}.")
    return notes


def _slots(overlap: Overlap) -> tuple[list[Slot], list[Slot]]:
    """Choose what is drawn singly: some ranks, and the chunks that these read."""
    num_reads = [0] * len(overlap.shards)
    for read in overlap.reads:
        num_reads[read.rank] += 1
    alike = [(box.sizes, num_reads[rank]) for rank, box in enumerate(overlap.shards)]
    rank_slots = fold(alike, _MOST_LANES)
    shown = {slot[0] for slot in rank_slots if len(slot) == 1}
    place = {number: at for at, number in enumerate(overlap.order)}
    wanted = {place[read.chunk_number] for read in overlap.reads if read.rank in shown}
    keep = wanted if len(wanted) <= _MOST_LANES - 2 else set()
    return fold([chunk.sizes for chunk in overlap.chunks], _MOST_LANES, keep=keep), rank_slots


def _view(overlap: Overlap, chunk_slots: Sequence[Slot], rank_slots: Sequence[Slot]) -> View:
    shape = overlap.load.shape
    boxes = [*overlap.chunks, *overlap.shards]
    cut = [d for d in range(len(shape)) if any(b.sizes[d] not in (0, shape[d]) for b in boxes)]
    chosen = sorted([*cut, *(d for d in range(len(shape)) if d not in cut)][:2])
    rows = chosen[0] if chosen else None
    columns = chosen[1] if len(chosen) > 1 else None
    singles = [[some[s[0]].sizes for s in slots if len(s) == 1]
               for some, slots in ((overlap.chunks, chunk_slots), (overlap.shards, rank_slots))]  # fmt: skip
    if rows is None:
        return View(None, None, 34.0, 0.0, 110.0)
    sides = [[sizes[rows] for sizes in side if 0 not in sizes] for side in singles]
    least = min((size for side in sides for size in side), default=1)
    most = max(max(sum(side) for side in sides), 1)
    row_height = min(max(_TALLEST / 2 / most, 26 / least), _TALLEST / most)
    width, column_width = 110.0, 0.0
    if columns is not None and shape[columns]:
        aspect = shape[columns] / max(1, shape[rows])
        width = min(170.0, max(110.0, row_height * shape[rows] * aspect))
        column_width = width / shape[columns]
    return View(rows, columns, row_height, column_width, width)


def _lanes(
    sizes: Sequence[tuple[int, ...]], slots: Sequence[Slot], view: View
) -> tuple[list[Lane], float]:
    lanes = []
    y = 0.0
    for slot in slots:
        height = 44.0 if len(slot) > 1 else view.height_of(sizes[slot[0]])
        lanes.append(Lane(slot, y, max(_LEAST, height)))
        y += max(_PITCH, height + _GAP)
    return lanes, y


def _down(lanes: Sequence[Lane], by: float) -> list[Lane]:
    return [Lane(lane.slot, lane.y + by, lane.height) for lane in lanes]


def _rectangle(place: Rectangle, class_: str, **more: str | float | None) -> Markup:
    x, y, width, height = place
    return element("rect", x=x, y=y, width=width, height=height, class_=class_, **more)


def _top(view: View, offsets: Sequence[int]) -> int:
    return 0 if view.rows is None else offsets[view.rows]


def _ghost(view: View, lane: Lane, x: float) -> Markup:
    """Draw how far the whole tensor's columns reach."""
    return element("rect", x=x, y=lane.y, width=view.width, height=lane.height, class_="grid dash")


def _chunk(overlap: Overlap, view: View, lane: Lane, x: float, legend: Legend) -> Markup:
    if lane.folded:
        legend.add("many alike, not to scale", "fold")
        block = element("rect", x=x, y=lane.y, width=view.width, height=lane.height, class_="fold")
        return group([block], class_="chunks", data_chunks=len(lane.slot))
    chunk, number = overlap.chunks[lane.slot[0]], overlap.order[lane.slot[0]]
    place = view.place(x, lane.y, chunk.offsets, chunk.sizes, _top(view, chunk.offsets))
    reads = [read for read in overlap.reads if read.chunk_number == number]
    marks = [_ghost(view, lane, x)] if place[2] < view.width else []
    marks.append(_rectangle(place, "back"))
    if reads:
        if not _covered(chunk.numel, reads):
            legend.add("read, but not needed", "c-", "hatch")
        marks += [_rectangle(place, "hatch"), _rectangle(place, "line")]
    return group(
        marks, class_="chunk", data_chunk=number, data_offsets=" ".join(map(str, chunk.offsets)),
        data_sizes=" ".join(map(str, chunk.sizes)),
    )  # fmt: skip


def _covered(numel: int, reads: Sequence[Read]) -> bool:
    """Say whether each element is needed by some rank; replicas need the same part again."""
    parts = {(read.in_chunk, read.sizes): read.needed_bytes for read in reads}
    itemsize = reads[0].chunk.numel and reads[0].needed_bytes / _numel(reads[0].sizes)
    return sum(parts.values()) >= numel * itemsize


def _numel(sizes: Sequence[int]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return max(1, product)


def _chunk_label(overlap: Overlap, lane: Lane) -> list[Markup]:
    x, middle = MARGIN + _LEFT - 12, lane.y + lane.height / 2
    if lane.folded:
        some = [overlap.chunks[at] for at in lane.slot]
        ranks = {chunk.rank for chunk in some if chunk.rank is not None}
        return [
            label(x, middle - 3, count_text(len(some), "chunk"), "strong", "end"),
            label(x, middle + 14, f"of {ranks_text(ranks)}", "end", "muted", room=_LEFT - 14),
        ]
    chunk, number = overlap.chunks[lane.slot[0]], overlap.order[lane.slot[0]]
    name = chunk.file if chunk.file is not None else f"chunk {number}"
    part = box_text(chunk.offsets[:1], chunk.sizes[:1]) if chunk.sizes else "the scalar"
    if len(chunk.sizes) > 1 and chunk.sizes[1] != overlap.load.shape[1]:
        part += f", cols {chunk.offsets[1]}-{chunk.offsets[1] + chunk.sizes[1] - 1}"
    return [
        label(x, middle - 3, name, "mono", "end", room=_LEFT - 14),
        label(x, middle + 14, part, "end", "muted", room=_LEFT - 14),
    ]


def _shard(overlap: Overlap, view: View, lane: Lane, x: float, legend: Legend) -> Markup:
    if lane.folded:
        legend.add("many alike, not to scale", "fold")
        block = element("rect", x=x, y=lane.y, width=view.width, height=lane.height, class_="fold")
        return group([block], class_="shards", data_ranks=len(lane.slot))
    rank = lane.slot[0]
    box = overlap.shards[rank]
    if box.is_empty:
        empty = element("rect", x=x, y=lane.y, width=view.width, height=20, class_="line dash")
        return group([empty], class_="shard empty", data_rank=rank)
    place = view.place(x, lane.y, box.offsets, box.sizes, _top(view, box.offsets))
    marks = [_ghost(view, lane, x)] if place[2] < view.width else []
    return group(
        [*marks, _rectangle(place, "back", stroke_width=1.5)], class_="shard", data_rank=rank,
        data_offsets=" ".join(map(str, box.offsets)), data_sizes=" ".join(map(str, box.sizes)),
    )  # fmt: skip


def _reads(
    overlap: Overlap, view: View, chunks: Sequence[Lane], ranks: Sequence[Lane],
    left: float, right: float,
) -> list[Markup]:  # fmt: skip
    """Draw each read whose chunk and rank are drawn; count the others by their blocks."""
    place = {number: at for at, number in enumerate(overlap.order)}
    lane_of_chunk = slot_of([lane.slot for lane in chunks])
    lane_of_rank = slot_of([lane.slot for lane in ranks])
    singles: list[Markup] = []
    many: dict[tuple[int, int], int] = {}
    for read in overlap.reads:
        pair = lane_of_chunk[place[read.chunk_number]], lane_of_rank[read.rank]
        source, target = chunks[pair[0]], ranks[pair[1]]
        if source.folded or target.folded:
            many[pair] = many.get(pair, 0) + 1
            continue
        start = view.place(
            left, source.y, read.in_tensor, read.sizes, _top(view, read.chunk.offsets)
        )
        stop = view.place(
            right, target.y, read.in_tensor, read.sizes,
            _top(view, overlap.shards[read.rank].offsets),
        )  # fmt: skip
        singles.append(_read(read, start, stop))
    blocks = [
        _bundle(view, chunks[source], ranks[target], number, left, right)
        for (source, target), number in many.items()
    ]
    return [*blocks, *singles]


def _read(read: Read, start: Rectangle, stop: Rectangle) -> Markup:
    """Draw one read: its part in the chunk, its ribbon, its part in the shard, all in one group."""
    colour = hue(read.chunk_number if read.chunk.rank is None else read.chunk.rank)
    title = (
        f"rank {read.rank} takes {box_text(read.in_tensor, read.sizes)} from "
        f"{read.chunk.file or f'chunk {read.chunk_number}'}: needs "
        f"{bytes_text(read.needed_bytes)}, reads {bytes_text(read.read_bytes)}"
    )
    return group(
        [
            element("title", title),
            _rectangle(start, f"part source {colour}"),
            _ribbon(start, stop, f"ribbon {colour}"),
            _rectangle(stop, f"part target {colour}"),
        ],
        class_="read",
        data_rank=read.rank,
        data_chunk=read.chunk_number,
        data_in_tensor=" ".join(map(str, read.in_tensor)),
        data_sizes=" ".join(map(str, read.sizes)),
        data_needed=read.needed_bytes,
        data_read=read.read_bytes,
    )


def _bundle(
    view: View, source: Lane, target: Lane, number: int, left: float, right: float
) -> Markup:
    """Draw the reads between two lanes of which one is a block as a single ribbon."""
    start = (left, source.y, view.width, source.height)
    stop = (right, target.y, view.width, target.height)
    words = count_text(number, "read")
    return group(
        [element("title", words), _ribbon(start, stop, "ribbon c-")],
        class_="reads", data_reads=number,
    )  # fmt: skip


def _ribbon(start: Rectangle, stop: Rectangle, class_: str) -> Markup:
    x, y, bottom = start[0] + start[2], start[1], start[1] + start[3]
    to, to_y, to_bottom = stop[0], stop[1], stop[1] + stop[3]
    middle = (x + to) / 2
    curve: list[str | float] = ["M", x, y, "C", middle, y, middle, to_y, to, to_y, "V", to_bottom]
    curve += ["C", middle, to_bottom, middle, bottom, x, bottom, "Z"]
    return element("path", d=path(curve), class_=class_)


def _gauges(overlap: Overlap, ranks: Sequence[Lane], legend: Legend) -> list[Markup]:
    by_rank: dict[int, list[Read]] = {}
    for read in overlap.reads:
        by_rank.setdefault(read.rank, []).append(read)
    shown = [lane.slot[0] for lane in ranks if not lane.folded]
    longest = max((sum(r.read_bytes for r in by_rank.get(rank, ())) for rank in shown), default=1)
    x, room = MARGIN + INNER - _RIGHT + 14, _RIGHT - 14
    marks = []
    for lane in ranks:
        middle = max(lane.y + 22, lane.y + lane.height / 2)
        reads = [read for rank in lane.slot for read in by_rank.get(rank, ())]
        needed, total = sum(r.needed_bytes for r in reads), sum(r.read_bytes for r in reads)
        name = ranks_text(lane.slot)
        if lane.folded:
            marks.append(label(x, middle - 3, name, "strong", room=room))
            words = f"{count_text(len(reads), 'read')}, {bytes_text(total)}"
            marks.append(label(x, middle + 14, words, "muted", room=room))
            continue
        part = overlap.shards[lane.slot[0]]
        rows = box_text(part.offsets[:1], part.sizes[:1]) if part.sizes else "the scalar"
        name_mark = label(x, middle - 11, name, "strong")
        if part.is_empty:
            marks += [name_mark, label(x, middle + 6, "nothing to read", "muted")]
            continue
        marks += [name_mark, label(x + room, middle - 11, rows, "end", "muted", room=room - 66)]
        marks.append(draw_gauge(reads, x, middle - 5, room, longest, legend))
        words = f"{bytes_text(needed)} of {bytes_text(total)}"
        marks.append(label(x, middle + 23, words, "muted", room=room))
    return marks

"""The drawing of `overlap_map`: chunks at the left, shards at the right, a ribbon for each read.

A read's part of the chunk, its ribbon and its part of the shard stand in one `<g class="read">`
with a title, so that an explorer can light up a read by CSS alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dcp_tutor.checkpoints.text import bytes_text
from dcp_tutor.views.pictures.card import INNER, MARGIN, Legend, draw_card, label
from dcp_tutor.views.pictures.folding import slot_of
from dcp_tutor.views.pictures.gauges import WIDTH as GAUGES
from dcp_tutor.views.pictures.gauges import chunk_name, draw_gauges, part_texts
from dcp_tutor.views.pictures.overlap_geometry import (
    Lane,
    Rectangle,
    View,
    back_to_front,
    bounds,
    set_scene,
)
from dcp_tutor.views.pictures.palette import hue
from dcp_tutor.views.pictures.svg import Markup, element, group, path
from dcp_tutor.views.words import box_text, count_text, ranks_text, shape_text

if TYPE_CHECKING:
    from dcp_tutor.plans import Read
    from dcp_tutor.views.pictures.overlap import Overlap

_LEFT = 160.0
_TOP = 24.0


def draw_overlap(overlap: Overlap, alt: str, *, style: str = "") -> str:
    """Draw the map.

    Args:
        overlap: what is drawn.
        alt: what is to be seen.
        style: further rules for the class "SCOPE", such as an explorer's hover on `.read`.

    """
    scene = set_scene(overlap, _TOP)
    view = scene.view
    left, right = MARGIN + _LEFT, MARGIN + INNER - GAUGES - view.width
    legend = Legend()
    if overlap.reads:
        legend.add("needed, in the colour of its chunk", "c0")
    marks = [
        label(left + view.width / 2, 8, "stored chunks", "strong", "mid"),
        label(right + view.width / 2, 8, "new ranks", "strong", "mid"),
        label(MARGIN + INNER - GAUGES + 14, 8, "what each rank reads", "strong"),
        *(_chunk(overlap, view, lane, left, legend) for lane in scene.chunks),
        *(_shard(overlap, view, lane, right, legend) for lane in scene.ranks),
        *_reads(overlap, view, scene.chunks, scene.ranks, left, right),
        *(mark for lane in scene.chunks for mark in _chunk_label(overlap, view, lane)),
        *draw_gauges(overlap, view, scene.ranks, MARGIN + INNER - GAUGES, legend),
    ]
    title = f"{overlap.load.fqn} {shape_text(overlap.load.shape)}"
    return draw_card(
        "overlap-map", title, _notes(overlap, view), marks, scene.height, alt,
        legend=legend, cautions=overlap.cautions, style=style,
    )  # fmt: skip


def _notes(overlap: Overlap, view: View) -> list[str]:
    notes = [
        f"{count_text(len(overlap.order), 'stored chunk')} to {overlap.who}, {overlap.how}",
        overlap.totals,
    ]
    if overlap.reads:
        notes.append("For any part of a chunk, DCP reads the chunk's whole record.")
    left_out = len(overlap.load.chunks) - overlap.num_empty - len(overlap.order)
    if left_out:
        notes.append(f"Not drawn: {count_text(left_out, 'chunk')} that this rank does not read.")
    if overlap.num_empty:
        notes.append(f"Not drawn: {count_text(overlap.num_empty, 'chunk')} without elements.")
    others = [d for d in range(len(overlap.load.shape)) if d not in (view.rows, view.columns)]
    if others and view.columns is not None:
        notes.append(f"Drawn: dims {view.rows} and {view.columns}; not drawn: dims {others}.")
    return notes


def _rectangle(place: Rectangle, class_: str, **more: str | float | None) -> Markup:
    x, y, width, height = place
    return element("rect", x=x, y=y, width=width, height=height, class_=class_, **more)


def _whole(view: View, lane: Lane, x: float) -> Rectangle:
    """Return the place of a lane in all its width."""
    return x, lane.y, view.width, lane.height


def _chunk(overlap: Overlap, view: View, lane: Lane, x: float, legend: Legend) -> Markup:
    if lane.folded:
        legend.add("many in one block, not to scale", "fold")
        block = _rectangle(_whole(view, lane, x), "fold")
        return group([block], class_="chunks", data_chunks=len(lane.slot))
    chunk, number = overlap.chunks[lane.slot[0]], overlap.order[lane.slot[0]]
    place = view.place(x, lane.y, chunk.offsets, chunk.sizes, chunk.offsets)
    reads = [read for read in overlap.reads if read.chunk_number == number]
    marks = [_rectangle(_whole(view, lane, x), "grid dash")] if place[2] < view.width else []
    marks.append(_rectangle(place, "back"))
    if reads:
        # Of what is read whole, parts that are needed are drawn over this.
        if not _all_needed(chunk.numel, overlap.load.dtype.itemsize, reads):
            legend.add("read, but not needed", "c-", "hatch")
        marks += [_rectangle(place, "hatch"), _rectangle(place, "line")]
    return group(
        marks, class_="chunk", data_chunk=number, data_offsets=_numbers(chunk.offsets),
        data_sizes=_numbers(chunk.sizes),
    )  # fmt: skip


def _all_needed(numel: int, itemsize: int, reads: Sequence[Read]) -> bool:
    """Say whether every element is needed by some rank; replicas need the same part again."""
    parts = {(read.in_chunk, read.sizes): read.needed_bytes for read in reads}
    return sum(parts.values()) >= numel * itemsize


def _numbers(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))


def _chunk_label(overlap: Overlap, view: View, lane: Lane) -> list[Markup]:
    if lane.folded:
        some = [overlap.chunks[at] for at in lane.slot]
        ranks = ranks_text({chunk.rank for chunk in some if chunk.rank is not None})
        head, words, style = count_text(len(some), "chunk"), [f"of {ranks}"], "strong"
    else:
        chunk, number = overlap.chunks[lane.slot[0]], overlap.order[lane.slot[0]]
        head, style = chunk_name(chunk, number), "mono"
        words = part_texts(chunk.offsets, chunk.sizes, view.told)
    x, room = MARGIN + _LEFT - 12, _LEFT - 14
    y = lane.middle - 3 - 8 * (len(words) - 1)
    marks = [label(x, y, head, style, "end", room=room)]
    for number, line in enumerate(words, 1):
        marks.append(label(x, y + 1 + 16 * number, line, "end", "muted", room=room))
    return marks


def _shard(overlap: Overlap, view: View, lane: Lane, x: float, legend: Legend) -> Markup:
    if lane.empty:
        block = _rectangle(_whole(view, lane, x), "line dash")
        return group([block], class_="shards empty", data_ranks=len(lane.slot))
    if lane.folded:
        legend.add("many in one block, not to scale", "fold")
        block = _rectangle(_whole(view, lane, x), "fold")
        return group([block], class_="shards", data_ranks=len(lane.slot))
    rank, box = overlap.ranks[lane.slot[0]], overlap.shards[lane.slot[0]]
    place = view.place(x, lane.y, box.offsets, box.sizes, box.offsets)
    marks = [_rectangle(_whole(view, lane, x), "grid dash")] if place[2] < view.width else []
    marks.append(_rectangle(place, "back", stroke_width=1.5))
    return group(
        marks, class_="shard", data_rank=rank, data_offsets=_numbers(box.offsets),
        data_sizes=_numbers(box.sizes),
    )  # fmt: skip


def _reads(
    overlap: Overlap, view: View, chunks: Sequence[Lane], ranks: Sequence[Lane],
    left: float, right: float,
) -> list[Markup]:  # fmt: skip
    """Draw each read whose chunk and rank are drawn; the others in a ribbon for each block."""
    at = {number: place for place, number in enumerate(overlap.order)}
    position = {rank: place for place, rank in enumerate(overlap.ranks)}
    lane_of_chunk = slot_of([lane.slot for lane in chunks])
    lane_of_rank = slot_of([lane.slot for lane in ranks])
    singles: list[Markup] = []
    many: dict[tuple[int, int], list[Read]] = {}
    for read in back_to_front(overlap.reads, view.columns):
        pair = lane_of_chunk[at[read.chunk_number]], lane_of_rank[position[read.rank]]
        source, target = chunks[pair[0]], ranks[pair[1]]
        if source.folded or target.folded:
            many.setdefault(pair, []).append(read)
            continue
        lane_to = overlap.shards[position[read.rank]].offsets
        start = view.place(left, source.y, read.in_tensor, read.sizes, read.chunk.offsets)
        stop = view.place(right, target.y, read.in_tensor, read.sizes, lane_to)
        singles.append(_read(read, start, stop))
    blocks = []
    for (source_at, target_at), reads in many.items():
        source, target = chunks[source_at], ranks[target_at]
        start, stop = _whole(view, source, left), _whole(view, target, right)
        part = bounds(reads)
        if not source.folded:
            start = view.place(left, source.y, *part, overlap.chunks[source.slot[0]].offsets)
        if not target.folded:
            stop = view.place(right, target.y, *part, overlap.shards[target.slot[0]].offsets)
        blocks.append(_bundle(len(reads), start, stop, source.folded, target.folded))
    return [*blocks, *singles]


def _read(read: Read, start: Rectangle, stop: Rectangle) -> Markup:
    colour = hue(read.chunk_number if read.chunk.rank is None else read.chunk.rank)
    title = (
        f"rank {read.rank} takes {box_text(read.in_tensor, read.sizes)} from "
        f"{chunk_name(read.chunk, read.chunk_number)}: needs "
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
        data_in_tensor=_numbers(read.in_tensor),
        data_sizes=_numbers(read.sizes),
        data_needed=read.needed_bytes,
        data_read=read.read_bytes,
    )


def _bundle(
    number: int, start: Rectangle, stop: Rectangle, source_folded: bool, target_folded: bool
) -> Markup:
    """Draw the reads between a block and a lane, or between two blocks, as one ribbon."""
    marks = [element("title", count_text(number, "read")), _ribbon(start, stop, "ribbon c-")]
    marks += [] if source_folded else [_rectangle(start, "part c-")]
    marks += [] if target_folded else [_rectangle(stop, "part c-")]
    return group(marks, class_="reads", data_reads=number)


def _ribbon(start: Rectangle, stop: Rectangle, class_: str) -> Markup:
    x, y, bottom = start[0] + start[2], start[1], start[1] + start[3]
    to, to_y, to_bottom = stop[0], stop[1], stop[1] + stop[3]
    middle = (x + to) / 2
    curve: list[str | float] = ["M", x, y, "C", middle, y, middle, to_y, to, to_y, "V", to_bottom]
    curve += ["C", middle, to_bottom, middle, bottom, x, bottom, "Z"]
    return element("path", d=path(curve), class_=class_)

"""`overlap_map`: which stored chunks which ranks read, and how much of them they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from dcp_tutor.checkpoints import Chunk
from dcp_tutor.checkpoints.text import bytes_text, plain, table
from dcp_tutor.errors import UsageError
from dcp_tutor.layouts import Box, placements_text
from dcp_tutor.plans import Amounts, LoadPlan, Read, TensorLoad
from dcp_tutor.views.pictures.cautions import misplaced_caution, unfilled_caution
from dcp_tutor.views.pictures.gauges import chunk_name
from dcp_tutor.views.pictures.overlap_drawing import draw_overlap
from dcp_tutor.views.pictures.picture import Picture
from dcp_tutor.views.words import box_text, count_text, ranks_text, shape_text

_MOST_LINES = 96
_MOST_SAID = 6


@dataclass(frozen=True)
class Overlap:
    """All that is drawn of the load of one tensor.

    Attributes:
        load: as planned.
        how: layout of the ranks that load, and the tensor's placements.
        order: numbers of the chunks that are drawn, from the tensor's first rows on.
        ranks: the ranks that are drawn.
        reads: of these ranks.

    """

    load: TensorLoad
    how: str
    order: tuple[int, ...]
    ranks: tuple[int, ...]
    reads: tuple[Read, ...]

    @property
    def chunks(self) -> list[Chunk]:
        """The chunks, as drawn."""
        return [self.load.chunks[number] for number in self.order]

    @cached_property
    def shards(self) -> tuple[Box, ...]:
        """What each of the ranks will hold, in their order."""
        everything = self.load.shards
        return tuple(everything[rank] for rank in self.ranks)

    @property
    def who(self) -> str:
        """Whose reads these are."""
        if len(self.ranks) == len(self.load.shards):
            return count_text(len(self.ranks), "rank")
        return f"{ranks_text(self.ranks)} of {len(self.load.shards):,}"

    @property
    def cautions(self) -> list[str]:
        """What is not as drawn."""
        ranks = [rank for rank in self.load.misplaced if rank in self.ranks]
        return misplaced_caution(ranks) + unfilled_caution(self.load.unfilled_bytes)

    @property
    def num_empty(self) -> int:
        """Chunks that have no elements, and so are not drawn."""
        return sum(not chunk.numel for chunk in self.load.chunks)

    @cached_property
    def amounts(self) -> Amounts:
        """What the ranks need and read, all together."""
        return Amounts.of(self.reads)

    @property
    def totals(self) -> str:
        """How much is needed and read, in a sentence or two."""
        amounts = self.amounts
        if not amounts.needed_bytes:
            return "Nothing of it is needed."
        times = f"{amounts.element_amplification:.2f} times what is needed"
        which = f", {bytes_text(amounts.element_bytes)} of it elements: {times}"
        if amounts.element_bytes > amounts.read_bytes:
            which = f", compressed; {bytes_text(amounts.element_bytes)} as elements: {times}"
        elif amounts.element_bytes == amounts.read_bytes:
            which = f", {times}"
        return (
            f"{count_text(len(self.reads), 'read')}. Needed: {bytes_text(amounts.needed_bytes)}. "
            f"Read: {bytes_text(amounts.read_bytes)}{which}."
        )


def overlap_map(
    plan: LoadPlan | TensorLoad, fqn: str | None = None, *, rank: int | None = None
) -> Picture:
    """Draw how the ranks of another layout read a tensor from its stored chunks.

    Left stand the chunks in their files, right what each rank will hold; a ribbon is one of DCP's
    reads. Rows and columns are to one scale on both sides; colour is that of the chunk that the
    elements come from. DCP reads the whole record of a chunk to get a part of it: beside each
    rank a bar shows what it reads, hatched where it does not need it. With `rank`, the chunks
    themselves are hatched where this rank reads what it does not need.

    Args:
        plan: as `plan_load` returned it, or one of its tensors.
        fqn: key of the tensor to draw; may be left out where the plan has only one.
        rank: draw the reads of this rank alone.

    Returns:
        A `Picture`; its text has one line for each read.

    Raises:
        UsageError: `fqn` is left out, or is not in the plan; there is no such rank.

    Example:
        >>> overlap_map(plan_load("runs/step-3", "fsdp=2"), "net.weight")  # doctest: +SKIP

    """
    overlap = _overlap(plan, fqn, rank)
    alt = _said(overlap)
    return Picture(svg=draw_overlap(overlap, alt), text=_text(overlap), alt=alt)


def _overlap(plan: LoadPlan | TensorLoad, fqn: str | None, rank: int | None) -> Overlap:
    layout = ""
    if isinstance(plan, LoadPlan):
        if fqn is None and len(plan) != 1:
            keys = ", ".join(repr(key) for key in list(plan)[:3])
            raise UsageError(
                f"the plan loads {count_text(len(plan), 'tensor')}; say which to draw: "
                f"overlap_map(plan, fqn), such as {keys}"
            )
        layout = f"{plan.layout}: "
        plan = plan[next(iter(plan)) if fqn is None else fqn]
    if not isinstance(plan, TensorLoad):
        raise UsageError(
            f"overlap_map draws what plan_load(checkpoint, layout) returns, not a "
            f"{type(plan).__name__}"
        )
    reads, ranks = plan.reads, tuple(range(len(plan.shards)))
    numbers = {number for number, chunk in enumerate(plan.chunks) if chunk.numel}
    if rank is not None:
        if rank not in ranks:
            raise UsageError(
                f"there is no rank {rank} in this plan: its ranks are 0 to {ranks[-1]}"
            )
        ranks, reads = (rank,), tuple(read for read in reads if read.rank == rank)
        numbers &= {read.chunk_number for read in reads}
    order = sorted(numbers, key=lambda number: (plan.chunks[number].offsets, number))
    how = f"{layout}{placements_text(plan.placements)}"
    return Overlap(plan, how, tuple(order), ranks, reads)


def _said(overlap: Overlap) -> str:
    load = overlap.load
    words = [
        f"rank {read.rank} takes {box_text(read.in_tensor, read.sizes)} from "
        f"{plain(chunk_name(read.chunk, read.chunk_number))}"
        for read in overlap.reads[:_MOST_SAID]
    ]
    more = len(overlap.reads) - len(words)
    words += [f"{more:,} more reads"] if more else []
    return (
        f"Reads of {plain(load.fqn)} {shape_text(load.shape)} by {overlap.who} from "
        f"{count_text(len(overlap.order), 'stored chunk')}, ribbons from chunks at the left to "
        f"ranks at the right: {'; '.join(words) or 'none'}. Needed are "
        f"{bytes_text(overlap.amounts.needed_bytes)}, read "
        f"{bytes_text(overlap.amounts.read_bytes)}."
    )


def _text(overlap: Overlap) -> str:
    load = overlap.load
    head = [
        f"{plain(load.fqn)} {shape_text(load.shape)}: "
        f"{count_text(len(overlap.order), 'stored chunk')} to "
        f"{overlap.who}, {overlap.how}",
        overlap.totals,
        *overlap.cautions,
    ]
    rows: list[Sequence[str]] = [("rank", "needs", "from file", "which holds", "needed", "read")]
    holding = {read.rank for read in overlap.reads}
    lines: list[tuple[int, Sequence[str]]] = [
        (rank, (str(rank), "nothing", "", "", "0 B", "0 B"))
        for rank in overlap.ranks
        if rank not in holding
    ]
    for read in overlap.reads:
        chunk = read.chunk
        lines.append(
            (
                read.rank,
                (
                    str(read.rank), box_text(read.in_tensor, read.sizes),
                    plain(chunk_name(chunk, read.chunk_number)),
                    box_text(chunk.offsets, chunk.sizes),
                    bytes_text(read.needed_bytes), bytes_text(read.read_bytes),
                ),
            )
        )  # fmt: skip
    rows += [cells for _, cells in sorted(lines, key=lambda line: line[0])]
    kept = rows if len(rows) <= _MOST_LINES else [*rows[: _MOST_LINES - 9], *rows[-8:]]
    body = table(kept, right=(4, 5)).split("\n")
    if len(kept) < len(rows):
        body.insert(
            _MOST_LINES - 9, f"… {len(rows) - len(kept):,} more lines (plan.reads(fqn) has all)"
        )
    return "\n".join([*head, *body])

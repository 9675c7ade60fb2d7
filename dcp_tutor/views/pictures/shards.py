"""`shard_map`: which rank holds which rows and columns of a tensor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dcp_tutor.checkpoints.report import dtype_name
from dcp_tutor.checkpoints.text import bytes_text, plain, table
from dcp_tutor.errors import UsageError
from dcp_tutor.layouts import Layout, placements_text
from dcp_tutor.views.pictures.cautions import misplaced_caution
from dcp_tutor.views.pictures.folding import fold
from dcp_tutor.views.pictures.picture import Picture
from dcp_tutor.views.pictures.shard_drawing import draw_shards
from dcp_tutor.views.words import box_text, count_text, range_text, ranks_text, shape_text

_MOST_ROWS = 64
_MOST_SAID = 8


@dataclass(frozen=True, slots=True)
class Held:
    """A box of the tensor, in the whole tensor's space, and the ranks that hold just this box."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    ranks: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.sizes)


@dataclass(frozen=True, slots=True)
class Shards:
    """All that is drawn of one tensor.

    Attributes:
        name: its FQN, or "tensor".
        shape: of the whole tensor.
        dtype: as text, "" where it is not known.
        itemsize: bytes of an element, 0 where they are not known.
        held: what is held, in the order of the lowest rank; one entry for each distinct box.
        notes: how it is laid out.
        verb: "holds", or "wrote" where files tell it.
        misplaced: ranks that really hold something else.

    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    itemsize: int
    held: tuple[Held, ...]
    notes: tuple[str, ...]
    verb: str
    misplaced: tuple[int, ...] = ()

    @property
    def cautions(self) -> list[str]:
        """What is not as drawn."""
        return misplaced_caution(self.misplaced)

    @property
    def filled(self) -> list[Held]:
        """The boxes that have elements."""
        return [held for held in self.held if held.numel]

    @property
    def empty(self) -> list[int]:
        """The ranks that hold nothing."""
        return sorted({rank for held in self.held if not held.numel for rank in held.ranks})

    @property
    def num_ranks(self) -> int:
        """Number of ranks that are told of."""
        return len({rank for held in self.held for rank in held.ranks})


def shard_map(
    tensor: Any, layout: Layout | str | None = None, *, fqn: str | None = None
) -> Picture:
    """Draw which rank holds which rows and columns of a tensor.

    Rows and columns are to scale. Ranks that hold the same box stand in it together; ranks that
    hold nothing are listed. Of many alike ranks most stand in one block with their number.

    Args:
        tensor: what is drawn: a tensor of a checkpoint (each chunk belongs to the rank that
            wrote it); a tensor of a plan; with a layout also a shape such as `(10, 8)`, or
            anything that has a `.shape`. A checkpoint or a plan, with `fqn`, is taken too.
        layout: how ranks share it, "fsdp=4" or a `Layout`; where it is given, it decides.
        fqn: key of the tensor: picks it from a checkpoint or a plan, picks the layout's rule,
            and is the picture's heading.

    Returns:
        A `Picture`; its text has one line for each distinct box.

    Raises:
        UsageError: a shape without a layout, or something that has no shape.

    Example:
        >>> print(shard_map((10, 8), "fsdp=4", fqn="net.weight"))
        net.weight [10, 8]: which rank holds which part
        4 ranks, fsdp=4: (Shard(0),)
        ranks   rows  columns  elements
        rank 0  0-2   0-7            24
        rank 1  3-5   0-7            24
        rank 2  6-8   0-7            24
        rank 3  9     0-7             8

    """
    shards = _shards(tensor, layout, fqn)
    alt = _said(shards)
    return Picture(svg=draw_shards(shards, alt), text=_text(shards), alt=alt)


def _shards(tensor: Any, layout: Layout | str | None, fqn: str | None) -> Shards:
    if isinstance(tensor, Mapping):
        if fqn is None:
            keys = ", ".join(repr(key) for key in list(tensor)[:3])
            raise UsageError(
                f"a {type(tensor).__name__} holds {count_text(len(tensor), 'entry')}; say which "
                f"to draw: shard_map(..., fqn=...), such as {keys}"
            )
        tensor = tensor[fqn]
    name = fqn or getattr(tensor, "fqn", None) or "tensor"
    shape = _shape_of(tensor)
    dtype = getattr(tensor, "dtype", None)
    itemsize = dtype.itemsize if dtype is not None else 0
    known = (name, shape, "" if dtype is None else dtype_name(dtype), itemsize)
    if layout is not None:
        layout = Layout.of(layout)
        held = _joined((box, (rank,)) for rank, box in enumerate(layout.shards(name, shape)))
        notes = (f"{layout}: {layout.describe(name, shape)}",)
        return Shards(*known, held, notes, "holds", layout.misplaced(name, shape))
    if (boxes := getattr(tensor, "shards", None)) is not None:
        held = _joined((box, (rank,)) for rank, box in enumerate(boxes))
        notes = (placements_text(tensor.placements),)
        return Shards(*known, held, notes, "holds", tuple(tensor.misplaced))
    if (chunks := getattr(tensor, "chunks", None)) is not None and not callable(chunks):
        held = _joined((c, () if c.rank is None else (c.rank,)) for c in chunks)
        return Shards(*known, held, ("as saved: the rank that wrote each chunk",), "wrote")
    raise UsageError(
        f"a shape {shape_text(shape)} alone does not tell which rank holds what; give a layout "
        f"too, such as shard_map({shape}, 'fsdp=4')"
    )


def _shape_of(tensor: Any) -> tuple[int, ...]:
    shape = getattr(tensor, "shape", tensor)
    if isinstance(shape, Sequence) and not isinstance(shape, str):
        numbers = tuple(shape)
        if all(isinstance(size, int) and size >= 0 for size in numbers):
            return tuple(int(size) for size in numbers)
    raise UsageError(
        f"shard_map draws a tensor of a checkpoint or a plan, or a shape such as (10, 8) with a "
        f"layout; it was given {tensor!r:.80}"
    )


def _joined(boxes: Iterable[tuple[Any, tuple[int, ...]]]) -> tuple[Held, ...]:
    """Put ranks that hold the same box together."""
    ranks: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for box, some in boxes:
        ranks.setdefault((tuple(box.offsets), tuple(box.sizes)), []).extend(some)
    return tuple(
        Held(offsets, sizes, tuple(some))
        for (offsets, sizes), some in sorted(
            ranks.items(), key=lambda item: min(item[1], default=0)
        )
    )


def _said(shards: Shards) -> str:
    parts = [f"{ranks_text(h.ranks)} {box_text(h.offsets, h.sizes)}" for h in shards.filled]
    more = len(parts) - _MOST_SAID
    if more > 0:
        parts = [*parts[: _MOST_SAID - 1], f"{more:,} further parts", parts[-1]]
    empty = f"; {ranks_text(shards.empty)} nothing" if shards.empty else ""
    return (
        f"Shard map of {plain(shards.name)} {shape_text(shards.shape)} on "
        f"{count_text(shards.num_ranks, 'rank')}, drawn as a rectangle cut into what each rank "
        f"{shards.verb}: {'; '.join(parts)}{empty}."
    )


def _text(shards: Shards) -> str:
    dtype = f" {shards.dtype}" if shards.dtype else ""
    lines = [
        f"{plain(shards.name)}{dtype} {shape_text(shards.shape)}: which rank {shards.verb} "
        f"which part",
        ", ".join([count_text(shards.num_ranks, "rank"), *shards.notes]),
        *shards.cautions,
    ]
    dims = range(len(shards.shape))
    names = ["rows", "columns"]
    heading = ["ranks", *(names[d] if d < 2 else f"dim {d}" for d in dims), "elements"]
    rows = [[*heading, "bytes"] if shards.itemsize else heading]
    alike = [(held.sizes, len(held.ranks)) for held in shards.held]
    for slot in fold(alike, _MOST_ROWS):
        if len(slot) > 1:
            some = [shards.held[at] for at in slot]
            ranks = ranks_text({rank for held in some for rank in held.ranks})
            same = "alike" if len({alike[at] for at in slot}) == 1 else "not all alike"
            rows.append([f"… {ranks}: {len(slot):,} parts, {same}", *[""] * (len(rows[0]) - 1)])
            continue
        held = shards.held[slot[0]]
        cells = [range_text(held.offsets[d], held.sizes[d]) for d in dims]
        cells = [ranks_text(held.ranks), *cells, f"{held.numel:,}"]
        rows.append(
            [*cells, bytes_text(held.numel * shards.itemsize)] if shards.itemsize else cells
        )
    numbers = [len(heading) - 1, len(heading)]
    return "\n".join([*lines, _table_with_folds(rows, numbers)])


def _table_with_folds(rows: list[list[str]], right: list[int]) -> str:
    """Align a table whose folded lines may stick out of the first column."""
    folded = {at: row[0] for at, row in enumerate(rows) if row[0].startswith("…")}
    body = [["", *row[1:]] if at in folded else row for at, row in enumerate(rows)]
    lines = table(body, right=tuple(n for n in right if n < len(rows[0]))).split("\n")
    return "\n".join(folded.get(at, line) for at, line in enumerate(lines))

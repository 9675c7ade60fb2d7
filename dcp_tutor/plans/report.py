"""Plans as text for people, and their JSON forms: what `dcp-tutor plan ... --json` prints.

Every form has `"form"`, a name with a number that grows when a field changes its meaning; new
fields may be added without. Sizes are in bytes, shapes and boxes in elements. `in_tensor` counts
in the whole tensor, `in_chunk` in the stored chunk, `in_shard` in the reading rank's shard.

`load_form`; "reads" is there when it is asked for by the tensor's fqn, in the order of ranks:

    {"form": "dcp-tutor/load-plan/1", "source": str, "layout": layout,
     "totals": {"needed_bytes": int, "read_bytes": int, "amplification": float, "reads": int,
                "files_opened": int, "unfilled_bytes": int},
     "ranks": [{"rank": int, "needed_bytes": int, "read_bytes": int, "reads": int,
                "files": int}],
     "tensors": [{"fqn": str, "dtype": str, "shape": [int], "placements": str, "chunks": int,
                  "needed_bytes": int, "read_bytes": int, "unfilled_bytes": int}],
     "blobs": [{"fqn": str, "file": str, "byte_offset": int, "byte_length": int}],
     "reads": [{"rank": int, "chunk": int, "file": str, "byte_offset": int, "byte_length": int,
                "written_by": int | null, "in_tensor": [int], "in_chunk": [int],
                "in_shard": [int], "sizes": [int], "needed_bytes": int}]}

`save_form`; "writes" as "reads" above:

    {"form": "dcp-tutor/save-plan/1", "layout": layout,
     "totals": {"held_bytes": int, "written_bytes": int, "writes": int},
     "ranks": [{"rank": int, "holds_bytes": int, "written_bytes": int, "writes": int}],
     "tensors": [{"fqn": str, "dtype": str, "shape": [int], "placements": str, "writes": int,
                  "nbytes": int}],
     "blobs": [{"fqn": str, "rank": int}],
     "writes": [{"rank": int, "offsets": [int], "sizes": [int], "nbytes": int,
                 "copies": [int]}]}

where a layout is

    {"text": str, "world_size": int, "axes": [{"name": str, "size": int, "placement": str}],
     "rules": [{"pattern": str, "placements": str}]}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dcp_tutor.checkpoints.report import dtype_name
from dcp_tutor.checkpoints.text import bytes_text, plain, table
from dcp_tutor.layouts import Layout, placement_text, placements_text
from dcp_tutor.plans.saving import SavePlan

if TYPE_CHECKING:
    from dcp_tutor.plans.loading import LoadPlan
    from dcp_tutor.plans.reads import Read
    from dcp_tutor.plans.writes import Write

_MOST_ROWS = 16


def load_form(plan: LoadPlan, reads_of: str | None = None) -> dict[str, Any]:
    """Make the JSON form of a load, with the reads of one tensor where its fqn is given."""
    form = {
        "form": "dcp-tutor/load-plan/1",
        "source": _source(plan),
        "layout": _layout_form(plan.layout),
        "totals": {
            "needed_bytes": plan.needed_bytes,
            "read_bytes": plan.read_bytes,
            "amplification": plan.amplification,
            "reads": plan.reads_count,
            "files_opened": plan.files_opened,
            "unfilled_bytes": plan.unfilled_bytes,
        },
        "ranks": [asdict(rank) for rank in plan.ranks],
        "tensors": [
            {
                "fqn": load.fqn,
                "dtype": dtype_name(load.dtype),
                "shape": list(load.shape),
                "placements": placements_text(load.placements),
                "chunks": load.num_chunks,
                "needed_bytes": load.needed_bytes,
                "read_bytes": load.read_bytes,
                "unfilled_bytes": load.unfilled_bytes,
            }
            for load in plan.values()
        ],
        "blobs": [
            {
                "fqn": blob.fqn,
                "file": blob.file,
                "byte_offset": blob.byte_offset,
                "byte_length": blob.byte_length,
            }
            for blob in plan.blobs
        ],
    }
    if reads_of is not None:
        form["reads"] = [_read_form(read) for read in plan.reads(reads_of)]
    return form


def save_form(plan: SavePlan, writes_of: str | None = None) -> dict[str, Any]:
    """Make the JSON form of a save, with the writes of one tensor where its fqn is given."""
    form = {
        "form": "dcp-tutor/save-plan/1",
        "layout": _layout_form(plan.layout),
        "totals": {
            "held_bytes": plan.held_bytes,
            "written_bytes": plan.written_bytes,
            "writes": sum(rank.writes for rank in plan.ranks),
        },
        "ranks": [asdict(rank) for rank in plan.ranks],
        "tensors": [
            {
                "fqn": save.fqn,
                "dtype": dtype_name(save.dtype),
                "shape": list(save.shape),
                "placements": placements_text(save.placements),
                "writes": save.num_writes,
                "nbytes": save.nbytes,
            }
            for save in plan.values()
        ],
        "blobs": [{"fqn": fqn, "rank": rank} for fqn, rank in plan.blob_ranks.items()],
    }
    if writes_of is not None:
        form["writes"] = [_write_form(write) for write in plan.writes(writes_of)]
    return form


def load_text(plan: LoadPlan) -> str:
    """Write a load for people: totals, then ranks, those alike folded."""
    blobs = f" and {_number(len(plan.blobs), 'blob')} that every rank reads" if plan.blobs else ""
    head = [
        ("load", plain(_source(plan))),
        ("on", _ranks_text(plan.layout)),
        ("entries", f"{_number(len(plan), 'tensor')}{blobs}"),
        ("needed", f"{bytes_text(plan.needed_bytes)} by all ranks together"),
        (
            "read",
            f"{bytes_text(plan.read_bytes)}, {plan.amplification:.2f} times what is needed "
            f"({plan.reads_count:,} reads of whole chunks)",
        ),
        ("data files", f"opened {plan.files_opened:,} times"),
    ]
    if len(plan.ranks) > 1:
        needed = _range([rank.needed_bytes for rank in plan.ranks])
        read = _range([rank.read_bytes for rank in plan.ranks])
        head.append(("a rank", f"needs {needed}, reads {read}"))
    if plan.unfilled_bytes:
        head.append(("not filled", f"{bytes_text(plan.unfilled_bytes)}: no chunk holds them"))
    rows = [
        (bytes_text(r.needed_bytes), bytes_text(r.read_bytes), f"{r.reads:,}", f"{r.files:,}")
        for r in plan.ranks
    ]
    return f"{table(head, right=())}\n\n{_by_rank(('needed', 'read', 'reads', 'files'), rows)}"


def save_text(plan: SavePlan) -> str:
    """Write a save for people: totals, then ranks, those alike folded."""
    blobs = f" and {_number(len(plan.blob_ranks), 'blob')}" if plan.blob_ranks else ""
    head = [
        ("save", f"on {_ranks_text(plan.layout)}"),
        ("entries", f"{_number(len(plan), 'tensor')}{blobs}"),
        ("held", f"{bytes_text(plan.held_bytes)} by all ranks together"),
        ("written", f"{bytes_text(plan.written_bytes)}, each element once"),
    ]
    if len(plan.ranks) > 1:
        held = _range([rank.holds_bytes for rank in plan.ranks])
        written = _range([rank.written_bytes for rank in plan.ranks])
        head.append(("a rank", f"holds {held}, writes {written}"))
    rows = [
        (bytes_text(r.holds_bytes), bytes_text(r.written_bytes), f"{r.writes:,}")
        for r in plan.ranks
    ]
    return f"{table(head, right=())}\n\n{_by_rank(('holds', 'writes', 'items'), rows)}"


def reads_text(reads: Iterable[Read], *, everything: bool = False) -> str:
    """Write reads for people, one line each."""
    rows = [("rank", "reads", "of", "from its", "into shard at", "needs", "of chunk")]
    for read in reads:
        rows.append(
            (
                f"{read.rank}",
                f"{list(read.sizes)}",
                plain(read.chunk.file or ""),
                f"{list(read.in_chunk)}",
                f"{list(read.in_shard)}",
                bytes_text(read.needed_bytes),
                bytes_text(read.read_bytes),
            )
        )
    return _folded(table(rows, right=(0, 5, 6)).split("\n"), everything)


def writes_text(writes: Iterable[Write], *, everything: bool = False) -> str:
    """Write writes for people, one line each."""
    rows = [("rank", "writes", "at", "bytes", "held by ranks")]
    for write in writes:
        rows.append(
            (
                f"{write.rank}",
                f"{list(write.box.sizes)}",
                f"{list(write.box.offsets)}",
                bytes_text(write.nbytes),
                ", ".join(map(str, write.copies)),
            )
        )
    return _folded(table(rows, right=(0, 3)).split("\n"), everything)


def _by_rank(names: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    """Lay numbers out by rank; neighbours with the same become one row."""
    found: list[tuple[int, int, tuple[str, ...]]] = []
    for rank, row in enumerate(rows):
        if found and found[-1][2] == row:
            found[-1] = (found[-1][0], rank, row)
        else:
            found.append((rank, rank, row))
    lines = [("ranks", *names)]
    lines += [(f"{a}" if a == b else f"{a}-{b}", *row) for a, b, row in found]
    return _folded(table(lines, right=tuple(range(len(names) + 1))).split("\n"), False)


def _range(numbers: Sequence[int]) -> str:
    low, high = bytes_text(min(numbers)), bytes_text(max(numbers))
    return low if low == high else f"{low} to {high}"


def _folded(lines: list[str], everything: bool) -> str:
    left = len(lines) - 1 - _MOST_ROWS
    if everything or left <= 0:
        return "\n".join(lines)
    return "\n".join([*lines[: _MOST_ROWS + 1], f"... {left:,} more lines (--json shows them)"])


def _ranks_text(layout: Layout) -> str:
    return f"{layout} ({_number(layout.world_size, 'rank')})"


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _source(plan: LoadPlan) -> str:
    if isinstance(plan.source, SavePlan):
        return f"what {plan.source.layout} would save"
    return plan.source.url


def _layout_form(layout: Layout) -> dict[str, Any]:
    return {
        "text": str(layout),
        "world_size": layout.world_size,
        "axes": [
            {"name": axis.name, "size": axis.size, "placement": placement_text(axis.placement)}
            for axis in layout.axes
        ],
        "rules": [
            {"pattern": pattern, "placements": placements_text(placements)}
            for pattern, placements in layout.rules
        ],
    }


def _read_form(read: Read) -> dict[str, Any]:
    return {
        "rank": read.rank,
        "chunk": read.chunk_number,
        "file": read.chunk.file,
        "byte_offset": read.chunk.byte_offset,
        "byte_length": read.chunk.byte_length,
        "written_by": read.chunk.rank,
        "in_tensor": list(read.in_tensor),
        "in_chunk": list(read.in_chunk),
        "in_shard": list(read.in_shard),
        "sizes": list(read.sizes),
        "needed_bytes": read.needed_bytes,
    }


def _write_form(write: Write) -> dict[str, Any]:
    return {
        "rank": write.rank,
        "offsets": list(write.box.offsets),
        "sizes": list(write.box.sizes),
        "nbytes": write.nbytes,
        "copies": list(write.copies),
    }

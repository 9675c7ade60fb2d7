"""Plans as text for people; ranks that do the same are folded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dcp_tutor.checkpoints.text import bytes_text, plain, table
from dcp_tutor.layouts import Layout
from dcp_tutor.plans.report import source_text

if TYPE_CHECKING:
    from dcp_tutor.plans.loading import LoadPlan
    from dcp_tutor.plans.reads import Read
    from dcp_tutor.plans.saving import SavePlan
    from dcp_tutor.plans.writes import Write

_MOST_ROWS = 16


def load_text(plan: LoadPlan) -> str:
    """Write a load for people: totals, then ranks, those alike folded."""
    blobs = f" and {_number(len(plan.blobs), 'blob')} that every rank reads" if plan.blobs else ""
    head = [
        ("load", plain(source_text(plan))),
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
        head.append(("NOT FILLED", f"{bytes_text(plan.unfilled_bytes)}: no chunk holds them"))
    head += _misplaced_rows(plan.misplaced, "loads")
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
    head += _misplaced_rows(plan.misplaced, "saves")
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


def _misplaced_rows(misplaced: dict[str, tuple[int, ...]], does: str) -> list[tuple[str, str]]:
    rows = [
        ("MISPLACED", f"DCP {does} shards of {plain(fqn)} wrongly on ranks {ranks}")
        for fqn, ranks in misplaced.items()
    ]
    if not rows:
        return []
    more = [("", f"... and of {_number(len(rows) - 1, 'more tensor')}")] if len(rows) > 1 else []
    reason = ("", "FSDP2 and another axis share a dimension that they do not divide")
    return [rows[0], *more, reason]


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

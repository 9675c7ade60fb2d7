"""`traffic_map`: which rank reads how much of which file, as a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from dcp_tutor.checkpoints.text import bytes_text, plain, table
from dcp_tutor.plans import LoadPlan
from dcp_tutor.views.explorers.matrix_drawing import draw_matrix
from dcp_tutor.views.pictures import Picture
from dcp_tutor.views.words import count_text, ranks_text

_MOST_SIDE = 64
_MOST_LINES = 64


@dataclass(frozen=True)
class Matrix:
    """Bytes that ranks read from files, neighbours put together where there are too many.

    Attributes:
        how: the layout, and the totals.
        rows: the ranks of each row.
        columns: the files of each column.
        cells: (row, column) → bytes read; only where any are read.

    """

    how: str
    rows: tuple[range, ...]
    columns: tuple[tuple[str, ...], ...]
    cells: Mapping[tuple[int, int], int]

    @cached_property
    def most(self) -> int:
        """Bytes of the largest cell."""
        return max(self.cells.values(), default=0)

    def row_name(self, row: int) -> str:
        """Name the ranks of a row."""
        return ranks_text(self.rows[row])

    def column_name(self, column: int) -> str:
        """Name the file of a column, or the first and the last of several."""
        files = self.columns[column]
        return files[0] if len(files) == 1 else f"{files[0]} … {files[-1]}"


def traffic_map(plan: LoadPlan) -> Picture:
    """Draw the bytes that each rank reads from each file, as a matrix of ranks and files.

    A row is a rank, a column a file; the darker a cell, the more is read. More than 64 ranks or
    files are put together in runs of neighbours, and the cells are sums.

    Args:
        plan: as `plan_load` returned it.

    Returns:
        A `Picture`; its text has one line for each cell that is not empty.

    Example:
        >>> traffic_map(plan_load("runs/step-3", "fsdp=2"))  # doctest: +SKIP

    """
    matrix = _matrix(plan)
    alt = (
        f"Matrix of {count_text(plan.layout.world_size, 'rank')} and the files they read: "
        f"{matrix.how} The largest cell has {bytes_text(matrix.most)}."
    )
    return Picture(svg=draw_matrix(matrix, alt), text=_text(matrix), alt=alt)


def _matrix(plan: LoadPlan) -> Matrix:
    found = plan.matrix()
    files = list(dict.fromkeys(sorted({file for _, file in found}, key=_by_number)))
    rows = _runs(plan.layout.world_size)
    runs = _runs(len(files))
    row_of = {rank: number for number, run in enumerate(rows) for rank in run}
    column_of = {files[at]: number for number, run in enumerate(runs) for at in run}
    cells: dict[tuple[int, int], int] = {}
    for (rank, file), amount in found.items():
        cell = row_of[rank], column_of[file]
        cells[cell] = cells.get(cell, 0) + amount
    how = (
        f"{plan.layout}: {bytes_text(plan.read_bytes)} read for {bytes_text(plan.needed_bytes)} "
        f"needed, {plan.amplification:.2f} times as much; "
        f"{count_text(plan.files_opened, 'file')} opened."
    )
    return Matrix(how, rows, tuple(tuple(files[at] for at in run) for run in runs), cells)


def _runs(count: int) -> tuple[range, ...]:
    """Cut `count` things into at most `_MOST_SIDE` runs of equal length, the last one shorter."""
    length = max(1, -(-count // _MOST_SIDE))
    return tuple(range(at, min(at + length, count)) for at in range(0, count, length))


def _by_number(name: str) -> tuple[str, ...]:
    # __2_0.distcp before __10_0.distcp
    parts = name.replace(".", "_").split("_")
    return tuple(part.zfill(12) if part.isdigit() else part for part in parts)


def _text(matrix: Matrix) -> str:
    rows = [("ranks", "files", "read")]
    for (row, column), amount in sorted(matrix.cells.items()):
        rows.append((matrix.row_name(row), plain(matrix.column_name(column)), bytes_text(amount)))
    kept = rows[: _MOST_LINES + 1]
    lines = [matrix.how, table(kept, right=(2,))]
    if len(kept) < len(rows):
        lines.append(f"… {len(rows) - len(kept):,} more lines (plan.matrix() has all)")
    return "\n".join(lines)

"""What N ranks printed, as one settled text.

    [ranks 0-3] world size 4
    [rank 0]    I hold rows 0-1
    [rank 1]    I hold rows 2-3
    [ranks 2-3] I hold nothing

The text depends only on what each rank printed, never on who was faster. Ranks are aligned one
after the other: lines that a rank shares with the rows so far join them, its other lines come
after those of lower ranks at that place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dcp_tutor.errors import UsageError
from dcp_tutor.launching.messages import name_ranks
from dcp_tutor.views.stable import stable
from dcp_tutor.views.terminal import plain_lines, read_log

__all__ = ["plain_lines", "rank_tag", "read_log", "settled", "settled_stderr"]

# A tag such as `[ranks 0,2,5,7,11,13]` may stick out; it must not push all other texts away.
_WIDEST_TAG = 20

Line = str | int  # a printed line; a number stands for that many lines left out


def settled(lines_by_rank: Mapping[int, Sequence[str]], *, most: int = 200) -> str:
    """Return what the ranks printed as one text, identical lines of several ranks folded.

    For each rank, the rows that carry it are exactly its lines, in its order. A line that all
    ranks printed at the same position is always one row.

    Example:
        >>> print(settled({0: ["world size 2", "first"], 1: ["world size 2", "second"]}))
        [ranks 0-1] world size 2
        [rank 0]    first
        [rank 1]    second

    Args:
        lines_by_rank: for each rank its lines, as `plain_lines` and `read_log` return them.
        most: of a rank with more lines than this, only the first and the last are shown.

    """
    return _text(_folded(_shortened(lines_by_rank, most)), "stdout")


def settled_stderr(
    lines_by_rank: Mapping[int, Sequence[str]], *, most: int = 200, folder: Path | None = None
) -> str:
    """Do the same for stderr, each line without what differs between machines and runs.

    Example:
        >>> print(settled_stderr({0: ["pid 71: slow"], 1: ["pid 72: slow"]}))
        [ranks 0-1] pid …: slow

    Args:
        lines_by_rank: for each rank the lines of its stderr.
        most: of a rank with more lines than this, only the first and the last are shown.
        folder: the run's folder; paths below it are shown relative to it.

    """
    shortened = _shortened(lines_by_rank, most)
    same = {
        rank: [line if isinstance(line, int) else stable(line, folder) for line in lines]
        for rank, lines in shortened.items()
    }
    return _text(_folded(same), "stderr")


def rank_tag(ranks: Iterable[int]) -> str:
    """Name one or several ranks in few letters.

    Example:
        >>> rank_tag([1]), rank_tag([0, 2, 3])
        ('rank 1', 'ranks 0,2-3')

    """
    numbers = set(ranks)
    return name_ranks(numbers).replace(", ", ",") if numbers else "no rank"


@dataclass(frozen=True, slots=True)
class _Row:
    line: Line
    ranks: tuple[int, ...]


def _shortened(lines_by_rank: Mapping[int, Sequence[str]], most: int) -> dict[int, list[Line]]:
    """Keep at most `most` lines of each rank, the note on what was left out being one of them."""
    if most < 1:
        raise UsageError(f"most={most} would show no line at all; give 1 or more.")
    head = most // 2
    tail = most - 1 - head
    return {
        rank: [*lines]
        if len(lines) <= most
        else [*lines[:head], len(lines) - head - tail, *lines[len(lines) - tail :]]
        for rank, lines in lines_by_rank.items()
    }


def _folded(lines_by_rank: Mapping[int, Sequence[Line]]) -> list[_Row]:
    """Align the ranks, in the order of their numbers, and fold what they share."""
    # Most programs print the same on most ranks: these are aligned once, as a group.
    groups: dict[tuple[Line, ...], tuple[int, ...]] = {}
    for rank in sorted(lines_by_rank):
        if lines := tuple(lines_by_rank[rank]):
            groups[lines] = (*groups.get(lines, ()), rank)
    everywhere = _same_everywhere(list(groups))
    rows = _aligned(groups.items())
    if _one_row_each(rows, groups.values(), everywhere):
        return rows
    # The longest alignment tore apart a line that stands at one position everywhere (ranks that
    # print the same lines in different orders): hold those lines fixed, align what is between.
    return [row for part in _parts(groups, everywhere) for row in _aligned(part)]


def _same_everywhere(sequences: Sequence[Sequence[Line]]) -> list[int]:
    """Return the positions at which all sequences have the same line."""
    columns = zip(*sequences, strict=False)  # up to the end of the shortest
    return [at for at, column in enumerate(columns) if len(set(column)) == 1]


def _one_row_each(
    rows: Sequence[_Row], groups: Iterable[tuple[int, ...]], positions: Sequence[int]
) -> bool:
    """Tell whether each rank's line at each of these positions is in a row of all ranks."""
    num_ranks = sum(len(ranks) for ranks in groups)
    carried: dict[int, list[bool]] = {}
    for row in rows:
        for rank in row.ranks:
            carried.setdefault(rank, []).append(len(row.ranks) == num_ranks)
    return all(complete[at] for complete in carried.values() for at in positions)


def _parts(
    groups: Mapping[tuple[Line, ...], tuple[int, ...]], cuts: Sequence[int]
) -> Iterator[list[tuple[tuple[Line, ...], tuple[int, ...]]]]:
    """Split all groups' lines at these positions: the line there, then what is up to the next."""
    start = 0
    for cut in cuts:
        yield [(lines[start:cut], ranks) for lines, ranks in groups.items()]
        yield [(lines[cut : cut + 1], ranks) for lines, ranks in groups.items()]
        start = cut + 1
    yield [(lines[start:], ranks) for lines, ranks in groups.items()]


def _aligned(groups: Iterable[tuple[Sequence[Line], tuple[int, ...]]]) -> list[_Row]:
    rows: list[_Row] = []
    for lines, ranks in groups:
        rows = _merged(rows, lines, ranks)
    return rows


def _merged(rows: list[_Row], lines: Sequence[Line], ranks: tuple[int, ...]) -> list[_Row]:
    """Add one group of ranks: it joins the rows it shares, its own lines come after others'."""
    merged: list[_Row] = []
    row_at = line_at = 0
    for next_row, next_line in _common([row.line for row in rows], lines):
        merged += rows[row_at:next_row]
        merged += [_Row(line, ranks) for line in lines[line_at:next_line]]
        shared = rows[next_row]
        merged.append(_Row(shared.line, shared.ranks + ranks))
        row_at, line_at = next_row + 1, next_line + 1
    merged += rows[row_at:]
    merged += [_Row(line, ranks) for line in lines[line_at:]]
    return merged


def _common(rows: Sequence[Line], lines: Sequence[Line]) -> list[tuple[int, int]]:
    """Return a longest common subsequence as (row, line) positions, of several the earliest.

    Not `difflib.SequenceMatcher`: it takes the longest *blocks* first, so it folds fewer lines,
    and is slow where blank lines alternate with numbers, as in a training log. Here each line of
    the dynamic programming table is one integer, a bit per row (Hyyro 2004, bit-parallel LCS).
    """
    wanted = set(lines)
    where: dict[Line, int] = {}
    for row_at, row in enumerate(rows):
        if row in wanted:
            where[row] = where.get(row, 0) | 1 << row_at
    # Bit i of grows[n]: the first n lines have one more in common with rows[: i + 1] than with
    # rows[:i]. `flat` is its complement, which is what the recurrence is written in.
    every_row = (1 << len(rows)) - 1
    flat = every_row
    grows = [0]
    for line in lines:
        hits = flat & where.get(line, 0)
        flat = (flat + hits | flat - hits) & every_row
        grows.append(every_row ^ flat)
    pairs = []
    below = every_row  # the rows before the pair found last
    for line_at in reversed(range(len(lines))):
        row_at = (grows[line_at + 1] & below).bit_length() - 1
        if row_at < 0:
            break
        if not grows[line_at] >> row_at & 1:  # the lines before this one cannot do as well
            pairs.append((row_at, line_at))
            below = (1 << row_at) - 1
    return pairs[::-1]


def _text(rows: Sequence[_Row], stream: str) -> str:
    """Write rows under each other, their texts beginning in one column."""
    tags = [f"[{rank_tag(row.ranks)}]" for row in rows]
    width = min(max(map(len, tags), default=0), _WIDEST_TAG)
    texts = [_said(row, stream) for row in rows]
    # A blank line is its tag alone; a text keeps all its own blanks.
    return "\n".join(
        f"{tag:{width}} {text}" if text else tag for tag, text in zip(tags, texts, strict=True)
    )


def _said(row: _Row, stream: str) -> str:
    if isinstance(row.line, str):
        return row.line
    rank = min(row.ranks)
    if len(row.ranks) == 1:
        return f"… {row.line:,} more lines (Run.rank({rank}).{stream} has them all)"
    return f"… {row.line:,} more lines each (Run.rank({rank}).{stream} has all of rank {rank}'s)"

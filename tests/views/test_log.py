"""What N ranks printed becomes one text: nothing lost or reordered, and folded where it can be."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping, Sequence

import pytest

from dcp_tutor.errors import UsageError
from dcp_tutor.views.log import rank_tag, settled, settled_stderr


def rows_of(text: str) -> list[tuple[list[int], str]]:
    """Read a settled text back: the ranks of each row, and what it says."""
    rows = []
    for row in text.splitlines():
        found = re.fullmatch(r"\[ranks? ([\d,-]+)\](?: +(.*))?", row)
        assert found, row
        ranks: list[int] = []
        for span in found[1].split(","):
            first, _, last = span.partition("-")
            ranks += range(int(first), int(last or first) + 1)
        rows.append((ranks, found[2] or ""))
    return rows


def random_launch(rng: random.Random) -> dict[int, list[str]]:
    """Ranks that share lines, repeat lines, leave lines out and print their own."""
    words = ["", "a", "b", "c", "world size 4"][: rng.randint(1, 5)]
    program = [rng.choice(words) for _ in range(rng.randint(0, 8))]
    launch = {}
    for rank in rng.sample(range(12), rng.randint(0, 6)):
        lines = [line for line in program if rng.random() < 0.8]
        for _ in range(rng.randint(0, 4)):
            own = rng.choice([*words, f"mine {rank}", f"mine {rank // 2}"])
            lines.insert(rng.randint(0, len(lines)), own)
        launch[rank] = lines
    return launch


def length_of_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the longest common subsequence's length, by the book."""
    above = [0] * (len(other) + 1)
    for line in one:
        here = [0]
        for at, candidate in enumerate(other):
            here.append(above[at] + 1 if line == candidate else max(above[at + 1], here[-1]))
        above = here
    return above[-1]


def test_folds_what_ranks_share_and_orders_the_rest_by_rank() -> None:
    launch = {
        rank: ["world size 4", f"I am {rank}", "", f"half {rank // 2}", "done"] for rank in range(4)
    }
    assert settled(launch) == "\n".join(
        [
            "[ranks 0-3] world size 4",
            "[rank 0]    I am 0",
            "[rank 1]    I am 1",
            "[rank 2]    I am 2",
            "[rank 3]    I am 3",
            "[ranks 0-3]",
            "[ranks 0-1] half 0",
            "[ranks 2-3] half 1",
            "[ranks 0-3] done",
        ]
    )


def test_one_rank_prints_more() -> None:
    launch = {0: ["saving", "step", "step", "step"]} | dict.fromkeys((1, 2), ["step"] * 3)
    assert rows_of(settled(launch)) == [([0], "saving"), *[([0, 1, 2], "step")] * 3]


def test_one_rank_alone_has_a_tag_too() -> None:
    assert settled({0: ["a", "  b"]}) == "[rank 0] a\n[rank 0]   b"


@pytest.mark.parametrize("launch", [{}, {0: []}, {1: [], 0: []}])
def test_nothing_printed(launch: dict[int, list[str]]) -> None:
    assert settled(launch) == ""
    assert settled_stderr(launch) == ""


def test_a_silent_rank_is_in_no_row() -> None:
    assert settled({0: [], 1: ["a"], 2: ["a"]}) == "[ranks 1-2] a"


def test_texts_keep_their_blanks() -> None:
    assert settled({0: ["    indented ", "\ttab"]}) == "[rank 0]     indented \n[rank 0] \ttab"


def test_a_long_tag_does_not_push_the_others() -> None:
    launch = {rank: [f"parity {rank % 2}"] for rank in range(17)}
    launch[40] = ["other"]
    assert settled(launch) == "\n".join(
        [
            "[ranks 0,2,4,6,8,10,12,14,16] parity 0",
            "[ranks 1,3,5,7,9,11,13,15] parity 1",
            "[rank 40]            other",
        ]
    )


def test_each_rank_keeps_exactly_its_lines() -> None:
    rng = random.Random(20)
    for _ in range(4000):
        launch = random_launch(rng)
        rows = rows_of(settled(launch))
        for rank, lines in launch.items():
            assert [said for ranks, said in rows if rank in ranks] == lines, launch


def test_a_line_at_the_same_position_of_all_ranks_is_one_row() -> None:
    rng = random.Random(21)
    num_positions = 0
    for _ in range(4000):
        launch = {rank: lines for rank, lines in random_launch(rng).items() if lines}
        rows = rows_of(settled(launch))
        for at, column in enumerate(zip(*launch.values(), strict=False)):
            if len(set(column)) > 1:
                continue
            num_positions += 1
            for rank in launch:
                ranks, said = [row for row in rows if rank in row[0]][at]
                assert (ranks, said) == (sorted(launch), column[0]), launch
    assert num_positions > 1000


def test_a_line_at_the_same_position_wins_over_a_longer_alignment() -> None:
    launch = {0: ["a", "b", "X", "c", "d"], 1: ["c", "d", "X", "a", "b"]}
    assert rows_of(settled(launch)) == [
        *[([0], "a"), ([0], "b"), ([1], "c"), ([1], "d")],
        ([0, 1], "X"),
        *[([0], "c"), ([0], "d"), ([1], "a"), ([1], "b")],
    ]


def test_two_ranks_fold_as_many_lines_as_can_be() -> None:
    rng = random.Random(22)
    for _ in range(3000):
        one, other = ([rng.choice("abcd") for _ in range(rng.randint(1, 9))] for _ in range(2))
        if any(line == twin for line, twin in zip(one, other, strict=False)):
            continue  # a line at the same position may have to fold at the cost of others
        rows = rows_of(settled({0: one, 1: other}))
        assert len(rows) == len(one) + len(other) - length_of_common(one, other), (one, other)


def test_distinct_lines_are_ordered_by_rank() -> None:
    rng = random.Random(23)
    for _ in range(500):
        launch: dict[int, list[str]] = {rank: [] for rank in range(rng.randint(1, 6))}
        for block in range(rng.randint(1, 4)):
            for rank, lines in launch.items():
                lines += [f"{block}.{rank}.{n}" for n in range(rng.randint(0, 3))]
                lines.append(f"together {block}")
        between: list[int] = []
        for ranks, said in rows_of(settled(launch)):
            between = [] if said.startswith("together") else [*between, *ranks]
            assert between == sorted(between)


def test_depends_on_nothing_but_what_the_ranks_printed() -> None:
    rng = random.Random(24)
    for _ in range(500):
        launch = random_launch(rng)
        ranks = list(launch)
        rng.shuffle(ranks)
        shuffled: Mapping[int, Sequence[str]] = {rank: tuple(launch[rank]) for rank in ranks}
        assert settled(shuffled) == settled(launch) == settled(launch)


def test_long_outputs_keep_head_and_tail() -> None:
    lines = [str(n) for n in range(12_349)]
    assert settled({0: lines, 1: ["0"]}, most=5) == "\n".join(
        [
            "[ranks 0-1] 0",
            "[rank 0]    1",
            "[rank 0]    … 12,345 more lines (Run.rank(0).stdout has them all)",
            "[rank 0]    12347",
            "[rank 0]    12348",
        ]
    )


def test_long_outputs_of_several_ranks_fold_around_the_gap() -> None:
    rows = rows_of(settled_stderr({2: ["x"] * 300, 3: ["x"] * 300}, most=3))
    note = "… 298 more lines each (Run.rank(2).stderr has all of rank 2's)"
    assert rows == [([2, 3], "x"), ([2, 3], note), ([2, 3], "x")]


@pytest.mark.parametrize("most", range(1, 8))
def test_never_more_lines_of_a_rank_than_asked_for(most: int) -> None:
    for count in range(12):
        rows = settled({0: [str(n) for n in range(count)]}, most=most).splitlines()
        assert len(rows) == min(count, most)
        assert ("more lines" in "".join(rows)) == (count > most)


def test_a_printed_line_is_never_taken_for_the_gap() -> None:
    said = "… 298 more lines each (Run.rank(0).stdout has all of rank 0's)"
    rows = settled({0: ["x"] * 300, 1: ["x", said, "x"]}, most=3).splitlines()
    assert len(rows) == 4


def test_showing_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="most=0"):
        settled({0: ["a"]}, most=0)


@pytest.mark.parametrize(
    ("ranks", "tag"),
    [
        ([1], "rank 1"),
        (range(4), "ranks 0-3"),
        ([3, 0, 2, 2], "ranks 0,2-3"),
        ([10, 0], "ranks 0,10"),
        ([], "no rank"),
    ],
)
def test_rank_tag(ranks: Sequence[int], tag: str) -> None:
    assert rank_tag(ranks) == tag


def test_stdout_is_never_changed_and_stderr_is() -> None:
    launch = {rank: [f"[rank{rank}]: pid {rank + 70} at 0x7f00aa{rank}bcd"] for rank in (0, 1)}
    assert [said for _, said in rows_of(settled(launch))] == [launch[0][0], launch[1][0]]
    assert settled_stderr(launch) == "[ranks 0-1] pid … at 0x…"


@pytest.mark.parametrize(
    "line",
    [
        "step {at}",
        "{rank} step {at}",
        "{odd}",  # a blank line between any two numbers: hard for an alignment by blocks
    ],
)
def test_sixty_four_ranks_settle_in_no_time(line: str) -> None:
    launch = {
        rank: [
            line.format(rank=rank, at=at, odd=f"{rank} {at}" if at % 2 else "")
            for at in range(rank % 7, 200)
        ]
        for rank in range(64)
    }
    start = time.process_time()
    settled(launch)
    assert time.process_time() - start < 1  # 0.05 s on a laptop

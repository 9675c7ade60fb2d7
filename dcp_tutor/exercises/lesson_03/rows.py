"""The check of `03-rows`: what a function says of a shard, against the rows that are in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dcp_tutor.exercises import mishaps
from dcp_tutor.exercises.evidence import need_outputs, need_run
from dcp_tutor.exercises.verdict import Settled, Verdict, not_yet, right, undecided, wrong


@dataclass(frozen=True, slots=True)
class _Case:
    """One weight on one rank: the rows that are there, and what was said."""

    name: str
    rank: int
    num_rows: int
    there: list[int]
    said: Any

    @property
    def is_right(self) -> bool:
        return bool(self.said == self.there)

    def __str__(self) -> str:
        return (
            f"in the case `{self.name}` rank {self.rank} holds {_rows(self.there)}, and "
            f"`rows_here` says {_rows(self.said) if isinstance(self.said, list) else self.said}"
        )


def judge_rows(answer: Any) -> Verdict:
    """Compare what `rows_here` said with the rows that the ranks really held."""
    run = need_run(answer, "my_rows")
    if not run.ok:
        raise mishaps.explain(run, None, None)
    if len(run.ranks) < 2:
        raise undecided(
            "Your program ran on a single rank, which holds every row. It takes two or more to "
            "see a difference: `--nproc-per-node 4`."
        )
    cases = _read_cases(need_outputs(run, ["answers", "held", "wholes"]))
    if all(case.is_right for case in cases):
        empty = sum(not case.there for case in cases)
        return right(
            f"All {len(cases)} answers are right: three weights, two meshes, {len(run.ranks)} "
            f"ranks, {empty} empty shards among them. Mesh, placements and global shape are enough "
            f"to know which rows are here; DCP finds the place of each piece in the same way."
        )
    raise _explain(cases)


def _explain(cases: list[_Case]) -> Settled:
    """Name the mistake that all wrong answers have in common."""
    bad = [case for case in cases if not case.is_right]
    first = bad[0]
    if any(case.said is None for case in bad) and not any(case.there for case in bad):
        return wrong(
            f"Only the empty shards are missing. {_start(first)}. Return an empty list "
            f"there; a rank without rows is an ordinary case."
        )
    if any(not isinstance(case.said, list) for case in bad):
        other = next(case for case in bad if not isinstance(case.said, list))
        return wrong(
            f"`rows_here` must return a list of row numbers, such as `[3, 4, 5]`; on rank "
            f"{other.rank} it returned a `{type(other.said).__name__}`."
        )
    if all(case.said == list(range(case.num_rows)) for case in cases):
        return wrong(
            f"Your function names all rows of the weight on every rank. `weight.shape` and "
            f"`len(weight)` are global; this rank's part is smaller. {_start(first)}."
        )
    if all(case.said == list(range(len(case.there))) for case in cases):
        return wrong(
            f"The number of rows is right on every rank, but you count them from 0 everywhere. "
            f"Wanted are their numbers in the *whole* weight: {first}."
        )
    if all(case.is_right for case in cases if not _is_copy(case, cases)):
        return wrong(
            f"Right for the first group of ranks, not for the copies: {first}. Each group of HSDP "
            f"begins at row 0 again. The number of the rank says nothing about that; its place "
            f"along the *sharded* axis does: `weight.device_mesh.get_local_rank(axis)`."
        )
    if all(case.is_right for case in cases if "hsdp" not in case.name):
        return wrong(
            f"Right as long as all ranks stand in one line. But {first}. With HSDP "
            f"the number of the rank and the number of ranks do not count; it is the place along "
            f"the *sharded* axis, and the size of that axis. Ask the weight's `device_mesh`."
        )
    if any(row >= case.num_rows for case in bad for row in case.said):
        beyond = next(case for case in bad if any(row >= case.num_rows for row in case.said))
        return wrong(
            f"You name rows that do not exist: {beyond}. The blocks are right, but the last one "
            f"is cut short where the weight ends."
        )
    if all(len(case.said) == len(case.there) for case in cases):
        return wrong(
            f"The number of rows is always right, but they do not start where you say: {first}. "
            f"The ranks before this one hold *full* blocks; how many rows are left for this one "
            f"says nothing about theirs."
        )
    if _is_even(cases):
        return wrong(
            f"You deal the rows out as evenly as they go. FSDP deals in blocks that are rounded "
            f"up, and whoever comes last gets less: {first}."
        )
    return wrong(f"{len(cases) - len(bad)} of {len(cases)} answers are right. {_start(first)}.")


def _read_cases(outputs: dict[str, list[Any]]) -> list[_Case]:
    """Return every weight on every rank: one line of ranks before HSDP, weight by weight."""
    cases = []
    for rank, (answers, held, wholes) in enumerate(
        zip(outputs["answers"], outputs["held"], outputs["wholes"], strict=True)
    ):
        if not answers.keys() == held.keys() == wholes.keys():
            raise not_yet("Leave the loop below `rows_here` as it was given: this check reads it.")
        for name, whole in wholes.items():
            there = _find(held[name], whole)
            said = answers[name]
            said = said.tolist() if hasattr(said, "tolist") else said
            said = sorted(said) if isinstance(said, list | tuple) else said
            cases.append(_Case(name, rank, len(whole), there, said))
    names = [case.name for case in cases]
    return sorted(cases, key=lambda case: ("hsdp" in case.name, names.index(case.name)))


def _find(part: Any, whole: Any) -> list[int]:
    """Return where the rows of `part` stand in `whole`, whose rows are all different."""
    rows = whole.tolist()
    return [rows.index(row) for row in part.tolist()]


def _is_copy(case: _Case, cases: list[_Case]) -> bool:
    """Say whether an earlier rank holds the same rows of the same weight."""
    return bool(case.there) and any(
        other.rank < case.rank and other.there == case.there
        for other in cases
        if other.name == case.name
    )


def _is_even(cases: list[_Case]) -> bool:
    """Say whether no rank was given more than one row more than another."""
    counts: dict[str, list[int]] = {}
    for case in cases:
        counts.setdefault(case.name, []).append(len(case.said))
    return all(max(found) - min(found) <= 1 for found in counts.values())


def _rows(rows: list[int]) -> str:
    return str(rows) if rows else "no row"


def _start(case: _Case) -> str:
    """Return a case as the beginning of a sentence."""
    return str(case)[0].upper() + str(case)[1:]

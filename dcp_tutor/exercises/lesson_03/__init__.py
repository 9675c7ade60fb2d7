"""The exercises of lesson 03: rows that are dealt out, a tie that survives, rows by DTensor."""

from __future__ import annotations

from functools import partial

from dcp_tutor.exercises.exercise import Exercise
from dcp_tutor.exercises.lesson_03.deal import judge_deal
from dcp_tutor.exercises.lesson_03.rows import judge_rows
from dcp_tutor.exercises.lesson_03.tied import judge_tied

_exercise = partial(Exercise, lesson="03_fsdp_sharding")

EXERCISES = (
    _exercise(
        name="03-deal",
        title="Nine rows",
        minutes=2,
        goal="predict",
        judge=judge_deal,
    ),
    _exercise(
        name="03-tied",
        title="Keep the tie",
        minutes=8,
        goal="keep",
        judge=judge_tied,
    ),
    _exercise(
        name="03-rows",
        title="Which rows are here?",
        minutes=12,
        goal="read",
        judge=judge_rows,
    ),
)

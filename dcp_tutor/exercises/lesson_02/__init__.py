"""The exercises of lesson 02: a `Stateful`, a value for each rank, a complete training state."""

from __future__ import annotations

from functools import partial

from dcp_tutor.exercises.exercise import Exercise
from dcp_tutor.exercises.lesson_02.counter import judge_counter
from dcp_tutor.exercises.lesson_02.per_rank import judge_per_rank
from dcp_tutor.exercises.lesson_02.resume import judge_resume

_exercise = partial(Exercise, lesson="02_stateful")

EXERCISES = (
    _exercise(
        name="02-counter",
        title="A Stateful of your own",
        minutes=10,
        goal="choose",
        judge=judge_counter,
    ),
    _exercise(
        name="02-per-rank",
        title="A value for each rank",
        minutes=8,
        goal="give",
        judge=judge_per_rank,
    ),
    _exercise(
        name="02-resume",
        title="As if it had never stopped",
        minutes=15,
        goal="save",
        judge=judge_resume,
    ),
)

"""The exercises of lesson 05: six ranks to four, a mesh that serves, a model with a new head."""

from __future__ import annotations

from functools import partial

from dcp_tutor.exercises.exercise import Exercise
from dcp_tutor.exercises.lesson_05.head import judge_head
from dcp_tutor.exercises.lesson_05.reads import judge_reads
from dcp_tutor.exercises.lesson_05.serve import judge_serve

_exercise = partial(Exercise, lesson="05_resharding")

EXERCISES = (
    _exercise(
        name="05-reads",
        title="Six to four",
        minutes=3,
        goal="predict",
        judge=judge_reads,
    ),
    _exercise(
        name="05-serve",
        title="Serve it",
        minutes=12,
        goal="load",
        judge=judge_serve,
    ),
    _exercise(
        name="05-head",
        title="A new head",
        minutes=12,
        goal="recognise",
        judge=judge_head,
    ),
)

"""The exercises of lesson 04: who writes what, the last complete step, keeping two."""

from __future__ import annotations

from functools import partial

from dcp_tutor.exercises.exercise import Exercise
from dcp_tutor.exercises.lesson_04.keep_two import judge_keep_two
from dcp_tutor.exercises.lesson_04.latest import judge_latest
from dcp_tutor.exercises.lesson_04.who_writes import judge_who_writes

_exercise = partial(Exercise, lesson="04_saving")

EXERCISES = (
    _exercise(
        name="04-who-writes",
        title="Who writes it?",
        minutes=3,
        goal="predict",
        judge=judge_who_writes,
    ),
    _exercise(
        name="04-latest",
        title="The last complete one",
        minutes=8,
        goal="find",
        judge=judge_latest,
    ),
    _exercise(
        name="04-keep-two",
        title="Keep two",
        minutes=15,
        goal="recognise",
        judge=judge_keep_two,
    ),
)

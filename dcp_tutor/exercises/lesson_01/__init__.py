"""The exercises of lesson 01: what is written, a load on two ranks, a program that survives."""

from __future__ import annotations

from functools import partial

from dcp_tutor.exercises.exercise import Exercise
from dcp_tutor.exercises.lesson_01.files import judge_files
from dcp_tutor.exercises.lesson_01.reshard import judge_reshard
from dcp_tutor.exercises.lesson_01.restart import judge_restart

_exercise = partial(Exercise, lesson="01_first_checkpoint")

EXERCISES = (
    _exercise(name="01-files", title="Three ranks", minutes=2, goal="say", judge=judge_files),
    _exercise(
        name="01-reshard", title="Load it yourself", minutes=10, goal="load", judge=judge_reshard
    ),
    _exercise(
        name="01-restart",
        title="Start, stop, start again",
        minutes=15,
        goal="save",
        judge=judge_restart,
    ),
)

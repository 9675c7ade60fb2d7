"""The exercises of lesson 05; each check has a file of its own."""

from __future__ import annotations

from dcp_tutor.exercises.exercise import Exercise
from dcp_tutor.exercises.lesson_05_head import judge_head
from dcp_tutor.exercises.lesson_05_reads import judge_reads
from dcp_tutor.exercises.lesson_05_serve import judge_serve

EXERCISES = (
    Exercise(
        name="05-reads",
        lesson="05_resharding",
        title="Six to four",
        minutes=3,
        goal="predict",
        judge=judge_reads,
    ),
    Exercise(
        name="05-serve",
        lesson="05_resharding",
        title="Serve it",
        minutes=12,
        goal="load",
        judge=judge_serve,
    ),
    Exercise(
        name="05-head",
        lesson="05_resharding",
        title="A new head",
        minutes=12,
        goal="recognise",
        judge=judge_head,
    ),
)

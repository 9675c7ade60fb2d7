"""Exercises: what to do, and a check that decides from what the ranks really did.

| file | what lives there |
|---|---|
| `judging` | `check` for learners, `judge` for programs; the list of all exercises |
| `exercise`, `verdict` | the data of an exercise; what a check says, and how it is shown |
| `evidence` | what an answer left behind: a `Run`'s values, a checkpoint's content |
| `prediction` | what the checks of predictions share: a dict that is filled in |
| `ranks` | ranks that a check starts: its own program, or a learner's once more |
| `mishaps` | sentences for a `Run` that failed, whatever the exercise |
| `lesson_01/`, … | the lesson's `EXERCISES`, and a file for the check of each |
| `blanks/`, `solutions/` | the learner's cell, as it is given and as it could be filled in |

A new exercise is an `Exercise` among its lesson's `EXERCISES`, a blank and a solution under its
name, and the answers that learners are likely to give, in `tests/exercises/answers_0X.py`.
"""

from __future__ import annotations

from dcp_tutor.exercises.exercise import Exercise
from dcp_tutor.exercises.judging import all_exercises, check, judge
from dcp_tutor.exercises.verdict import Outcome, Verdict

__all__ = ["Exercise", "Outcome", "Verdict", "all_exercises", "check", "judge"]

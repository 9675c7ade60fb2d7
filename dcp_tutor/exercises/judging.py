"""`check`: the verdict on an exercise, whatever it is given."""

from __future__ import annotations

from typing import Any

from dcp_tutor.exercises import lesson_01, lesson_02, lesson_03, lesson_04
from dcp_tutor.exercises.exercise import Exercise
from dcp_tutor.exercises.verdict import Outcome, Settled, Verdict


def all_exercises() -> dict[str, Exercise]:
    """Return every exercise by its name, in the order of the lessons."""
    lessons = (lesson_01, lesson_02, lesson_03, lesson_04)
    return {exercise.name: exercise for lesson in lessons for exercise in lesson.EXERCISES}


def check(name: str, answer: Any = None) -> None:
    """Say whether an exercise is solved, and if not, what is wrong or still missing.

    The verdict is shown once, below the cell. It is decided from what the ranks really did,
    never from the text of the program, and nothing is ever raised: a notebook with unsolved
    exercises runs to its end.

    Args:
        name: of the exercise, as its task gives it.
        answer: what the task asks for: a `Run`, a checkpoint's folder or a plain value.

    Example:
        >>> check("01-reshard", ...)
        Not yet. This check reads the `Run` of your program. Run the cell with your program:
        `--run my_load` in its first line puts the `Run` into `my_load`. Then run this cell
        again.

    """
    judge(name, answer).show()


def judge(name: str, answer: Any = None) -> Verdict:
    """Return the verdict that `check` shows.

    Example:
        >>> judge("01-reshard", None).outcome
        <Outcome.NOT_YET: 'Not yet.'>

    """
    try:
        exercises = all_exercises()
        if not isinstance(name, str) or name not in exercises:
            known = ", ".join(f"`{known}`" for known in exercises)
            return Verdict(
                Outcome.UNDECIDED,
                f"There is no exercise `{name}`. The exercises are {known}: type "
                f'`tutor.check("{next(iter(exercises))}", your_answer)`.',
            )
        return exercises[name].judge(answer)
    except Settled as settled:
        return settled.verdict
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # DCP's CheckpointException is no Exception
        return Verdict(
            Outcome.UNDECIDED,
            f"The check itself stumbled over your answer ({_in_words(error)}). Compare what you "
            f"handed over with what the task asks for; your program may still be right.",
        )


def _in_words(error: BaseException) -> str:
    """Return an error's class and first line, also if it cannot say itself."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # an answer's own __str__ may be in there
        lines = []
    return ": ".join([type(error).__name__, *lines[:1]])

"""The exercises in the notebooks: all there, in the fixed form, with the one known solution."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from dcp_tutor.exercises import all_exercises

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PARTS = ("task", "todo", "check", "help")


def cells_of(lesson):
    """Return a lesson's exercise cells, by id; None where there is no such notebook yet."""
    path = NOTEBOOKS / f"{lesson}.ipynb"
    if not path.exists():
        return None
    cells = nbformat.read(path, 4).cells
    return {cell.id: cell for cell in cells if cell.id.startswith("exercise-")}


@pytest.fixture(params=all_exercises().values(), ids=lambda exercise: exercise.name)
def exercise(request):
    return request.param


@pytest.fixture
def cells(exercise):
    found = cells_of(exercise.lesson)
    if not found:
        pytest.skip(f"{exercise.lesson} has no exercise cells at all")
    return found


def test_all_parts_are_there_in_order(exercise, cells):
    own = [cell_id for cell_id in cells if cell_id.startswith(f"exercise-{exercise.name}-")]
    parts = [cell_id.removeprefix(f"exercise-{exercise.name}-") for cell_id in own]
    assert [part for part in parts if part != "setup"] == list(PARTS)
    assert [cells[cell_id].cell_type for cell_id in own if not cell_id.endswith("-setup")] == [
        "markdown", "code", "code", "markdown",
    ]  # fmt: skip


def test_the_task_says_what_and_how_long(exercise, cells):
    task = cells[f"exercise-{exercise.name}-task"].source
    assert task.startswith(f"### {exercise.title} (about {exercise.minutes} minutes)\n")
    assert "**Expected:**" in task


def test_it_tests_a_goal_of_its_lesson(exercise):
    opening = nbformat.read(NOTEBOOKS / f"{exercise.lesson}.ipynb", 4).cells[0].source
    assert f"**{exercise.goal}**" in opening.partition("After this lesson")[2]


def test_a_lesson_has_three_exercises_of_two_to_fifteen_minutes(exercise):
    lesson = [one for one in all_exercises().values() if one.lesson == exercise.lesson]
    assert len(lesson) >= 3
    assert all(2 <= one.minutes <= 15 for one in lesson)


def test_the_blank_is_the_known_one(exercise, cells):
    assert cells[f"exercise-{exercise.name}-todo"].source == exercise.blank


def test_the_check_checks_this_exercise(exercise, cells):
    source = cells[f"exercise-{exercise.name}-check"].source
    assert source.startswith(f'tutor.check("{exercise.name}", ')
    variable = re.search(r", (\w+)\)$", source)[1]
    asked_for = rf"--run {variable}\n|^{variable} = |^def {variable}\("
    assert re.search(asked_for, exercise.blank, re.MULTILINE)


def test_hint_and_solution_unfold(exercise, cells):
    source = cells[f"exercise-{exercise.name}-help"].source
    assert source.count("<details>") == source.count("</details>") >= 2
    assert source.index("<summary>Hint") < source.index("<summary>Solution")
    hint, solution = source.split("<summary>Solution</summary>")
    assert "```python" not in hint, "a hint is no solution"
    assert re.findall(r"```python\n(.*?)\n```", solution, re.DOTALL) == [exercise.solution]


def test_no_notebook_has_an_exercise_that_nobody_knows():
    known = {f"exercise-{name}-{part}" for name in all_exercises() for part in (*PARTS, "setup")}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        assert set(cells_of(path.stem)) <= known, path.name

"""A learner at a notebook, and the property that every exercise must have."""

from __future__ import annotations

import importlib
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import dcp_tutor
from dcp_tutor.exercises import Exercise, Outcome, Verdict, all_exercises, judge

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parents[1] / "notebooks"
sys.path.append(str(HERE))  # for answers_01 and the others, under either of pytest's import modes


class Learner:
    """Types cells into IPython, with the magics and the kit loaded."""

    def __init__(self) -> None:
        config = Config()
        config.HistoryManager.enabled = False
        self.shell = InteractiveShell(config=config)
        self.type("%load_ext dcp_tutor\nimport torch\nimport dcp_tutor as tutor")

    def type(self, cell: str, *, may_fail: bool = False) -> None:
        result = self.shell.run_cell(cell)
        if not may_fail:
            result.raise_error()

    def answer(self, cell: str, variable: str) -> Any:
        """Run an exercise's cell and return what is handed to the check."""
        self.shell.user_ns.pop(variable, None)
        self.type(cell, may_fail=True)
        assert variable in self.shell.user_ns, f"no {variable} after this cell:\n{cell}"
        return self.shell.user_ns[variable]

    def lesson(self, notebook: str, *ids: str) -> None:
        """Run cells of a lesson."""
        cells = nbformat.read(NOTEBOOKS / f"{notebook}.ipynb", 4).cells
        sources = {cell.id: cell.source for cell in cells}
        for cell_id in ids:
            self.type(sources[cell_id])


@pytest.fixture(scope="module")
def learner() -> Iterator[Learner]:
    yield Learner()
    written = str(dcp_tutor.run_folder())
    for name, module in list(sys.modules.items()):  # `%%module` imports them into this process
        if str(getattr(module, "__file__", None)).startswith(written):
            del sys.modules[name]
    dcp_tutor.remove_run_folder()


@dataclass(frozen=True)
class Mistake:
    """A wrong answer, and words that its own sentence must have."""

    answer: Any
    words: tuple[str, ...]


@dataclass(frozen=True)
class Tried:
    """All answers to one exercise."""

    exercise: Exercise
    solution: Any
    blank: Any
    mistakes: Mapping[str, Mistake]
    _said: dict[int, Verdict] = field(default_factory=dict)

    def verdict(self, answer: Any) -> Verdict:
        """Return what the exercise's own check says; some start ranks, so each is asked once."""
        if id(answer) not in self._said:
            self._said[id(answer)] = judge(self.exercise.name, answer)
        return self._said[id(answer)]


def kind(verdict: Verdict) -> str:
    """Return a sentence without its numbers and code: what remains is about the mistake."""
    return re.sub(r"`[^`]*`|\[.*?\]|\d+", "…", verdict.reason)


def assert_teaches(tried: Tried, judged: Callable[[Any], Verdict]) -> None:
    """Assert what every exercise owes to its learner."""
    assert judged(tried.solution).outcome is Outcome.RIGHT, judged(tried.solution)
    assert judged(tried.blank).outcome is Outcome.NOT_YET, judged(tried.blank)
    assert len(tried.mistakes) >= 3
    said = {}
    for name, mistake in tried.mistakes.items():
        said[name] = judged(mistake.answer)
        assert said[name].outcome is Outcome.WRONG, f"{name}: {said[name]}"
        for words in mistake.words:
            assert words in said[name].reason, f"{name}: {said[name]}"
    said["blank"], said["solution"] = judged(tried.blank), judged(tried.solution)
    for one, other in itertools.combinations(said, 2):
        assert kind(said[one]) != kind(said[other]), f"{one} and {other}: {said[one]}"
    for name, verdict in said.items():
        assert len(verdict.reason) < 480, f"{name} is no short paragraph: {verdict}"


@pytest.fixture(scope="session")
def teaches() -> Callable[..., None]:
    """The property, with the exercise's own check or another in its place."""

    def teach(tried: Tried, judged: Callable[[Any], Verdict] | None = None) -> None:
        assert_teaches(tried, judged or tried.verdict)

    return teach


@pytest.fixture(scope="session")
def answers_to() -> Callable[[str], Mapping[str, Any]]:
    """The answers to an exercise, from its lesson's `answers_0X.py`."""

    def find(name: str) -> Mapping[str, Any]:
        module = f"answers_{name[:2]}"
        there = (HERE / f"{module}.py").exists()
        known = importlib.import_module(module).ANSWERS if there else {}
        if name not in known:
            pytest.fail(f"{name} has no answers to try: write them into {module}.py's ANSWERS")
        return known[name]

    return find


@pytest.fixture(scope="module")
def prepared(learner: Learner) -> Callable[[str], None]:
    """Type what the exercises of a lesson need of it, once."""
    done = set()

    def prepare(name: str) -> None:
        if (lesson := name[:2]) not in done:
            importlib.import_module(f"answers_{lesson}").prepare(learner)
            done.add(lesson)

    return prepare


@pytest.fixture(scope="module")
def attempt(learner: Learner) -> Callable[..., Tried]:
    """Run the solution, the blank and wrong answers of an exercise as a learner would."""

    def attempts(
        name: str,
        variable: str,
        mistakes: Mapping[str, tuple[Any, tuple[str, ...]]],
        fresh: str | None = None,
    ) -> Tried:
        exercise = all_exercises()[name]
        number = itertools.count()

        def answer(change: Any) -> Any:
            cell = exercise.solution
            for old, new in change:
                assert cell.count(old) == 1, f"{old!r} is not (once) in the solution of {name}"
                cell = cell.replace(old, new)
            if fresh is not None:  # each attempt as if it were the first
                folder = Path(learner.shell.user_ns[fresh])
                learner.type(f"{fresh} = tutor.run_folder() / {f'{folder.stem}.{next(number)}'!r}")
            return learner.answer(cell, variable)

        return Tried(
            exercise=exercise,
            blank=learner.answer(exercise.blank, variable),
            mistakes={
                label: Mistake(answer(change), words) for label, (change, words) in mistakes.items()
            },
            solution=answer(()),
        )

    return attempts

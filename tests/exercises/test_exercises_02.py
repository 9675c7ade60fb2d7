"""Lesson 02: further answers, right and open, and what the circumstances change."""

from __future__ import annotations

import answers_02
import pytest
import torch

from dcp_tutor.exercises import Outcome, all_exercises, judge

pytestmark = pytest.mark.ranks

COUNTER, PER_RANK, RESUME = (
    all_exercises()[name].solution for name in ("02-counter", "02-per-rank", "02-resume")
)
GATHERED = """key = "positions"
positions = [None] * 4
dist.all_gather_object(positions, position)"""


@pytest.fixture(scope="module")
def at_work(learner):
    answers_02.prepare(learner)
    return learner


def test_gathering_first_is_right_too(at_work):
    cell = PER_RANK.replace(answers_02.KEY, GATHERED)
    cell = cell.replace("{key: position}", "{key: positions}")
    cell = cell.replace(answers_02.LOADED, "loaded = {key: []}")
    cell = cell.replace(answers_02.RESTORED, f"{answers_02.RESTORED}[rank]")
    verdict = judge("02-per-rank", at_work.answer(cell, "my_positions"))
    assert verdict.outcome is Outcome.RIGHT
    assert "together under one key" in verdict.reason


def test_a_checkpoint_of_an_earlier_attempt_is_not_taken_for_this_one(at_work):
    at_work.answer(PER_RANK, "my_positions")
    cell = PER_RANK.replace(answers_02.SAVE_POSITION, "")
    verdict = judge("02-per-rank", at_work.answer(cell, "my_positions"))
    assert verdict.outcome is Outcome.NOT_YET
    assert "No checkpoint was written" in verdict.reason


@pytest.mark.parametrize(
    ("name", "variable", "ranks"),
    [("02-per-rank", "my_positions", 4), ("02-resume", "my_resume", 2)],
)
def test_one_rank_decides_nothing(at_work, name, variable, ranks):
    cell = all_exercises()[name].solution
    cell = cell.replace(f"--nproc-per-node {ranks}", "--nproc-per-node 1")
    assert judge(name, at_work.answer(cell, variable)).outcome is Outcome.UNDECIDED


def test_equal_positions_could_hide_a_loss(at_work):
    cell = PER_RANK.replace("1000 * rank + 17", "17")
    verdict = judge("02-per-rank", at_work.answer(cell, "my_positions"))
    assert verdict.outcome is Outcome.NOT_YET


def test_torch_still_loads_a_tensor_of_a_stateful_in_place(at_work):
    # What the wrong answer "takes nothing" teaches rests on this.
    cell = COUNTER.replace(answers_02.TAKE_COUNT, "pass").replace(answers_02.TAKE_WEIGHTS, "")
    run = at_work.answer(cell, "my_average")
    assert torch.equal(run.outputs["after"][0]["weights"], torch.tensor([2.0, 1.0, 4.5]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(answers_02.TAKE_MODEL, "", id="sharded weights are filled in place"),
        pytest.param(
            answers_02.CLEAR,
            "fresh.optimizer.step()\n",
            id="an optimizer that has stepped has room",
        ),
        pytest.param("return {\n", "ours.optimizer.zero_grad()\n        return {\n", id="cleared"),
    ],
)
def test_other_ways_to_resume_are_right_too(at_work, old, new):
    assert RESUME.count(old) == 1
    cell = RESUME.replace(old, new)
    if "zero_grad" in new:
        cell = cell.replace(answers_02.CLEAR, "")
    verdict = judge("02-resume", at_work.answer(cell, "my_resume"))
    assert verdict.outcome is Outcome.RIGHT, verdict

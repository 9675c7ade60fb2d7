"""Lesson 03: further answers, right and open, and what the circumstances change."""

from __future__ import annotations

import answers_03
import pytest

from dcp_tutor.exercises import Outcome, all_exercises, judge

pytestmark = pytest.mark.ranks

PREDICTION = {"fsdp": [3, 3, 3, 0], "hsdp": [5, 4, 5, 4], "len": 9}
TIED, ROWS = (all_exercises()[name].solution for name in ("03-tied", "03-rows"))


@pytest.fixture(scope="module")
def at_work(learner):
    answers_03.prepare(learner)
    return learner


def test_deal_names_what_is_open():
    verdict = judge("03-deal", PREDICTION | {"hsdp": ..., "len": ...})
    assert verdict.outcome is Outcome.NOT_YET
    assert "`hsdp`, `len`" in verdict.reason


def test_deal_with_too_few_ranks_allowed_is_no_fault_of_the_answer(monkeypatch):
    monkeypatch.setenv("DCP_TUTOR_MAX_RANKS", "2")
    verdict = judge("03-deal", PREDICTION)
    assert verdict.outcome is Outcome.UNDECIDED
    assert "DCP_TUTOR_MAX_RANKS" in verdict.reason


def test_the_root_may_hold_the_tie(at_work):
    cell = TIED.replace(answers_03.TOGETHER, "")
    assert judge("03-tied", at_work.answer(cell, "my_tied")).outcome is Outcome.RIGHT


def test_a_checkpoint_of_an_earlier_attempt_is_not_taken_for_this_one(at_work):
    at_work.answer(TIED, "my_tied")
    save = next(line for line in TIED.splitlines() if line.startswith("dcp.save("))
    verdict = judge("03-tied", at_work.answer(TIED.replace(save, ""), "my_tied"))
    assert verdict.outcome is Outcome.NOT_YET
    assert "not in `my_tied_dir`" in verdict.reason


@pytest.mark.parametrize(
    ("name", "variable"), [("03-tied", "my_tied"), ("03-rows", "my_rows")], ids=["tied", "rows"]
)
def test_one_rank_decides_nothing(at_work, name, variable):
    cell = all_exercises()[name].solution.replace("--nproc-per-node 4", "--nproc-per-node 1")
    assert judge(name, at_work.answer(cell, variable)).outcome is Outcome.UNDECIDED


@pytest.mark.parametrize("ranks", [2, 3])
def test_rows_are_right_on_other_numbers_of_ranks(at_work, ranks):
    cell = ROWS.replace("--nproc-per-node 4", f"--nproc-per-node {ranks}")
    assert judge("03-rows", at_work.answer(cell, "my_rows")).outcome is Outcome.RIGHT


def test_rows_may_come_from_the_chunk_that_dcp_asks_for(at_work):
    cell = ROWS.replace(
        answers_03.ANSWER,
        "chunk = weight.__create_chunk_list__()[0]\n"
        "    return list(range(chunk.offsets[0], chunk.offsets[0] + chunk.sizes[0]))",
    )
    assert judge("03-rows", at_work.answer(cell, "my_rows")).outcome is Outcome.RIGHT

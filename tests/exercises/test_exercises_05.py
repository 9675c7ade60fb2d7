"""Lesson 05: further answers, right and open, and what the circumstances change."""

from __future__ import annotations

import answers_05
import pytest

from dcp_tutor.exercises import Outcome, all_exercises, judge

pytestmark = pytest.mark.ranks

SOLVED = {"files_of_ranks": [1, 2], "rows_needed": 60, "rows_read": 80}
SERVE, HEAD = (all_exercises()[name].solution for name in ("05-serve", "05-head"))


@pytest.fixture(scope="module")
def at_work(learner):
    answers_05.prepare(learner)
    return learner


def test_files_may_be_named_in_any_order():
    files = {"files_of_ranks": ["__2_0.distcp", "__1_0.distcp"]}
    assert judge("05-reads", SOLVED | files).outcome is Outcome.RIGHT


def test_too_few_ranks_allowed_is_no_fault_of_the_answer(monkeypatch):
    monkeypatch.setenv("DCP_TUTOR_MAX_RANKS", "4")
    assert judge("05-reads", SOLVED).outcome is Outcome.UNDECIDED


def test_without_the_reader_nothing_was_counted(at_work):
    for load in (
        "",
        answers_05.LOAD.replace("storage_reader=reader", "checkpoint_id=checkpoint_dir"),
    ):
        cell = SERVE.replace(answers_05.LOAD, load)
        verdict = judge("05-serve", at_work.answer(cell, "my_service"))
        assert verdict.outcome is Outcome.NOT_YET
        assert "`storage_reader=reader`" in verdict.reason


def test_a_refusal_by_dcp_is_a_refusal_too(at_work):
    # Who leaves out only what is new hears of the slip from DCP, and nothing has been read.
    cell = HEAD.replace(answers_05.LOST, "")
    cell = cell.replace("if name not in missing}", "if not name.startswith(new)}")
    assert judge("05-head", at_work.answer(cell, "my_head")).outcome is Outcome.RIGHT


def test_a_partial_load_after_the_comparison_is_right_too(at_work):
    cell = HEAD.replace(answers_05.KNOWN, "    known = weights\n").replace(
        answers_05.LOADS, answers_05.PARTIAL
    )
    assert judge("05-head", at_work.answer(cell, "my_head")).outcome is Outcome.RIGHT

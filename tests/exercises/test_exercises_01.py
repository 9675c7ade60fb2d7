"""Lesson 01: further answers, right and open, and what the circumstances change."""

from __future__ import annotations

import answers_01
import pytest

from dcp_tutor.exercises import Outcome, all_exercises, judge

pytestmark = pytest.mark.ranks

PREDICTION = {"rows": [6, 6, 4], "data_files": 3, "rank_of_row_11": 1}
RESHARD = all_exercises()["01-reshard"].solution
RESTART = all_exercises()["01-restart"].solution


@pytest.fixture(scope="module")
def at_work(learner):
    answers_01.prepare(learner)
    return learner


def test_an_even_split_is_told_so_in_whatever_order():
    assert "as evenly as" in judge("01-files", PREDICTION | {"rows": [6, 5, 5]}).reason


def test_a_rank_may_be_named_by_its_file():
    answer = PREDICTION | {"rank_of_row_11": "__1_0.distcp", "rows": {0: 6, 1: 6, 2: 4}}
    assert judge("01-files", answer).outcome is Outcome.RIGHT


def test_what_is_open_is_named():
    verdict = judge("01-files", {"rows": [6, 6, 4], "data_files": ..., "rank_of_row_11": ...})
    assert verdict.outcome is Outcome.NOT_YET
    assert "`data_files`, `rank_of_row_11`" in verdict.reason


def test_too_few_ranks_allowed_is_no_fault_of_the_answer(monkeypatch, at_work):
    my_job = at_work.answer(RESTART, "my_job")
    monkeypatch.setenv("DCP_TUTOR_MAX_RANKS", "2")
    for name, answer in (("01-files", PREDICTION), ("01-restart", my_job)):
        verdict = judge(name, answer)
        assert verdict.outcome is Outcome.UNDECIDED
        assert "DCP_TUTOR_MAX_RANKS" in verdict.reason


def test_a_plain_dict_of_live_tensors_is_right_too(at_work):
    # `get_state_dict` returns the model's own tensors, and DCP loads in place: really loaded.
    cell = RESHARD.replace('{"app": app}', '{"app": app.state_dict()}')
    assert judge("01-reshard", at_work.answer(cell, "my_load")).outcome is Outcome.RIGHT


def test_what_did_not_come_back_is_named(at_work):
    cell = RESHARD.replace("-o mine,answer,state", "-o mine,answer")
    verdict = judge("01-reshard", at_work.answer(cell, "my_load"))
    assert verdict.outcome is Outcome.NOT_YET
    assert "`state` did not come back" in verdict.reason


def test_a_run_of_another_cell_is_not_yet(at_work):
    at_work.type("%%torchrun --nproc-per-node 2 --run other\nprint()")
    verdict = judge("01-reshard", at_work.shell.user_ns["other"])
    assert verdict.outcome is Outcome.NOT_YET
    assert "`-i checkpoint_dir`" in verdict.reason


@pytest.fixture
def fresh_folder(at_work, request):
    at_work.type(f"restart_dir = tutor.run_folder() / {request.node.name!r}")


def test_a_program_that_found_its_own_checkpoint_is_judged_from_an_empty_folder(
    at_work, fresh_folder
):
    judged = [judge("01-restart", at_work.answer(RESTART, "my_job")) for _ in range(2)]
    assert [verdict.outcome for verdict in judged] == [Outcome.RIGHT] * 2


def test_a_check_leaves_the_checkpoint_as_it_was(at_work, fresh_folder):
    spoils = RESTART.replace(answers_01.IF, "if False:\n")
    my_job = at_work.answer(spoils, "my_job")
    folder = at_work.shell.user_ns["restart_dir"]
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    said = [judge("01-restart", my_job) for _ in range(2)]
    assert said[0] == said[1]
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert list(folder.parent.glob("exercise-01-restart-*")) == []


def test_other_keys_than_app_are_right_too(at_work, fresh_folder):
    cell = RESTART.replace('dcp.save({"app": app}', "dcp.save(app.state_dict()").replace(
        'dcp.load({"app": app}, checkpoint_id=restart_dir)',
        "state = app.state_dict()\n"
        "    dcp.load(state, checkpoint_id=restart_dir)\n"
        "    app.load_state_dict(state)",
    )
    verdict = judge("01-restart", at_work.answer(cell, "my_job"))
    assert verdict.outcome is Outcome.RIGHT, verdict

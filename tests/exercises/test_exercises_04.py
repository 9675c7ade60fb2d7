"""Lesson 04: further answers, right and open, and what the circumstances change."""

from __future__ import annotations

import answers_04
import pytest
import torch
import torch.distributed.checkpoint as dcp

from dcp_tutor.exercises import Outcome, all_exercises, judge

pytestmark = pytest.mark.ranks

KEEP_TWO = all_exercises()["04-keep-two"].solution


@pytest.fixture(scope="module")
def at_work(learner):
    answers_04.prepare(learner)
    return learner


@pytest.mark.filterwarnings("ignore:torch.distributed is")
def test_one_folder_may_be_the_given_one(at_work):
    cell = KEEP_TWO.replace(
        answers_04.SAVE + answers_04.TIDY,
        answers_04.SAVE.replace('folder / f"step-{step}"', "folder"),
    )
    verdict = judge("04-keep-two", at_work.answer(cell, "my_saves"))
    assert verdict.outcome is Outcome.WRONG
    assert "a mix of both" in verdict.reason
    parts = [f"part_{rank}" for rank in range(4)]
    loaded = {part: torch.zeros(8) for part in parts}
    dcp.load(loaded, checkpoint_id=at_work.shell.user_ns["kept_dir"], no_dist=True)
    assert [loaded[part][0].item() for part in parts] == [12, 12, 12, 11], "what the check says"


def test_a_failed_save_that_was_tidied_up_is_right_too(at_work):
    cell = KEEP_TWO.replace(
        answers_04.SAVE,
        "    try:\n    "
        + answers_04.SAVE
        + "    except dcp.CheckpointException:\n        dist.barrier()\n"
        '        shutil.rmtree(folder / f"step-{step}", ignore_errors=True)\n        raise\n',
    )
    assert judge("04-keep-two", at_work.answer(cell, "my_saves")).outcome is Outcome.RIGHT


def test_a_training_without_the_failing_save_is_not_yet_judged(at_work):
    cell = KEEP_TWO.replace("    save_step(12, FullDisk)", "    pass")
    assert judge("04-keep-two", at_work.answer(cell, "my_saves")).outcome is Outcome.NOT_YET

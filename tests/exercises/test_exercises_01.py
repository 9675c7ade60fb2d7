"""Lesson 01: the solution is right, the blank is not yet, each mistake has its own sentence."""

from __future__ import annotations

import pytest

from dcp_tutor.exercises import Outcome, judge
from dcp_tutor.exercises.verdict import right

pytestmark = pytest.mark.ranks

LOAD = 'dcp.load({"app": app}, checkpoint_id=checkpoint_dir)\n'
SHARD = "fully_shard(model)\n"
OPTIMIZER = "optimizer = torch.optim.Adam(model.parameters(), lr=0.1)\n"
APP = "app = AppState(model, optimizer)\n"
MINE = "mine = model.net1.weight.to_local()"
ANSWER = "answer = model(question(device))\n"

FILES = {
    "even split": ((("[6, 6, 4]", "[5, 5, 6]"),), ("as evenly as", "rounded up", "[6, 6, 4]")),
    "four ranks": (
        (
            ("[6, 6, 4]", "[4, 4, 4, 4]"),
            ('"data_files": 3', '"data_files": 4'),
            ('"rank_of_row_11": 1', '"rank_of_row_11": 2'),
        ),
        ("4 ranks", "save in the lesson"),
    ),
    "counts .metadata": ((('"data_files": 3', '"data_files": 4'),), ("`.metadata`", "no row")),
    "one file": ((('"data_files": 3', '"data_files": 1'),), ("not 1", "Nothing is gathered")),
    "row elsewhere": (
        (('"rank_of_row_11": 1', '"rank_of_row_11": 2'),),
        ("rows 6 to 11", "`__1_0.distcp`"),
    ),
    "every rank all rows": ((("[6, 6, 4]", "[16, 16, 16]"),), ("add up to 48",)),
}

RESHARD = {
    "never loads": (((LOAD, ""),), ("random weights", "`dcp.load`")),
    "wrong key": (
        ((LOAD, 'dcp.load({"model": model.state_dict()}, checkpoint_id=checkpoint_dir)\n'),),
        ("looked for `model.net1.weight`", "has `app.model.net1.weight`", 'under `"app"`'),
    ),
    "no dict": (
        ((LOAD, "dcp.load(app, checkpoint_id=checkpoint_dir)\n"),),
        ("takes a dict", '{"app": app}'),
    ),
    "into copies": (
        (
            (
                LOAD,
                "loaded = whole(app.state_dict())\n"
                'dcp.load({"app": loaded}, checkpoint_id=checkpoint_dir)\n',
            ),
            ("state = whole(app.state_dict())", "state = loaded"),
        ),
        ("into copies", "`app.load_state_dict`"),
    ),
    "never sharded": (((SHARD, ""),), ("ordinary parameter", "`fully_shard(model)` comes before")),
    "never sharded, whole rows": (
        ((SHARD, ""), (MINE, "mine = model.net1.weight")),
        ("holds all 16 rows", "nothing was resharded"),
    ),
    "sharded after the load": (
        ((SHARD, ""), (LOAD, LOAD + SHARD)),
        ("no longer know each other", "The order is"),
    ),
    "optimizer left out": (
        (
            (
                LOAD,
                'dcp.load({"app": {"model": model.state_dict()}}, checkpoint_id=checkpoint_dir)\n',
            ),
        ),
        ("the optimizer is not", "exp_avg"),
    ),
    "asked before the load": ((("\n" + ANSWER, "\n"), (LOAD, ANSWER + LOAD)), ("before the load",)),
    "one rank": ((("--nproc-per-node 2", "--nproc-per-node 1"),), ("single rank",)),
    "four ranks": ((("--nproc-per-node 2", "--nproc-per-node 4"),), ("4 ranks", "just as many")),
    "three ranks": ((("--nproc-per-node 2", "--nproc-per-node 3"),), ("3 ranks", "wants two")),
    "another tensor": (
        ((MINE, "mine = model.net2.weight.to_local()"),),
        ("no part of `net1.weight`", "(2, 16)"),
    ),
    "a variable too few": (
        (("state = whole(app.state_dict())", "pass"),),
        ("NameError: -o asks for `state`", "Mend this first"),
    ),
    "only rank 0": (
        ((LOAD, f"if dist.get_rank() == 0:\n    {LOAD}"),),
        ("every rank must call them", "if rank == 0"),
    ),
}


@pytest.fixture(scope="module")
def lesson(learner):
    learner.type('save_ranks = 4\ncheckpoint_dir = tutor.run_folder() / "checkpoint"')
    learner.lesson("01_first_checkpoint", "toy", "app-state", "look", "save")


@pytest.fixture(scope="module")
def files(attempt):
    return attempt("01-files", "prediction", FILES)


@pytest.fixture(scope="module")
def reshard(lesson, attempt):
    return attempt("01-reshard", "my_load", RESHARD)


def test_files_teaches(files, teaches):
    teaches(files)


def test_reshard_teaches(reshard, teaches):
    teaches(reshard)


@pytest.mark.parametrize("which", ["files", "reshard"])
def test_a_check_that_passes_everything_is_caught(which, request, teaches):
    with pytest.raises(AssertionError):
        teaches(request.getfixturevalue(which), lambda answer: right("Well done."))


def test_a_check_that_says_one_sentence_for_all_mistakes_is_caught(files, teaches):
    from dcp_tutor.exercises.verdict import Verdict

    def lazy(answer):
        verdict = judge("01-files", answer)
        if verdict.outcome is Outcome.WRONG:
            return Verdict(Outcome.WRONG, "No. " + " ".join(words_of_all))
        return verdict

    words_of_all = [word for mistake in files.mistakes.values() for word in mistake.words]
    with pytest.raises(AssertionError):
        teaches(files, lazy)


def test_an_even_split_is_told_so_in_whatever_order(files):
    verdict = judge("01-files", files.solution | {"rows": [6, 5, 5]})
    assert "as evenly as" in verdict.reason


def test_a_rank_may_be_named_by_its_file(files):
    answer = files.solution | {"rank_of_row_11": "__1_0.distcp", "rows": {0: 6, 1: 6, 2: 4}}
    assert judge("01-files", answer).outcome is Outcome.RIGHT


def test_what_is_open_is_named(files):
    verdict = judge("01-files", files.blank | {"rows": [6, 6, 4]})
    assert verdict.outcome is Outcome.NOT_YET
    assert "`data_files`, `rank_of_row_11`" in verdict.reason


def test_too_few_ranks_allowed_is_no_fault_of_the_answer(files, monkeypatch):
    monkeypatch.setenv("DCP_TUTOR_MAX_RANKS", "2")
    verdict = judge("01-files", files.solution)
    assert verdict.outcome is Outcome.UNDECIDED
    assert "DCP_TUTOR_MAX_RANKS" in verdict.reason


def test_a_plain_dict_of_live_tensors_is_right_too(learner, reshard):
    # `get_state_dict` returns the model's own tensors, and DCP loads in place: really loaded.
    cell = reshard.exercise.solution.replace('{"app": app}', '{"app": app.state_dict()}')
    assert judge("01-reshard", learner.answer(cell, "my_load")).outcome is Outcome.RIGHT


def test_what_did_not_come_back_is_named(learner, reshard):
    cell = reshard.exercise.solution.replace("-o mine,answer,state", "-o mine,answer")
    verdict = judge("01-reshard", learner.answer(cell, "my_load"))
    assert verdict.outcome is Outcome.NOT_YET
    assert "`state` did not come back" in verdict.reason


def test_a_run_of_another_cell_is_not_yet(learner, reshard):
    learner.type("%%torchrun --nproc-per-node 2 --run other\nprint()")
    verdict = judge("01-reshard", learner.shell.user_ns["other"])
    assert verdict.outcome is Outcome.NOT_YET
    assert "`-i checkpoint_dir`" in verdict.reason

"""Lesson 02: the solution is right, the blank is not yet, each mistake has its own sentence."""

from __future__ import annotations

import pytest
import torch

from dcp_tutor.exercises import Outcome, judge
from dcp_tutor.exercises.verdict import right

pytestmark = pytest.mark.ranks

GIVE = 'return {"count": self.count, "weights": self.weights}'
TAKE_COUNT = 'self.count = state["count"]'
TAKE_WEIGHTS = '        self.weights.copy_(state["weights"])\n'
CLONES = 'return {"count": self.count, "weights": self.weights.clone()}'

COUNTER = {
    "takes nothing": (
        ((TAKE_COUNT, "pass"), (TAKE_WEIGHTS, "")),
        ("`count` is 0 instead of 2", "a number", "`load_state_dict`"),
    ),
    "no load_state_dict": (
        (("    def load_state_dict(", "    def load("),),
        ("`average` in one lump", "both methods"),
    ),
    "nothing taken from copies": (
        ((GIVE, CLONES), (TAKE_COUNT, 'count = state["count"]'), (TAKE_WEIGHTS, "")),
        ("neither came back", "put into `self`"),
    ),
    "fresh one asks for nothing": (
        (
            (GIVE, GIVE + " if self.count else {}"),
            (TAKE_COUNT, 'self.count = state.get("count", 0)'),
            (TAKE_WEIGHTS, ""),
        ),
        ("*fresh*", "nothing asked, nothing loaded"),
    ),
    "fresh one asks for nothing, and takes it": (
        ((GIVE, GIVE + " if self.count else {}"),),
        ("looked for `count`", "*fresh*"),
    ),
    "copy filled": (((GIVE, CLONES), (TAKE_WEIGHTS, "")), ("a copy of the tensor", "`count` came")),
    "tensor replaced": (
        ((GIVE, CLONES), ("self.weights.copy_(state", "self.weights = (state")),
        ("another tensor now", "`evaluated`"),
    ),
    "no count saved": (
        ((GIVE, 'return {"weights": self.weights}'), (TAKE_COUNT, "pass")),
        ("The count is not in the checkpoint", "`average.weights`"),
    ),
    "no weights saved": (
        ((GIVE, 'return {"count": self.count}'), (TAKE_WEIGHTS, "")),
        ("The weights are not in the checkpoint", "`average.count`"),
    ),
    "count in a tensor": (
        ((GIVE, GIVE.replace("self.count,", "torch.tensor(self.count),")),),
        ("`int`", "`.item()`"),
    ),
    "another name": (
        ((TAKE_COUNT, 'self.count = state["steps"]'),),
        ("looked for `steps`", "`count`, `weights`"),
    ),
    "no return": (((f"        {GIVE}", "        pass"),), ("returned None",)),
}

SAVE = "dcp.save({key: position}, checkpoint_id=positions_dir)\n"
KEY = 'key = f"position_{rank}"'
LOADED = "loaded = {key: 0}"
RESTORED = "restored = loaded[key]"
LIST = "key = 'positions'\nposition_list = [0] * 4\nposition_list[rank] = position"

PER_RANK = {
    "one key for all": (
        ((KEY, 'key = "position"'),),
        ("holds one value, 17", "ranks 1-3 are gone"),
    ),
    "number of the wrong thing": (
        ((KEY, 'key = f"position_{dist.get_world_size()}"'),),
        ("`position_4`", "same on all ranks"),
    ),
    "a list with gaps": (
        ((KEY, LIST), ("{key: position}", "{key: position_list}"), (RESTORED, RESTORED + "[rank]")),
        ("[17, 0, 0, 0]", "does not merge"),
    ),
    "only rank 0 saves": (
        (
            ("--timeout 30", "--timeout 10"),
            (SAVE, f"if rank == 0:\n    {SAVE}dist.barrier()\n"),
        ),
        ("until the time was up", "rank 0 stood", "ranks 1-3 stood", "`dist.barrier()`"),
    ),
    "a folder for each rank": (
        (
            (KEY, KEY + '\nmine = f"{positions_dir}/{rank}"'),
            ("position}, checkpoint_id=positions_dir", "position}, checkpoint_id=mine"),
            ("loaded, checkpoint_id=positions_dir", "loaded, checkpoint_id=mine"),
        ),
        ("folder of its own", "*one* checkpoint"),
    ),
    "loads without a save": (((SAVE, ""),), ("no save had come to its end",)),
    "reads before the load": (
        ((LOADED, "restored = 0\nloaded = {key: restored}"), (RESTORED, "")),
        ("ranks 0-3 did not bring", "after `dcp.load`"),
    ),
    "reads rank 0's": (
        ((LOADED, 'key = "position_0"\nloaded = {key: 0}'),),
        ("read the one of rank 0",),
    ),
    "numbers as keys": (
        (
            ("{key: position}", '{"position": {rank: position}}'),
            (LOADED, 'loaded = {"position": {rank: 0}}'),
            (RESTORED, 'restored = loaded["position"][rank]'),
        ),
        ("`position.0`", "into text"),
    ),
    "another key to load": (
        ((LOADED, 'key = f"{rank}"\nloaded = {key: 0}'),),
        ("looked for `", "`position_0`"),
    ),
}

GATHERED = """key = "positions"
positions = [None] * 4
dist.all_gather_object(positions, position)"""


@pytest.fixture(scope="module")
def folders(learner):
    learner.type(
        'average_dir = tutor.run_folder() / "average"\n'
        'positions_dir = tutor.run_folder() / "positions"'
    )


@pytest.fixture(scope="module")
def counter(folders, attempt):
    return attempt("02-counter", "my_average", COUNTER, fresh="average_dir")


@pytest.fixture(scope="module")
def per_rank(folders, attempt):
    return attempt("02-per-rank", "my_positions", PER_RANK, fresh="positions_dir")


def test_counter_teaches(counter, teaches):
    teaches(counter)


def test_per_rank_teaches(per_rank, teaches):
    teaches(per_rank)


@pytest.mark.parametrize("which", ["counter", "per_rank"])
def test_a_check_that_passes_everything_is_caught(which, request, teaches):
    with pytest.raises(AssertionError):
        teaches(request.getfixturevalue(which), lambda answer: right("Well done."))


def test_gathering_first_is_right_too(learner, per_rank):
    cell = per_rank.exercise.solution.replace(KEY, GATHERED)
    cell = cell.replace("{key: position}", "{key: positions}")
    cell = cell.replace(LOADED, "loaded = {key: []}").replace(RESTORED, f"{RESTORED}[rank]")
    verdict = judge("02-per-rank", learner.answer(cell, "my_positions"))
    assert verdict.outcome is Outcome.RIGHT
    assert "together under one key" in verdict.reason


def test_a_checkpoint_of_an_earlier_attempt_is_not_taken_for_this_one(learner, per_rank):
    learner.answer(per_rank.exercise.solution, "my_positions")
    cell = per_rank.exercise.solution.replace(SAVE, "")
    verdict = judge("02-per-rank", learner.answer(cell, "my_positions"))
    assert verdict.outcome is Outcome.NOT_YET
    assert "No checkpoint was written" in verdict.reason


def test_one_rank_decides_nothing(learner, per_rank):
    cell = per_rank.exercise.solution.replace("--nproc-per-node 4", "--nproc-per-node 1")
    assert judge("02-per-rank", learner.answer(cell, "my_positions")).outcome is Outcome.UNDECIDED


def test_equal_positions_could_hide_a_loss(learner, per_rank):
    cell = per_rank.exercise.solution.replace("1000 * rank + 17", "17")
    verdict = judge("02-per-rank", learner.answer(cell, "my_positions"))
    assert verdict.outcome is Outcome.NOT_YET


def test_torch_still_loads_a_tensor_of_a_stateful_in_place(learner, counter):
    # What "takes nothing" teaches rests on this.
    mistake = counter.mistakes["takes nothing"].answer
    assert torch.equal(mistake.outputs["after"][0]["weights"], torch.tensor([2.0, 1.0, 4.5]))

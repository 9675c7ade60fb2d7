"""Lesson 03: the solution is right, the blank is not yet, each mistake has its own sentence."""

from __future__ import annotations

import pytest

from dcp_tutor.exercises import Outcome, judge
from dcp_tutor.exercises.verdict import right

pytestmark = pytest.mark.ranks

FSDP, HSDP, LEN = "[3, 3, 3, 0]", "[5, 4, 5, 4]", '"len": 9'

DEAL = {
    "even split": (((FSDP, "[3, 2, 2, 2]"),), ("as evenly as", "[3, 3, 3, 0]", "at the end")),
    "rounded up for all": (((FSDP, "[3, 3, 3, 3]"),), ("add up to 12", "a rank gets none")),
    "three ranks": (((FSDP, "[3, 3, 3]"),), ("3 numbers", "its number is 0")),
    "other blocks": (((FSDP, "[4, 4, 1, 0]"),), ("you said [4, 4, 1, 0]", "rounded up")),
    "hsdp as fsdp": (((HSDP, FSDP),), ("has two ranks, not four",)),
    "no copies": (((HSDP, "[3, 2, 2, 2]"),), ("nobody would have a copy", "*each*")),
    "groups of neighbours": (((HSDP, "[5, 5, 4, 4]"),), ("*last* axis first", "[5, 4, 5, 4]")),
    "everything everywhere": (((HSDP, "[9, 9, 9, 9]"),), ("each group of two ranks",)),
    "local length": (((LEN, '"len": 0'),), ("length of the local tensor", "to_local()")),
    "block length": (((LEN, '"len": 3'),), ("global shape", "something else than 3")),
}

TOGETHER = "fully_shard([model.emb, model.head])\n"
BLOCKS = "for block in (model.one, model.two):\n    fully_shard(block)\n"
APART = "fully_shard(model.emb)\nfully_shard(model.head)\n"
ROOT = BLOCKS + "fully_shard(model)\n"
UNTIE = "model.head.weight = torch.nn.Parameter(model.emb.weight.detach().clone())\n"
STEP = "optimizer.step()\n"
COPY = "with torch.no_grad():\n    model.head.weight.copy_(model.emb.weight)\n"

TIED = {
    "sharded apart": (((TOGETHER, APART),), ("two groups manage", "One call must")),
    "tied again afterwards": (
        ((TOGETHER, APART), (ROOT, ROOT + "model.head.weight = model.emb.weight\n")),
        ("*after* sharding", "two shards"),
    ),
    "a copy": (((TOGETHER, UNTIE + APART),), ("are different", "A copy is no tie")),
    "a copy, kept equal": (
        ((TOGETHER, UNTIE + APART), (STEP, STEP + COPY)),
        ("`optim.state.head.weight`", "made equal by hand"),
    ),
    "root only": (((TOGETHER, ""), (BLOCKS, "")), ("`two.weight` is whole", "of its own")),
    "no list": (
        ((TOGETHER, "fully_shard(model.emb, model.head)\n"),),
        ("square brackets", "a *list*"),
    ),
    "blocks alone": (
        ((TOGETHER, ""), (ROOT, BLOCKS)),
        ("`emb.weight` is not sharded", "no group has yet"),
    ),
}

AXIS = "axis = next(a for a, placement in enumerate(weight.placements) if placement.is_shard())\n"
BLOCK = "block = -(-weight.shape[0] // weight.device_mesh.size(axis))  # round up\n"
FIRST = "first = weight.device_mesh.get_local_rank(axis) * block\n"
ANSWER = "return list(range(first, first + len(weight.to_local())))"

ROWS = {
    "all rows": (
        ((ANSWER, "return list(range(len(weight)))"),),
        ("all rows of the weight", "are global"),
    ),
    "counted from 0": (
        ((ANSWER, "return list(range(len(weight.to_local())))"),),
        ("count them from 0", "*whole*"),
    ),
    "rank and world size": (
        (
            (BLOCK, "block = -(-weight.shape[0] // dist.get_world_size())\n"),
            (FIRST, "first = dist.get_rank() * block\n"),
        ),
        ("one line", "*sharded* axis", "`10 rows, hsdp` rank 1"),
    ),
    "rank alone": (
        ((FIRST, "first = dist.get_rank() * block\n"),),
        ("not for the copies", "rank 2 holds [0, 1, 2, 3, 4]", "at row 0 again"),
    ),
    "full blocks": (
        ((ANSWER, "return list(range(first, first + block))"),),
        ("do not exist", "[9, 10, 11]", "cut short"),
    ),
    "own length as block": (
        ((BLOCK, "block = len(weight.to_local())\n"),),
        ("do not start where", "rank 3 holds [9]", "*full* blocks"),
    ),
    "even split": (
        (
            (BLOCK, "parts = weight.device_mesh.size(axis)\n"),
            (FIRST, "place = weight.device_mesh.get_local_rank(axis)\n"),
            (
                ANSWER,
                "return torch.arange(len(weight)).tensor_split(parts)[place].tolist()",
            ),
        ),
        ("as evenly as", "rounded up"),
    ),
    "nothing for empty": (
        ((ANSWER, ANSWER + " if len(weight.to_local()) else None"),),
        ("Only the empty shards", "empty list"),
    ),
    "a pair": (
        ((ANSWER, "return f'{first}-{first + len(weight.to_local()) - 1}'"),),
        ("a list of row numbers", "`str`"),
    ),
}


@pytest.fixture(scope="module")
def lesson(learner):
    learner.type('my_tied_dir = tutor.run_folder() / "my-tied"')
    learner.lesson("03_fsdp_sharding", "tied")


@pytest.fixture(scope="module")
def deal(attempt):
    return attempt("03-deal", "prediction", DEAL)


@pytest.fixture(scope="module")
def tied(lesson, attempt):
    return attempt("03-tied", "my_tied", TIED, fresh="my_tied_dir")


@pytest.fixture(scope="module")
def rows(attempt):
    return attempt("03-rows", "my_rows", ROWS)


@pytest.mark.parametrize("which", ["deal", "tied", "rows"])
def test_it_teaches(which, request, teaches):
    teaches(request.getfixturevalue(which))


@pytest.mark.parametrize("which", ["deal", "tied", "rows"])
def test_a_check_that_passes_everything_is_caught(which, request, teaches):
    with pytest.raises(AssertionError):
        teaches(request.getfixturevalue(which), lambda answer: right("Well done."))


def test_deal_names_what_is_open(deal):
    verdict = judge("03-deal", deal.blank | {"fsdp": [3, 3, 3, 0]})
    assert verdict.outcome is Outcome.NOT_YET
    assert "`hsdp`, `len`" in verdict.reason


def test_deal_with_too_few_ranks_allowed_is_no_fault_of_the_answer(deal, monkeypatch):
    monkeypatch.setenv("DCP_TUTOR_MAX_RANKS", "2")
    verdict = judge("03-deal", deal.solution)
    assert verdict.outcome is Outcome.UNDECIDED
    assert "DCP_TUTOR_MAX_RANKS" in verdict.reason


def test_the_root_may_hold_the_tie(learner, tied):
    cell = tied.exercise.solution.replace(TOGETHER, "")
    assert judge("03-tied", learner.answer(cell, "my_tied")).outcome is Outcome.RIGHT


def test_a_checkpoint_of_an_earlier_attempt_is_not_taken_for_this_one(learner, tied):
    learner.answer(tied.exercise.solution, "my_tied")
    cell = tied.exercise.solution
    save = next(line for line in cell.splitlines() if line.startswith("dcp.save("))
    verdict = judge("03-tied", learner.answer(cell.replace(save, ""), "my_tied"))
    assert verdict.outcome is Outcome.NOT_YET
    assert "not in `my_tied_dir`" in verdict.reason


@pytest.mark.parametrize(
    ("name", "variable"), [("03-tied", "my_tied"), ("03-rows", "my_rows")], ids=["tied", "rows"]
)
def test_one_rank_decides_nothing(learner, lesson, request, name, variable):
    solution = request.getfixturevalue(name[3:]).exercise.solution
    cell = solution.replace("--nproc-per-node 4", "--nproc-per-node 1")
    assert judge(name, learner.answer(cell, variable)).outcome is Outcome.UNDECIDED


@pytest.mark.parametrize("ranks", [2, 3])
def test_rows_are_right_on_other_numbers_of_ranks(learner, rows, ranks):
    cell = rows.exercise.solution.replace("--nproc-per-node 4", f"--nproc-per-node {ranks}")
    assert judge("03-rows", learner.answer(cell, "my_rows")).outcome is Outcome.RIGHT


def test_rows_may_come_from_the_chunk_that_dcp_asks_for(learner, rows):
    cell = rows.exercise.solution.replace(
        ANSWER,
        "chunk = weight.__create_chunk_list__()[0]\n"
        "    return list(range(chunk.offsets[0], chunk.offsets[0] + chunk.sizes[0]))",
    )
    assert judge("03-rows", learner.answer(cell, "my_rows")).outcome is Outcome.RIGHT

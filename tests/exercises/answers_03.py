"""What learners answer in lesson 03: each wrong answer with words of the sentence it must get."""

from __future__ import annotations

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


def prepare(learner):
    """Type what the exercises need of the lesson."""
    learner.type('my_tied_dir = tutor.run_folder() / "my-tied"')
    learner.lesson("03_fsdp_sharding", "tied")


ANSWERS = {
    "03-deal": {"variable": "prediction", "mistakes": DEAL},
    "03-tied": {"variable": "my_tied", "mistakes": TIED, "fresh": "my_tied_dir"},
    "03-rows": {"variable": "my_rows", "mistakes": ROWS},
}

"""Plans equal what DCP's planners decide on real DTensors, item for item, on random layouts."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.tensor import Placement, Replicate, Shard

from dcp_tutor.errors import UsageError
from dcp_tutor.layouts import Axis, Layout
from dcp_tutor.layouts.torch_private import strided_shard
from dcp_tutor.plans import SavePlan, TensorShape, overlaps, plan_load, plan_save
from dcp_tutor.plans.overlaps import Boxes, dcp_overlaps, own_overlaps

HERE = Path(__file__).parent
NUM_CASES = 60
MESHES = [[1], [2], [3], [4], [7], [2, 2], [3, 2], [2, 3], [4, 2], [2, 2, 2]]
DTYPES = ["float32", "bfloat16", "int64", "bool"]


def random_placements(
    dice: random.Random, shape: list[int], mesh: list[int], odd: bool
) -> list[list[int]]:
    """Placements as codes: [] is Replicate, [dim] is Shard, [dim, factor] is _StridedShard."""
    choices: list[list[int]] = [[], *[[dim] for dim in range(len(shape))]]
    found = [dice.choice(choices) for _ in mesh]
    for axis, code in enumerate(found[:-1]):
        factor = math.prod(
            size
            for size, later in zip(mesh[axis + 1 :], found[axis + 1 :], strict=True)
            if later == code
        )
        if code and factor > 1 and dice.random() < 0.5:
            found[axis] = [*code, factor]
            break
    if odd and shape and dice.random() < 0.5:
        found[0] = [0, dice.choice([2, 3])]  # strides that nothing later makes whole again
    return found


def random_case(number: int) -> dict[str, Any]:
    dice = random.Random(number)
    odd = number % 6 == 5
    tensors: dict[str, Any] = {}
    for key in range(dice.randint(1, 7)):
        shape = [
            dice.choice([0, 1, 2, 3, 5, 8, 12, 13]) for _ in range(dice.choice([0, 1, 1, 2, 2, 3]))
        ]
        kind = "dtensor" if shape and dice.random() < 0.85 else "plain"
        tensors[f"t{key}"] = [shape, dice.choice(DTYPES), kind]
    sides = {}
    for side in ("save", "load"):
        mesh = dice.choice(MESHES)
        sides[side] = {
            "mesh": mesh,
            "placements": {
                fqn: random_placements(dice, shape, mesh, odd or side == "load")
                for fqn, (shape, _, kind) in tensors.items()
                if kind == "dtensor"
            },
        }
    blobs = {"step": 3, "text": "x"} if dice.random() < 0.5 else {}
    return {"tensors": tensors, "blobs": blobs, **sides}


# What is easily missed, by name; the random cases follow.
HSDP = {"mesh": [2, 2], "placements": {f"w{n}": [[], [0]] for n in range(6)}}
NAMED: list[dict[str, Any]] = [
    {  # which replica writes: by planned bytes, whole tensors counted, in the order of the plan
        "tensors": {f"w{n}": [[4 + n, 3], "float32", "dtensor"] for n in range(6)},
        "blobs": {"a": 1, "b": 2},
        "save": HSDP,
        "load": {"mesh": [3], "placements": {f"w{n}": [[0]] for n in range(6)}},
    },
    {  # ties: the first in the order of a Python set, which has 8 before 3
        "tensors": {f"w{n}": [[10], "float32", "dtensor"] for n in range(9)},
        "blobs": {},
        "save": {"mesh": [2, 5], "placements": {f"w{n}": [[], [0]] for n in range(9)}},
        "load": {"mesh": [2], "placements": {f"w{n}": [[0]] for n in range(9)}},
    },
    {  # more ranks than rows, and scalars
        "tensors": {"w": [[3, 2], "float32", "dtensor"], "s": [[], "float32", "plain"]},
        "blobs": {},
        "save": {"mesh": [8], "placements": {"w": [[0]]}},
        "load": {"mesh": [5], "placements": {"w": [[1]]}},
    },
    {  # a dimension that FSDP2 and tensor parallelism share, both cut unevenly
        "tensors": {"w": [[10, 3], "float32", "dtensor"]},
        "blobs": {},
        "save": {"mesh": [3, 2], "placements": {"w": [[0, 2], [0]]}},
        "load": {"mesh": [2, 4], "placements": {"w": [[0, 4], [0]]}},
    },
    {  # the longest dimension is not the one that is cut: DCP compares each with each
        "tensors": {"w": [[24, 100], "float32", "dtensor"]},
        "blobs": {},
        "save": {"mesh": [24], "placements": {"w": [[0]]}},
        "load": {"mesh": [18], "placements": {"w": [[0]]}},
    },
]
CASES = [*NAMED, *map(random_case, range(NUM_CASES))]


def placement(code: list[int]) -> Placement:
    if not code:
        return Replicate()
    return Shard(code[0]) if len(code) == 1 else strided_shard(*code)


def layout_of(side: dict[str, Any]) -> Layout:
    # Names that say nothing: placements are taken as they are.
    axes = tuple(Axis(f"axis{n}", size, Replicate()) for n, size in enumerate(side["mesh"]))
    rules = tuple((fqn, tuple(map(placement, codes))) for fqn, codes in side["placements"].items())
    return Layout(axes, rules)


def save_of(case: dict[str, Any]) -> SavePlan:
    tensors = {
        fqn: TensorShape(tuple(shape), getattr(torch, dtype))
        for fqn, (shape, dtype, _) in case["tensors"].items()
    }
    return plan_save({**tensors, **case["blobs"]}, layout_of(case["save"]))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("dcp")
    (folder / "cases").write_text(json.dumps(CASES))
    done = subprocess.run(
        [sys.executable, str(HERE / "dcp_answers.py"), str(folder / "cases"), str(folder / "out")],
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads((folder / "out").read_text())
    return found


def test_the_cases_are_of_all_kinds(answers: list[dict[str, Any]]) -> None:
    refused = [number for number, answer in enumerate(answers) if answer["errors"]]
    assert 3 <= len(refused) <= 15
    items = [item for answer in answers for rank in answer["reads"] for item in rank]
    assert len(items) > 1200 and {item["type"] for item in items} == {"TENSOR", "BYTE_IO"}


@pytest.mark.parametrize("number", range(len(CASES)))
def test_saves(number: int, answers: list[dict[str, Any]]) -> None:
    case, answer = CASES[number], answers[number]
    if answer["errors"]:
        with pytest.raises(UsageError, match=r"dcp\.save would refuse"):
            save_of(case)
        return
    plan = save_of(case)
    for rank, items in enumerate(answer["writes"]):
        found = [[w.fqn, [list(w.box.offsets), list(w.box.sizes)]] for w in plan.writes(rank=rank)]
        blobs = [[fqn, None] for fqn, writer in plan.blob_ranks.items() if writer == rank]
        assert found + blobs == items
        assert plan.ranks[rank].writes == len(items)
    chunks = {
        fqn: [[list(c.offsets), list(c.sizes)] for c in tensor.chunks]
        for fqn, tensor in plan.tensors.items()
    }
    assert chunks == answer["chunks"]
    for rank, shapes in enumerate(answer["locals"]):
        for fqn, shape in shapes.items():
            assert plan[fqn].shards[rank].numel == math.prod(shape)


def test_a_tie_goes_by_the_order_of_a_set(answers: list[dict[str, Any]]) -> None:
    first = [items[0][0] for items in answers[1]["writes"]]
    assert first == ["w0", "w0", "w0", "w1", "w1", "w1", "w1", "w1", "w0", "w0"]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("number", range(len(CASES)))
def test_loads(
    number: int, own: bool, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    case, answer = CASES[number], answers[number]
    if answer["errors"]:
        return  # no such checkpoint is ever written
    if own:
        monkeypatch.setattr(overlaps, "MOST_PAIRS_PER_BOX", -1)
    plan = plan_load(save_of(case), layout_of(case["load"]))
    for rank, items in enumerate(answer["reads"]):
        found = []
        for read in plan.reads(rank=rank):
            shard = plan[read.fqn].shards[rank]
            found.append(
                {
                    "fqn": read.fqn,
                    "type": "TENSOR",
                    "shard": list(shard.offsets),
                    "chunk": read.chunk_number,
                    "in_shard": list(read.in_shard),
                    "in_chunk": list(read.in_chunk),
                    "sizes": list(read.sizes),
                }
            )
            assert read.chunk == plan[read.fqn].chunks[read.chunk_number]
            for space, origin in ((read.in_shard, shard), (read.in_chunk, read.chunk)):
                assert read.in_tensor == tuple(
                    a + b for a, b in zip(space, origin.offsets, strict=True)
                )
        expected = [item for item in items if item["type"] == "TENSOR"]
        assert sorted(found, key=json.dumps) == sorted(expected, key=json.dumps)
        assert plan.ranks[rank].reads == len(expected)  # a SavePlan tells no place of blobs


@pytest.mark.parametrize("number", range(len(CASES)))
def test_totals_are_those_of_the_reads(number: int, answers: list[dict[str, Any]]) -> None:
    if answers[number]["errors"]:
        return
    plan = plan_load(save_of(CASES[number]), layout_of(CASES[number]["load"]))
    reads = list(plan.reads())
    for rank in plan.ranks:
        mine = [read for read in reads if read.rank == rank.rank]
        assert rank.reads == len(mine)
        assert rank.needed_bytes == sum(read.needed_bytes for read in mine)
        assert rank.read_bytes == sum(read.read_bytes for read in mine)
        assert rank.files == len({read.chunk.file for read in mine})
    matrix: dict[tuple[int, str | None], int] = {}
    for read in reads:
        key = (read.rank, read.chunk.file)
        matrix[key] = matrix.get(key, 0) + read.read_bytes
    assert plan.matrix() == matrix
    for fqn, load in plan.items():
        mine = [read for read in reads if read.fqn == fqn]
        assert list(load.reads) == mine
        assert load.needed_bytes == sum(read.needed_bytes for read in mine)
        assert load.read_bytes == sum(read.read_bytes for read in mine)


def random_boxes(dice: random.Random, ndim: int) -> Boxes:
    """Boxes that no sharding makes: nested, overlapping, equal, empty ones inside others."""
    count = dice.randint(0, 30)
    offsets = [[dice.randint(0, 9) for _ in range(ndim)] for _ in range(count)]
    sizes = [[dice.choice([0, 1, 2, 3, 9]) for _ in range(ndim)] for _ in range(count)]
    import numpy as np

    shape = (count, ndim)
    return Boxes(
        np.array(offsets, dtype=np.int64).reshape(shape),
        np.array(sizes, dtype=np.int64).reshape(shape),
    )


@pytest.mark.parametrize("seed", range(60))
def test_own_arithmetic_equals_dcp(seed: int) -> None:
    dice = random.Random(seed)
    ndim = dice.randint(0, 4)
    stored, wanted = random_boxes(dice, ndim), random_boxes(dice, ndim)
    own = own_overlaps(stored, wanted)
    dcp = dcp_overlaps((20,) * ndim, stored, wanted)
    for name in ("wanted", "stored", "in_tensor", "sizes", "first_of"):
        assert getattr(own, name).tolist() == getattr(dcp, name).tolist(), name

"""Placements and shards are those that FSDP2 and tensor parallelism really give a model."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dcp_tutor.layouts import Layout, placement_text

HERE = Path(__file__).parent
# What parallelize_module is told in fsdp_answers.py, in the order (tensor parallelism's axis).
TENSOR_PARALLEL = {
    "up.weight": "Shard(0)",
    "up.bias": "Shard(0)",
    "down.weight": "Shard(1)",
    "down.bias": "Replicate()",
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    out = tmp_path_factory.mktemp("fsdp") / "out"
    done = subprocess.run(
        [sys.executable, str(HERE / "fsdp_answers.py"), str(out)],
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(out.read_text())
    return found


def layout_of(mesh: dict[str, int]) -> Layout:
    text = ",".join(f"{name}={size}" for name, size in mesh.items())
    if "tp" not in mesh:
        return Layout.parse(text)
    others = ["Replicate()" if "replicate" in name else "Shard(0)" for name in mesh if name != "tp"]
    rules = {fqn: ", ".join([*others, last]) for fqn, last in TENSOR_PARALLEL.items()}
    return Layout.parse(text, rules)


def test_placements(answers: list[dict[str, Any]]) -> None:
    strided = 0
    for answer in answers:
        layout = layout_of(answer["mesh"])
        placements = list(map(placement_text, layout.placements(answer["fqn"], answer["shape"])))
        # A parameter that tensor parallelism was not told of is on the other axes' mesh alone.
        if "tp" not in answer["axes"] and "tp" in answer["mesh"]:
            assert placements.pop() == "Replicate()"
        assert placements == answer["placements"], answer
        strided += "_Strided" in str(placements)
    assert strided > 100


def test_shards(answers: list[dict[str, Any]]) -> None:
    empty = misplaced = 0
    for answer in answers:
        layout = layout_of(answer["mesh"])
        box = layout.shards(answer["fqn"], answer["shape"])[answer["rank"]]
        assert (list(box.offsets), list(box.sizes)) == (answer["offsets"], answer["sizes"]), answer
        # And it is what the rank holds, but where DTensor itself is wrong.
        wrong = answer["rank"] in layout.misplaced(answer["fqn"], answer["shape"])
        assert wrong == (box.numel != math.prod(answer["local"])), answer
        misplaced += wrong
        empty += box.is_empty
    assert empty > 50 and misplaced == 4  # weight and bias of (9, ...) over 4 x 2, two ranks each

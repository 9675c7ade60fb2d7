"""What DCP's own planners decide, for real DTensors on every rank: asked by test_plans_equal_dcp.

    python dcp_answers.py CASES OUT

Plain torch, without dcp_tutor. A case is {"tensors": {fqn: [shape, dtype, kind]}, "blobs": {...},
"save": side, "load": side}, where a side is {"mesh": [sizes], "placements": {fqn: [...]}} and a
placement is [], [dim] or [dim, split factor]. The answer holds, for the save, the items of each
rank's final plan and the chunks of the metadata; for the load, each rank's read items.
"""

from __future__ import annotations

import json
import math
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint._dedup_save_plans import dedup_save_plans
from torch.distributed.checkpoint.default_planner import (
    _validate_global_plan,
    create_default_global_save_plan,
    create_default_local_load_plan,
    create_default_local_save_plan,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.distributed.tensor.placement_types import _StridedShard

sys.path.append(str(Path(__file__).parents[1] / "layouts"))
from playing_ranks import play


def placement(code: list[int]) -> Any:
    if not code:
        return Replicate()
    return Shard(code[0]) if len(code) == 1 else _StridedShard(code[0], split_factor=code[1])


def state_dict(case: dict[str, Any], side: dict[str, Any]) -> dict[str, Any]:
    mesh = init_device_mesh("cpu", tuple(side["mesh"]))
    state: dict[str, Any] = {}
    for fqn, (shape, dtype, kind) in case["tensors"].items():
        value = torch.zeros(shape, dtype=getattr(torch, dtype))
        if kind == "dtensor":
            placements = [placement(code) for code in side["placements"][fqn]]
            value = distribute_tensor(value, mesh, placements, src_data_rank=None)
        state[fqn] = value
    return state | case["blobs"]


def save_plans(rank: int, cases: list[dict[str, Any]]) -> list[Any]:
    plans = []
    for case in cases:
        state = state_dict(case, case["save"])
        shapes = {f: list(v.to_local().shape) for f, v in state.items() if hasattr(v, "to_local")}
        plans.append((create_default_local_save_plan(state, rank == 0), shapes))
    return plans


def load_items(rank: int, cases: list[tuple[dict[str, Any], Any]]) -> list[Any]:
    return [
        [
            {
                "fqn": item.storage_index.fqn,
                "type": item.type.name,
                "shard": None if item.dest_index.offset is None else list(item.dest_index.offset),
                "chunk": item.storage_index.index,
                "in_shard": list(item.dest_offsets),
                "in_chunk": list(item.storage_offsets),
                "sizes": list(item.lengths),
            }
            for item in create_default_local_load_plan(state_dict(c, c["load"]), metadata).items
        ]
        for c, metadata in cases
    ]


def by_world(cases: list[Any], side: str) -> dict[int, list[int]]:
    """Numbers of the cases that have as many ranks: they share forks."""
    found: dict[int, list[int]] = {}
    for number, case in enumerate(cases):
        found.setdefault(math.prod(case[side]["mesh"]), []).append(number)
    return found


def main() -> None:
    cases = json.loads(Path(sys.argv[1]).read_text())
    answers: list[dict[str, Any]] = [{} for _ in cases]
    metadata: list[Any] = [None] * len(cases)
    for world_size, numbers in by_world(cases, "save").items():
        by_rank = play(world_size, partial(save_plans, cases=[cases[n] for n in numbers]))
        for place, number in enumerate(numbers):
            plans = dedup_save_plans([plans_of[place][0] for plans_of in by_rank])
            plans, metadata[number] = create_default_global_save_plan(plans)
            answers[number]["locals"] = [plans_of[place][1] for plans_of in by_rank]
            answers[number]["errors"] = _validate_global_plan(plans, metadata[number])
            answers[number]["writes"] = [
                [
                    (
                        item.index.fqn,
                        None
                        if item.tensor_data is None
                        else [
                            list(item.tensor_data.chunk.offsets),
                            list(item.tensor_data.chunk.sizes),
                        ],
                    )
                    for item in plan.items
                ]
                for plan in plans
            ]
            answers[number]["chunks"] = {
                fqn: [[list(chunk.offsets), list(chunk.sizes)] for chunk in entry.chunks]
                for fqn, entry in metadata[number].state_dict_metadata.items()
                if hasattr(entry, "chunks")
            }
    for world_size, numbers in by_world(cases, "load").items():
        asked = [(cases[n], metadata[n]) for n in numbers]
        by_rank = play(world_size, partial(load_items, cases=asked))
        for place, number in enumerate(numbers):
            answers[number]["reads"] = [items_of[place] for items_of in by_rank]
    Path(sys.argv[2]).write_text(json.dumps(answers))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

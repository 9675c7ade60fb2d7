"""What FSDP2 and tensor parallelism make of a model's parameters, for every rank of many meshes.

    python fsdp_answers.py OUT

Plain torch, without dcp_tutor.
"""

from __future__ import annotations

import json
import math
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from playing_ranks import play
from torch import nn
from torch.distributed.checkpoint.planner_helpers import _create_chunk_list
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)

MESHES = [
    {"fsdp": 3},
    {"dp_shard": 8},
    {"dp_replicate": 2, "dp_shard": 3},
    {"replicate": 2, "shard": 2},
    {"dp": 2, "tp": 2},
    {"dp": 3, "tp": 2},
    {"fsdp": 2, "tp": 4},
    {"fsdp": 4, "tp": 1},
    {"dp": 4, "tp": 2},
    {"dp_replicate": 2, "dp_shard": 2, "tp": 2},
]
SIZES = [(8, 16), (6, 10), (7, 3), (2, 24), (4, 9)]  # (in, out) of each Linear


class Net(nn.Module):
    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.up = nn.Linear(*size)
        self.down = nn.Linear(size[1], size[0])
        self.norm = nn.LayerNorm(size[0])


def parallel(size: tuple[int, int], sizes: dict[str, int]) -> nn.Module:
    mesh = init_device_mesh("cpu", tuple(sizes.values()), mesh_dim_names=tuple(sizes))
    model = Net(size)
    if "tp" in sizes:
        parallelize_module(model, mesh["tp"], {"up": ColwiseParallel(), "down": RowwiseParallel()})
    data_parallel = tuple(name for name in sizes if name != "tp")
    fully_shard(model, mesh=mesh[data_parallel])
    return model


def text(placement: Any) -> str:
    if isinstance(placement, Replicate):
        return "Replicate()"
    if isinstance(placement, Shard):
        return f"Shard({placement.dim})"
    return f"_StridedShard({placement.dim}, split_factor={placement.split_factor})"


def parameters(rank: int, sizes: dict[str, int]) -> list[dict[str, Any]]:
    found = []
    for size in SIZES:
        for fqn, parameter in parallel(size, sizes).named_parameters():
            (chunk,) = _create_chunk_list(parameter)
            found.append(
                {
                    "mesh": sizes,
                    "rank": rank,
                    "fqn": fqn,
                    "shape": list(parameter.shape),
                    "axes": list(parameter.device_mesh.mesh_dim_names),
                    "placements": [text(p) for p in parameter.placements],
                    "offsets": list(chunk.offsets),
                    "sizes": list(chunk.sizes),
                    "local": list(parameter.to_local().shape),
                }
            )
    return found


def main() -> None:
    found = []
    for sizes in MESHES:
        for answer in play(math.prod(sizes.values()), partial(parameters, sizes=sizes)):
            found += answer
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

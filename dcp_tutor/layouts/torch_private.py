"""Every private or undocumented name of torch about shards, behind one door.

Checked on torch 2.13.0: `tests/layouts/test_layouts_torch_private.py` fails when one of them moves.

Sources: `torch/distributed/tensor/_utils.py` (the arithmetic of shards),
`torch/distributed/tensor/placement_types.py` (`_StridedShard`),
`torch/distributed/fsdp/_fully_shard/_fsdp_param.py` (when FSDP2 makes one of them).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.distributed.tensor import Placement, Shard
from torch.distributed.tensor._utils import _compute_local_shape_and_global_offset
from torch.distributed.tensor.placement_types import _StridedShard

CHECKED_ON = "2.13.0"


def strided_shard(dim: int, split_factor: int) -> Placement:
    """Make the placement that FSDP2 gives a dimension which tensor parallelism has cut before."""
    placement: Placement = _StridedShard(dim, split_factor=split_factor)
    return placement


def sharded_dim(placement: Placement) -> int | None:
    """Tell the dimension that a placement shards, strided or not; None if it shards none."""
    if isinstance(placement, Shard | _StridedShard):
        return int(placement.dim)
    return None


def split_factor_of(placement: Placement) -> int | None:
    """Tell the split factor of a strided shard; None for every other placement."""
    return int(placement.split_factor) if isinstance(placement, _StridedShard) else None


def on_dim(placement: Placement, dim: int) -> Placement:
    """Make the same sharding of another dimension."""
    split_factor = split_factor_of(placement)
    return Shard(dim) if split_factor is None else strided_shard(dim, split_factor)


def split(indices: torch.Tensor, count: int, placement: Placement) -> list[torch.Tensor]:
    """Split a dimension's indices over an axis, by the code that `distribute_tensor` splits with.

    Args:
        indices: one-dimensional.
        count: ranks along the axis.
        placement: that shards dimension 0.

    """
    sharding: Any = placement
    shards: list[torch.Tensor] = sharding._split_tensor(
        indices, count, with_padding=False, contiguous=False
    )[0]
    return shards


def local_shape_and_offset(
    shape: Sequence[int],
    mesh_shape: Sequence[int],
    coordinate: Sequence[int],
    placements: Sequence[Placement],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ask DTensor for the shard at a place in a mesh; no mesh and no process group is needed.

    Returns:
        The shard's shape, and its first element's offsets in the whole tensor.

    """
    sizes, offsets = _compute_local_shape_and_global_offset(
        tuple(shape), tuple(mesh_shape), list(coordinate), tuple(placements)
    )
    return tuple(map(int, sizes)), tuple(map(int, offsets))

"""Placements as text, in the words of torch code."""

from __future__ import annotations

from collections.abc import Sequence

from torch.distributed.tensor import Placement

from dcp_tutor.layouts.torch_private import sharded_dim, split_factor_of


def placement_text(placement: Placement) -> str:
    """Write a placement as torch code: `Shard(0)`, `Replicate()`."""
    dim, split_factor = sharded_dim(placement), split_factor_of(placement)
    if split_factor is not None:
        return f"_StridedShard({dim}, split_factor={split_factor})"
    return "Replicate()" if dim is None else f"Shard({dim})"


def placements_text(placements: Sequence[Placement]) -> str:
    """Write placements as torch code: `(Shard(0), Replicate())`."""
    comma = "," * (len(placements) == 1)
    return f"({', '.join(map(placement_text, placements))}{comma})"

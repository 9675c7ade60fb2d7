"""Every private or undocumented name of torch about plans, behind one door.

Checked on torch 2.13.0: `tests/plans/test_plans_torch_private.py` fails when one of them moves.

Sources: `torch/distributed/checkpoint/planner_helpers.py` (`create_read_items_for_chunk_list`),
`.../_dedup_save_plans.py` (which rank saves what several hold), `.../planner.py` (`WriteItem`),
`.../filesystem.py` (names of data files, the order of items in them).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner_helpers import create_read_items_for_chunk_list

CHECKED_ON = "2.13.0"

Part = tuple[int, int, Sequence[int], Sequence[int], Sequence[int]]
"""A read item: number of the wanted box, of the stored box, offsets in the wanted box, offsets in
the stored box, sizes."""

_Box = tuple[Sequence[int], Sequence[int]]


def read_items(shape: Sequence[int], stored: Iterable[_Box], wanted: Iterable[_Box]) -> list[Part]:
    """Ask DCP's planner what must be read so that these boxes are filled from those.

    Args:
        shape: of the whole tensor.
        stored: (offsets, sizes) of the chunks in the checkpoint.
        wanted: (offsets, sizes) of the boxes to be filled.

    """
    metadata = TensorStorageMetadata(
        properties=TensorProperties(dtype=torch.float32),
        size=torch.Size(shape),
        chunks=[_chunk(box) for box in stored],
    )
    items = create_read_items_for_chunk_list("", metadata, [_chunk(box) for box in wanted])
    return [
        (
            item.dest_index.index or 0,
            item.storage_index.index or 0,
            tuple(item.dest_offsets),
            tuple(item.storage_offsets),
            tuple(item.lengths),
        )
        for item in items
    ]


def data_file(rank: int) -> str:
    """Name the file that a rank writes, with one file for each rank and one thread."""
    return f"__{rank}_0.distcp"


def _chunk(box: _Box) -> ChunkStorageMetadata:
    return ChunkStorageMetadata(offsets=torch.Size(box[0]), sizes=torch.Size(box[1]))

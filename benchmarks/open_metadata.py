"""Opening the metadata of 1,024 ranks x 723 tensors, against `pickle.load` of the same file.

    python benchmarks/open_metadata.py [--ranks 1024] [--tensors 723] [--repeat 3] [--most 1.5]

The file is made by DCP's own planner and writer from every rank's plan; each plan and each result
goes through pickle first, as it does on its way to the coordinator. That takes some two minutes
and 4 GB for the full size. Exit status 1 if opening takes more than `--most` times as long.
`pickle.load` imports torch's classes and runs whatever else stands in the file; opening runs
nothing, checks every field, and makes the kit's nouns.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import DefaultSavePlanner, FileSystemWriter
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    MetadataIndex,
    TensorProperties,
)
from torch.distributed.checkpoint.planner import (
    SavePlan,
    TensorWriteData,
    WriteItem,
    WriteItemType,
)
from torch.distributed.checkpoint.storage import WriteResult

from dcp_tutor.checkpoints import open_checkpoint

RECORD_BYTES = 132_272  # 8 x 8192 bfloat16 as torch.save writes them


def make(folder: Path, num_ranks: int, num_tensors: int) -> Path:
    """Write the `.metadata` of tensors of (8 x ranks, 8192), sharded over their rows."""
    fqns = [f"model.layers.{n // 9}.attention.w{n % 9}.weight" for n in range(num_tensors)]
    planner = DefaultSavePlanner()
    plans, metadata = planner.create_global_plan(
        [sent(plan(rank, num_ranks, fqns)) for rank in range(num_ranks)]
    )
    results = [sent(written(rank, plan)) for rank, plan in enumerate(plans)]
    FileSystemWriter(folder, sync_files=False).finish(metadata, results)
    return folder / ".metadata"


def plan(rank: int, num_ranks: int, fqns: list[str]) -> SavePlan:
    """Plan as one rank does: its eight rows of each tensor."""
    offsets, sizes = torch.Size([rank * 8, 0]), torch.Size([8, 8192])
    data = TensorWriteData(
        chunk=ChunkStorageMetadata(offsets, sizes),
        properties=TensorProperties(dtype=torch.bfloat16),
        size=torch.Size([num_ranks * 8, 8192]),
    )
    items = [
        WriteItem(MetadataIndex(fqn, offsets), WriteItemType.SHARD, tensor_data=data)
        for fqn in fqns
    ]
    return SavePlan(items, planner_data={fqn: tuple(fqn.split(".")) for fqn in fqns})


def written(rank: int, plan: SavePlan) -> list[WriteResult]:
    """Report as one rank does: a record for each item, one behind the other in its file."""
    return [
        WriteResult(
            item.index,
            RECORD_BYTES,
            _StorageInfo(f"__{rank}_0.distcp", number * RECORD_BYTES, RECORD_BYTES),
        )
        for number, item in enumerate(plan.items)
    ]


def sent(value: Any) -> Any:
    """As it arrives at the coordinator: equal strings are no longer the same object."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - made two lines above


def seconds(function: Callable[[], object]) -> float:
    """Take the processor time of one call; what it returns is freed outside of it."""
    start = time.process_time()
    result = function()
    took = time.process_time() - start
    del result
    return took


def load(file: Path) -> object:
    """Read as torch's own reader does."""
    with file.open("rb") as stream:
        return pickle.load(stream)  # noqa: S301 - made by this script


def main() -> int:
    """Make the file, time both in turn, print the ratio of the fastest."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=1024)
    parser.add_argument("--tensors", type=int, default=723)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--most", type=float, default=1.5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = make(Path(folder), options.ranks, options.tensors)
        theirs, ours = [], []
        for _ in range(options.repeat):
            theirs.append(seconds(lambda: load(file)))
            ours.append(seconds(lambda: open_checkpoint(folder)))
        size = file.stat().st_size
    ratio = min(ours) / min(theirs)
    print(
        f"{options.ranks} ranks x {options.tensors} tensors, {size / 1e6:.0f} MB: "
        f"pickle.load {min(theirs):.2f} s, open_checkpoint {min(ours):.2f} s of one core, "
        f"ratio {ratio:.2f} (at most {options.most})"
    )
    return 1 if ratio > options.most else 0


if __name__ == "__main__":
    sys.exit(main())

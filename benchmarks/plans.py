"""Planning the save and the load of Llama 3 70B, against DCP's own planners doing the same.

    python benchmarks/plans.py [--repeat 3] [--most-seconds 3] [--most-bytes 1e9]

Each job has a process of its own, which tells its processor time and its peak of memory, with
what importing torch takes (`import`). `ours` makes the plans and their totals; `dcp` calls
`dedup_save_plans` and `create_default_global_save_plan` with every rank's plan, and
`create_read_items_for_chunk_list` with all chunks, for every tensor. DCP's own is run with 128 to
96 ranks, where it takes seconds; on a real job each rank plans its own load at the same time as
the others, so that side is what a plan of all ranks costs, not what a rank waits for.

Exit status 1 if 1,024 to 768 ranks take more than `--most-seconds` of one core or `--most-bytes`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

LARGE = [
    ("fsdp=1024", "fsdp=768"),
    ("replicate=2,shard=512", "fsdp=768"),
    ("fsdp=128,tp=8:Shard(0)", "fsdp=96,tp=8:Shard(0)"),
]
SMALL = [("fsdp=128", "fsdp=96"), ("replicate=2,shard=64", "fsdp=96")]


def nothing(save: str, load: str) -> dict[str, float]:
    """Import what both import."""
    import torch.distributed.checkpoint

    assert torch.distributed.checkpoint
    return {"save": 0.0, "load": 0.0}


def ours(save: str, load: str) -> dict[str, float]:
    """Plan with this kit."""
    from dcp_tutor.plans import model_shapes, plan_load, plan_save

    shapes = model_shapes("llama3-70b")
    start = time.process_time()
    saved = plan_save(shapes, save)
    middle = time.process_time()
    plan = plan_load(saved, load)
    assert plan.read_bytes >= plan.needed_bytes == saved.written_bytes
    return {"save": middle - start, "load": time.process_time() - middle}


def dcp(save: str, load: str) -> dict[str, float]:
    """Plan with DCP's functions; what they are given is made outside of the time."""
    import torch
    from torch.distributed.checkpoint._dedup_save_plans import dedup_save_plans
    from torch.distributed.checkpoint.default_planner import create_default_global_save_plan
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
    from torch.distributed.checkpoint.planner_helpers import create_read_items_for_chunk_list

    from dcp_tutor.layouts import Layout
    from dcp_tutor.plans import model_shapes

    shapes = model_shapes("llama3-70b")
    saving, loading = Layout.parse(save), Layout.parse(load)
    plans: list[SavePlan] = [SavePlan([]) for _ in range(saving.world_size)]
    for fqn, shape in shapes.items():
        for rank, box in enumerate(saving.shards(fqn, shape.shape)):
            chunk = ChunkStorageMetadata(torch.Size(box.offsets), torch.Size(box.sizes))
            data = TensorWriteData(
                chunk, TensorProperties(dtype=shape.dtype), torch.Size(shape.shape)
            )
            index = MetadataIndex(fqn, chunk.offsets)
            plans[rank].items.append(WriteItem(index, WriteItemType.SHARD, tensor_data=data))
    wanted = {
        fqn: [
            ChunkStorageMetadata(torch.Size(box.offsets), torch.Size(box.sizes))
            for box in loading.shards(fqn, shape.shape)
        ]
        for fqn, shape in shapes.items()
    }
    start = time.process_time()
    _, metadata = create_default_global_save_plan(dedup_save_plans(plans))
    middle = time.process_time()
    for fqn, chunks in wanted.items():
        create_read_items_for_chunk_list(fqn, metadata.state_dict_metadata[fqn], chunks)  # type: ignore[arg-type]
    return {"save": middle - start, "load": time.process_time() - middle}


JOBS = {"import": nothing, "ours": ours, "dcp": dcp}


def peak_bytes() -> int:
    """Peak of this process's memory."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(job: str, save: str, load: str, repeat: int) -> dict[str, float]:
    """Run a job in processes of its own; keep the fastest, and the largest peak."""
    command = [sys.executable, str(Path(__file__)), "--job", job, "--save", save, "--load", load]
    found = []
    for _ in range(repeat):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found.append(json.loads(done.stdout))
    best: dict[str, float] = min(found, key=lambda one: one["save"] + one["load"])
    return {**best, "bytes": max(one["bytes"] for one in found)}


def line(job: str, found: dict[str, float]) -> str:
    """Write what was measured of a job."""
    total = found["save"] + found["load"]
    return (
        f"{job:>6}  save {found['save']:6.2f} s  load {found['load']:6.2f} s  "
        f"together {total:6.2f} s  peak {found['bytes'] / 1e6:5.0f} MB"
    )


def main() -> int:
    """Measure all, print times side by side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--most-seconds", type=float, default=3.0)
    parser.add_argument("--most-bytes", type=float, default=1e9)
    for hidden in ("--job", "--save", "--load"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        found = JOBS[options.job](options.save, options.load)
        print(json.dumps({**found, "bytes": peak_bytes()}))
        return 0
    print(line("import", measure("import", "-", "-", 1)))
    for save, load in SMALL:
        print(f"llama3-70b, {save} -> {load}")
        theirs = measure("dcp", save, load, 1)
        mine = measure("ours", save, load, options.repeat)
        ratio = (theirs["save"] + theirs["load"]) / (mine["save"] + mine["load"])
        print(f"{line('dcp', theirs)}\n{line('ours', mine)}  {ratio:.0f} times as fast")
    failed = False
    for save, load in LARGE:
        mine = measure("ours", save, load, options.repeat)
        bad = (
            mine["save"] + mine["load"] > options.most_seconds or mine["bytes"] > options.most_bytes
        )
        failed |= bad
        print(f"llama3-70b, {save} -> {load}\n{line('ours', mine)}{'  TOO MUCH' * bad}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

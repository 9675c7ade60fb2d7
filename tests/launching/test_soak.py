"""Hundreds of launches in a row: none fails falsely, and nothing grows. Run by `make soak`.

`DCP_TUTOR_SOAK` is the number of launches (500). The figures go to runs/soak/: a CSV with one row
a launch, and a plot.
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from dcp_tutor import RankFailed, launch
from dcp_tutor.launching import folders, warm

from .conftest import survivors, temporary_files, wait_for

pytestmark = [pytest.mark.ranks, pytest.mark.soak]

REPOSITORY = Path(__file__).parents[2]
COUNT = int(os.environ.get("DCP_TUTOR_SOAK", "500"))
COLD_EVERY = 25
LOADED_BLOCK, BLOCKS = 20, 5
"""Of every 100 launches in a row, 20 run while both cores are busy with something else."""

PROGRAMS = {
    "empty": "x = 1",
    "all_reduce": """
import torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.ones(1)
dist.all_reduce(total)
assert total.item() == dist.get_world_size()
x = 1
dist.destroy_process_group()
""",
    "fsdp": """
import torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
from torch.distributed.fsdp import fully_shard
from torch.distributed.checkpoint.state_dict import get_state_dict
dist.init_process_group("gloo")
torch.manual_seed(0)
model = torch.nn.Linear(16, 16)
fully_shard(model)
optimizer = torch.optim.Adam(model.parameters())
model(torch.randn(4, 16)).sum().backward()
optimizer.step()
states = get_state_dict(model, optimizer)
dcp.save({"model": states[0], "optimizer": states[1]}, checkpoint_id=folder)
x = 1
dist.destroy_process_group()
""",
    "fails": """
import torch, torch.distributed as dist
dist.init_process_group("gloo")
if dist.get_rank() == dist.get_world_size() - 1:
    raise ValueError("on purpose")
dist.all_reduce(torch.ones(1))
""",
}


@contextmanager
def busy_cores() -> Iterator[None]:
    """Keep two cores busy."""
    command = [sys.executable, "-S", "-c", "while True: pass"]
    loads = [subprocess.Popen(command) for _ in range(2)]
    try:
        yield
    finally:
        for load in loads:
            load.kill()
            load.wait()


def one_launch(number: int, place: Path) -> dict[str, Any]:
    """Launch once, check how it ended, and measure what there is afterwards."""
    kinds = list(PROGRAMS)
    kind, ranks = kinds[number % len(kinds)], 1 + (number // len(kinds)) % 8
    cold = number % COLD_EVERY == COLD_EVERY - 1
    inputs = {"folder": folders.run_folder() / "soak-checkpoint"} if kind == "fsdp" else {}
    problem, started = "", time.monotonic()
    try:
        run = launch(PROGRAMS[kind], nproc_per_node=ranks, inputs=inputs, outputs=["x"], cold=cold)
        ok = kind != "fails" and run.outputs["x"] == [1] * ranks
    except RankFailed as failure:
        run, problem = failure.run, str(failure)
        ok = kind == "fails" and failure.rank == ranks - 1 and "ValueError: on purpose" in problem
    except Exception as error:  # what soaking is for: note it and go on
        run, problem, ok = None, f"{type(error).__name__}: {error}", False
    seconds = time.monotonic() - started
    if run is not None and run.warm == cold:
        ok, problem = False, f"warm is {run.warm}"
    kernel, server = psutil.Process(), psutil.Process(warm.server_pid() or 0)
    # The last supervisor is reaped by the server a moment after its launch.
    wait_for(lambda: not server.children(), "the server's children reaped", 10)
    return {
        "launch": number,
        "program": kind,
        "ranks": ranks,
        "cold": int(cold),
        "ok": int(ok),
        "seconds": round(seconds, 3),
        "kernel MB": kernel.memory_info().rss / 1e6,
        "server MB": server.memory_info().rss / 1e6,
        "kernel descriptors": kernel.num_fds(),
        "server descriptors": server.num_fds(),
        "kernel threads": kernel.num_threads(),
        "processes": len(kernel.children(recursive=True)),
        "server": server.pid,
        "temporary files": len(temporary_files(place / "tmp")),
        "problem": "" if ok else problem[:500],
    }


def growth(rows: list[dict[str, Any]], what: str) -> float:
    """Return by how much a line through the second half's values rises over that half."""
    half = rows[len(rows) // 2 :]
    slope = np.polyfit(range(len(half)), [row[what] for row in half], 1)[0]
    return float(slope * len(half))


def write_table(rows: list[dict[str, Any]], folder: Path) -> None:
    """Write every launch's figures."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "soak.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def draw(rows: list[dict[str, Any]], folder: Path) -> None:
    """Draw the figures. Only at the end: each drawing leaves 5 MB in this process."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = (
        ("memory, MB", ("kernel MB", "server MB")),
        ("descriptors", ("kernel descriptors", "server descriptors")),
        ("processes, threads, files", ("processes", "kernel threads", "temporary files")),
        ("seconds", ("seconds",)),
    )
    figure, axes = plt.subplots(len(panels), 1, figsize=(9, 11), sharex=True)
    for axis, (title, names) in zip(axes, panels, strict=True):
        for name in names:
            axis.plot([row["launch"] for row in rows], [row[name] for row in rows], label=name)
        axis.set_ylabel(title)
        axis.legend(loc="upper left")
    axes[0].set_title(f"{len(rows)} launches, 1 in {COLD_EVERY} cold, 1 in {BLOCKS} under load")
    axes[-1].set_xlabel("launch")
    figure.tight_layout()
    figure.savefig(folder / "soak.png", dpi=110)
    plt.close(figure)


def test_soak(launching_place: Path, token: str) -> None:
    assert launch("x = 1").warm
    rows: list[dict[str, Any]] = []
    folder = REPOSITORY / "runs" / "soak"
    while len(rows) < COUNT:
        block = range(len(rows), min(COUNT, len(rows) + LOADED_BLOCK))
        if block.start // LOADED_BLOCK % BLOCKS == BLOCKS - 1:
            with busy_cores():
                rows += [one_launch(number, launching_place) for number in block]
        else:
            rows += [one_launch(number, launching_place) for number in block]
        write_table(rows, folder)  # a soak that is broken off has its figures too
    draw(rows, folder)
    warm_seconds = [row["seconds"] for row in rows if not row["cold"]]
    print(
        f"{len(rows)} launches, {sum(row['cold'] for row in rows)} cold; "
        f"warm median {statistics.median(warm_seconds):.2f} s, most {max(warm_seconds):.2f} s; "
        f"growth over the second half: "
        + ", ".join(f"{name} {growth(rows, name):+.2f}" for name in ("kernel MB", "server MB"))
    )
    assert [row for row in rows if not row["ok"]] == []
    assert len({row["server"] for row in rows}) == 1
    # All stay where the first launches brought them; a leak of one each time would be hundreds.
    for what in ("kernel descriptors", "server descriptors", "processes", "kernel threads"):
        assert max(row[what] for row in rows) - rows[0][what] <= 4, what
        assert rows[-1][what] <= rows[len(rows) // 2][what] + 2, what
    assert {row["temporary files"] for row in rows} == {0}
    for what, most in (("kernel MB", 10.0), ("server MB", 5.0)):
        assert growth(rows, what) < most, what
        assert rows[-1][what] - rows[len(rows) // 4][what] < 4 * most, what
    assert survivors(token, allowed=[warm.server_pid()]) == []

"""Claims of lesson 04's prose that no output beside them shows."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp

from dcp_tutor import launch

# These tests use DCP without a process group, on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is")


SAVE_04 = """
import pickle, torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
from pathlib import Path
from dcp_tutor.rank import span
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
dist.init_process_group("gloo")
sizes = {}
class Planner(dcp.DefaultSavePlanner):
    def create_local_plan(self):
        with span("local"):
            plan = super().create_local_plan()
        sizes["plan"] = len(pickle.dumps(plan))
        return plan
    def create_global_plan(self, plans):
        with span("global"):
            return super().create_global_plan(plans)
class Writer(dcp.FileSystemWriter):
    def write_data(self, plan, planner):
        with span("write"):
            written = super().write_data(plan, planner)
        sizes["report"] = len(pickle.dumps(written.value()))
        return written
    def finish(self, metadata, results):
        with span("finish"):
            super().finish(metadata, results)
mesh = init_device_mesh("cpu", (dist.get_world_size(),))
weight = distribute_tensor(torch.ones(3000, 1000), mesh, [Shard(0)])
state = {"weight": weight, "order": torch.arange(1000), "step": 1}
dcp.save(state, storage_writer=Writer(folder), planner=Planner())
committed = (Path(folder) / ".metadata").exists()
whole = tuple(weight.full_tensor().shape)
"""


@pytest.mark.ranks
def test_04_the_four_steps_of_a_save_never_overlap_and_pass_no_tensor_on(tmp_path: Path) -> None:
    run = launch(
        SAVE_04,
        nproc_per_node=3,
        inputs={"folder": str(tmp_path / "saved")},
        outputs=["sizes", "committed", "whole"],
    )

    spans = [(span.name, rank.rank, span) for rank in run.ranks for span in rank.spans]
    on = {
        step: [rank for name, rank, _ in spans if name == step]
        for step in ("local", "global", "write", "finish")
    }
    assert on == {"local": [0, 1, 2], "global": [0], "write": [0, 1, 2], "finish": [0]}
    first = {name: min(s.start for n, _, s in spans if n == name) for name in on}
    last = {name: max(s.end for n, _, s in spans if n == name) for name in on}
    assert last["local"] <= first["global"]
    assert last["global"] <= first["write"]
    assert last["write"] <= first["finish"]
    # A rank's part is 4 MB; what goes to the coordinator is the plan and the report alone.
    assert all(size < 20_000 for sizes in run.outputs["sizes"] for size in sizes.values())
    assert run.outputs["committed"] == [True] * 3, "when dcp.save returns, on any rank"
    assert run.outputs["whole"] == [(3000, 1000)] * 3, "full_tensor() is whole on every rank"


@pytest.mark.ranks
def test_04_what_every_rank_has_is_lost_with_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    launch(SAVE_04, nproc_per_node=3, inputs={"folder": str(folder)})
    stored = dcp.FileSystemReader(folder).read_metadata().storage_data
    [file] = {place.relative_path for index, place in stored.items() if index.fqn == "order"}
    assert file != "__0_0.distcp", "rank 0 has been given its rows already"

    (folder / file).unlink()
    with pytest.raises(dcp.CheckpointException, match=file):
        dcp.load({"order": torch.zeros(1000, dtype=torch.int64)}, checkpoint_id=folder)


def test_04_nothing_in_a_data_file_says_which_save_it_is_from(tmp_path: Path) -> None:
    for name in ("one", "two"):
        dcp.save({"x": torch.ones(100), "step": 1}, checkpoint_id=tmp_path / name)
    data = [(tmp_path / name / "__0_0.distcp").read_bytes() for name in ("one", "two")]

    assert data[0] == data[1]


def test_04_dcp_warns_when_it_saves_over_a_checkpoint(tmp_path: Path) -> None:
    dcp.save({"x": torch.ones(1)}, checkpoint_id=tmp_path)

    with pytest.warns(UserWarning, match="Detected an existing checkpoint"):
        dcp.save({"x": torch.ones(1)}, checkpoint_id=tmp_path)
    with pytest.raises(dcp.CheckpointException, match="Checkpoint already exists"):
        dcp.save(
            {"x": torch.ones(1)}, storage_writer=dcp.FileSystemWriter(tmp_path, overwrite=False)
        )


def test_04_dcp_brings_the_bytes_to_disk_by_itself() -> None:
    assert inspect.signature(dcp.FileSystemWriter).parameters["sync_files"].default is True


def test_04_dcp_makes_a_file_for_torch_load_out_of_a_checkpoint(tmp_path: Path) -> None:
    dcp.save({"x": torch.ones(3)}, checkpoint_id=tmp_path / "saved")
    command = [sys.executable, "-m", "torch.distributed.checkpoint.format_utils"]
    subprocess.run(
        [*command, "dcp_to_torch", str(tmp_path / "saved"), str(tmp_path / "x.pt")],
        check=True,
        capture_output=True,
        timeout=120,
    )

    assert torch.equal(torch.load(tmp_path / "x.pt")["x"], torch.ones(3))

"""Claims of the lessons' prose that no output beside them shows."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp

from dcp_tutor import RankFailed, launch


@pytest.fixture(autouse=True)
def _alone() -> object:
    """These tests use DCP without a process group, on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_01_a_checkpoint_exception_is_no_exception() -> None:
    assert issubclass(dcp.CheckpointException, BaseException)
    assert not issubclass(dcp.CheckpointException, Exception)


@pytest.mark.ranks
def test_01_dcp_raises_it_on_all_ranks_with_the_error_of_each_that_had_one(tmp_path: Path) -> None:
    program = """
import torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
dist.init_process_group("gloo")
class Bad:
    def __getstate__(self):
        raise ValueError("cannot be saved")
mine = Bad() if dist.get_rank() == 1 else torch.ones(1)
dcp.save({f"key_{dist.get_rank()}": mine}, checkpoint_id=folder)
"""
    with pytest.raises(RankFailed) as caught:
        launch(program, nproc_per_node=3, inputs={"folder": str(tmp_path)})

    errors = [rank.error for rank in caught.value.run.ranks]
    assert [error.type for error in errors if error] == ["CheckpointException"] * 3
    assert [list(error.origins) for error in errors if error] == [[1]] * 3


def test_01_a_folder_without_metadata_is_no_checkpoint(tmp_path: Path) -> None:
    dcp.save({"x": torch.ones(2)}, checkpoint_id=tmp_path)
    (tmp_path / ".metadata").unlink()

    with pytest.raises(dcp.CheckpointException, match=r"\.metadata"):
        dcp.load({"x": torch.zeros(2)}, checkpoint_id=tmp_path)


def test_01_metadata_is_written_last(tmp_path: Path) -> None:
    class Writer(dcp.FileSystemWriter):
        def finish(self, **arguments: object) -> None:  # type: ignore[override]
            self.before = sorted(path.name for path in tmp_path.iterdir())
            super().finish(**arguments)  # type: ignore[arg-type]

    writer = Writer(tmp_path)
    dcp.save({"x": torch.ones(2)}, storage_writer=writer)

    assert writer.before == ["__0_0.distcp"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".metadata", "__0_0.distcp"]


@pytest.mark.ranks
def test_01_a_whole_chunk_is_read_to_use_a_part_of_it(tmp_path: Path) -> None:
    """Prose says: load reads the chunks that hold the pieces, not just the pieces."""
    dcp.save({"x": torch.arange(1000.0)}, checkpoint_id=tmp_path)
    program = """
import torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
dist.init_process_group("gloo")
read = []
class Reader(dcp.FileSystemReader):
    def _slice_file(self, file, stored):
        read.append(stored.length)
        return super()._slice_file(file, stored)
mine = distribute_tensor(torch.zeros(1000), init_device_mesh("cpu", (4,)), [Shard(0)])
dcp.load({"x": mine}, storage_reader=Reader(folder))
needed = mine.to_local().numel() * 4
"""
    run = launch(
        program, nproc_per_node=4, inputs={"folder": str(tmp_path)}, outputs=["read", "needed"]
    )

    assert run.outputs["needed"] == [1000] * 4, "bytes that each of four ranks has a use for"
    assert all(sum(read) >= 4000 for read in run.outputs["read"]), "bytes that each reads"


def test_02_a_list_is_taken_apart_only_where_it_holds_tensors(tmp_path: Path) -> None:
    dcp.save({"plain": [1, 2], "tensors": [torch.ones(1), 2]}, checkpoint_id=tmp_path)

    keys = dcp.FileSystemReader(tmp_path).read_metadata().state_dict_metadata
    assert sorted(keys) == ["plain", "tensors.0", "tensors.1"]


def test_02_the_optimizer_brings_the_learning_rate_of_the_moment() -> None:
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.Adam([parameter], lr=1.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 0.5**n)
    optimizer.step()
    scheduler.step()

    assert optimizer.state_dict()["param_groups"][0]["lr"] == 0.5


def test_02_a_scheduler_is_a_stateful_already() -> None:
    from torch.distributed.checkpoint.stateful import Stateful

    assert issubclass(torch.optim.lr_scheduler.LambdaLR, Stateful)


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

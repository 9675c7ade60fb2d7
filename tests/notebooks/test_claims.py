"""Claims of the lessons' prose that no output beside them shows."""

from __future__ import annotations

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

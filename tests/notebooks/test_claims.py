"""Claims of the lessons' prose that no output beside them shows."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp

from dcp_tutor import RankFailed, launch, plan_load
from dcp_tutor.checkpoints import open_checkpoint


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


@pytest.mark.ranks
def test_05_all_numbers_of_a_record_are_read_to_use_a_part(tmp_path: Path) -> None:
    """The lesson counts what DCP asks for; this counts what comes from the file."""
    dcp.save({"x": torch.arange(5000.0)}, checkpoint_id=tmp_path)
    program = """
import torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
dist.init_process_group("gloo")
came = []
class Counted:
    def __init__(self, file):
        self.file = file
    def __getattr__(self, name):
        return getattr(self.file, name)
    def readinto(self, buffer):
        came.append(self.file.readinto(buffer))
        return came[-1]
class Reader(dcp.FileSystemReader):
    def _slice_file(self, file, record):
        view = super()._slice_file(file, record)
        view.base_stream = Counted(view.base_stream)
        return view
mine = distribute_tensor(torch.zeros(5000), init_device_mesh("cpu", (2,)), [Shard(0)])
dcp.load({"x": mine}, storage_reader=Reader(folder))
needed, most = mine.to_local().numel() * 4, max(came)
"""
    run = launch(
        program, nproc_per_node=2, inputs={"folder": str(tmp_path)}, outputs=["needed", "most"]
    )

    assert run.outputs == {"needed": [10_000] * 2, "most": [20_000] * 2}


def test_05_a_record_is_a_zip(tmp_path: Path) -> None:
    import io
    import zipfile

    dcp.save({"x": torch.ones(60, 256)}, checkpoint_id=tmp_path)
    [chunk] = open_checkpoint(tmp_path)["x"].chunks

    assert chunk.file is not None
    record = (tmp_path / chunk.file).read_bytes()[chunk.byte_offset :][: chunk.byte_length]
    assert zipfile.is_zipfile(io.BytesIO(record))
    assert 1000 < chunk.byte_length - 60 * 1024 < 3000, "a few KiB for two chunks of wrapping"


def test_05_a_plan_needs_no_numbers(tmp_path: Path) -> None:
    dcp.save({"x": torch.ones(60, 256)}, checkpoint_id=tmp_path)
    (tmp_path / "__0_0.distcp").unlink()

    assert plan_load(tmp_path, "fsdp=2").needed_bytes == 60 * 1024


def test_05_small_entries_are_wanted_by_every_rank(tmp_path: Path) -> None:
    dcp.save({"step": torch.tensor(3.0), "lr": 0.1}, checkpoint_id=tmp_path)
    stored = sum(entry.stored_bytes for entry in open_checkpoint(tmp_path).values())

    assert [rank.read_bytes for rank in plan_load(tmp_path, "fsdp=3").ranks] == [stored] * 3


def test_05_on_meta_the_numbers_arrive_in_the_dict_alone(tmp_path: Path) -> None:
    dcp.save({"weight": torch.ones(2)}, checkpoint_id=tmp_path)
    parameter = torch.empty(2, device="meta")
    state = {"weight": parameter}
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:  # DCP asks the process group on which device such a tensor shall get its memory
        dcp.load(state, checkpoint_id=tmp_path)
    finally:
        torch.distributed.destroy_process_group()

    assert parameter.is_meta
    assert torch.equal(state["weight"], torch.ones(2))


def test_05_the_optimizer_s_state_need_not_be_there_unless_there_are_gradients() -> None:
    from torch.distributed.checkpoint.state_dict import get_state_dict

    def state_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
        _, state = get_state_dict(model, torch.optim.Adam(model.parameters()))
        found: dict[str, torch.Tensor] = state["state"].get("weight", {})
        return found

    fresh = torch.nn.Linear(2, 2, bias=False)
    before = fresh.weight.detach().clone()
    assert set(state_of(fresh)) == {"step", "exp_avg", "exp_avg_sq"}
    assert torch.equal(state_of(fresh)["exp_avg"], torch.zeros(2, 2))
    assert torch.equal(fresh.weight, before)

    fresh(torch.ones(1, 2)).sum().backward()
    assert state_of(fresh) == {}


def test_05_bfloat16_has_8_bits_of_precision() -> None:
    assert torch.finfo(torch.bfloat16).eps == 2.0**-7  # 7 after the point, and the one before it

"""Claims of lesson 05's prose that no output beside them shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp

from dcp_tutor import launch, plan_load
from dcp_tutor.checkpoints import open_checkpoint

# These tests use DCP without a process group, on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is")


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

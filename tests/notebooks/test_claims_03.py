"""Claims of lesson 03's prose that no output beside them shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch.distributed.checkpoint as dcp

from dcp_tutor import RankTimeout, launch

# These tests use DCP without a process group, on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is")


SHARDED = """
import torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard
dist.init_process_group("gloo")
rank = dist.get_rank()
layer = nn.Linear(2, 3, bias=False)
"""


@pytest.mark.ranks
@pytest.mark.parametrize("who", ["rank == 0", "layer.weight.to_local().numel()"])
def test_03_ranks_wait_for_those_that_skip_the_gathering(who: str) -> None:
    program = f"""{SHARDED}
import time
fully_shard(layer)
layer.weight.to_local() if rank == 0 else None  # by itself: no collective
if {who}:
    layer.weight.full_tensor()
else:
    time.sleep(3600)
"""
    with pytest.raises(RankTimeout) as caught:
        launch(program, nproc_per_node=4, timeout=8)

    where = [rank.stack for rank in caught.value.run.ranks]
    waits = ["full_tensor" in stack for stack in where]
    assert waits == ([True, False, False, False] if "rank" in who else [True, True, True, False])


@pytest.mark.ranks
def test_03_every_rank_has_room_for_a_full_block() -> None:
    program = f"""{SHARDED}
fully_shard(layer)
local = layer.weight.to_local()
used, room = local.numel() * 4, local.untyped_storage().nbytes()
"""
    run = launch(program, nproc_per_node=4, outputs=["used", "room"])

    assert run.outputs["used"] == [8, 8, 8, 0]
    assert run.outputs["room"] == [8, 8, 8, 8]


@pytest.mark.ranks
def test_03_names_without_wrappers_and_values_that_are_no_copies() -> None:
    program = f"""{SHARDED}
compiled = torch.compile(layer)
names = list(compiled.state_dict()), list(get_model_state_dict(compiled))
fully_shard(layer)
here = layer.weight.to_local().data_ptr()
same = [
    state["weight"].to_local().data_ptr() == here
    for state in (layer.state_dict(), get_model_state_dict(layer))
]
everywhere = get_model_state_dict(layer, options=StateDictOptions(full_state_dict=True))
entries = {{name: tuple(tensor.shape) for name, tensor in everywhere.items()}}
"""
    run = launch(program, nproc_per_node=2, outputs=["names", "same", "entries"])

    assert run.outputs["names"][0] == (["_orig_mod.weight"], ["weight"])
    assert run.outputs["same"] == [[True, True]] * 2
    assert run.outputs["entries"] == [{"weight": (3, 2)}] * 2


@pytest.mark.ranks
def test_03_a_gathered_state_is_written_by_rank_0_alone(tmp_path: Path) -> None:
    program = f"""{SHARDED}
fully_shard(layer)
options = StateDictOptions(full_state_dict=True, cpu_offload=True)
dcp.save(get_model_state_dict(layer, options=options), checkpoint_id=folder)
"""
    launch(program, nproc_per_node=2, inputs={"folder": str(tmp_path)})

    stored = dcp.FileSystemReader(tmp_path).read_metadata().storage_data
    assert [info.relative_path for info in stored.values()] == ["__0_0.distcp"]


@pytest.mark.ranks
def test_03_groups_leave_no_trace_in_a_checkpoint(tmp_path: Path) -> None:
    program = f"""{SHARDED}
for way in ("root only", "per layer"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 5), nn.Linear(5, 3))
    if way == "per layer":
        for part in model:
            fully_shard(part)
    fully_shard(model)
    dcp.save(model.state_dict(), checkpoint_id=f"{{folder}}/{{way}}")
"""
    launch(program, nproc_per_node=4, inputs={"folder": str(tmp_path)})

    root, layers = (
        dcp.FileSystemReader(tmp_path / way).read_metadata().state_dict_metadata
        for way in ("root only", "per layer")
    )
    assert root == layers
    assert len(root["0.weight"].chunks) == 4

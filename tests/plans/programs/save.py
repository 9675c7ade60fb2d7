"""Four ranks train a step and save, over three meshes. Inputs: `root`. Plain torch."""

import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from a_net import build
from torch.distributed.checkpoint._nested_dict import flatten_state_dict
from torch.distributed.device_mesh import init_device_mesh

dist.init_process_group("gloo")
orders, placements = {}, {}
for name, shape, axes in (
    ("fsdp", (4,), ("fsdp",)),
    ("hsdp", (2, 2), ("replicate", "shard")),
    ("two", (2, 2), ("dp", "tp")),
):
    state = build(init_device_mesh("cpu", shape, mesh_dim_names=axes))
    dcp.save(state, checkpoint_id=f"{root}/{name}")  # noqa: F821
    flat = flatten_state_dict(state)[0]
    orders[name] = list(flat)
    placements[name] = {k: repr(v.placements) for k, v in flat.items() if hasattr(v, "placements")}
dist.barrier()
dist.destroy_process_group()

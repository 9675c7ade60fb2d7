"""Eight ranks save and load a weight that FSDP2 (4) and tensor parallelism (2) cut unevenly.

Inputs: `path`, `columns`. Plain torch. It ends without an error, and that is the point.
"""

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

dist.init_process_group("gloo")
mesh = init_device_mesh("cpu", (4, 2), mesh_dim_names=("dp", "tp"))
model = nn.Sequential(nn.Linear(columns, 9, bias=False))  # noqa: F821
with torch.no_grad():
    model[0].weight.copy_(torch.arange(1.0, 9 * columns + 1).reshape(9, columns))  # noqa: F821
parallelize_module(model, mesh["tp"], {"0": ColwiseParallel()})
fully_shard(model, mesh=mesh["dp"])
weight = model[0].weight
held = weight.to_local().tolist()
dcp.save({"w": weight}, checkpoint_id=path)  # noqa: F821
with torch.no_grad():
    weight.to_local().zero_()
dcp.load({"w": weight}, checkpoint_id=path)  # noqa: F821
loaded = weight.to_local().tolist()
dist.barrier()
dist.destroy_process_group()

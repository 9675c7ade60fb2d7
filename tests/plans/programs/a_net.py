"""A small model and its state dict, over any mesh: shared by the programs of these tests."""

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net1 = nn.Linear(6, 10)
        self.net2 = nn.Linear(10, 6)
        self.norm = nn.LayerNorm(6)

    def forward(self, x):
        return self.norm(self.net2(self.net1(x).relu()))


def build(mesh):
    model = Net()
    names = mesh.mesh_dim_names
    if "tp" in names:
        parallelize_module(
            model, mesh["tp"], {"net1": ColwiseParallel(), "net2": RowwiseParallel()}
        )
    fully_shard(model, mesh=mesh[tuple(name for name in names if name != "tp")])
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(4, 6)).sum().backward()
    optimizer.step()
    model_state, optimizer_state = get_state_dict(model, optimizer)
    return {"app": {"model": model_state, "optim": optimizer_state}, "step": 3, "text": "x" * 50}

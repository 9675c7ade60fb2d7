"""Writes many checkpoints with real ranks: `python saves.py OUT`. Used by conftest.py.

Plain torch, knowing nothing of the kit. One job for all, because starting ranks costs more than
saving: the parent imports torch once, forks the ranks, and each goes through every case. Beside
each checkpoint NAME lies NAME.expected.pt, {fqn: full tensor}, from which the tests know what a
reader must see.
"""

from __future__ import annotations

import os
import random
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.state_dict import get_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

WORLD = 4
NUM_RANDOM = 100
warnings.filterwarnings("ignore")


class Job:
    """What every case needs: this rank, the folder, the meshes."""

    def __init__(self, out: Path, rank: int) -> None:
        self.out = out
        self.rank = rank
        self.line = init_device_mesh("cpu", (WORLD,), mesh_dim_names=("fsdp",))
        self.grid = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))

    def save(self, name: str, state: dict[str, Any], **options: Any) -> None:
        planner = options.pop("planner", None)
        writer = dcp.FileSystemWriter(self.out / name, **options, sync_files=False)
        dcp.save(state, storage_writer=writer, planner=planner)
        self.expect(name, state)

    def expect(self, name: str, state: dict[str, Any]) -> None:
        flat = {fqn: full(value) for fqn, value in flatten(state).items()}
        if self.rank == 0:
            torch.save({k: v for k, v in flat.items() if v is not None}, self.path(name))

    def path(self, name: str) -> Path:
        return self.out / f"{name}.expected.pt"


def full(value: Any) -> Any:
    if hasattr(value, "whole"):
        return value.whole
    if isinstance(value, DTensor):
        return value.full_tensor().detach()
    return value.detach() if isinstance(value, torch.Tensor) else None


def flatten(state: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in state.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def counting(*shape: int, dtype: torch.dtype = torch.float32, start: int = 0) -> torch.Tensor:
    numel = 1
    for size in shape:
        numel *= size
    return (torch.arange(start, start + numel) % 119).to(dtype).reshape(shape)


def sharded(mesh: DeviceMesh, placements: Any, *shape: int, **options: Any) -> DTensor:
    return distributed(counting(*shape, **options), mesh, placements)


def distributed(tensor: torch.Tensor, mesh: DeviceMesh, placements: Any) -> DTensor:
    # No communication (src_data_rank=None): gloo does not carry every dtype.
    value = distribute_tensor(tensor, mesh, placements, src_data_rank=None)
    value.whole = tensor
    return value


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net1 = nn.Linear(8, 16)
        self.net2 = nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net2(self.net1(x).relu())


def trained(job: Job, tensor_parallel: bool) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = Net()
    if tensor_parallel:
        plan = {"net1": ColwiseParallel(), "net2": RowwiseParallel()}
        parallelize_module(model, job.grid["tp"], plan)
        fully_shard(model, mesh=job.grid["dp"])
    else:
        fully_shard(model, mesh=job.line)
    optim = torch.optim.AdamW(model.parameters())
    model(torch.ones(4, 8)).sum().backward()
    optim.step()
    return model, optim


def fsdp(job: Job) -> None:
    model, optim = trained(job, tensor_parallel=False)
    model_state, optim_state = get_state_dict(model, optim)
    job.save("fsdp", {"app": {"model": model_state, "optim": optim_state}, "step": 3})
    # What others' trainers save, by the keys of their own code. torchtitan: the model's keys at
    # the root, all else below names (its CheckpointManager).
    flat = {**model_state, "optimizer": optim_state, "train_state": {"step": torch.tensor(3)}}
    job.save("like_torchtitan", {**flat, "lr_scheduler": {"last_epoch": 3}, "dataloader": [1, 2]})
    # Lightning: FSDPStrategy and ModelParallelStrategy, with the rest in meta.pt beside it.
    job.save("like_lightning_fsdp", {"model": model_state, "optimizer_0": optim_state})
    job.save("like_lightning_parallel", {"state_dict": model_state, "optimizer_0": optim_state})
    if job.rank == 0:
        for name in ("like_lightning_fsdp", "like_lightning_parallel"):
            torch.save({"epoch": 1}, job.out / name / "meta.pt")
    # accelerate: two checkpoints, pytorch_model_fsdp_0/ and optimizer_0/ (utils/fsdp_utils.py).
    job.save("like_accelerate_model", {"model": model_state}, planner=DefaultSavePlanner())
    job.save("like_accelerate_optim", {"optimizer": optim_state}, planner=DefaultSavePlanner())


def two_dimensional(job: Job) -> None:
    model, optim = trained(job, tensor_parallel=True)  # FSDP over TP: _StridedShard
    model_state, optim_state = get_state_dict(model, optim)
    job.save("strided", {"app": {"model": model_state, "optim": optim_state}})


def shapes(job: Job) -> None:
    job.save(
        "shapes",
        {
            "scalar": torch.tensor(2.5),
            "int_scalar": torch.tensor(7),
            "replicated": counting(3, 5),
            "replicated_dtensor": sharded(job.line, [Replicate()], 3, 5),
            "rows": sharded(job.line, [Shard(0)], 8, 3),
            "columns": sharded(job.line, [Shard(1)], 3, 8),
            "uneven": sharded(job.line, [Shard(0)], 7, 3),
            "empty_shards": sharded(job.line, [Shard(0)], 2, 3),
            "grid": sharded(job.grid, [Shard(0), Shard(1)], 6, 10),
            "hybrid": sharded(job.grid, [Replicate(), Shard(0)], 6, 2),
            "same_dim_twice": sharded(job.grid, [Shard(0), Shard(0)], 9, 2),
            "cube": sharded(job.grid, [Shard(2), Shard(0)], 4, 3, 5),
            "four": sharded(job.line, [Shard(3)], 2, 1, 3, 8),
            "no_elements": counting(0, 4),
            "no_elements_sharded": sharded(job.line, [Shard(0)], 0, 4),
            "half": sharded(job.line, [Shard(0)], 8, dtype=torch.bfloat16),
            "float8": counting(8).to(torch.float8_e4m3fn),
            "flags": sharded(job.line, [Shard(0)], 8, dtype=torch.bool),
            "unsigned": counting(5, dtype=torch.uint16),
            "complex": counting(4).to(torch.complex64).conj(),
            "transposed": counting(4, 6).t(),
            "parameter": nn.Parameter(counting(3)),
        },
    )


def forms(job: Job) -> None:
    state = {
        "w": sharded(job.line, [Shard(0)], 16, 4),
        "deep": {"er": {"v": counting(6), "list": [counting(2), {"x": 1}], "text": "hello"}},
        "step": 3,
        "config": {"lr": 0.1, "betas": (0.9, 0.95), "none": None},
    }
    plain = {"w": state["w"], "deep.er.v": state["deep"]["er"]["v"]}
    writer = dcp.FileSystemWriter
    dcp.save(state, storage_writer=writer(job.out / "nested", sync_files=False))
    job.expect("nested", plain)
    job.save("file_per_item", {**plain, "step": 3}, single_file_per_rank=False)
    job.save("threads", {**plain, "more": counting(9), "step": 3}, thread_count=3)
    unflattened = DefaultSavePlanner(flatten_state_dict=False)
    job.save("unflattened", {**plain, "all": [1, 2]}, planner=unflattened)
    for turn in range(3):
        caching = DefaultSavePlanner(enable_plan_caching=True)
        job.save(f"cached_{turn}", {**plain, "step": "x" * turn}, planner=caching)
    group = dist.new_group(backend="gloo")
    future = dcp.async_save(
        state, storage_writer=writer(job.out / "async", sync_files=False), process_group=group
    )
    future.result()
    job.expect("async", plain)
    dcp.save(
        {**plain, "step": 3, "own": job.rank},
        storage_writer=writer(job.out / "rank_local", sync_files=False),
        use_collectives=False,
    )
    job.expect("rank_local", plain)
    dist.barrier()


def again(job: Job) -> None:
    """A second save of the same keys, of which some differ: what diff is for."""
    model, optim = trained(job, tensor_parallel=False)
    with torch.no_grad():
        for parameter in model.net1.parameters():
            parameter.to_local().add_(0.25)
    model_state, optim_state = get_state_dict(model, optim)
    job.save("fsdp_later", {"app": {"model": model_state, "optim": optim_state}, "step": 4})


def random_topologies(job: Job) -> None:
    """Checkpoints of random shapes, placements, dtypes and writer options, all of them sound."""
    dice = random.Random(5)
    dtypes = [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.float8_e5m2]
    for number in range(NUM_RANDOM):
        state: dict[str, Any] = {}
        for key in range(dice.randint(1, 5)):
            shape = [dice.choice([0, 1, 2, 3, 5, 8, 13]) for _ in range(dice.randint(0, 4))]
            mesh = dice.choice([job.line, job.grid])
            choices: list[Any] = [Replicate(), *[Shard(dim) for dim in range(len(shape))]]
            placements = [dice.choice(choices) for _ in range(mesh.ndim)]
            tensor = counting(*shape, dtype=dice.choice(dtypes), start=key)
            kind = dice.random()
            value: Any = tensor if kind < 0.2 else distributed(tensor, mesh, placements)
            state[f"t{key}"] = value if dice.random() < 0.7 else {"in.ner": value}
        if dice.random() < 0.5:
            state["blob"] = dice.choice([None, 3, "text", [1, 2]])
        options = {
            "single_file_per_rank": dice.random() < 0.7,
            "thread_count": dice.choice([1, 1, 2, 3]),
        }
        planner = DefaultSavePlanner(dedup_save_to_lowest_rank=dice.random() < 0.3)
        job.save(f"random_{number}", state, planner=planner, **options)


CASES = (fsdp, two_dimensional, shapes, forms, again, random_topologies)


def work(out: Path, rank: int) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = dist.FileStore(str(out / "store"), WORLD)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=WORLD)
    job = Job(out, rank)
    for case in CASES:
        case(job)
    dist.barrier()


class Dying(dcp.FileSystemWriter):
    """A writer that is killed at a given point of a save."""

    point = ""

    def write_data(self, plan: Any, planner: Any) -> Any:
        if self.point == "before_data":
            os._exit(9)
        if self.point == "in_data":
            resolve, seen = planner.resolve_data, []

            def resolve_some(item: Any) -> Any:
                seen.append(item)
                if len(seen) == 3:
                    os._exit(9)
                return resolve(item)

            planner.resolve_data = resolve_some
        return super().write_data(plan, planner)

    def finish(self, metadata: Any, results: Any) -> None:
        if self.point == "before_metadata":
            os._exit(9)
        if self.point == "before_rename":
            self.fs.rename = lambda *_: os._exit(9)
        super().finish(metadata, results)


POINTS = ("before_data", "in_data", "before_metadata", "before_rename")


def die(out: Path, point: str, over: bool) -> None:
    torch.set_num_threads(1)
    path = out / f"killed_{point}{'_over' if over else ''}"
    if over:
        old = {f"w{n}": torch.full((50,), 1.0) for n in range(5)}
        dcp.save(old, storage_writer=dcp.FileSystemWriter(path), no_dist=True)
    writer = Dying(path)
    writer.point = point
    new = {f"w{n}": torch.full((50,), 2.0) for n in range(5)}
    dcp.save(new, storage_writer=writer, no_dist=True)


def in_fork(function: Any, *arguments: Any) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function(*arguments)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)  # gloo's threads may abort an orderly exit of the interpreter
    return pid


def main() -> None:
    out = Path(sys.argv[1])
    pids = [in_fork(work, out, rank) for rank in range(WORLD)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    for point in POINTS:
        for over in (False, True):
            os.waitpid(in_fork(die, out, point, over), 0)
    sys.exit(max(codes, key=abs))


if __name__ == "__main__":
    main()

"""Pictures of every kind, in the sizes that break drawings, and with names that break markup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

from dcp_tutor.checkpoints import Blob, Checkpoint, Entry, File, Folder, Tensor
from dcp_tutor.launching.run import RankRun, Run, Span
from dcp_tutor.layouts import Layout
from dcp_tutor.plans import LoadPlan, SavePlan, model_shapes, plan_load, plan_save
from dcp_tutor.views.pictures import (
    Picture,
    balance,
    file_map,
    overlap_map,
    shard_map,
    timeline,
)

HOSTILE = "</text></svg><script>alert('&\"1\"')</script>\x00\u202e]]>--><style>"
GRID = Layout.parse("dp=2,tp=2", {"*": "Shard(0), Shard(1)"})
STRIDED = Layout.parse("dp=2,tp=2", {"*": "Shard(0), Shard(0)"})
W2 = "layers.0.feed_forward.w2.weight"


@cache
def llama(layout: str) -> SavePlan:
    return plan_save(model_shapes("llama3-70b"), layout)


@cache
def layer(layout: str) -> SavePlan:
    """The first tensors of the same, which is enough for files."""
    return plan_save(dict(list(model_shapes("llama3-70b").items())[:21]), layout)


def checkpoint_of(plan: SavePlan, blobs: int = 0, name: str = "step-3") -> Checkpoint:
    """A checkpoint as this save would leave it, with further objects at the files' ends."""
    entries: dict[str, Entry] = dict(plan.tensors)
    ends: dict[str, int] = {}
    for tensor in plan.tensors.values():
        for chunk in tensor.chunks:
            assert chunk.file is not None
            ends[chunk.file] = max(ends.get(chunk.file, 0), chunk.byte_offset + chunk.byte_length)
    for number in range(blobs):
        file = list(ends)[number % len(ends)]
        entries[f"optim.param_groups.{number}"] = Blob(
            f"optim.param_groups.{number}", file, ends[file], 1261
        )
        ends[file] += 1261
    files = {file: File(file, end) for file, end in ends.items()}
    files[".metadata"] = File(".metadata", 2439)
    return Checkpoint(
        Folder.at(f"memory://pictures/{name}"), MappingProxyType(entries), MappingProxyType(files)
    )


def save_of(shape: tuple[int, ...], layout: Layout | str, name: str = "w") -> SavePlan:
    return plan_save({name: shape}, layout)


def load_of(
    shape: tuple[int, ...], saved: Layout | str, loaded: Layout | str, name: str = "w"
) -> LoadPlan:
    return plan_load(save_of(shape, saved, name), loaded)


def run_of(*ranks: list[tuple[str, float, float]], name: str = "save") -> Run:
    found = tuple(
        RankRun(rank=rank, spans=tuple(Span(*span) for span in spans))
        for rank, spans in enumerate(ranks)
    )
    return Run(
        name=name, command="", program=Path(), folder=Path(), ok=True, status=0, seconds=1.0,
        warm=True, device="cpu", ranks=found,
    )  # fmt: skip


def many_spans(ranks: int, steps: int) -> Run:
    def one(rank: int) -> list[tuple[str, float, float]]:
        spans = []
        for step in range(steps):
            start = 3 + step * 0.5 + rank % 7 * 0.01
            stop = start + 0.1 + (rank * 31 + step * 17) % 23 / 100
            spans += [("step", start - 0.02, start), ("save", start, stop)]
            spans += [("write", start + 0.01, stop - 0.01), ("barrier", stop + 0.05, stop + 0.0501)]
        return spans

    return run_of(*map(one, range(ranks)))


def optimizer() -> SavePlan:
    weights = {f"model.net{n}.{kind}": shape for n in (1, 2) for kind, shape in
               (("weight", (16, 8)), ("bias", (16,)))}  # fmt: skip
    states = {
        f"optim.state.{fqn}.{state}": () if state == "step" else shape
        for fqn, shape in weights.items()
        for state in ("exp_avg", "exp_avg_sq", "step")
    }
    return plan_save(weights | states, "fsdp=4")


def damaged() -> Checkpoint:
    whole = checkpoint_of(optimizer(), blobs=6)
    files = dict(whole.files)
    del files["__1_0.distcp"]
    files["__2_0.distcp"] = File("__2_0.distcp", files["__2_0.distcp"].size_bytes - 1300)
    files["__3_0.distcp"] = File("__3_0.distcp", files["__3_0.distcp"].size_bytes + 5000)
    files["__7_0.distcp"] = File("__7_0.distcp", 4000)
    return Checkpoint(whole.folder, whole.entries, MappingProxyType(files))


def torn() -> Checkpoint:
    """A checkpoint of which a chunk is missing in the metadata."""
    whole = checkpoint_of(save_of((10, 8), "fsdp=4"))
    tensor = whole["w"]
    assert isinstance(tensor, Tensor)
    entries = {"w": replace(tensor, chunks=(*tensor.chunks[:1], *tensor.chunks[2:]))}
    return Checkpoint(whole.folder, MappingProxyType(entries), whole.files)


PICTURES: dict[str, Callable[[], Picture]] = {
    "shards": lambda: shard_map((10, 8), "fsdp=4", fqn="net1.weight"),
    "shards, 3 rows on 4 ranks": lambda: shard_map((3, 8), "fsdp=4"),
    "shards, 1-D": lambda: shard_map((10,), "fsdp=4"),
    "shards, scalar": lambda: shard_map((), "fsdp=4"),
    "shards, no elements": lambda: shard_map((6, 0), "fsdp=4"),
    "shards, HSDP": lambda: shard_map((16, 8), "replicate=2,shard=4"),
    "shards, grid": lambda: shard_map((16, 8), GRID),
    "shards, strided": lambda: shard_map((16, 8), STRIDED),
    "shards, 4-D": lambda: shard_map((64, 32, 3, 3), "dp=2,tp=4:Shard(1),cp=3:Shard(2)"),
    "shards, 64": lambda: shard_map((8192, 28672), "fsdp=64", fqn=W2),
    "shards, 1024": lambda: shard_map((700, 64), "fsdp=1024", fqn="name." * 40 + "weight"),
    "shards, 1024 grid": lambda: shard_map((8192, 28672), "fsdp=32,tp=32:Shard(1)", fqn=W2),
    "shards, 1024 tp": lambda: shard_map((8192, 28672), "fsdp=128,tp=8:Shard(1)", fqn=W2),
    "shards, 1024 HSDP": lambda: shard_map((8192, 28672), "replicate=128,shard=8", fqn=W2),
    "shards, misplaced": lambda: shard_map((9, 4), "dp=4,tp=2:Shard(0)"),
    "shards, saved": lambda: shard_map(optimizer().tensors["model.net1.weight"]),
    "shards, hostile": lambda: shard_map((10, 8), "fsdp=4", fqn=HOSTILE),
    "files": lambda: file_map(checkpoint_of(save_of((10, 8), "fsdp=4"))),
    "files, optimizer": lambda: file_map(checkpoint_of(optimizer(), blobs=6)),
    "files, damaged": lambda: file_map(damaged()),
    "files, 1024": lambda: file_map(checkpoint_of(layer("fsdp=1024"), blobs=20)),
    "files, many records": lambda: file_map(checkpoint_of(llama("fsdp=4"), blobs=900)),
    "files, hostile": lambda: file_map(
        checkpoint_of(save_of((10, 8), "fsdp=4", HOSTILE), name="<b>&")
    ),
    "overlap, 2": lambda: overlap_map(load_of((10, 8), "fsdp=4", "fsdp=2")),
    "overlap, 3": lambda: overlap_map(load_of((10, 8), "fsdp=4", "fsdp=3")),
    "overlap, 8": lambda: overlap_map(load_of((10, 8), "fsdp=4", "fsdp=8")),
    "overlap, one rank": lambda: overlap_map(load_of((10, 8), "fsdp=4", "fsdp=3"), rank=1),
    "overlap, idle rank": lambda: overlap_map(load_of((3, 8), "fsdp=4", "fsdp=8"), rank=7),
    "overlap, HSDP": lambda: overlap_map(load_of((16, 8), "fsdp=4", "replicate=2,shard=2")),
    "overlap, grid to rows": lambda: overlap_map(load_of((16, 8), GRID, "fsdp=3")),
    "overlap, rows to grid": lambda: overlap_map(load_of((16, 8), "fsdp=4", GRID)),
    "overlap, strided": lambda: overlap_map(load_of((16, 8), STRIDED, "fsdp=3")),
    "overlap, 4-D": lambda: overlap_map(
        load_of((64, 32, 3, 3), "dp=4,tp=4:Shard(1)", "dp=2,tp=3:Shard(1)")
    ),
    "overlap, scalar": lambda: overlap_map(load_of((), "fsdp=4", "fsdp=3")),
    "overlap, 1-D": lambda: overlap_map(load_of((700,), "fsdp=4", "fsdp=3")),
    "overlap, 1024 to 768": lambda: overlap_map(
        plan_load(llama("fsdp=1024"), "fsdp=768", only=[W2])
    ),
    "overlap, 1024 to one": lambda: overlap_map(plan_load(llama("fsdp=1024"), "single", only=[W2])),
    "overlap, one to 1024": lambda: overlap_map(load_of((8192, 64), "single", "fsdp=1024")),
    "overlap, 1024 grid": lambda: overlap_map(
        load_of((8192, 28672), "fsdp=128,tp=8:Shard(1)", "fsdp=96,tp=8:Shard(1)")
    ),
    "overlap, misplaced": lambda: overlap_map(load_of((9, 4), "fsdp=4", "dp=4,tp=2:Shard(0)")),
    "overlap, a chunk is gone": lambda: overlap_map(plan_load(torn(), "fsdp=2"), "w"),
    "overlap, hostile": lambda: overlap_map(load_of((10, 8), "fsdp=4", "fsdp=3", HOSTILE)),
    "balance, save": lambda: balance(plan_save({"w": (10, 8), "s": ()}, "replicate=2,shard=4")),
    "balance, load": lambda: balance(plan_load(optimizer(), "fsdp=3")),
    "balance, 1024 alike": lambda: balance(llama("fsdp=1024")),
    "balance, 1024 replicas": lambda: balance(llama("replicate=128,shard=8")),
    "balance, 768": lambda: balance(plan_load(llama("fsdp=1024"), "fsdp=768")),
    "timeline": lambda: timeline(many_spans(4, 1)),
    "timeline, 40": lambda: timeline(many_spans(40, 3)),
    "timeline, 1024": lambda: timeline(many_spans(1024, 2)),
    "timeline, many spans": lambda: timeline(many_spans(3, 100)),
    "timeline, hostile": lambda: timeline(run_of([(HOSTILE, 0, 1)], [], name=HOSTILE)),
}
"""Name → a function that draws it."""


@cache
def picture(name: str) -> Picture:
    return PICTURES[name]()

"""Plans equal what real ranks wrote, and what DCP opened and read on real ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcp_tutor.checkpoints import open_checkpoint
from dcp_tutor.layouts import Layout, placement_text
from dcp_tutor.plans import plan_load, plan_save

from .conftest import TEXTS, Saved, launch_program, layout_of

pytestmark = pytest.mark.ranks

# Checkpoint, and the layout of the ranks that load it.
LOADS = {
    4: [("fsdp", "replicate=2,shard=2"), ("hsdp", "dp=2,tp=2"), ("two", "fsdp=4")],
    3: [("fsdp", "fsdp=3"), ("two", "fsdp=3"), ("hsdp", "fsdp=3")],
}


@pytest.mark.parametrize("name", TEXTS)
def test_placements(name: str, saved: Saved) -> None:
    layout = layout_of(TEXTS[name])
    checkpoint = open_checkpoint(saved.root / name)
    for placements in saved.placements:
        assert len(placements[name]) == 18  # 6 parameters, 2 states of each
        for fqn, said in placements[name].items():
            mine = ", ".join(map(placement_text, layout.placements(fqn, checkpoint[fqn].shape)))
            mine = mine.replace("Shard(", "Shard(dim=").replace("split_factor", "sf")
            if "norm" in fqn:  # no tensor parallelism: its mesh has the other axes alone
                mine = mine.replace("Shard(dim=0), Replicate()", "Shard(dim=0),")
            mine = f"{mine}," if name == "fsdp" else mine
            assert f"({mine})" == said
    assert any("_Strided" in said for said in saved.placements[0]["two"].values())


@pytest.mark.parametrize("name", TEXTS)
def test_writes(name: str, saved: Saved) -> None:
    checkpoint = open_checkpoint(saved.root / name)
    state = {fqn: checkpoint[fqn] for fqn in saved.orders[name]}
    plan = plan_save(state, layout_of(TEXTS[name]))
    assert plan.keys() == checkpoint.tensors.keys()
    for fqn, tensor in checkpoint.tensors.items():
        written = [(chunk.offsets, chunk.sizes, chunk.file) for chunk in tensor.chunks]
        planned = [(c.offsets, c.sizes, c.file) for c in plan.tensors[fqn].chunks]
        assert planned == written, fqn
        assert [(w.box.offsets, w.rank) for w in plan[fqn].writes] == [
            (chunk.offsets, chunk.rank) for chunk in tensor.chunks
        ]
        assert plan[fqn].nbytes == tensor.tensor_bytes
    assert plan.blob_ranks == {fqn: blob.rank for fqn, blob in checkpoint.blobs.items()}
    assert plan.written_bytes == checkpoint.tensor_bytes
    copies = 2 if name == "hsdp" else 1
    assert plan.held_bytes >= copies * plan.written_bytes


@pytest.mark.parametrize("name", TEXTS)
def test_the_order_in_files(name: str, saved: Saved) -> None:
    checkpoint = open_checkpoint(saved.root / name)
    plan = plan_save({f: checkpoint[f] for f in saved.orders[name]}, layout_of(TEXTS[name]))
    for rank in range(4):
        file = f"__{rank}_0.distcp"

        def order(tensors: Any, file: str = file) -> list[str]:
            chunks = [
                (chunk.byte_offset, chunk.byte_length, fqn)
                for fqn, tensor in tensors.items()
                for chunk in tensor.chunks
                if chunk.file == file and chunk.numel
            ]
            return [fqn for _, _, fqn in sorted(chunks)]

        assert order(plan.tensors) == order(checkpoint.tensors) != []


@pytest.mark.parametrize("ranks", LOADS)
def test_what_dcp_opens_and_reads(ranks: int, saved: Saved) -> None:
    sides = []
    for name, text in LOADS[ranks]:
        layout = layout_of(text)
        sides.append([name, list(layout.mesh_shape), list(layout.axis_names)])
    inputs = {"root": str(saved.root), "sides": sides}
    run = launch_program("load", ranks, inputs, ["counts"])
    for number, (name, text) in enumerate(LOADS[ranks]):
        plan = plan_load(saved.root / name, layout_of(text))
        assert plan.amplification > 1
        for rank, of_rank in enumerate(run.outputs["counts"]):
            seen, mine = of_rank[number], plan.ranks[rank]
            assert len(seen["opened"]) == len(set(seen["opened"])) == mine.files
            assert len(seen["records"]) == mine.reads
            assert sum(length for _, _, length in seen["records"]) == mine.read_bytes
            planned = [
                [read.chunk.file, read.chunk.byte_offset, read.read_bytes]
                for read in plan.reads(rank=rank)
            ] + [[blob.file, blob.byte_offset, blob.byte_length] for blob in plan.blobs]
            assert sorted(planned) == sorted(seen["records"])
            for touched, (_, _, length) in zip(seen["touched"], seen["records"], strict=True):
                assert touched == length


def test_what_is_misplaced_is_lost_without_an_error(tmp_path: Path, runs_here: None) -> None:
    """Torch 2.13; see `Layout.misplaced`. Where torch mends it, this fails."""
    inputs = {"path": str(tmp_path / "c"), "columns": 4}
    run = launch_program("misplace", 8, inputs, ["held", "loaded"])
    ranks = Layout.parse("dp=4,tp=2:Shard(0)").misplaced("w", (9, 4))
    lost = [rank for rank in range(8) if run.outputs["loaded"][rank] != run.outputs["held"][rank]]
    assert ranks == (6, 7) and lost == [7]
    assert run.outputs["held"][7] == [[33.0, 34.0, 35.0, 36.0]]
    assert run.outputs["loaded"][7] == [[0.0] * 4]
    checkpoint = open_checkpoint(tmp_path / "c")
    # Its boxes fill the tensor, and rows of 16 bytes hide in the records' wrapping.
    assert checkpoint.verify().sound and not checkpoint.verify(deep=True).sound
    assert plan_save(checkpoint, "dp=4,tp=2:Shard(0)").misplaced == {"w": (6, 7)}


@pytest.mark.parametrize(
    ("columns", "code", "told"),
    [
        (256, "record-size-odd", "the chunk at (8, 0) of (1, 256) has about 1,0"),
        (1024, "chunk-too-short", "the chunk at (8, 0) has 4,096 bytes of elements, but 1,5"),
    ],
)
def test_what_is_misplaced_shows_in_the_sizes_of_records(
    columns: int, code: str, told: str, tmp_path: Path, runs_here: None
) -> None:
    """One record has a row too few, another one a row that its box has not."""
    launch_program("misplace", 8, {"path": str(tmp_path / "c"), "columns": columns}, [])
    checkpoint = open_checkpoint(tmp_path / "c")
    [finding] = checkpoint.verify()
    assert (finding.code, finding.fqn, finding.file) == (code, "w", "__6_0.distcp")
    assert told in finding.message
    if code == "record-size-odd":
        assert "bytes too few" in finding.message
        assert "(2 of its 8 records are odd)" in finding.message
    deep = [(f.code, f.file) for f in checkpoint.verify(deep=True) if f.code == "record-differs"]
    assert deep == [("record-differs", "__6_0.distcp"), ("record-differs", "__7_0.distcp")]

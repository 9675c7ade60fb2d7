from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp
from checkpoint_making import edit_metadata, grid, save
from torch.distributed.checkpoint._fsspec_filesystem import FsspecWriter
from torch.distributed.checkpoint.metadata import Metadata

from dcp_tutor.checkpoints import Blob, Chunk, Tensor, open_checkpoint
from dcp_tutor.errors import CheckpointUnreadable, UsageError

NAMED = [
    *("fsdp", "strided", "shapes", "like_torchtitan", "like_lightning_fsdp"),
    *("like_lightning_parallel", "like_accelerate_model", "like_accelerate_optim"),
    *("nested", "file_per_item", "threads", "unflattened", "cached_0", "cached_1", "cached_2"),
    *("async", "rank_local", "fsdp_later"),
]


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    raw = [t.resolve_conj().contiguous().reshape(-1).view(torch.uint8) for t in (one, other)]
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(*raw)


@pytest.mark.parametrize("name", NAMED)
def test_every_form_is_opened_and_read_right(saves: Path, name: str) -> None:
    checkpoint = open_checkpoint(saves / name)
    expected = torch.load(saves / f"{name}.expected.pt")
    assert len(expected) >= 2
    for fqn, tensor in expected.items():
        entry = checkpoint[fqn]
        assert isinstance(entry, Tensor)
        assert (entry.dtype, entry.shape) == (tensor.dtype, tuple(tensor.shape))
        assert same(entry.read(), tensor)


@pytest.mark.parametrize("name", NAMED)
def test_what_is_said_is_what_torch_says(saves: Path, name: str) -> None:
    """The nouns against torch's own objects, entry by entry, chunk by chunk."""
    checkpoint = open_checkpoint(saves / name, rank=0 if name == "rank_local" else None)
    file = "__0.metadata" if name == "rank_local" else ".metadata"
    metadata: Metadata = pickle.loads((saves / name / file).read_bytes())
    assert list(checkpoint) == list(metadata.state_dict_metadata)
    for fqn, said in metadata.state_dict_metadata.items():
        entry = checkpoint[fqn]
        path = metadata.planner_data and metadata.planner_data.get(fqn)
        assert entry.path == (path or None)
        if isinstance(entry, Blob):
            assert type(said).__name__ == "BytesStorageMetadata"
            continue
        boxes = [(tuple(c.offsets), tuple(c.sizes)) for c in said.chunks]
        assert [(c.offsets, c.sizes) for c in entry.chunks] == boxes
        for chunk in entry.chunks:
            index = dcp.metadata.MetadataIndex(fqn, chunk.offsets)
            info = metadata.storage_data[index]
            place = (info.relative_path, info.offset, info.length)
            assert (chunk.file, chunk.byte_offset, chunk.byte_length) == place


def test_chunks_of_fsdp_over_tensor_parallel(saves: Path) -> None:
    tensor = open_checkpoint(saves / "strided")["app.model.net1.weight"]
    assert isinstance(tensor, Tensor)
    assert sorted(c.offsets for c in tensor.chunks) == [(0, 0), (4, 0), (8, 0), (12, 0)]
    # Two shards of a strided layout lie in another order than the ranks that wrote them.
    ranks = [chunk.rank for chunk in sorted(tensor.chunks, key=lambda c: c.offsets)]
    assert sorted(ranks) == [0, 1, 2, 3] and ranks != [0, 1, 2, 3]


def test_empty_shards_are_one_chunk_of_no_elements(saves: Path) -> None:
    tensor = open_checkpoint(saves / "shapes")["empty_shards"]
    assert isinstance(tensor, Tensor)
    assert [c.sizes for c in tensor.chunks if c.numel == 0] == [(0, 3)]


def test_totals(saves: Path) -> None:
    checkpoint = open_checkpoint(saves / "fsdp")
    model = [t for fqn, t in checkpoint.tensors.items() if fqn.startswith("app.model.")]
    assert sum(t.tensor_bytes for t in model) == 4 * (8 * 16 + 16 + 16 * 8 + 8)
    sizes = {name: file.size_bytes for name, file in checkpoint.files.items()}
    assert checkpoint.bytes_by_file() == {
        f"__{r}_0.distcp": sizes[f"__{r}_0.distcp"] for r in range(4)
    }
    assert checkpoint.stored_bytes == sum(checkpoint.bytes_by_file().values())
    assert checkpoint.saved_to == str(saves / "fsdp")
    assert checkpoint.version == "1.0.0"


def test_ranks_metadata_together_and_alone(saves: Path) -> None:
    together = open_checkpoint(saves / "rank_local")
    assert together.metadata_files == tuple(f"__{rank}.metadata" for rank in range(4))
    assert len(together["w"].chunks) == 4  # type: ignore[union-attr]
    alone = open_checkpoint(saves / "rank_local", rank=2)
    assert [c.offsets for c in alone["w"].chunks] == [(8, 0)]  # type: ignore[union-attr]
    assert alone["own"].read() == 2
    with pytest.raises(CheckpointUnreadable, match="in no chunk"):
        alone["w"].read()
    with pytest.raises(UsageError, match="rank 7"):
        open_checkpoint(saves / "rank_local", rank=7)
    with pytest.raises(UsageError, match="all ranks share"):
        open_checkpoint(saves / "fsdp", rank=1)


def test_it_is_a_mapping(simple: Path) -> None:
    checkpoint = open_checkpoint(simple)
    assert dict(checkpoint).keys() == {"w", "s", "n", "t"}
    assert "w" in checkpoint and "x" not in checkpoint and checkpoint.get("x") is None
    with pytest.raises(KeyError, match="did you mean 'w'"):
        checkpoint["ww"]
    assert set(checkpoint.tensors) == {"w", "s"} and set(checkpoint.blobs) == {"n", "t"}


def test_slices_read_only_the_chunks_they_need(saves: Path, copy_of) -> None:  # type: ignore[no-untyped-def]
    path = copy_of("shapes")
    for rank in (1, 2, 3):
        (path / f"__{rank}_0.distcp").unlink()
    rows = open_checkpoint(path)["rows"]
    expected = torch.load(saves / "shapes.expected.pt")["rows"]
    mine = next(c for c in rows.chunks if c.rank == 0)  # type: ignore[union-attr]
    assert torch.equal(rows.read(slice(mine.offsets[0], mine.stops[0])), expected[:2])
    with pytest.raises(CheckpointUnreadable, match="is missing"):
        rows.read()


@pytest.mark.parametrize(
    "index",
    [
        *(0, -1, slice(1, 3), slice(None, None, 2), (slice(1, 4), 2), (..., slice(0, 6, 4))),
        *((3, 5), (slice(2, 2),), (), ..., (slice(3, 1), 0), (slice(-2, None), ..., -1)),
    ],
)
def test_slices(simple: Path, index: object) -> None:
    tensor = open_checkpoint(simple)["w"]
    assert isinstance(tensor, Tensor)
    found = tensor[index]
    assert torch.equal(found, grid()[index])  # type: ignore[index]
    assert found.shape == grid()[index].shape  # type: ignore[index]


@pytest.mark.parametrize("index", [4, (0, 6), (0, 0, 0), "x", slice(None, None, -1), (..., ...)])
def test_impossible_slices(simple: Path, index: object) -> None:
    with pytest.raises(UsageError):
        open_checkpoint(simple)["w"][index]  # type: ignore[index]


def test_slices_across_chunks(saves: Path) -> None:
    checkpoint = open_checkpoint(saves / "shapes")
    expected = torch.load(saves / "shapes.expected.pt")
    assert torch.equal(checkpoint["grid"][1:5, 3:9], expected["grid"][1:5, 3:9])  # type: ignore[index]
    assert torch.equal(checkpoint["cube"][:, 1, ::2], expected["cube"][:, 1, ::2])  # type: ignore[index]


def test_fsspec(memory_url: str) -> None:
    state = {"w": grid(), "n": [1, {"a": 2}]}
    dcp.save(state, storage_writer=FsspecWriter(memory_url, sync_files=False), no_dist=True)
    checkpoint = open_checkpoint(memory_url)
    assert torch.equal(checkpoint["w"].read(), grid())
    assert checkpoint.verify(deep=True).findings == ()
    with pytest.raises(CheckpointUnreadable, match="nothing at this path"):
        open_checkpoint(f"{memory_url}/nowhere")


def test_pipes_are_not_opened(simple: Path) -> None:
    # Opening a pipe that nobody writes to would wait for ever.
    (simple / "__0_0.distcp").unlink()
    os.mkfifo(simple / "__0_0.distcp")
    checkpoint = open_checkpoint(simple)
    assert [f.code for f in checkpoint.verify(deep=True)] == ["file-missing"]
    with pytest.raises(CheckpointUnreadable, match="is missing"):
        checkpoint["w"].read()
    (simple / ".metadata").unlink()
    os.mkfifo(simple / ".metadata")
    with pytest.raises(CheckpointUnreadable):
        open_checkpoint(simple)


class Private:
    """A class that only this test knows."""


def test_blobs_are_read_only_if_plain(tmp_path: Path) -> None:
    path = save(tmp_path / "c", {"plain": {"a": (1, "b")}, "list": [1.5, None], "own": Private()})
    checkpoint = open_checkpoint(path)
    assert checkpoint["list"].read() == [1.5, None]
    with pytest.raises(CheckpointUnreadable, match="cannot be read safely"):
        checkpoint["own"].read()


def test_nothing_else_is_needed(saves: Path) -> None:
    """No process group, no device, no tensor data, not even torch.distributed's DCP."""
    program = f"""
import sys, torch
from pathlib import Path
real = Path.open
from dcp_tutor.checkpoints import open_checkpoint
opened = []
sys.addaudithook(lambda e, a: opened.append(str(a[0])) if e == "open" else None)
checkpoint = open_checkpoint({str(saves / "strided")!r})
assert len(checkpoint) > 10
assert not [name for name in opened if name.endswith(".distcp")], opened
assert [name for name in opened if name.endswith(".metadata")], opened
assert "torch.distributed.checkpoint" not in sys.modules
assert not torch.distributed.is_initialized() and not torch.cuda.is_initialized()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_large_metadata_is_refused_unread(simple: Path) -> None:
    os.truncate(simple / ".metadata", 2**40)  # sparse: takes no room, and would take all memory
    with pytest.raises(CheckpointUnreadable, match="max_metadata_bytes="):
        open_checkpoint(simple)


def test_a_chunk_describes_itself() -> None:
    chunk = Chunk((4, 0), (4, 8), "__3_1.distcp", 0, 100)
    assert (chunk.stops, chunk.numel, chunk.rank) == ((8, 8), 32, 3)
    assert Chunk((), (), "weights.bin", 0, 1).rank is None


class _StorageInfo:
    """Another framework's own place of an entry."""

    def __init__(self, key: str) -> None:
        self.key = key


def test_unknown_classes_are_named_and_the_rest_is_read(simple: Path) -> None:
    class_name = f"{__name__}.Private"

    def change(metadata: Metadata) -> None:
        metadata.planner_data["extra"] = Private()
        metadata.state_dict_metadata["mine"] = Private()  # type: ignore[assignment]
        metadata.storage_data[dcp.metadata.MetadataIndex("n")] = _StorageInfo("k")

    checkpoint = open_checkpoint(edit_metadata(simple, change))
    assert checkpoint.unknown == (class_name, f"{__name__}._StorageInfo")
    assert checkpoint.skipped == (("mine", class_name),)
    assert torch.equal(checkpoint["w"].read(), grid())


class OwnMetadata(Metadata):
    """As Megatron's MCoreMetadata: DCP's fields and more."""


def test_a_derived_metadata_is_read(simple: Path) -> None:
    def change(metadata: Metadata) -> Metadata:
        own = OwnMetadata(**vars(metadata))
        own.more = {"x": 1}  # type: ignore[attr-defined]
        return own

    checkpoint = open_checkpoint(edit_metadata(simple, change))
    assert checkpoint.unknown == (f"{__name__}.OwnMetadata",)
    assert torch.equal(checkpoint["w"].read(), grid())

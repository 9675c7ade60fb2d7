from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from checkpoint_making import edit_metadata, keep_times, save, spiral_boxes
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex

from dcp_tutor.checkpoints import Verification, open_checkpoint
from dcp_tutor.checkpoints.findings import CODES
from dcp_tutor.errors import CheckpointUnreadable

CopyOf = Callable[[str], Path]
RANK_1 = "__1_0.distcp"


def check(path: Path, deep: bool = False) -> Verification:
    found = open_checkpoint(path).verify(deep=deep)
    for finding in found:
        assert finding.severity == CODES[finding.code]
        assert len(finding.message.split()) > 5
    return found


def codes(path: Path, deep: bool = False) -> set[str]:
    return {finding.code for finding in check(path, deep)}


def test_no_false_alarm(saves: Path) -> None:
    """A hundred sound checkpoints of random topologies, and every named form."""
    names = sorted(path.name.removesuffix(".expected.pt") for path in saves.glob("*.expected.pt"))
    assert len(names) >= 115
    alarms = {name: found for name in names if (found := [*check(saves / name, deep=True)])}
    assert alarms == {}


def test_random_checkpoints_are_read_right(saves: Path) -> None:
    for number in range(100):
        checkpoint = open_checkpoint(saves / f"random_{number}")
        for fqn, tensor in torch.load(saves / f"random_{number}.expected.pt").items():
            found = checkpoint[fqn].read()
            assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
            assert torch.equal(found.double(), tensor.double())


def test_files_removed(copy_of: CopyOf) -> None:
    path = copy_of("fsdp")
    (path / RANK_1).unlink()
    assert [(f.code, f.file) for f in check(path)] == [("file-missing", RANK_1)]


@pytest.mark.parametrize("share", ["by one byte", "by half"])
def test_files_truncated(copy_of: CopyOf, share: str) -> None:
    path = copy_of("fsdp")
    size = (path / RANK_1).stat().st_size
    length = size - 1 if share == "by one byte" else size // 2
    keep_times(path / RANK_1, lambda: os.truncate(path / RANK_1, length))
    assert [(f.code, f.file) for f in check(path)] == [("file-truncated", RANK_1)]
    finding = check(path).findings[0]
    assert f"{length:,} bytes" in finding.message and f"to byte {size:,}" in finding.message


def test_files_emptied(copy_of: CopyOf) -> None:
    path = copy_of("fsdp")
    keep_times(path / RANK_1, lambda: os.truncate(path / RANK_1, 0))
    assert [(f.code, f.file) for f in check(path)] == [("file-empty", RANK_1)]


def test_files_appended(copy_of: CopyOf) -> None:
    path = copy_of("fsdp")
    keep_times(path / RANK_1, lambda: (path / RANK_1).open("ab").write(b"x" * 10))
    assert [(f.code, f.file) for f in check(path)] == [("file-longer", RANK_1)]


def test_files_swapped_between_checkpoints_of_other_sizes(saves: Path, copy_of: CopyOf) -> None:
    path = copy_of("fsdp")
    shutil.copy2(saves / "strided" / RANK_1, path / RANK_1)
    found = codes(path, deep=True)
    assert found & {"file-truncated", "file-longer"}
    assert found & {"record-damaged", "record-differs"}


def test_files_swapped_where_places_agree(tmp_path: Path) -> None:
    """Records of equal length at equal places: told by the dtype in them, only when deep."""
    one = save(tmp_path / "one", {"w": torch.ones(4, dtype=torch.int32)})
    other = save(tmp_path / "other", {"w": torch.ones(4, dtype=torch.float32)})
    sizes = [(p / "__0_0.distcp").stat().st_size for p in (one, other)]
    assert sizes[0] == sizes[1]
    os.replace(other / "__0_0.distcp", one / "__0_0.distcp")
    os.utime(one / "__0_0.distcp", (1, 1))
    assert codes(one) == set()
    assert codes(one, deep=True) == {"record-differs"}


def test_files_swapped_alike_can_only_be_suspected(tmp_path: Path) -> None:
    one = save(tmp_path / "one", {"w": torch.ones(4)})
    os.utime(one / ".metadata", (1000, 1000))
    os.utime(one / "__0_0.distcp", (999, 999))
    assert codes(one, deep=True) == set()
    save(tmp_path / "later", {"w": torch.zeros(4)})
    os.replace(tmp_path / "later" / "__0_0.distcp", one / "__0_0.distcp")
    found = check(one, deep=True)
    assert [(f.code, f.severity) for f in found] == [("newer-than-metadata", "suspicion")]
    assert "cannot be proven" in found.findings[0].message
    assert found.sound


def test_a_copy_is_told_once(copy_of: CopyOf) -> None:
    path = copy_of("fsdp")
    os.utime(path / ".metadata", (1000, 1000))
    found = check(path)
    assert [(f.code, f.file) for f in found] == [("newer-than-metadata", None)]
    assert "after a copy" in found.findings[0].message and found.sound


def test_files_left_over(copy_of: CopyOf) -> None:
    path = copy_of("fsdp")
    shutil.copy2(path / RANK_1, path / "__9_0.distcp")
    shutil.copy2(path / ".metadata", path / "__9.metadata")
    (path / "README.md").write_text("ours")  # not DCP's: no business of verify
    (path / "__8_0.distcp").write_bytes(b"")  # what a rank leaves that had nothing to save
    left = {(f.code, f.file) for f in check(path)}
    assert left == {("file-unreferenced", "__9_0.distcp"), ("file-unreferenced", "__9.metadata")}
    assert not check(path).sound


def w(md: Any) -> Any:
    return md.state_dict_metadata["w"]


def chunk(offsets: tuple[int, ...], sizes: tuple[int, ...]) -> ChunkStorageMetadata:
    return ChunkStorageMetadata(torch.Size(offsets), torch.Size(sizes))


def place(md: Any, fqn: str = "w") -> Any:
    return next(info for index, info in md.storage_data.items() if index.fqn == fqn)


def drop_chunk(md: Any) -> None:
    del w(md).chunks[1]


def drop_place(md: Any) -> None:
    md.storage_data = {k: v for k, v in md.storage_data.items() if k.fqn != "w"}


METADATA_DAMAGE: dict[str, tuple[Callable[[Any], object], set[str]]] = {
    "chunk dropped": (drop_chunk, {"chunks-gap", "place-unused"}),
    "all chunks dropped": (lambda md: w(md).chunks.clear(), {"chunks-gap", "place-unused"}),
    "chunk twice": (lambda md: w(md).chunks.append(w(md).chunks[0]), {"chunks-overlap"}),
    "chunk outside": (
        lambda md: setattr(w(md).chunks[3], "sizes", torch.Size((5, 4))),
        {"chunk-outside", "chunks-gap"},
    ),
    "chunk of negative offset": (
        lambda md: setattr(w(md).chunks[0], "offsets", (-1, 0)),
        {"chunk-outside", "chunks-gap", "place-unused"},
    ),
    "chunk of other dimensions": (
        lambda md: w(md).chunks.append(chunk((0,), (16,))),
        {"chunk-outside"},
    ),
    "tensor larger": (lambda md: setattr(w(md), "size", torch.Size((20, 4))), {"chunks-gap"}),
    "no place": (drop_place, {"chunk-not-stored"}),
    "place without an entry": (
        lambda md: md.storage_data.update({MetadataIndex("ghost", (0,)): place(md)}),
        {"place-unused"},
    ),
    "range beyond the file": (
        lambda md: setattr(place(md), "offset", 10**9),
        {"file-truncated"},
    ),
    "range of nothing": (lambda md: setattr(place(md), "length", 0), {"range-impossible"}),
    "range of less": (lambda md: setattr(place(md), "length", -5), {"range-impossible"}),
    "range before the file": (lambda md: setattr(place(md), "offset", -8), {"range-impossible"}),
    "range too short": (lambda md: setattr(place(md), "length", 20), {"chunk-too-short"}),
    "ranges overlap": (
        lambda md: (
            setattr(place(md, "more"), "offset", place(md).offset + 1)
            or setattr(place(md, "more"), "relative_path", place(md).relative_path)
        ),
        {"ranges-overlap"},
    ),
    "path leaves": (
        lambda md: setattr(place(md), "relative_path", "../fsdp/__0_0.distcp"),
        {"path-escapes"},
    ),
    "path is absolute": (
        lambda md: setattr(place(md), "relative_path", "/etc/passwd"),
        {"path-escapes"},
    ),
    "path holds a null": (lambda md: setattr(place(md), "relative_path", "a\0b"), {"path-escapes"}),
    "path is a folder": (lambda md: setattr(place(md), "relative_path", "sub"), {"file-missing"}),
}


@pytest.mark.parametrize("name", METADATA_DAMAGE)
def test_metadata_damaged(copy_of: CopyOf, name: str) -> None:
    change, expected = METADATA_DAMAGE[name]
    path = copy_of("threads")
    assert codes(path) == set()
    (path / "sub").mkdir()
    edit_metadata(path, change)
    found = codes(path)
    assert expected <= found, found
    # Moving a range leaves its old bytes without an owner; nothing else may be told beside it.
    assert found <= expected | {"file-hole", "file-longer", "file-unreferenced", "file-truncated"}
    assert not check(path).sound
    assert expected <= codes(path, deep=True)


def test_each_gap_and_overlap_names_its_tensor(copy_of: CopyOf) -> None:
    path = edit_metadata(copy_of("threads"), drop_chunk)
    gap = next(f for f in check(path) if f.code == "chunks-gap")
    assert gap.fqn == "w" and "16 of its 64 elements" in gap.message


@pytest.mark.parametrize(("columns", "seen"), [(128, {"record-size-odd"}), (16, set())])
def test_records_that_hold_other_rows_than_their_boxes(
    tmp_path: Path, columns: int, seen: set[str]
) -> None:
    """Nine and seven rows lie in the files, and the metadata tells of eight and eight."""
    path = save(tmp_path / "c", {"up": torch.ones(9, columns), "down": torch.ones(7, columns)})

    def two_boxes(md: Any) -> None:
        entries, places = md.state_dict_metadata, {i.fqn: p for i, p in md.storage_data.items()}
        whole = entries.pop("up")
        del entries["down"]
        whole.size = torch.Size((16, columns))
        whole.chunks = [chunk((0, 0), (8, columns)), chunk((8, 0), (8, columns))]
        entries["w"] = whole
        md.storage_data = {
            MetadataIndex("w", (0, 0)): places["up"],
            MetadataIndex("w", (8, 0)): places["down"],
        }
        md.planner_data = None

    assert codes(path) == set()
    edit_metadata(path, two_boxes)
    assert codes(path) == seen
    assert codes(path, deep=True) == seen | {"record-differs"}
    for finding in check(path):
        assert "about 512 bytes too many" in finding.message
        assert "(2 of its 2 records are odd)" in finding.message


def test_a_save_killed_over_an_older_one(saves: Path) -> None:
    assert codes(saves / "killed_before_data_over") == set()  # the old one is whole
    assert "file-truncated" in codes(saves / "killed_in_data_over")
    # All data is new, the metadata is old: it loads, wrongly, and only the times tell.
    torn = check(saves / "killed_before_metadata_over", deep=True)
    assert {f.code for f in torn} == {"newer-than-metadata"}
    torn_values = open_checkpoint(saves / "killed_before_metadata_over")["w0"].read()
    assert torn_values[0] == 2.0


def test_an_unfinished_metadata_beside_a_finished_one(copy_of: CopyOf) -> None:
    path = copy_of("fsdp")
    shutil.copy2(path / ".metadata", path / ".metadata.tmp")
    assert codes(path) == {"save-unfinished"}


def test_ranks_metadata(copy_of: CopyOf) -> None:
    path = copy_of("rank_local")
    (path / "__1.metadata").unlink()
    found = {(f.code, f.file or f.fqn) for f in check(path)}
    assert found == {("rank-metadata-missing", "__1.metadata"), ("chunks-gap", "w")}
    path = copy_of("rank_local")
    edit_metadata(
        path, lambda md: setattr(md.state_dict_metadata["deep.er.v"], "size", (7,)), "__2.metadata"
    )
    assert "ranks-differ" in codes(path)


def test_unknown_classes_fail_nothing(simple: Path) -> None:
    edit_metadata(simple, lambda md: setattr(md.storage_meta, "modules", [torch.nn.Identity]))
    found = check(simple)
    assert [f.code for f in found] == ["class-unknown"] and found.sound
    assert "torch.nn.modules.linear.Identity" in found.findings[0].message


class Own:
    """A class that only this test knows."""


def test_entries_of_unknown_classes_are_told(simple: Path) -> None:
    edit_metadata(simple, lambda md: md.state_dict_metadata.update(n=Own()))
    found = {(f.code, f.fqn) for f in check(simple)}
    assert found == {("class-unknown", None), ("entry-skipped", "n")}
    assert check(simple).sound


def test_layouts_that_no_sharding_makes_end(simple: Path) -> None:
    def change(md: Any) -> None:
        w(md).size = torch.Size((2000, 2000))
        w(md).chunks = [chunk(*both) for both in spiral_boxes()]

    assert "chunks-tangled" in codes(edit_metadata(simple, change))


def test_transforms_are_told_as_not_checked(simple: Path) -> None:
    edit_metadata(simple, lambda md: setattr(place(md), "transform_descriptors", ["stream.zstd/1"]))
    assert codes(simple) == set()
    assert codes(simple, deep=True) == {"record-not-checked"}


def test_a_verification_has_no_truth(simple: Path) -> None:
    with pytest.raises(TypeError, match="sound"):
        bool(check(simple))


def test_a_gap_is_silent_in_torch(copy_of: CopyOf) -> None:
    """Why chunks-gap is an error: torch loads what is there and says nothing of the rest."""
    path = edit_metadata(copy_of("threads"), drop_chunk)
    target = {"w": torch.full((16, 4), -1.0)}
    dcp.load(target, checkpoint_id=path, no_dist=True)
    left = (target["w"] == -1.0).all(dim=1)
    assert left.sum() == 4
    with pytest.raises(
        CheckpointUnreadable, match="16 of the elements wanted of w are in no chunk"
    ):
        open_checkpoint(path)["w"].read()


def test_a_path_that_leaves_is_followed_by_torch(copy_of: CopyOf, tmp_path: Path) -> None:
    """Why path-escapes is an error, and why the kit does not touch that file."""
    other = save(tmp_path / "other", {"w": torch.full((16, 4), 7.0)})
    path = copy_of("threads")

    def change(md: Any) -> None:
        w(md).chunks = [chunk((0, 0), (16, 4))]
        place(md).relative_path = f"../{other.name}/__0_0.distcp"
        place(md).offset, place(md).length = 0, (other / "__0_0.distcp").stat().st_size

    edit_metadata(path, change)
    target = {"w": torch.zeros(16, 4)}
    dcp.load(target, checkpoint_id=path, no_dist=True)
    assert (target["w"] == 7.0).all()
    with pytest.raises(CheckpointUnreadable):
        open_checkpoint(path)["w"].read()

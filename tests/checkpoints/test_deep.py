from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest
import torch
from checkpoint_making import edit_metadata, keep_times, save

from dcp_tutor.checkpoints import Tensor, open_checkpoint
from dcp_tutor.errors import CheckpointUnreadable


def flip(file: Path, at: int, bit: int) -> None:
    def change() -> None:
        data = bytearray(file.read_bytes())
        data[at] ^= 1 << bit
        file.write_bytes(bytes(data))

    keep_times(file, change)


def test_every_flip_that_changes_values_is_found(tmp_path: Path) -> None:
    """Flip bytes of a record one by one: what torch would then read wrongly must be found."""
    expected = torch.arange(40, dtype=torch.int32)
    path = save(tmp_path / "c", {"w": expected})
    file = path / "__0_0.distcp"
    whole = file.read_bytes()
    wrong = harmless = 0
    dice = random.Random(0)
    for at in range(0, len(whole), 2):
        flip(file, at, dice.randrange(8))
        checkpoint = open_checkpoint(path)
        found = checkpoint.verify(deep=True)
        tensor = checkpoint["w"]
        assert isinstance(tensor, Tensor)
        try:
            changed = not torch.equal(tensor.read(), expected)
        except CheckpointUnreadable:
            changed = True
        if changed:
            wrong += 1
            assert not found.sound, f"byte {at}"
        else:
            harmless += 1
        keep_times(file, lambda: file.write_bytes(whole))
    assert wrong > 50 and harmless > 50


def test_it_names_the_tensor_and_the_bytes(saves: Path, copy_of) -> None:  # type: ignore[no-untyped-def]
    path = copy_of("fsdp")
    tensor = open_checkpoint(path)["app.model.net2.weight"]
    chunk = tensor.chunks[2]  # type: ignore[union-attr]
    # In the middle of a record lies its data, at its ends the zip's own bytes.
    data = (path / chunk.file).read_bytes()
    values = torch.load(saves / "fsdp.expected.pt")["app.model.net2.weight"]
    rows = values[chunk.offsets[0] : chunk.stops[0]]
    at = data.index(rows.numpy().tobytes(), chunk.byte_offset)
    flip(path / chunk.file, at + 5, 3)
    (finding,) = open_checkpoint(path).verify(deep=True)
    assert (finding.code, finding.file, finding.fqn) == (
        "record-damaged", chunk.file, "app.model.net2.weight",
    )  # fmt: skip
    assert "CRC" in finding.message
    assert open_checkpoint(path).verify().findings == ()


def test_zips_that_unfold_are_not_unfolded(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 50_000_000)
    path = save(tmp_path / "c", {"w": torch.ones(4)})
    (path / "__0_0.distcp").write_bytes(bomb.getvalue())
    place = len(bomb.getvalue())
    edit_metadata(
        path, lambda md: [setattr(i, "length", place) for i in md.storage_data.values()] and None
    )
    findings = [f for f in open_checkpoint(path).verify(deep=True) if f.code == "record-damaged"]
    assert "larger than the record" in findings[0].message


def test_records_that_are_no_zip(simple: Path) -> None:
    file = simple / "__0_0.distcp"
    checkpoint = open_checkpoint(simple)
    blob = checkpoint["n"]
    data = bytearray(file.read_bytes())
    data[blob.byte_offset : blob.byte_offset + 8] = b"notazip!"  # type: ignore[union-attr]
    keep_times(file, lambda: file.write_bytes(bytes(data)))
    (finding,) = checkpoint.verify(deep=True)
    assert (finding.code, finding.fqn) == ("record-not-checked", "n")


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.uint16, torch.bool, torch.complex64, torch.float8_e4m3fn]
)
def test_dtypes_and_shapes_are_told_without_unpickling(tmp_path: Path, dtype: torch.dtype) -> None:
    path = save(tmp_path / "c", {"w": torch.zeros(3, 2).to(dtype)})
    assert open_checkpoint(path).verify(deep=True).findings == ()
    edit_metadata(
        path, lambda md: setattr(md.state_dict_metadata["w"].properties, "dtype", torch.float16)
    )
    assert [f.code for f in open_checkpoint(path).verify(deep=True)] == ["record-differs"]

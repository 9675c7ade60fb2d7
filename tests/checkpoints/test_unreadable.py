from __future__ import annotations

from pathlib import Path

import pytest
import torch
from checkpoint_making import save

from dcp_tutor.checkpoints import open_checkpoint
from dcp_tutor.errors import CheckpointUnreadable, UsageError


def why(path: Path | str) -> str:
    with pytest.raises(CheckpointUnreadable) as caught:
        open_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.mark.parametrize("given", [3, None, {"a": 1}])
def test_what_is_no_path_at_all(given: object) -> None:
    with pytest.raises(UsageError, match=r"takes the path of a checkpoint's folder, .* not a "):
        open_checkpoint(given)  # type: ignore[arg-type]


def test_every_wrong_path_gets_its_own_sentence(tmp_path: Path, simple: Path) -> None:
    assert "nothing at this path" in why(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "an empty folder" in why(empty)
    torch.save({"a": 1}, tmp_path / "model.pt")
    assert "torch.load" in why(tmp_path / "model.pt")
    assert f"give its folder: {simple}" in why(simple / ".metadata")
    assert f"give its folder: {simple}" in why(simple / "__0_0.distcp")
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("x")
    (other / "sub").mkdir()
    assert "no .metadata, only notes.txt, sub/" in why(other)


def test_a_run_folder_points_to_its_last_step(tmp_path: Path) -> None:
    for step in (1, 2, 10):
        save(tmp_path / f"step-{step}", {"w": torch.ones(2)})
    message = why(tmp_path)
    assert message.endswith(f"try {tmp_path}/step-10")


def test_hugging_face_is_named(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"w": torch.ones(2)}, str(tmp_path / "model-00001-of-00001.safetensors"))
    assert "Hugging Face checkpoint (model-00001-of-00001.safetensors)" in why(tmp_path)


def test_empty_and_cut_metadata(simple: Path) -> None:
    whole = (simple / ".metadata").read_bytes()
    (simple / ".metadata").write_bytes(b"")
    assert ".metadata is empty" in why(simple)
    for cut in (1, len(whole) // 2, len(whole) - 1):
        (simple / ".metadata").write_bytes(whole[:cut])
        assert "refused .metadata" in why(simple)


@pytest.mark.parametrize("point", ["before_metadata", "in_data", "before_rename"])
def test_a_save_that_died_in_a_fresh_folder(saves: Path, point: str) -> None:
    assert "an unfinished save" in why(saves / f"killed_{point}")


def test_a_save_that_died_before_its_data(saves: Path) -> None:
    assert "an empty folder" in why(saves / "killed_before_data")


def test_a_save_that_died_between_two_metadata(saves: Path) -> None:
    # Torch removes the old .metadata before it renames the new one: nothing is left to load.
    assert "only .metadata.tmp" in why(saves / "killed_before_rename_over")


def test_unknown_schemes() -> None:
    assert "nosuch" in why("nosuch://bucket/step-1")

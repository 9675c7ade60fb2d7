from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import torch
from checkpoint_making import edit_metadata
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex

from dcp_tutor.checkpoints import open_checkpoint
from dcp_tutor.errors import CheckpointUnreadable


class Calls:
    """Pickles as a call of a function: what a hostile file is made of."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("function", "named"),
    [(os.system, "posix.system"), (eval, "builtins.eval"), (exec, "builtins.exec")],
)
def test_a_hostile_file_runs_nothing_and_is_told(
    simple: Path, tmp_path: Path, function: Any, named: str
) -> None:
    mark = tmp_path / "mark"
    argument = f"touch {mark}" if named == "posix.system" else f"open({str(mark)!r}, 'w')"
    hostile = Calls(function, argument)
    edit_metadata(simple, lambda md: setattr(md.storage_meta, "modules", [hostile]))
    with pytest.raises(CheckpointUnreadable, match=f"names {named}.*do not load it"):
        open_checkpoint(simple)
    assert not mark.exists()
    pickle.loads((simple / ".metadata").read_bytes())  # torch's own reader does run it
    assert mark.exists()


def tensor(metadata: Any) -> Any:
    return metadata.state_dict_metadata["w"]


def drop_storage(md: Any) -> None:
    md.storage_data = {"w": 1}


BROKEN: dict[str, Callable[[Any], object]] = {
    "not metadata": lambda md: {"a": 1},
    "no object": lambda md: 3,
    "entries are a list": lambda md: setattr(md, "state_dict_metadata", []),
    "key is a number": lambda md: md.state_dict_metadata.update({1: None}),
    "entry is a number": lambda md: md.state_dict_metadata.update(x=1),
    "entry is a chunk": lambda md: md.state_dict_metadata.update(x=tensor(md).chunks[0]),
    "size is a list": lambda md: setattr(tensor(md), "size", [4, 6]),
    "size is a text": lambda md: setattr(tensor(md), "size", "4x6"),
    "size is negative": lambda md: setattr(tensor(md), "size", (-4, 6)),
    "size is huge": lambda md: setattr(tensor(md), "size", (2**62, 6)),
    "too many dimensions": lambda md: setattr(tensor(md), "size", (1,) * 65),
    "size holds a bool": lambda md: setattr(tensor(md), "size", (True, 6)),
    "chunks are missing": lambda md: delattr(tensor(md), "chunks"),
    "chunk is none": lambda md: setattr(tensor(md), "chunks", [None]),
    "chunk dims differ": lambda md: setattr(
        tensor(md), "chunks", [ChunkStorageMetadata(torch.Size([0]), torch.Size([4, 6]))]
    ),
    "no dtype": lambda md: setattr(tensor(md), "properties", None),
    "storage key is a text": drop_storage,
    "place is a number": lambda md: md.storage_data.update({MetadataIndex("n"): 5}),
    "place has a text": lambda md: setattr(md.storage_data[MetadataIndex("n")], "offset", "0"),
    "place is far": lambda md: setattr(md.storage_data[MetadataIndex("n")], "offset", 2**62),
    "transforms": lambda md: setattr(
        md.storage_data[MetadataIndex("n")], "transform_descriptors", [1]
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_wrong_insides_are_refused(simple: Path, name: str) -> None:
    edit_metadata(simple, BROKEN[name])
    with pytest.raises(CheckpointUnreadable, match=r"refused \.metadata: "):
        open_checkpoint(simple)


def test_paths_that_another_system_wrote(simple: Path) -> None:
    edit_metadata(
        simple, lambda md: setattr(md.storage_meta, "checkpoint_id", PurePosixPath("/a/b"))
    )
    assert open_checkpoint(simple).saved_to == "/a/b"


def test_hints_may_be_wrong_or_missing(simple: Path) -> None:
    """Places are found by offsets, as torch finds them; the index is only a hint."""
    before = open_checkpoint(simple)

    def change(md: Any) -> None:
        md.storage_data = {
            MetadataIndex(k.fqn, k.offset, None if k.fqn == "w" else 7): v
            for k, v in md.storage_data.items()
        }

    assert open_checkpoint(edit_metadata(simple, change)).entries == before.entries


def test_old_files_without_version_or_save_id(simple: Path) -> None:
    def change(md: Any) -> None:
        del md.version, md.storage_meta, md.planner_data

    checkpoint = open_checkpoint(edit_metadata(simple, change))
    assert (checkpoint.version, checkpoint.save_id, checkpoint["w"].path) == (None, None, None)
    assert checkpoint.verify().sound

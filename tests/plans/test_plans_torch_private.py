"""Fails when torch moves a private name, or a fact, that plans rely on."""

from __future__ import annotations

import inspect
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import _dedup_save_plans, filesystem, planner

from dcp_tutor.plans import torch_private as names


def test_it_was_checked_on_the_torch_that_is_installed() -> None:
    assert torch.__version__.split("+")[0] == names.CHECKED_ON


def test_read_items() -> None:
    stored = [((0, 0), (2, 3)), ((2, 0), (2, 3))]
    items = names.read_items((4, 3), stored, [((1, 0), (2, 2)), ((3, 1), (1, 2))])
    assert sorted(items) == [
        (0, 0, (0, 0), (1, 0), (1, 2)),
        (0, 1, (1, 0), (0, 0), (1, 2)),
        (1, 1, (0, 0), (1, 1), (1, 2)),
    ]


def test_the_name_of_a_data_file(tmp_path: Path) -> None:
    writer = dcp.FileSystemWriter(tmp_path, sync_files=False)
    dcp.save({"w": torch.ones(1)}, storage_writer=writer, no_dist=True)
    assert (tmp_path / names.data_file(0)).is_file()


def test_how_dcp_weighs_and_chooses() -> None:
    weigh = inspect.getsource(planner.WriteItem.tensor_storage_size)
    assert "self.tensor_data.size" in weigh  # of the whole tensor
    choose = inspect.getsource(_dedup_save_plans.dedup_save_plans)
    assert "write_item.tensor_storage_size() or 1" in choose
    assert "plan_indices, key=lambda plan_idx: plan_to_size[plan_idx]" in choose


def test_dcp_opens_each_file_once_and_loads_whole_records() -> None:
    source = inspect.getsource(filesystem.FileSystemReader.read_data)
    assert "for relative_path, reqs in per_file.items()" in source
    assert source.index("torch.load(") < source.index("narrow_tensor_by_index(")

"""Checkpoints that real ranks saved, over three meshes of four."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dcp_tutor import launch
from dcp_tutor.launching import folders, warm
from dcp_tutor.layouts import Layout

PROGRAMS = Path(__file__).parent / "programs"
TEXTS = {"fsdp": "fsdp=4", "hsdp": "replicate=2,shard=2", "two": "dp=2,tp=2"}
RULES = {
    "*.net1.*": "Shard(0), Shard(0)",
    "*.net2.weight*": "Shard(0), Shard(1)",
    "*.net2.bias*": "Shard(0), Replicate()",
}


def layout_of(text: str) -> Layout:
    return Layout.parse(text, RULES if "tp" in text else None)


@dataclass
class Saved:
    """What programs/save.py left: a folder for each of TEXTS, and what it said."""

    root: Path
    orders: dict[str, list[str]]
    placements: list[dict[str, dict[str, str]]]  # by rank


@pytest.fixture(scope="module")
def runs_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setenv("DCP_TUTOR_RUNS", str(tmp_path_factory.mktemp("runs")))
    patch.setattr(folders, "_folder", None)
    yield
    warm.stop_server()
    folders.remove_run_folder()
    patch.undo()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, runs_here: None) -> Saved:
    root = tmp_path_factory.mktemp("plans")
    run = launch_program("save", 4, {"root": str(root)}, ["orders", "placements"])
    assert all(orders == run.outputs["orders"][0] for orders in run.outputs["orders"])
    return Saved(root, run.outputs["orders"][0], run.outputs["placements"])


def launch_program(name: str, ranks: int, inputs: dict[str, Any], outputs: list[str]) -> Any:
    return launch(
        PROGRAMS / f"{name}.py", nproc_per_node=ranks, inputs=inputs, outputs=outputs, device="cpu"
    )

"""Checkpoints for the tests of this room, all written by plain torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
sys.path.append(str(HERE))  # for checkpoint_making, under either of pytest's import modes


@pytest.fixture(scope="session")
def saves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that saves.py filled: one checkpoint for each case, from four real ranks."""
    out = tmp_path_factory.mktemp("saves")
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, str(HERE / "saves.py"), str(out)],
        capture_output=True, text=True, timeout=240, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return out


@pytest.fixture
def copy_of(saves: Path, tmp_path: Path) -> Callable[[str], Path]:
    """copy_of("fsdp"): a copy of that checkpoint, to be damaged. Times of files are kept."""

    def copy(name: str) -> Path:
        target = tmp_path / f"{name}-{uuid.uuid4().hex[:6]}"
        return Path(shutil.copytree(saves / name, target))

    return copy


@pytest.fixture
def memory_url() -> Iterator[str]:
    """An empty folder in fsspec's memory."""
    import fsspec

    url = f"memory://{uuid.uuid4().hex}"
    yield url
    fs = fsspec.filesystem("memory")
    if fs.exists(url):
        fs.rm(url, recursive=True)


@pytest.fixture
def simple(tmp_path: Path) -> Path:
    """A checkpoint of one process: a 4x6 tensor, a scalar, a number, a text."""
    from checkpoint_making import grid, save

    return save(tmp_path / "simple", {"w": grid(), "s": torch.tensor(3), "n": 3, "t": "text"})

"""Checkpoints for the tests of this room, all written by plain torch."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp

HERE = Path(__file__).parent


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
    return save(tmp_path / "simple", {"w": grid(), "s": torch.tensor(3), "n": 3, "t": "text"})


def grid() -> torch.Tensor:
    return torch.arange(24.0).reshape(4, 6)


def save(path: Path, state: dict[str, Any], **options: Any) -> Path:
    options.setdefault("sync_files", False)
    dcp.save(state, storage_writer=dcp.FileSystemWriter(path, **options), no_dist=True)
    return path


def edit_metadata(path: Path, change: Callable[[Any], object], name: str = ".metadata") -> Path:
    """Change a real metadata, as an object of torch's own classes, and write it back."""
    file = path / name
    before = file.stat()
    metadata = pickle.loads(file.read_bytes())
    changed = change(metadata)
    file.write_bytes(pickle.dumps(metadata if changed is None else changed))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    return path


def keep_times(file: Path, change: Callable[[], object]) -> None:
    """Damage a file without giving it away by its time."""
    before = file.stat()
    change()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

"""Makes small checkpoints with plain torch, and changes them: helpers of these tests."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp


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


def spiral_boxes() -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """1,600 boxes in (2000, 2000): none overlap, and no plane passes between two groups of them."""
    spiral: list[tuple[tuple[int, int], tuple[int, int]]] = []
    low, high = 0, 2000
    while len(spiral) < 1600:
        long = high - 1 - low
        spiral += [
            ((low, low), (1, long)),
            ((low, high - 1), (long, 1)),
            ((high - 1, low + 1), (1, long)),
            ((low + 1, low), (long, 1)),
        ]
        low, high = low + 1, high - 1
    return spiral

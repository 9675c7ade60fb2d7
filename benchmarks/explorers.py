"""Changes in the explorers of a large model: from the control's change to what is shown.

    python benchmarks/explorers.py [--ranks 64] [--model llama3-70b] [--most 150]

What is timed is the work in the kernel, from the value that arrives to the last byte of the new
drawing and its table, for the median of each kind of change; a plan is made once for a layout, so
each change is one to a layout that was not seen before. The totals of the whole model follow the
drawing; that time is shown too. Exit status 1 if a drawing takes more than `--most` milliseconds.
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import filesystem
from torch.distributed.checkpoint import metadata as dcp

from dcp_tutor import explore_checkpoint, explore_reshard, plan_save
from dcp_tutor.plans import SavePlan, model_shapes


def main() -> int:
    """Measure, print a table, and say by the exit status whether all was quick enough."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--ranks", type=int, default=64)
    parser.add_argument("--model", default="llama3-70b")
    parser.add_argument("--most", type=float, default=150.0, help="milliseconds for a drawing")
    options = parser.parse_args()
    saved = plan_save(model_shapes(options.model), f"fsdp={options.ranks}")
    rows = [*resharding(saved, options.ranks), *walking(saved)]
    print(f"{options.model}, saved by {options.ranks} ranks, {len(saved):,} tensors")
    print(f"{'change':42} {'drawn ms':>9} {'all ms':>9}")
    for name, drawn, everything in rows:
        print(f"{name:42} {drawn:9.0f} {everything:9.0f}")
    slow = [name for name, drawn, _ in rows if drawn > options.most]
    if slow:
        print(f"slower than {options.most:g} ms: {', '.join(slow)}")
    return 1 if slow else 0


def resharding(saved: SavePlan, ranks: int) -> Iterable[tuple[str, float, float]]:
    """Time the changes of `explore_reshard`."""
    explorer = explore_reshard(saved)
    explorer.widgets  # noqa: B018 - made when first asked for
    controls: Any = explorer._controls
    drawing = controls._drawing
    tensors = list(saved)
    yield timed(
        "another tensor", drawing, [lambda t=t: _set(controls._tensor, t) for t in tensors[1:12]]
    )
    sizes = [ranks // 2, ranks // 2 + 3, ranks - 5, ranks + 7, ranks * 3 // 2, ranks * 2]
    yield timed(
        "another number of ranks", drawing, [lambda n=n: _set(controls._first, n) for n in sizes]
    )
    _set(controls._first, 8)
    _set(controls._kind, "hsdp")
    yield timed(
        "another HSDP layout", drawing, [lambda n=n: _set(controls._second, n) for n in (3, 5, 8)]
    )
    _set(controls._kind, "tp")
    _set(controls._dim, 1)
    yield timed(
        "another FSDP + TP layout", drawing, [lambda n=n: _set(controls._second, n) for n in (4, 8)]
    )
    views = [lambda w=w: _set(controls._view, w) for w in (True, False, True)]
    yield timed("whole model, one tensor", drawing, views)
    pages = [lambda: controls._on.click() for _ in range(4)]
    _set(controls._view, False)
    yield timed("another page of reads", controls._reads, pages)


def walking(saved: SavePlan) -> Iterable[tuple[str, float, float]]:
    """Time the changes of `explore_checkpoint`, of a checkpoint with the same metadata."""
    with tempfile.TemporaryDirectory() as folder:
        write_metadata(saved, Path(folder))
        started = time.perf_counter()
        explorer: Any = explore_checkpoint(folder)
        explorer.widgets  # noqa: B018
        opened = (time.perf_counter() - started) * 1000
        print(f"explore_checkpoint, to open, verify and show: {opened:,.0f} ms")
        rows = explorer._rows
        yield timed(
            "another key of the tree", explorer._summary, [rows[n].click for n in (2, 3, 4, 5)]
        )
        keys = list(saved)[5:40:7]
        yield timed(
            "an entry, by its key",
            explorer._drawing,
            [lambda k=k: _set(explorer._search, k) for k in keys],
        )
        words = [lambda t=t: _set(explorer._search, t) for t in ("w1", "attention", "layers.7")]
        yield timed("another search", explorer._heading, words)


def timed(name: str, shown: Any, changes: list[Callable[[], None]]) -> tuple[str, float, float]:
    """Return the medians, in ms, until `shown` has a new value, and until all is done."""
    drawn, everything = [], []
    seen: list[float] = []
    note = lambda _: seen.append(time.perf_counter())  # noqa: E731
    shown.observe(note, "value")
    for change in changes:
        seen.clear()
        started = time.perf_counter()
        change()
        everything.append((time.perf_counter() - started) * 1000)
        drawn.append(((seen[0] if seen else time.perf_counter()) - started) * 1000)
    shown.unobserve(note, "value")
    return name, statistics.median(drawn), statistics.median(everything)


def write_metadata(saved: SavePlan, folder: Path) -> None:
    """Write the `.metadata` that a save of this plan would write; there are no data files."""
    state: dict[str, Any] = {}
    storage: dict[Any, Any] = {}
    for fqn, tensor in saved.tensors.items():
        chunks = []
        for chunk in tensor.chunks:
            offsets, sizes = torch.Size(chunk.offsets), torch.Size(chunk.sizes)
            index = dcp.MetadataIndex(fqn, offsets, len(chunks))
            chunks.append(dcp.ChunkStorageMetadata(offsets, sizes))
            storage[index] = filesystem._StorageInfo(
                chunk.file, chunk.byte_offset, chunk.byte_length
            )
        state[fqn] = dcp.TensorStorageMetadata(
            dcp.TensorProperties(dtype=tensor.dtype), torch.Size(tensor.shape), chunks
        )
    metadata = dcp.Metadata(state_dict_metadata=state, storage_data=storage)
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))


def _set(control: Any, value: Any) -> None:
    control.value = value


if __name__ == "__main__":
    sys.exit(main())

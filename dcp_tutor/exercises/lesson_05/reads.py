"""The check of `05-reads`: whose files rank 1 of four opens, when six have saved."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dcp_tutor.checkpoints.checkpoint import open_checkpoint
from dcp_tutor.checkpoints.nouns import Tensor
from dcp_tutor.exercises.prediction import NO_NUMBER, need_prediction
from dcp_tutor.exercises.ranks import need_ranks, try_on_ranks
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, wrong
from dcp_tutor.launching.folders import run_folder
from dcp_tutor.launching.messages import name_ranks

_WRITERS = 6
_READERS = 4

# `_slice_file` is what torch 2.13 asks for each record; tests fail when that changes.
_PROGRAM = """
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

dist.init_process_group("gloo")
mesh = init_device_mesh("cpu", (dist.get_world_size(),))
weight = distribute_tensor(torch.zeros(240, 256), mesh, [Shard(0)])
asked = []


class Reader(dcp.FileSystemReader):
    def _slice_file(self, file, record):
        asked.append([record.relative_path, record.offset, record.length])
        return super()._slice_file(file, record)


if save:
    dcp.save({"up.weight": weight}, checkpoint_id=folder)
else:
    dcp.load({"up.weight": weight}, storage_reader=Reader(folder))
rows = weight.to_local().shape[0]
dist.destroy_process_group()
"""


@dataclass(frozen=True, slots=True)
class Reads:
    """What rank 1 of four really did; rows are counted from 0 in the whole tensor.

    Attributes:
        total: rows of the tensor.
        chunk: rows that each of six has saved.
        first: the first row that it fills.
        needed: rows that it fills.
        files: ranks whose files it opened.
        read: rows of the records that it asked for.
        bytes: bytes of those records.

    """

    total: int
    chunk: int
    first: int
    needed: int
    files: list[int]
    read: int
    bytes: int


def judge_reads(answer: Any) -> Verdict:
    """Compare a prediction with what rank 1 of four reads of what six have saved, now."""
    ranks, needed, read = _read_prediction(answer)
    need_ranks(_WRITERS)
    true = _reads_of_rank_1(run_folder())
    first, last = true.first, true.first + true.needed - 1
    wanted = f"Rank 1 of four wants rows {first} to {last}"
    if needed == true.chunk:
        raise wrong(
            f"{needed} rows is what each of the six has saved. How many a rank needs is decided "
            f"by those who load: four share out the same {true.total} rows anew."
        )
    if needed != true.needed:
        raise wrong(
            f"`rows_needed` is not {needed}. Four ranks share {true.total} rows, and rank 1 takes "
            f"the second share. Who has saved them, and how, does not matter for that."
        )
    if ranks == [1]:
        raise wrong(
            f"{wanted}, and the file of rank 1 has rows {true.chunk} to {2 * true.chunk - 1}: not "
            f"enough. A rank does not read the file of its own number, it reads the files that "
            f"hold its rows."
        )
    if set(ranks) > set(true.files):
        raise wrong(
            f"It opens fewer files than that. {wanted}; a chunk that has none of them makes no "
            f"read item, and a file without a read item is not opened."
        )
    if ranks != true.files:
        holds = "; ".join(
            f"rank {rank} wrote {rank * true.chunk} to {(rank + 1) * true.chunk - 1}"
            for rank in true.files
        )
        raise wrong(f"The files are others. {wanted}. Six ranks saved {true.chunk} each: {holds}.")
    if read == needed:
        raise wrong(
            f"Files and need are right. But {needed} rows is what it *keeps*. Of one chunk it "
            f"needs a part only, and that chunk's record is read whole: DCP counted {true.read}."
        )
    if read != true.read:
        raise wrong(
            f"Files and need are right, and rows read are {true.read}, not {read}: all rows of the "
            f"chunks that it touches, {len(true.files)} of {true.chunk}, and of no other."
        )
    return right(
        f"Six ranks have just saved, and four have loaded. Rank 1 opened the files of "
        f"{name_ranks(true.files)}, asked for {true.read} rows, {true.bytes:,} bytes with the "
        f"records' envelopes, and kept {true.needed}."
    )


def _read_prediction(answer: Any) -> tuple[list[int], int, int]:
    """Return the ranks whose files are opened, rows needed and rows read."""
    names = ("files_of_ranks", "rows_needed", "rows_read")
    prediction = need_prediction(answer, names)
    ranks = prediction["files_of_ranks"]
    ranks = [ranks] if isinstance(ranks, str) or not isinstance(ranks, Iterable) else list(ranks)
    try:
        return (
            sorted({int(_rank_of(rank)) for rank in ranks}),
            int(prediction["rows_needed"]),
            int(prediction["rows_read"]),
        )
    except (TypeError, ValueError):
        raise not_yet(NO_NUMBER) from None


def _rank_of(rank: Any) -> Any:
    """Return the rank's number, also where a file was named."""
    file = re.fullmatch(r"__(\d+)_\d+\.distcp", str(rank))
    return file[1] if file else rank


@cache
def _reads_of_rank_1(within: Path) -> Reads:
    """Save from six ranks and load on four, once; return what rank 1 of the four did."""
    folder = within / "exercise-05-reads"
    for save, ranks in ((True, _WRITERS), (False, _READERS)):
        run = try_on_ranks(
            _PROGRAM,
            nproc_per_node=ranks,
            name="check-05-reads",
            inputs={"folder": folder, "save": save},
            outputs=["asked", "rows"],
        )
    tensor = open_checkpoint(folder)["up.weight"]
    assert isinstance(tensor, Tensor)
    chunks = {(chunk.file, chunk.byte_offset): chunk for chunk in tensor.chunks}
    asked, rows = run.outputs["asked"][1], run.outputs["rows"]
    touched = [chunks[file, offset] for file, offset, _ in asked]
    return Reads(
        total=tensor.shape[0],
        chunk=tensor.chunks[0].sizes[0],
        first=rows[0],
        needed=rows[1],
        files=sorted({chunk.rank for chunk in touched if chunk.rank is not None}),
        read=sum(chunk.sizes[0] for chunk in touched),
        bytes=sum(length for _, _, length in asked),
    )

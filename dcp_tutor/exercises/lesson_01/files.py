"""The check of `01-files`: what three ranks write."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from dcp_tutor.exercises.evidence import read_stored
from dcp_tutor.exercises.lesson_01.model import WEIGHT
from dcp_tutor.exercises.prediction import NO_NUMBER, need_prediction
from dcp_tutor.exercises.ranks import need_ranks, try_on_ranks
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, wrong
from dcp_tutor.launching.folders import run_folder

_FILES_RANKS = 3

# The lesson's save, without its words: what `01-files` asks about is looked up, not computed.
_SAVE = """
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.fsdp import fully_shard

dist.init_process_group("gloo")
model = nn.Sequential()
model.add_module("net1", nn.Linear(16, 16))
model.add_module("net2", nn.Linear(16, 4))
fully_shard(model)
dcp.save({"app": {"model": model.state_dict()}}, checkpoint_id=folder)
rows = model.net1.weight.to_local().shape[0]
dist.destroy_process_group()
"""


def judge_files(answer: Any) -> Verdict:
    """Compare a prediction with a save from three ranks that runs now."""
    rows, num_files, rank_of_11 = _read_prediction(answer)
    need_ranks(_FILES_RANKS)
    true_rows, files = _save_from_three_ranks(run_folder())
    total = sum(true_rows)
    data_files = sorted(set(files))
    true_rank = next(rank for rank in range(len(true_rows)) if sum(true_rows[: rank + 1]) > 11)
    just_now = f"Three ranks have just tried it: they hold {true_rows} rows"
    if len(rows) != len(true_rows):
        raise wrong(
            f"You gave rows for {len(rows)} ranks. That was the save in the lesson; this one "
            f"starts from {len(true_rows)} ranks, so the same {total} rows are cut anew."
            if len(rows) == 4
            else f"You gave rows for {len(rows)} ranks, and {len(true_rows)} save: one number each."
        )
    if sum(rows) != total:
        raise wrong(
            f"Your rows add up to {sum(rows)}, and `net1.weight` has {total}. Every row lies on "
            f"exactly one rank: none is left out, none is held twice."
        )
    if rows != true_rows:
        how = (
            "You dealt them out as evenly as they go"
            if max(rows) - min(rows) == 1
            else f"You predicted {rows}"
        )
        raise wrong(
            f"{just_now}. {how}; FSDP gives each rank a block of {total} / {len(true_rows)}, "
            f"rounded up, until no row is left, so that it is the last rank that gets fewer."
        )
    if num_files == len(data_files) + 1:
        raise wrong(
            f"The rows are right. But of the {num_files} files one is `.metadata`, the note of "
            f"what belongs where. It holds no row of any tensor: count the `.distcp` files alone."
        )
    if num_files != len(data_files):
        raise wrong(
            f"The rows are right. But {len(data_files)} data files were written, not {num_files}: "
            f"every rank writes its own pieces into a file of its own, whatever their number of "
            f"tensors. Nothing is gathered."
        )
    if rank_of_11 != true_rank:
        first = sum(true_rows[:true_rank])
        raise wrong(
            f"Rows and files are right. Row 11 is elsewhere: counted from 0, rank {true_rank} "
            f"holds rows {first} to {first + true_rows[true_rank] - 1}, and its file is "
            f"`__{true_rank}_0.distcp`."
        )
    return right(
        f"{just_now}, one `.distcp` file each. Row 11 is in `{files[true_rank]}`. A block has "
        f"{total} / {len(true_rows)} rows, rounded up, and the last rank takes what is left."
    )


def _read_prediction(answer: Any) -> tuple[list[int], int, int]:
    """Return rows, number of files and rank; a rank may be given by its file's name."""
    names = ("rows", "data_files", "rank_of_row_11")
    prediction = need_prediction(answer, names)
    rows = prediction["rows"]
    rows = list(rows.values()) if isinstance(rows, dict) else rows
    if isinstance(rows, str) or not isinstance(rows, Iterable):
        raise not_yet(
            "`rows` wants one number for each of the three ranks, in a list: `[..., ..., ...]`."
        )
    file = re.fullmatch(r"__(\d+)_\d+\.distcp", str(prediction["rank_of_row_11"]))
    try:
        return (
            [int(number) for number in rows],
            int(prediction["data_files"]),
            int(file[1] if file else prediction["rank_of_row_11"]),
        )
    except (TypeError, ValueError):
        raise not_yet(NO_NUMBER) from None


@cache
def _save_from_three_ranks(within: Path) -> tuple[list[int], list[str]]:
    """Save the lesson's model from three ranks, once; return each rank's rows and file."""
    folder = within / "exercise-01-files"
    run = try_on_ranks(
        _SAVE,
        nproc_per_node=_FILES_RANKS,
        name="check-01-files",
        inputs={"folder": folder},
        outputs=["rows"],
    )
    stored = read_stored(folder)
    assert stored is not None
    return run.outputs["rows"], stored.files[WEIGHT]

"""The check of `04-who-writes`: which rank stores what all of them have."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from dcp_tutor.exercises.evidence import read_stored
from dcp_tutor.exercises.prediction import need_prediction
from dcp_tutor.exercises.ranks import need_ranks, try_on_ranks
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, wrong
from dcp_tutor.launching.folders import run_folder
from dcp_tutor.views.words import count_text

_WRITERS_RANKS = 3
_NUMBERS = {"a": 500, "b": 300, "c": 100, "d": 100}
_BYTES = {name: 4 * number for name, number in _NUMBERS.items()}

# What `04-who-writes` asks about is looked up, not computed.
_SAVE = """
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp

dist.init_process_group("gloo")
dcp.save({name: torch.ones(number) for name, number in numbers.items()}, checkpoint_id=folder)
dist.destroy_process_group()
"""


def judge_who_writes(answer: Any) -> Verdict:
    """Compare a prediction with a save from three ranks that runs now."""
    writers, copies, num_files = _read_prediction(answer)
    need_ranks(_WRITERS_RANKS)
    true_files = _save_from_three_ranks(run_folder())
    true_writers = {name: int(files[0].split("_")[2]) for name, files in true_files.items()}
    num_true_files = len({file for files in true_files.values() for file in files})
    told = ", ".join(f"`{name}`: {rank}" for name, rank in true_writers.items())
    just_now = f"Three ranks have just tried it ({told})"
    if copies != len(true_files["a"]):
        raise wrong(
            f"`a` is stored {count_text(len(true_files['a']), 'time')}, not {copies}, although all "
            f"ranks have it. They bring the same key with the same place in the tensor, so the "
            f"coordinator takes them for copies and strikes out all but one."
        )
    if set(writers.values()) == {0}:
        raise wrong(
            f"{just_now}. You let rank 0 write everything, as it would be with `torch.save`. The "
            f"coordinator decides, but it does not write all of it: it shares the bytes out."
        )
    if list(writers.values()) == [0, 1, 2, 0]:
        raise wrong(
            f"`a`, `b` and `c` are right. You dealt them out in turn, but the coordinator counts "
            f"bytes: when it comes to `d`, rank 0 has been given {_BYTES['a']}, and rank 2 only "
            f"{_BYTES['c']}."
        )
    for name, rank in true_writers.items():
        if writers[name] != rank:
            sums = _sums_before(name, true_writers)
            raise wrong(
                f"It is not rank {writers[name]} that writes `{name}`. When the coordinator comes "
                f"to it, the ranks have been given {', '.join(map(str, sums))} bytes: rank {rank} "
                f"has the fewest, and of equal ones the lowest is taken."
            )
    if num_files == num_true_files + 1:
        raise wrong(
            f"The writers are right. But of the {num_files} files one is `.metadata`, and it holds "
            f"no tensor: count the `.distcp` files alone."
        )
    if num_files != num_true_files:
        raise wrong(
            f"The writers are right. But there are {num_true_files} files with tensors, not "
            f"{num_files}: each rank that writes puts all that it writes into one file."
        )
    return right(
        f"{just_now}: each tensor is stored once, in {num_true_files} files. Going through them in "
        f"order, the coordinator gives each to the rank with the fewest bytes so far, so `d` "
        f"joins `c`."
    )


def _sums_before(name: str, writers: dict[str, int]) -> list[int]:
    """Return the bytes that each rank has been given before the tensor `name`."""
    sums = [0] * _WRITERS_RANKS
    for before in list(_BYTES)[: list(_BYTES).index(name)]:
        sums[writers[before]] += _BYTES[before]
    return sums


def _read_prediction(answer: Any) -> tuple[dict[str, int], int, int]:
    """Return who writes each tensor, copies of `a`, and number of files."""
    names = ("writer", "copies_of_a", "data_files")
    prediction = need_prediction(answer, names, parts={"writer": _NUMBERS})
    writer = prediction["writer"]
    if not isinstance(writer, dict):
        raise not_yet("`writer` wants one rank for each of the four tensors, in a dict.")
    if any(isinstance(rank, list | tuple | set) for rank in writer.values()):
        raise wrong(
            "You named several ranks for one tensor. All of them have it, but the copies are the "
            "same, so one rank writes it and the others leave it out: name that one."
        )
    try:
        ranks = {
            name: int(re.sub(r"^__(\d+)_\d+\.distcp$", r"\1", str(writer[name])))
            for name in _NUMBERS
        }
        return ranks, int(prediction["copies_of_a"]), int(prediction["data_files"])
    except (TypeError, ValueError):
        raise not_yet("Every entry of `prediction` must be a whole number.") from None


@cache
def _save_from_three_ranks(within: Path) -> dict[str, list[str]]:
    """Save the four tensors from three ranks, once; return the files of each."""
    folder = within / "exercise-04-who-writes"
    try_on_ranks(
        _SAVE,
        nproc_per_node=_WRITERS_RANKS,
        name="check-04-who-writes",
        inputs={"folder": folder, "numbers": _NUMBERS},
    )
    stored = read_stored(folder)
    assert stored is not None
    return stored.files

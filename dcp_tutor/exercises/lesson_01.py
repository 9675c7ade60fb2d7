"""The checks of lesson 01: what three ranks write, and a load on two."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from dcp_tutor.errors import UsageError
from dcp_tutor.exercises import mishaps
from dcp_tutor.exercises.evidence import (
    Stored,
    count,
    flat_tensors,
    is_blank,
    need_folder,
    need_outputs,
    need_run,
    read_stored,
    same,
)
from dcp_tutor.exercises.exercise import Exercise
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, undecided, wrong
from dcp_tutor.launching import limits
from dcp_tutor.launching.folders import run_folder
from dcp_tutor.launching.launch import launch
from dcp_tutor.launching.run import Run

_FILES_RANKS = 3
_RESHARD_RANKS = 2
_WEIGHT = "app.model.net1.weight"

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
    if limits.cap_ranks(_FILES_RANKS) < _FILES_RANKS:
        raise undecided(
            f"This check saves from {_FILES_RANKS} ranks, and `DCP_TUTOR_MAX_RANKS` allows fewer. "
            f"Unset it and restart the kernel."
        )
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


def judge_reshard(answer: Any) -> Verdict:
    """Compare what two ranks hold after their load with the checkpoint itself."""
    run = need_run(answer, "my_load")
    folder = need_folder(run, "checkpoint_dir")
    stored = read_stored(folder)
    if stored is None or _WEIGHT not in stored.values:
        raise not_yet("The lesson's checkpoint is not there. Run its save cell, then yours again.")
    if not run.ok:
        raise _explain_failed_load(run, stored, folder)
    _need_two_ranks(run, stored)
    outputs = need_outputs(run, ["mine", "answer", "state"])
    mine, state = outputs["mine"], flat_tensors(outputs["state"][0], "app")
    parts = stored.values[_WEIGHT].chunk(len(run.ranks))
    model = {key: value for key, value in stored.values.items() if key.startswith("app.model.")}
    if any(getattr(part, "shape", None) == stored.values[_WEIGHT].shape for part in mine) and (
        len(run.ranks) > 1
    ):
        raise wrong(
            f"Every rank holds all {len(stored.values[_WEIGHT])} rows of `net1.weight`, so each "
            f"has loaded all of it and nothing was resharded. Call `fully_shard(model)` "
            f"before `dcp.load`, and bring back this rank's part: `.to_local()`."
        )
    for rank, (part, held) in enumerate(zip(parts, mine, strict=True)):
        if getattr(held, "shape", None) != part.shape:
            raise wrong(
                f"`mine` is no part of `net1.weight`: rank {rank} holds {len(part)} rows of "
                f"{part.shape[1]} numbers and brought back {_what(held)}. Bring back "
                f"`model.net1.weight.to_local()`."
            )
    if not all(same(part, held) for part, held in zip(parts, mine, strict=True)):
        if all(same(value, state.get(key)) for key, value in model.items()):
            raise wrong(
                "`state` has the saved numbers, and the model still has its own random ones: "
                "they were loaded into copies of its tensors. Either let DCP do it, with the "
                '`AppState` itself in the dict, `{"app": app}`, or give the loaded dict to '
                "`app.load_state_dict`."
            )
        raise wrong(
            "The model is sharded as it should be, but it still has the random weights that it "
            "was born with: nothing was loaded into its tensors. `dcp.load` fills what you hand "
            "it, in place; hand it `app`, built from this very model."
        )
    if not same_answer(stored, outputs["answer"][0]):
        raise wrong(
            "The weights are the saved ones, but `answer` is not theirs: it was taken before the "
            "load. Ask the model after `dcp.load` has returned."
        )
    tensors = {key: value for key, value in stored.values.items() if hasattr(value, "shape")}
    lost = [key for key, value in tensors.items() if not same(value, state.get(key))]
    if any(key.startswith("app.optim.") for key in lost):
        raise wrong(
            f"The model is back, but the optimizer is not: {len(lost)} of its tensors differ from "
            f"the checkpoint, such as `{_telling(lost)}`. Training would go on with an Adam that "
            f"remembers nothing. Load model and optimizer together, and keep that optimizer."
        )
    if lost:
        raise wrong(
            f"This rank's rows are right, but `{lost[0]}` is not in `state` as it was saved. "
            f"`state` must be the whole of it: `whole(app.state_dict())`, after the load."
        )
    return right(
        f"`net1.weight` was saved in {count(stored.num_chunks[_WEIGHT], 'piece')}; your ranks hold "
        f"{' and '.join(str(len(part)) for part in mine)} rows of it, and all {len(tensors)} "
        f"tensors of model and optimizer are equal to the checkpoint, bit for bit. Each rank asked "
        f"for the rows it needs, and DCP found them."
    )


def same_answer(stored: Stored, answer: Any) -> bool:
    """Say whether `answer` is what the stored model says to the lesson's question."""
    import torch
    from torch.nn.functional import linear

    net1, net2 = (
        (stored.values[f"app.model.{net}.weight"], stored.values[f"app.model.{net}.bias"])
        for net in ("net1", "net2")
    )
    question = torch.linspace(-1, 1, 16).reshape(1, 16)
    expected = linear(linear(question, *net1).relu(), *net2)
    # Another device or number of threads adds up in another order: close is all one can ask.
    return isinstance(answer, torch.Tensor) and (
        answer.shape == expected.shape and torch.allclose(answer, expected, rtol=1e-4, atol=1e-6)
    )


def _read_prediction(answer: Any) -> tuple[list[int], int, int]:
    """Return rows, number of files and rank; a rank may be given by its file's name."""
    names = ("rows", "data_files", "rank_of_row_11")
    if is_blank(answer):
        raise not_yet("Nothing is predicted yet. Put a number, or a guess, in place of every `...`")
    if not isinstance(answer, dict):
        raise not_yet(
            f"This check takes the dict `prediction` with {', '.join(f'`{n}`' for n in names)}, "
            f"and was given a `{type(answer).__name__}`."
        )
    open_ = [name for name in names if name not in answer or is_blank(answer[name])]
    if open_:
        raise not_yet(
            f"Still open: {', '.join(f'`{name}`' for name in open_)}. Guess, if you have to; a "
            f"wrong guess costs nothing here."
        )
    rows = answer["rows"]
    rows = list(rows.values()) if isinstance(rows, dict) else rows
    if isinstance(rows, str) or not isinstance(rows, Iterable):
        raise not_yet(
            "`rows` wants one number for each of the three ranks, in a list: `[..., ..., ...]`."
        )
    file = re.fullmatch(r"__(\d+)_\d+\.distcp", str(answer["rank_of_row_11"]))
    try:
        return (
            [int(number) for number in rows],
            int(answer["data_files"]),
            int(file[1] if file else answer["rank_of_row_11"]),
        )
    except (TypeError, ValueError):
        raise not_yet(
            "Every entry of `prediction` must be a whole number, or a list of them."
        ) from None


@cache
def _save_from_three_ranks(within: Path) -> tuple[list[int], list[str]]:
    """Save the lesson's model from three ranks, once; return each rank's rows and file."""
    folder = within / "exercise-01-files"
    try:
        run = launch(
            _SAVE,
            nproc_per_node=_FILES_RANKS,
            inputs={"folder": folder},
            outputs=["rows"],
            name="check-01-files",
            device="cpu",
        )
    except UsageError as error:
        raise undecided(f"The three ranks of this check could not start: {error}") from None
    stored = read_stored(folder)
    assert stored is not None
    return run.outputs["rows"], stored.files[_WEIGHT]


def _need_two_ranks(run: Run, stored: Stored) -> None:
    """Refuse a launch on another number of ranks."""
    num_ranks = len(run.ranks)
    if num_ranks == limits.cap_ranks(_RESHARD_RANKS):
        return
    again = f"Type `--nproc-per-node {_RESHARD_RANKS}` and run it again."
    if num_ranks == 1:
        raise wrong(
            f"Your program ran on a single rank, which holds every row: there is nothing to "
            f"share out. {again}"
        )
    if num_ranks == stored.num_chunks[_WEIGHT]:
        raise wrong(
            f"Your program ran on {num_ranks} ranks, just as many as have saved: each takes back "
            f"the very piece that it wrote, and nothing is resharded. {again}"
        )
    raise wrong(f"Your program ran on {num_ranks} ranks; the task wants two. {again}")


def _explain_failed_load(run: Run, stored: Stored, folder: Path) -> Exception:
    """Say why the load failed: the mistakes of this exercise first."""
    errors = [rank.error for rank in run.ranks if rank.error is not None]
    if any("has no attribute 'to_local'" in error.message for error in errors):
        return wrong(
            "`net1.weight` was an ordinary parameter when you asked for its local part. Either the "
            "model was never sharded: `fully_shard(model)` comes before the optimizer and before "
            "`dcp.load`. Or it had just answered: a forward pass gathers the weights, so take "
            "`mine` first."
        )
    if any("_get_optim_state_dict" in error.traceback for error in errors):
        return wrong(
            "The optimizer and the model no longer know each other. `fully_shard` puts new "
            "parameters into the model, and an optimizer that was built before keeps the old ones. "
            "The order is: model, `fully_shard`, optimizer, `dcp.load`."
        )
    if any("'AppState' object has no attribute" in error.message for error in errors):
        return wrong(
            "`dcp.load` was given the `AppState` itself. It takes a dict, nested as the one that "
            'was saved: `{"app": app}`.'
        )
    return mishaps.explain(run, stored, folder)


def _what(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" if shape is None else f"a tensor of shape {tuple(shape)}"


def _telling(keys: list[str]) -> str:
    return next((key for key in keys if key.endswith("weight.exp_avg")), keys[0])


EXERCISES = (
    Exercise(
        name="01-files",
        lesson="01_first_checkpoint",
        title="Three ranks",
        minutes=2,
        goal="say",
        judge=judge_files,
    ),
    Exercise(
        name="01-reshard",
        lesson="01_first_checkpoint",
        title="Load it yourself",
        minutes=10,
        goal="load",
        judge=judge_reshard,
    ),
)

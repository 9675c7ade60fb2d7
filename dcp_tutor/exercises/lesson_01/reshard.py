"""The check of `01-reshard`: a load on two ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dcp_tutor.exercises import mishaps
from dcp_tutor.exercises.evidence import (
    Stored,
    flat_tensors,
    need_folder,
    need_outputs,
    need_run,
    read_stored,
    same,
)
from dcp_tutor.exercises.lesson_01.model import WEIGHT, in_words, same_answer, telling
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, wrong
from dcp_tutor.launching import limits
from dcp_tutor.launching.run import Run
from dcp_tutor.views.words import count_text

_RESHARD_RANKS = 2


def judge_reshard(answer: Any) -> Verdict:
    """Compare what two ranks hold after their load with the checkpoint itself."""
    run = need_run(answer, "my_load")
    folder = need_folder(run, "checkpoint_dir")
    stored = read_stored(folder)
    if stored is None or WEIGHT not in stored.values:
        raise not_yet("The lesson's checkpoint is not there. Run its save cell, then yours again.")
    if not run.ok:
        raise _explain_failed_load(run, stored, folder)
    _need_two_ranks(run, stored)
    outputs = need_outputs(run, ["mine", "answer", "state"])
    mine, state = outputs["mine"], flat_tensors(outputs["state"][0], "app")
    parts = stored.values[WEIGHT].chunk(len(run.ranks))
    model = {key: value for key, value in stored.values.items() if key.startswith("app.model.")}
    if any(getattr(part, "shape", None) == stored.values[WEIGHT].shape for part in mine) and (
        len(run.ranks) > 1
    ):
        raise wrong(
            f"Every rank holds all {len(stored.values[WEIGHT])} rows of `net1.weight`, so "
            f"nothing was shared out, and nothing resharded. Call `fully_shard(model)` "
            f"before `dcp.load`, and bring back this rank's part: `.to_local()`."
        )
    for rank, (part, held) in enumerate(zip(parts, mine, strict=True)):
        if getattr(held, "shape", None) != part.shape:
            raise wrong(
                f"`mine` is no part of `net1.weight`: rank {rank} holds {len(part)} rows of "
                f"{part.shape[1]} numbers and brought back {in_words(held)}. Bring back "
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
    if not same_answer(stored.values, outputs["answer"][0]):
        raise wrong(
            "The weights are the saved ones, but `answer` is not theirs: it was taken before the "
            "load. Ask the model after `dcp.load` has returned."
        )
    tensors = {key: value for key, value in stored.values.items() if hasattr(value, "shape")}
    lost = [key for key, value in tensors.items() if not same(value, state.get(key))]
    if any(key.startswith("app.optim.") for key in lost):
        raise wrong(
            f"The model is back, but the optimizer is not: {len(lost)} of its tensors differ from "
            f"the checkpoint, such as `{telling(lost)}`. Training would go on with an Adam that "
            f"remembers nothing. Load model and optimizer together, and keep that optimizer."
        )
    if lost:
        raise wrong(
            f"This rank's rows are right, but `{lost[0]}` is not in `state` as it was saved. "
            f"`state` must be the whole of it: `whole(app.state_dict())`, after the load."
        )
    return right(
        f"`net1.weight` was saved in {count_text(stored.num_chunks[WEIGHT], 'piece')}; your ranks "
        f"hold {' and '.join(str(len(part)) for part in mine)} rows of it, and all {len(tensors)} "
        f"tensors of model and optimizer are equal to the checkpoint, bit for bit. Each rank asked "
        f"for the rows it needs, and DCP found them."
    )


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
    if num_ranks == stored.num_chunks[WEIGHT]:
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

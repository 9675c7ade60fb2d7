"""The check of `02-resume`: a training that was stopped equals the one that never was."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dcp_tutor.exercises import mishaps
from dcp_tutor.exercises.evidence import (
    Stored,
    need_folder,
    need_outputs,
    need_run,
    read_saved,
    same,
)
from dcp_tutor.exercises.verdict import Settled, Verdict, not_yet, right, undecided, wrong
from dcp_tutor.launching.messages import name_ranks
from dcp_tutor.launching.run import Run

Facts = Sequence[dict[str, Any]]
"""What each rank's `Trainer.facts()` said."""


def judge_resume(answer: Any) -> Verdict:
    """Compare each part of a trainer after its load with the one that was saved, then the losses.

    The parts come in the order in which their lack shows in the losses.
    """
    run = need_run(answer, "my_resume")
    folder = need_folder(run, "resume_dir")
    stored = read_saved(run, folder)
    if not run.ok:
        raise _explain_failed(run, stored, folder)
    if len(run.ranks) < 2:
        raise undecided(
            "Your program ran on a single rank, where nothing differs between ranks. It takes two "
            "to see whether each gets its own noise back: `--nproc-per-node 2`."
        )
    outputs = need_outputs(run, ["at_save", "whole", "after_load", "resumed"])
    if stored is None:
        raise not_yet("The program saved nothing. Keep the lines with `dcp.save` and `dcp.load`.")
    if not stored.values:
        raise not_yet(
            "The checkpoint was written, and it is empty: `state_dict` returns nothing yet. Let it "
            "return a dict with all that a training goes on from, and let `load_state_dict` put "
            "it back."
        )
    if lumps := [*stored.lumps, *_objects(stored)]:
        raise wrong(
            f"The checkpoint holds `{lumps[0]}` in one lump, pickled. DCP asks the objects of the "
            f"dict that you save for their state, and no others: what `state_dict` returns must be "
            f"tensors, numbers and dicts of them. Call the object's own `state_dict()` there."
        )
    saved, loaded = outputs["at_save"], outputs["after_load"]
    for explain in (_weights, _position, _noise, _moments, _schedule, _rate):
        if complaint := explain(stored, saved, loaded):
            raise wrong(f"{complaint}{_in_the_losses(outputs)}")
    if parts := _first_difference(outputs):
        raise wrong(
            f"Right after the load all parts are the saved ones, and yet the losses part at step "
            f"{parts} after it. Something touched the fresh trainer between its load and its first "
            f"step: leave nothing there but `facts`."
        )
    whole_weights = [_joined(saved, "weights", index) for index in range(len(saved[0]["weights"]))]
    gathered = [
        key
        for key, value in stored.values.items()
        if stored.num_chunks[key] == 1 and any(same(value, weight) for weight in whole_weights)
    ]
    if gathered:
        raise wrong(
            f"The losses are equal, bit for bit. But `{gathered[0]}` lies in the checkpoint in one "
            f"piece: every rank has gathered the whole of it, only to save it. Leave the tensors "
            f"sharded, as `get_model_state_dict` gives them without further options."
        )
    return right(
        f"Five losses on each of {len(saved)} ranks are equal to those of the training that never "
        f"stopped, bit for bit. The checkpoint has the weights, the optimizer with its moments and "
        f"rate, the schedule, the position, and each rank's own noise; with any one missing, the "
        f"losses would part."
    )


def _weights(stored: Stored, saved: Facts, loaded: Facts) -> str | None:
    if _is_back("weights", saved, loaded):
        return None
    if not _has_tensor(stored, _joined(saved, "weights")):
        return (
            "The weights of the model are not in the checkpoint as they were. Let `state_dict` "
            "return them: `get_model_state_dict` gives them by name, and sharded."
        )
    return (
        "The weights are in the checkpoint, and the fresh model does not have them: what "
        "`state_dict` gave DCP to fill were copies. Hand the loaded ones to the model in "
        "`load_state_dict`: `set_model_state_dict`."
    )


def _position(stored: Stored, saved: Facts, loaded: Facts) -> str | None:
    if _is_back("position", saved, loaded):
        return None
    position = saved[0]["position"]
    if not any(same(value, position) for value in stored.values.values()):
        return (
            f"The position in the data is not in the checkpoint: {position} waves had been seen, "
            f"and the resumed training begins again with wave {loaded[0]['position']}."
        )
    return (
        f"The position, {position}, is in the checkpoint, but the fresh trainer's is "
        f"{loaded[0]['position']}. It is a number, and no number is loaded in place: put it into "
        f"the trainer in `load_state_dict`."
    )


def _noise(stored: Stored, saved: Facts, loaded: Facts) -> str | None:
    astray = [rank for rank in range(len(saved)) if not _is_back("noise", saved, loaded, rank)]
    if not astray:
        return None
    kept = [rank for rank, facts in enumerate(saved) if _has_tensor(stored, facts["noise"])]
    if not kept:
        return (
            "The state of the random number generator is not in the checkpoint, so the resumed "
            "training makes other noise. `torch.get_rng_state()` is a tensor like any other."
        )
    if len(kept) < len(saved):
        others = name_ranks(rank for rank in range(len(saved)) if rank not in kept)
        return (
            f"The checkpoint holds one state of a random number generator, that of rank {kept[0]}; "
            f"that of {others} is gone. All ranks saved theirs under the same key, and DCP kept "
            f"one. Put the rank's number into the key."
        )
    return (
        f"Every rank's random state is in the checkpoint, but {name_ranks(astray)} did not take "
        f"it back. `get_rng_state` returns a copy, and the copy was filled: in `load_state_dict`, "
        f"give it to `torch.set_rng_state`."
    )


def _moments(stored: Stored, saved: Facts, loaded: Facts) -> str | None:
    if _is_back("moments", saved, loaded):
        return None
    moment = _joined(saved, "moments")
    keys = [key for key, value in stored.values.items() if same(value, moment)]
    if not keys:
        return (
            "The optimizer's moments are not in the checkpoint, so the resumed AdamW remembers "
            "nothing. `get_optimizer_state_dict` gives them under the names of their parameters."
        )
    if re.search(r"\.state\.\d+\.exp_avg$", keys[0]):  # numbered, not named
        return (
            f"`{keys[0]}` is in the checkpoint, and the fresh optimizer has nothing of it. "
            f"`optimizer.state_dict()` of one that never made a step is empty: nothing asked, "
            f"nothing loaded. `get_optimizer_state_dict` makes room first."
        )
    if not loaded[0]["moments"]:
        return (
            f"`{keys[0]}` is in the checkpoint, and the fresh optimizer is empty, without an "
            f"error. `get_optimizer_state_dict` makes room in a fresh optimizer only while no "
            f"parameter has a gradient, and the trial leaves some: call "
            f"`fresh.optimizer.zero_grad()` before `dcp.load`."
        )
    return (
        "The optimizer's moments are in the checkpoint, and the fresh optimizer has others: copies "
        "were filled. Hand the loaded ones over: `set_optimizer_state_dict`."
    )


def _schedule(stored: Stored, saved: Facts, loaded: Facts) -> str | None:
    if _is_back("epoch", saved, loaded):
        return None
    if not any(key.rpartition(".")[2] == "last_epoch" for key in stored.values):
        return (
            "The schedule of the learning rate is not in the checkpoint. The rate of the moment is "
            "right, as the optimizer brought it along, but it will be lowered at other steps. A "
            "scheduler has a `state_dict()` of its own."
        )
    return (
        f"The schedule is in the checkpoint, but the fresh scheduler counts {loaded[0]['epoch']} "
        f"steps, not {saved[0]['epoch']}. It consists of numbers: hand them to the scheduler's own "
        f"`load_state_dict`."
    )


def _rate(stored: Stored, saved: Facts, loaded: Facts) -> str | None:
    if _is_back("rate", saved, loaded):
        return None
    return (
        f"The optimizer's moments came back, being tensors, but its learning rate is "
        f"{loaded[0]['rate']:g} instead of {saved[0]['rate']:g}. Hand the loaded state to it in "
        f"`load_state_dict`: `set_optimizer_state_dict`."
    )


def _is_back(part: str, saved: Facts, loaded: Facts, rank: int | None = None) -> bool:
    """Say whether one rank, or every rank, has this part again as it was saved."""
    ranks = range(len(saved)) if rank is None else [rank]
    return all(_equal(saved[rank][part], loaded[rank][part]) for rank in ranks)


def _objects(stored: Stored) -> list[str]:
    """Return the keys of values that are neither tensors nor of Python's own kinds."""
    import torch

    return [
        key
        for key, value in stored.values.items()
        if not isinstance(value, torch.Tensor) and type(value).__module__ != "builtins"
    ]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return same(one, other)


def _joined(facts: Facts, part: str, index: int = 0) -> Any:
    """Return the whole of a sharded tensor, from the pieces that the ranks brought back."""
    import torch

    return torch.cat([rank[part][index] for rank in facts])


def _has_tensor(stored: Stored, tensor: Any) -> bool:
    return any(same(value, tensor) for value in stored.values.values())


def _first_difference(outputs: dict[str, list[Any]]) -> int | None:
    """Return the first step after the load at which a rank's loss is another, from 1."""
    whole, resumed = (zip(*outputs[name], strict=True) for name in ("whole", "resumed"))
    steps = enumerate(zip(whole, resumed, strict=True), 1)
    return next((number for number, (losses, others) in steps if losses != others), None)


def _in_the_losses(outputs: dict[str, list[Any]]) -> str:
    """Say at which step it shows."""
    step = _first_difference(outputs)
    if step is None:
        return " No loss shows it yet; five steps are too few."
    return f" The losses show it at step {step} after the load."


def _explain_failed(run: Run, stored: Stored | None, folder: Any) -> Settled:
    """Say why the launch failed: the mistakes of this exercise first."""
    errors = [rank.error for rank in run.ranks if rank.error is not None]
    names = {part for key in stored.values for part in key.split(".")} if stored else set()
    looked_for = next((e.message.strip("'\"") for e in errors if e.type == "KeyError"), None)
    if looked_for is not None and names:
        asked = "is in the checkpoint, but" if looked_for in names else "is not in the checkpoint:"
        return wrong(
            f"`load_state_dict` looked for `{looked_for}`, which {asked} `state_dict` of the fresh "
            f"trainer did not ask for it. Both methods must use the same names, and "
            f"`state_dict` must name the same parts before and after a training."
        )
    if any(e.type == "CheckpointException" and "pickle" in e.message for e in errors):
        return wrong(
            "DCP tried to pickle an object, model and all, and could not. It takes an object for a "
            "`Stateful` only if it has both methods, `state_dict` and `load_state_dict`, under "
            "these very names; any other object is a plain value to it."
        )
    if any(e.type == "TypeError" and "'NoneType'" in e.message for e in errors):
        return wrong(
            "`state_dict` returned None: it comes to its end without a `return`. Let it return a "
            "dict."
        )
    return mishaps.explain(run, stored, folder)

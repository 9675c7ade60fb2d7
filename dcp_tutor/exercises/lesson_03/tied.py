"""The check of `03-tied`: a tie that survives sharding."""

from __future__ import annotations

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
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, undecided, wrong
from dcp_tutor.launching.run import Run


def judge_tied(answer: Any) -> Verdict:
    """Look at what was stored of a tied model, and at what was whole during its forward pass."""
    run = need_run(answer, "my_tied")
    folder = need_folder(run, "my_tied_dir")
    stored = read_saved(run, folder)
    if not run.ok:
        raise _explain_failed_tied(run)
    if len(run.ranks) < 2:
        raise undecided(
            "Your program ran on a single rank, and there is nothing to shard there. It takes two "
            "or more: `--nproc-per-node 4`."
        )
    whole_in = need_outputs(run, ["whole_in"])["whole_in"][0]
    if stored is None or not {"model.emb.weight", "model.head.weight"} <= stored.values.keys():
        raise not_yet(
            "The checkpoint of your model is not in `my_tied_dir`. Leave the lines below the TODO "
            "as they were given: they train one step and save."
        )
    in_one_piece = [key for key in _model_keys(stored) if stored.num_chunks[key] == 1]
    if len(in_one_piece) == len(_model_keys(stored)):
        raise not_yet(
            "Nothing is sharded yet: each rank holds the whole model. Fill in the part marked TODO."
        )
    if in_one_piece:
        raise wrong(
            f"`{in_one_piece[0].removeprefix('model.')}` is not sharded: every rank holds all of "
            f"it, and the checkpoint has it in one piece. Finish with `fully_shard(model)`: it "
            f"takes every parameter that no group has yet."
        )
    if not same(stored.values["model.emb.weight"], stored.values["model.head.weight"]):
        raise wrong(
            "The program ran, but after one step `emb.weight` and `head.weight` are different in "
            "the checkpoint. They are two parameters now, which only started out equal. A copy is "
            "no tie: keep the one parameter, and let one call of `fully_shard` see both modules."
        )
    if any(key.startswith("optim.state.head.weight.") for key in stored.values):
        raise wrong(
            "The two weights are equal in the checkpoint, but Adam keeps a state for each: "
            "`optim.state.head.weight` is there beside the one of `emb.weight`. They are two "
            "parameters, made equal by hand, and each sees only its own part of the gradient."
        )
    if not {"one", "two"} <= whole_in.keys():
        raise not_yet(
            "The forward pass did not come by the blocks `one` and `two`. Leave the lines below "
            "the TODO as they were given."
        )
    if "two.weight" in whole_in["one"] or "one.weight" in whole_in["two"]:
        here, other = ("one", "two") if "two.weight" in whole_in["one"] else ("two", "one")
        raise wrong(
            f"The tie holds. But `{other}.weight` is whole while block `{here}` computes: both "
            f"blocks are gathered together, so each rank needs room for all of them. Give each "
            f"block a call of `fully_shard` of its own, before the one for the model."
        )
    return right(
        "`emb.weight` and `head.weight` are still the same numbers after a training step, Adam "
        "keeps one state for both, and the blocks are gathered one by one. In the checkpoint the "
        "weight stands under both names, so both find it when it is loaded."
    )


def _model_keys(stored: Stored) -> list[str]:
    """Return the keys of the model's weights; a bias may be too short to be cut."""
    return sorted(key for key in stored.values if key.startswith("model.") and "weight" in key)


def _explain_failed_tied(run: Run) -> Exception:
    """Say why the launch failed: the mistakes of this exercise first."""
    messages = [rank.error.message for rank in run.ranks if rank.error is not None]
    if any("managed by another FSDP group" in text and "'None'" in text for text in messages):
        return wrong(
            "You tied the weights again *after* sharding. By then there were two shards, and each "
            "group goes on to manage its own; the module now shows one that is not its group's. "
            "The tie must not be cut in the first place."
        )
    if any("managed by another FSDP group" in text for text in messages):
        return wrong(
            "The first forward pass found that two groups manage the same weight: `emb` and `head` "
            "were taken by different calls of `fully_shard`, and that cut the tie. One call must "
            "see both. The error message above says how."
        )
    if any("fully_shard" in text and "positional argument" in text for text in messages):
        return wrong(
            "`fully_shard` takes one argument: a module, or a *list* of modules that shall be one "
            "group. Put the two into square brackets."
        )
    return mishaps.explain(run, None, None)

"""The check of `05-head`: a load in part, and one that must be refused."""

from __future__ import annotations

from typing import Any

from dcp_tutor.exercises import mishaps
from dcp_tutor.exercises.evidence import Stored, need_outputs, need_run, same
from dcp_tutor.exercises.lesson_05.serve import need_checkpoint
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, wrong
from dcp_tutor.launching.run import Run


def judge_head(answer: Any) -> Verdict:
    """Compare a load in part, and one that must be refused, with the checkpoint."""
    run = need_run(answer, "my_head")
    stored = need_checkpoint(run)
    if not run.ok:
        raise _explain_failed_head(run, stored)
    outputs = need_outputs(run, ["before", "after"])
    refused = run.outputs.get("refused", [None])[0]
    missing = run.outputs.get("missing", [None])[0]
    if missing is None:
        raise not_yet(
            "The program ran to its end, but `load_partly` returns nothing yet: `missing` is None. "
            "Fill in the part marked TODO."
        )
    before, after = (outputs[name] for name in ("before", "after"))
    changed = [
        name
        for name in ("head.weight", "head.bias")
        if not all(same(b["net"][name], a["net"][name]) for b, a in _pairs(before, after))
    ]
    body = [name for name in before[0]["net"] if not name.startswith("head.")]
    lost = [name for name in body if not _is_stored(stored, name, after)]
    if len(lost) == len(body):
        raise wrong(
            "Nothing of the checkpoint is in the model with the new head: its layers still have "
            "their random numbers. The checkpoint has them, under longer names, "
            "`app.model.up.weight`; compare with those, and load into `model.state_dict()`."
        )
    if lost:
        raise wrong(
            f"`{lost[0]}` is in the checkpoint, and was not loaded into the model with the new "
            f"head. Load *all* that both have."
        )
    if changed:
        raise wrong(
            f"`{changed[0]}` has other numbers than before the load. The checkpoint has nothing "
            f"for it, so leave it as it was made; a head of zeros is no fresh head."
        )
    if not refused and _names(missing) == []:
        raise wrong(
            "Nobody has compared the names: `missing` is empty, although the checkpoint has no "
            "head, and the model with `dwon` was loaded too. `allow_partial_load` makes `dcp.load` "
            "content with whatever is there. The comparison is yours to make."
        )
    if not refused:
        raise wrong(
            "The model with `dwon` was loaded without a word, and its second layer is random now. "
            "That is how a slip of the fingers costs a training. Names that do not begin with "
            "`new` must not be lacking: raise an error that names them."
        )
    if any(
        not same(b["misspelt"][n], a["misspelt"][n])
        for b, a in _pairs(before, after)
        for n in body
        if n in b["misspelt"]
    ):
        raise wrong(
            "The model with `dwon` was refused, but too late: `up.weight` had been loaded already. "
            "Whoever catches the error goes on with half a model. Compare first, load then."
        )
    if "dwon" not in refused:
        raise wrong(
            f"The model with `dwon` was refused, but the error does not say why: {refused!r}. "
            f"Name the parameters that the checkpoint lacks; nobody should have to search."
        )
    if _names(missing) != ["head.bias", "head.weight"]:
        raise wrong(
            f"Both models got what they should, but `missing` is {missing!r}. Return the names of "
            f"the parameters that the checkpoint lacks, sorted, so that the caller knows what is "
            f"still untrained: `['head.bias', 'head.weight']`."
        )
    return right(
        "All that the checkpoint has is in the model, the head keeps its own numbers and is named "
        "as missing, and the slip is refused before anything has changed. Missing keys are "
        "allowed now, but only those that you expect."
    )


def _pairs(before: list[Any], after: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(before, after, strict=True))


def _is_stored(stored: Stored, name: str, after: list[Any]) -> bool:
    """Say whether the ranks together hold the stored tensor, cut by rows."""
    import torch

    parts = [rank["net"][name] for rank in after]
    return same(torch.cat(parts), stored.values[f"app.model.{name}"])


def _names(missing: Any) -> list[str]:
    names = [str(name).removeprefix("app.model.") for name in missing]
    return sorted(names) if isinstance(missing, set | tuple) else names


def _explain_failed_head(run: Run, stored: Stored) -> Exception:
    """Say why the launch failed: the mistakes of this exercise first."""
    errors = [rank.error for rank in run.ranks if rank.error is not None]
    messages = [error.message for error in errors]
    if any("Missing key" in text and "app.model.head" in text for text in messages):
        return wrong(
            "`dcp.load` was asked for the head too, and refuses the whole load for it. Hand it "
            "only what the checkpoint has: leave the missing names out of the dict."
        )
    own = [error for error in errors if error.type != "CheckpointException"]
    if any("up.weight" in error.message for error in own):
        return wrong(
            "Your function finds that even `up.weight` is lacking. The checkpoint has it, as "
            "`app.model.up.weight`: the names of a model are only the end of the keys."
        )
    if any("head." in error.message for error in own):
        return wrong(
            "Your function refuses the model with the new head. Names that begin with `new`, here "
            "`head.`, may be lacking: they are what is new. Refuse the others only."
        )
    return mishaps.explain(run, stored, None)

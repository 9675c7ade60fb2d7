"""The check of `02-counter`: a `Stateful` of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dcp_tutor.exercises import mishaps
from dcp_tutor.exercises.evidence import (
    Stored,
    need_folder,
    need_outputs,
    need_run,
    plain,
    read_saved,
    same,
)
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, wrong
from dcp_tutor.launching.run import Run


def judge_counter(answer: Any) -> Verdict:
    """Compare an object before its save with a fresh one after the load."""
    run = need_run(answer, "my_average")
    folder = need_folder(run, "average_dir")
    stored = read_saved(run, folder)
    if not run.ok:
        raise _explain_failed_counter(run, stored, folder)
    outputs = need_outputs(run, ["before", "after", "evaluated"])
    before, after, evaluated = (outputs[name][0] for name in ("before", "after", "evaluated"))
    asked = run.outputs.get("asked", [None])[0]
    if stored is None:
        raise not_yet("The program saved nothing. Keep the lines with `dcp.save` and `dcp.load`.")
    if not stored.values:
        raise not_yet(
            "The checkpoint was written, and it is empty: `state_dict` returns nothing to save. "
            "Let it return a dict with all that a fresh `Average` needs, and let "
            "`load_state_dict` put it back."
        )
    names = ", ".join(f"`{key}`" for key in sorted(stored.values))
    if stored.lumps:
        raise wrong(
            f"The checkpoint holds `{stored.lumps[0]}` in one lump, pickled. DCP takes an object "
            f"for a `Stateful` only if it has both methods, `state_dict` and `load_state_dict`, "
            f"under these very names; any other object is a plain value, which it replaces in the "
            f"dict and never fills."
        )
    values = list(stored.values.values())
    if not any(same(plain(value), before["count"]) for value in values):
        raise wrong(
            f"The count is not in the checkpoint, which holds {names}. With the next `update` the "
            f"mean would be wrong: `state_dict` must return everything that the object goes on "
            f"with."
        )
    if not any(same(value, before["weights"]) for value in values):
        raise wrong(
            f"The weights are not in the checkpoint, which holds {names}. A count alone brings no "
            f"mean back: let `state_dict` return the tensor too."
        )
    count_is_back = same(plain(after["count"]), before["count"])
    weights_are_back = same(after["weights"], before["weights"])
    if not count_is_back and not weights_are_back:
        raise wrong(_nothing_came_back(asked))
    if not count_is_back:
        raise wrong(
            f"The weights came back, and `count` is {plain(after['count'])} instead of "
            f"{before['count']}. A tensor is loaded in place, so it comes back by itself; a number "
            f"cannot be. DCP hands it to `load_state_dict`, and there it must be put into "
            f"`self.count`."
        )
    if not weights_are_back:
        raise wrong(
            "`count` came back, and the weights did not. `state_dict` gave DCP a copy of the "
            "tensor, and the copy was filled. Return `self.weights` itself, or let "
            '`load_state_dict` copy it back: `self.weights.copy_(state["weights"])`.'
        )
    if not same(evaluated, before["weights"]):
        raise wrong(
            "`fresh.weights` has the saved numbers, but it is another tensor now: the one that the "
            "evaluation model uses, `evaluated`, still has zeros. Load into the tensor that is "
            'there, `self.weights.copy_(state["weights"])`, and do not put a new one in its place.'
        )
    if not isinstance(after["count"], int):
        raise wrong(
            f"All numbers are back, but `count` was an `int` and came back as a "
            f"`{type(after['count']).__name__}`. Save the number itself, or take it out of the "
            f"tensor with `.item()`."
        )
    return right(
        "The fresh object goes on where the saved one stopped. The tensor was loaded in place, so "
        "the evaluation model sees it too; the number went through `load_state_dict`, because "
        "nothing else can change `self.count`."
    )


def _nothing_came_back(asked: object) -> str:
    """Say why neither number nor tensor came back, though both were saved."""
    if asked == []:
        return (
            "Both are in the checkpoint, and nothing came back. Before it loads, DCP asks the "
            "*fresh* object for its `state_dict`, to learn what to read, and the fresh one "
            "answered with an empty dict. That is no error: nothing asked, nothing loaded. Return "
            "the same keys always, also while `count` is 0."
        )
    return (
        "Both are in the checkpoint, and neither came back. DCP loaded them into what `state_dict` "
        "had returned, a number and a copy of the tensor, and gave these to `load_state_dict`. "
        "There they must be put into `self`; a variable of the method's own ends with it."
    )


def _explain_failed_counter(run: Run, stored: Stored | None, folder: Path) -> Exception:
    """Say why the launch failed: the mistakes of this exercise first."""
    errors = [rank.error for rank in run.ranks if rank.error is not None]
    names = {key.rpartition(".")[2] for key in stored.values} if stored else set()
    looked_for = next((e.message.strip("'\"") for e in errors if e.type == "KeyError"), None)
    if looked_for in names:
        return wrong(
            f"`load_state_dict` looked for `{looked_for}`, which is in the checkpoint but was not "
            f"loaded. DCP reads only what the *fresh* object's `state_dict` names, and a fresh one "
            f"named less than the one that was saved. Return the same keys always, also while "
            f"`count` is 0."
        )
    if looked_for is not None and names:
        known = ", ".join(f"`{name}`" for name in sorted(names))
        return wrong(
            f"`load_state_dict` looked for `{looked_for}`, and `state_dict` had called it "
            f"otherwise: {known}. Both methods must use the same names."
        )
    if any(e.type == "TypeError" and "'NoneType'" in e.message for e in errors):
        return wrong(
            "`state_dict` returned None: it comes to its end without a `return`. What it returns "
            "is what DCP saves, and what DCP fills when it loads: let it return a dict."
        )
    return mishaps.explain(run, stored, folder)

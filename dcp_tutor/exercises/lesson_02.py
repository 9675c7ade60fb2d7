"""The checks of lesson 02: a `Stateful` of one's own, and a value for each rank."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dcp_tutor.exercises import mishaps
from dcp_tutor.exercises.evidence import (
    Stored,
    is_saved_by,
    need_folder,
    need_outputs,
    need_run,
    read_stored,
    same,
)
from dcp_tutor.exercises.exercise import Exercise
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, undecided, wrong
from dcp_tutor.launching.messages import name_ranks
from dcp_tutor.launching.run import Run


def judge_counter(answer: Any) -> Verdict:
    """Compare an object before its save with a fresh one after the load."""
    run = need_run(answer, "my_average")
    folder = need_folder(run, "average_dir")
    stored = read_stored(folder) if is_saved_by(run, folder) else None
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
    if not any(same(_plain(value), before["count"]) for value in values):
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
    count_is_back = same(_plain(after["count"]), before["count"])
    weights_are_back = same(after["weights"], before["weights"])
    if not count_is_back and not weights_are_back:
        raise wrong(_nothing_came_back(asked))
    if not count_is_back:
        raise wrong(
            f"The weights came back, and `count` is {_plain(after['count'])} instead of "
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


def judge_per_rank(answer: Any) -> Verdict:
    """Compare what each rank brought back with what it had, and with what was stored."""
    run = need_run(answer, "my_positions")
    folder = need_folder(run, "positions_dir")
    stored = read_stored(folder) if is_saved_by(run, folder) else None
    if not run.ok:
        raise mishaps.explain(run, stored, folder)
    if len(run.ranks) < 2:
        raise undecided(
            "Your program ran on a single rank, and there nothing can get lost. It takes two or "
            "more to see it: `--nproc-per-node 4`."
        )
    outputs = need_outputs(run, ["position", "restored"])
    positions, restored = outputs["position"], outputs["restored"]
    if len({str(_plain(position)) for position in positions}) < len(positions):
        raise not_yet(
            "Several ranks have the same `position`, so nobody could tell whether one was lost. "
            "Leave that line as it was given."
        )
    if stored is None:
        raise not_yet(
            "No checkpoint was written to `positions_dir`. Save there on all ranks, then load "
            "into a fresh dict."
        )
    if any(same(list(_entries(value)), positions) for value in stored.values.values()) and all(
        map(same, map(_plain, restored), positions)
    ):
        return right(
            f"All {len(positions)} positions are in the checkpoint, together under one key, and "
            f"every rank has its own back: nothing was lost. The other way, a key for each rank "
            f"such as `position_0`, needs no rank to know what the others have."
        )
    kept = [
        position
        for position in positions
        if any(same(_plain(value), position) for value in stored.values.values())
    ]
    if len(kept) < len(positions):
        raise _explain_loss(stored, positions)
    lost = [rank for rank, value in enumerate(restored) if not same(_plain(value), positions[rank])]
    if lost:
        raise _explain_bad_load(stored, positions, restored, lost)
    return right(
        f"{len(positions)} keys, one for each rank, and every rank has its own position back. No "
        f"two ranks bring the same key, so there is nothing that DCP could take for a copy. The "
        f"price: on another number of ranks these keys fit no longer."
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


def _explain_loss(stored: Stored, positions: list[Any]) -> Exception:
    """Say which ranks' values are not in the checkpoint, and why."""
    one_key = len(stored.values) == 1
    for key, value in stored.values.items():
        winners = [rank for rank, position in enumerate(positions) if same(_plain(value), position)]
        if one_key and winners:
            others = name_ranks(rank for rank in range(len(positions)) if rank not in winners)
            if re.search(r"\d", key):
                return wrong(
                    f"The only key in the checkpoint is `{key}`, with the position of rank "
                    f"{winners[0]}. There is a number in it, but that number is the same on all "
                    f"ranks. Take the one that differs: `dist.get_rank()`."
                )
            return wrong(
                f"Under `{key}` the checkpoint holds one value, {_plain(value)}: the position of "
                f"rank {winners[0]}. Those of {others} are gone, without an error. DCP takes what "
                f"several ranks save under one key for copies of the same thing, and writes one. "
                f"Give each rank a key of its own."
            )
        entries = list(_entries(value))
        kept = [rank for rank, position in enumerate(positions) if position in entries]
        if len(entries) >= len(positions) and kept:
            return wrong(
                f"`{key}` holds one rank's list, {entries}, with its own position alone filled in. "
                f"The ranks' lists have the same key, so one was written and the others dropped; "
                f"DCP does not merge them. Give each rank a key of its own."
            )
    kept = [
        rank
        for rank, position in enumerate(positions)
        if any(same(_plain(value), position) for value in stored.values.values())
    ]
    gone = name_ranks(rank for rank in range(len(positions)) if rank not in kept)
    names = ", ".join(f"`{key}`" for key in sorted(stored.values)) or "no entry"
    return wrong(
        f"The checkpoint holds {names}, and in it the position of {gone} is nowhere. Every rank "
        f"must bring its own `position`, under a key that no other rank uses."
    )


def _explain_bad_load(
    stored: Stored, positions: list[Any], restored: list[Any], lost: list[int]
) -> Exception:
    """Say why values that were stored did not come back."""
    if any(re.search(r"\.\d+$", key) for key in stored.values) and not any(
        same(_plain(value), position) for value in restored for position in positions
    ):
        key = sorted(stored.values)[0]
        return wrong(
            f"All positions are in the checkpoint, and yet {name_ranks(lost)} kept the old value. "
            f"DCP turns a dict's keys into text, as in `{key}`, so what it loaded lies beside your "
            f'entry: under `"{key.rpartition(".")[2]}"`, not under the number. Use text for keys.'
        )
    found = {str(_plain(value)) for value in restored}
    if len(found) == 1 and any(same(_plain(restored[0]), position) for position in positions):
        owner = next(r for r, position in enumerate(positions) if same(restored[0], position))
        return wrong(
            f"All positions are in the checkpoint, but every rank has read the one of rank "
            f"{owner}. The key that you load must be the rank's own too."
        )
    return wrong(
        f"All positions are in the checkpoint, but {name_ranks(lost)} did not bring theirs back: "
        f"`restored` is {_plain(restored[lost[0]])}. A number cannot be loaded in place; DCP puts "
        f"the new one into the dict that you passed. Read it from there, after `dcp.load`."
    )


def _plain(value: Any) -> Any:
    """Return a number for a tensor, list or dict with a single element, else the value itself."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.item() if value.numel() == 1 else value
    if isinstance(value, list | tuple) and len(value) == 1:
        return _plain(value[0])
    return value


def _entries(value: Any) -> list[Any]:
    """Return the elements of a stored list, dict or tensor."""
    import torch

    if isinstance(value, torch.Tensor):
        return list(value.tolist()) if value.dim() else []
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


EXERCISES = (
    Exercise(
        name="02-counter",
        lesson="02_stateful",
        title="A Stateful of your own",
        minutes=10,
        goal="write",
        judge=judge_counter,
    ),
    Exercise(
        name="02-per-rank",
        lesson="02_stateful",
        title="A value for each rank",
        minutes=8,
        goal="give",
        judge=judge_per_rank,
    ),
)

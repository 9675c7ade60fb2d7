"""The check of `02-per-rank`: a value for each rank."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, undecided, wrong
from dcp_tutor.launching.messages import name_ranks


def judge_per_rank(answer: Any) -> Verdict:
    """Compare what each rank brought back with what it had, and with what was stored."""
    run = need_run(answer, "my_positions")
    folder = need_folder(run, "positions_dir")
    stored = read_saved(run, folder)
    if not run.ok:
        raise mishaps.explain(run, stored, folder)
    if len(run.ranks) < 2:
        raise undecided(
            "Your program ran on a single rank, and there nothing can get lost. It takes two or "
            "more to see it: `--nproc-per-node 4`."
        )
    outputs = need_outputs(run, ["position", "restored"])
    positions, restored = outputs["position"], outputs["restored"]
    if len({str(plain(position)) for position in positions}) < len(positions):
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
        map(same, map(plain, restored), positions)
    ):
        return right(
            f"All {len(positions)} positions are in the checkpoint, together under one key, and "
            f"every rank has its own back: nothing was lost. The other way, a key for each rank "
            f"such as `position_0`, needs no rank to know what the others have."
        )
    kept = [
        position
        for position in positions
        if any(same(plain(value), position) for value in stored.values.values())
    ]
    if len(kept) < len(positions):
        raise _explain_loss(stored, positions)
    lost = [rank for rank, value in enumerate(restored) if not same(plain(value), positions[rank])]
    if lost:
        raise _explain_bad_load(stored, positions, restored, lost)
    return right(
        f"{len(positions)} keys, one for each rank, and every rank has its own position back. No "
        f"two ranks bring the same key, so there is nothing that DCP could take for a copy. The "
        f"price: on another number of ranks these keys fit no longer."
    )


def _explain_loss(stored: Stored, positions: list[Any]) -> Exception:
    """Say which ranks' values are not in the checkpoint, and why."""
    one_key = len(stored.values) == 1
    for key, value in stored.values.items():
        winners = [rank for rank, position in enumerate(positions) if same(plain(value), position)]
        if one_key and winners:
            others = name_ranks(rank for rank in range(len(positions)) if rank not in winners)
            if re.search(r"\d", key):
                return wrong(
                    f"The only key in the checkpoint is `{key}`, with the position of rank "
                    f"{winners[0]}. There is a number in it, but that number is the same on all "
                    f"ranks. Take the one that differs: `dist.get_rank()`."
                )
            return wrong(
                f"Under `{key}` the checkpoint holds one value, {plain(value)}: the position of "
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
        if any(same(plain(value), position) for value in stored.values.values())
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
        same(plain(value), position) for value in restored for position in positions
    ):
        key = sorted(stored.values)[0]
        return wrong(
            f"All positions are in the checkpoint, and yet {name_ranks(lost)} kept the old value. "
            f"DCP turns a dict's keys into text, as in `{key}`, so what it loaded lies beside your "
            f'entry: under `"{key.rpartition(".")[2]}"`, not under the number. Use text for keys.'
        )
    found = {str(plain(value)) for value in restored}
    if len(found) == 1 and any(same(plain(restored[0]), position) for position in positions):
        owner = next(r for r, position in enumerate(positions) if same(restored[0], position))
        return wrong(
            f"All positions are in the checkpoint, but every rank has read the one of rank "
            f"{owner}. The key that you load must be the rank's own too."
        )
    return wrong(
        f"All positions are in the checkpoint, but {name_ranks(lost)} did not bring theirs back: "
        f"`restored` is {plain(restored[lost[0]])}. A number cannot be loaded in place; DCP puts "
        f"the new one into the dict that you passed. Read it from there, after `dcp.load`."
    )


def _entries(value: Any) -> list[Any]:
    """Return the elements of a stored list, dict or tensor."""
    import torch

    if isinstance(value, torch.Tensor):
        return list(value.tolist()) if value.dim() else []
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []

"""The first and last cell of a lesson: check its parameters, choose its device, clean up."""

from __future__ import annotations

from collections.abc import Iterable

from dcp_tutor.errors import UsageError
from dcp_tutor.launching import limits
from dcp_tutor.launching.folders import keep_run_folder, remove_run_folder, run_folder


def begin(*, device: str = "auto", **ranks: int | Iterable[int]) -> str:
    """Check a notebook's numbers of ranks, and choose one device for all its launches.

    The device is chosen once, for the largest number, so that no notebook saves on one device and
    loads on another unknowingly. What was chosen is printed.

    Args:
        device: `auto`, `cpu` or `cuda`. `auto` is CUDA where there is a GPU for each of the ranks,
            else the CPU; `DCP_TUTOR_DEVICE` can choose for it.
        ranks: the notebook's parameters by name, each a number of ranks or several.

    Returns:
        `cpu` or `cuda`.

    Raises:
        UsageError: a parameter is no number of ranks, too many for this machine's memory, or
            there are too few GPUs.

    Example:
        >>> device = begin(save_ranks=4, load_ranks=[2, 3])
        This notebook starts up to 4 ranks at once, on the CPU (gloo).

    """
    asked = max(
        (_check_count(name, count) for name, value in ranks.items() for count in _counts(value)),
        default=1,
    )
    most = limits.cap_ranks(asked)
    limits.check_memory(most)
    limits.set_default_device("auto")  # forget what an earlier run of this cell chose
    chosen = limits.resolve_device(None if device == "auto" else device, most)
    limits.set_default_device(chosen)
    where = "on GPUs (NCCL)" if chosen == "cuda" else "on the CPU (gloo)"
    capped = f" (DCP_TUTOR_MAX_RANKS={most}: larger numbers become {most})" * (most < asked)
    many = f"up to {most} ranks at once" if most > 1 else "1 rank at a time"
    print(f"This notebook starts {many}, {where}{capped}.")
    return chosen


def end(*, keep: bool = False) -> None:
    """Remove everything that this notebook wrote, or keep it and say where it is.

    Example:
        >>> end()
        Removed everything that this notebook wrote.

    """
    if keep:
        print(f"Kept: {keep_run_folder()}")
        return
    run_folder()  # so that there is something to remove, and the sentence below is true
    remove_run_folder()
    print("Removed everything that this notebook wrote.")


def _counts(value: int | Iterable[int]) -> list[int]:
    return list(value) if isinstance(value, list | tuple | range | set) else [value]  # type: ignore[list-item]


def _check_count(name: str, count: object) -> int:
    """Return `count` if it is a number of ranks."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UsageError(
            f"{name} = {count!r}: a number of ranks is a whole number, 1 or more. "
            f"Set it in the parameters cell, as in `{name} = 2`."
        )
    return count

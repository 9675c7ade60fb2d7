"""The first and last cell of a lesson: check its parameters, choose its device, clean up."""

from __future__ import annotations

from collections.abc import Iterable

from IPython import get_ipython

from dcp_tutor.errors import UsageError
from dcp_tutor.kit.bounds import check_parameters
from dcp_tutor.launching import limits
from dcp_tutor.launching.folders import keep_run_folder, remove_run_folder, run_folder


def begin(*, device: str = "auto", least: int = 1, **ranks: int | Iterable[int]) -> str:
    """Check a notebook's parameters, and choose one device for all its launches.

    The device is chosen once, for the largest number, so that no notebook saves on one device and
    loads on another unknowingly. What was chosen is printed. In a notebook, every parameter is
    compared with what the comment behind it allows (`dcp_tutor.kit.bounds`).

    Args:
        device: `auto`, `cpu` or `cuda`. `auto` is CUDA where there is a GPU for each of the ranks,
            else the CPU; `DCP_TUTOR_DEVICE` can choose for it.
        least: ranks without which there is nothing to be seen in this notebook.
        ranks: the notebook's parameters by name, each a number of ranks or several.

    Returns:
        `cpu` or `cuda`.

    Raises:
        UsageError: a parameter is not what it may be, there are too many ranks for this machine's
            memory or fewer than `least`, or there are too few GPUs.

    Example:
        >>> device = begin(save_ranks=4, load_ranks=[2, 3])
        This notebook starts up to 4 ranks at once, on the CPU (gloo).

    """
    asked = max(
        (_check_count(name, count) for name, value in ranks.items() for count in _counts(value)),
        default=1,
    )
    most = limits.cap_ranks(asked)
    if most < least:
        raise UsageError(_too_few(most, least, capped=most < asked))
    limits.check_memory(most)
    limits.set_default_device("auto")  # forget what an earlier run of this cell chose
    chosen = limits.resolve_device(None if device == "auto" else device, most)
    limits.set_default_device(chosen)
    if (shell := get_ipython()) is not None:
        check_parameters(shell.user_ns.get("In", []), shell.user_ns)
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


def _too_few(most: int, least: int, *, capped: bool) -> str:
    if capped:
        return (
            f"DCP_TUTOR_MAX_RANKS is {most}, and this notebook shows what ranks do to each other: "
            f"it needs {least}. Set the variable to {least} or more, or unset it; on the CPU "
            f'(`device = "cpu"`) ranks need no GPUs.'
        )
    return (
        f"{most} at a time cannot show what ranks do to each other: this notebook needs {least}. "
        f"Set {least} or more in the parameters cell."
    )


def _check_count(name: str, count: object) -> int:
    """Return `count` if it is a number of ranks."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UsageError(
            f"{name} = {count!r}: a number of ranks is a whole number, 1 or more. "
            f"Set it in the parameters cell, as in `{name} = 2`."
        )
    return count

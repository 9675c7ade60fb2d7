"""How many ranks this machine can hold, and on which device they run."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import psutil

from dcp_tutor.errors import UsageError
from dcp_tutor.launching.interrupts import import_whole

DEVICES = ("auto", "cpu", "cuda")

MEGABYTES_PER_RANK = 240
"""Memory of one rank that started cold and ran an FSDP step and a save of a small model.

Private memory, measured on torch 2.13.0+cpu by `make bench`: 229 MB. A warm rank shares most of
it and has 28 MB of its own; what counts here is that the launch would also go well cold.
"""

_default_device = "auto"


def set_default_device(device: str) -> None:
    """Choose the device of all later launches that do not name one."""
    global _default_device
    _check_name(device)
    _default_device = device


def resolve_device(device: str | None, num_ranks: int) -> str:
    """Return `cpu` or `cuda` for a launch of `num_ranks` ranks.

    `auto` is CUDA where there is a GPU for every rank, else the CPU. Without a choice the
    notebook's own counts, then `DCP_TUTOR_DEVICE`, then `auto`.

    Raises:
        UsageError: an unknown device, or fewer GPUs than ranks.

    Example:
        >>> resolve_device("cpu", 4)
        'cpu'

    """
    chosen = device
    if chosen is None:
        chosen = _default_device
        if chosen == "auto":
            chosen = os.environ.get("DCP_TUTOR_DEVICE") or "auto"
    _check_name(chosen)
    if chosen == "cpu":
        return "cpu"
    gpus = num_gpus()
    if chosen == "auto":
        return "cuda" if gpus >= num_ranks else "cpu"
    if gpus < num_ranks:
        raise UsageError(
            f"--device cuda with {num_ranks} ranks needs {num_ranks} GPUs, one for each; this "
            f"machine has {gpus}. "
            + (f"Type --nproc-per-node {gpus}, or " if gpus else "Type ")
            + "--device cpu."
        )
    return "cuda"


@cache
def num_gpus() -> int:
    """Return the number of CUDA devices, without initialising CUDA in this process."""
    # torch then asks NVML; its default check would initialise CUDA.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    import_whole("torch")
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def cap_ranks(num_ranks: int) -> int:
    """Return `num_ranks`, or what `DCP_TUTOR_MAX_RANKS` allows if that is less.

    Raises:
        UsageError: the variable holds no positive number.

    """
    text = os.environ.get("DCP_TUTOR_MAX_RANKS", "")
    if not text:
        return num_ranks
    if not text.isdigit() or int(text) < 1:
        raise UsageError(
            f"DCP_TUTOR_MAX_RANKS is {text!r}; it must be a number of ranks, 1 or more. "
            f"Set it to the number of GPUs of this machine, or unset it."
        )
    return min(num_ranks, int(text))


def check_memory(num_ranks: int) -> None:
    """Refuse more ranks than this machine's free memory holds.

    Raises:
        UsageError: says how many it does hold.

    """
    available = available_megabytes()
    most = max(1, available // MEGABYTES_PER_RANK)
    if num_ranks > most:
        raise UsageError(
            f"{num_ranks} ranks need about {num_ranks * MEGABYTES_PER_RANK / 1000:,.1f} GB of "
            f"memory; {available / 1000:,.1f} GB are free on this machine, enough for {most}. "
            f"Type --nproc-per-node {most} or less."
        )


def available_megabytes() -> int:
    """Return the memory that new processes may take, in MB; in a container, within its limit."""
    available = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        available = min(available, limit - used)
    except (OSError, ValueError):
        pass  # no control group here, or one without a limit ("max")
    return int(available // 1_000_000)


def _check_name(device: str) -> None:
    if device not in DEVICES:
        raise UsageError(
            f"device {device!r} is unknown; it is one of {', '.join(DEVICES)}. "
            f"Type --device cpu, or set DCP_TUTOR_DEVICE to one of them."
        )

"""Checks that launch real ranks: two on the CPU, over loopback only, and on GPUs."""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING, Any

from dcp_tutor.checkup.machine import Machine
from dcp_tutor.checkup.report import Finding
from dcp_tutor.checkup.software import first_line

if TYPE_CHECKING:
    from dcp_tutor.launching.run import Run

_SLOW_LOOKUP_SECONDS = 1.0
_TIMEOUT_SECONDS = 90.0

_SUM = """\
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
total = torch.tensor([dist.get_rank() + 1.0])
dist.all_reduce(total)
total = total.item()
dist.destroy_process_group()
"""

# psutil sees the connections that torch's C++ opened, whatever Python thinks of them.
_CONNECTIONS = """\
import psutil
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
dist.all_reduce(torch.ones(1))
connections = psutil.Process().net_connections("tcp")
addresses = sorted({end.ip for one in connections if one.raddr for end in (one.laddr, one.raddr)})
dist.barrier()
dist.destroy_process_group()
"""

_SUM_ON_GPUS = """\
import os
import torch
import torch.distributed as dist

torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
dist.init_process_group("nccl", device_id=torch.device("cuda", torch.cuda.current_device()))
total = torch.tensor([dist.get_rank() + 1.0], device="cuda")
dist.all_reduce(total)
total, gpu = total.item(), torch.cuda.get_device_name()
dist.destroy_process_group()
"""

_NCCL_RUN_BY_AUTHORS = False
"""Whether this file's NCCL launch has been run on a machine with GPUs. Set it once it has."""


def check_ranks(machine: Machine) -> Finding:
    """Launch two ranks, warm where that can be, and let them add up a number."""
    try:
        run = _launch(machine, _SUM, 2, ["total"])
    except Exception as error:
        return _failed("two ranks on the CPU", error)
    details = {"seconds": run.seconds, "warm": run.warm, "num_ranks": len(run.ranks)}
    expected = _expected(run)
    if run.outputs["total"] != expected:
        return Finding(
            "problem",
            f"ranks launch, but all_reduce over gloo gave {run.outputs['total']}, not {expected}.",
            "Install torch again by `make setup`, and copy this report into an issue if it stays.",
            details,
        )
    if len(run.ranks) < 2:
        return Finding(
            "warning",
            "only one rank may be launched here, because of DCP_TUTOR_MAX_RANKS.",
            "Unset DCP_TUTOR_MAX_RANKS, or set it to 2 or more: one rank shards nothing.",
            details,
        )
    if not run.warm:
        why = machine.why_cold() or "the warm server could not be used"
        return Finding(
            "warning",
            f"2 ranks launch and add up over gloo, but only cold: {why}.",
            "Go on: the lessons are the same, and each launch takes some seconds more.",
            details,
        )
    return Finding("ok", "2 ranks launch warm, and all_reduce over gloo adds up.", "", details)


def check_loopback(machine: Machine) -> Finding:
    """Launch two ranks, and look at the addresses over which they really talk."""
    host = machine.host()
    address = machine.resolve(host)
    name = (
        "its name resolves, which ranks do not need"
        if address
        else "its name does not resolve, which does not matter"
    )
    details: dict[str, Any] = {"host_resolves": address is not None}
    try:
        run = _launch(machine, _CONNECTIONS, 2, ["addresses"])
    except Exception as error:
        return _failed("two ranks over loopback", error)
    addresses = {one for of_rank in run.outputs["addresses"] for one in of_rank}
    outside = sorted(one for one in addresses if not _is_loopback(one))
    details["seconds"] = run.seconds
    if outside:
        details["outside"] = outside
        return Finding(
            "warning",
            f"ranks talk over {', '.join(outside)}, not over this machine's loopback alone; "
            f"{name if address else 'its name does not resolve'}.",
            "Unset GLOO_SOCKET_IFNAME and PET_LOCAL_ADDR, and restart the notebook's kernel.",
            details,
        )
    return Finding("ok", f"ranks talk inside this machine alone, and {name}.", "", details)


def check_name_server(machine: Machine) -> Finding:
    """Time the question that torch's store asks when a rank connects."""
    seconds = machine.lookup_seconds()
    details = {"seconds": seconds}
    if seconds > _SLOW_LOOKUP_SECONDS:
        return Finding(
            "warning",
            f"the name server takes {seconds:.0f} s or more to answer, and ranks ask it for each "
            f"other's names when they start.",
            "Set RES_OPTIONS=attempts:0 before Jupyter starts: on one machine ranks need no "
            "name server.",
            details,
        )
    return Finding("ok", "the name server answers soon, or is not asked.", "", details)


def check_gpus(machine: Machine) -> Finding:
    """Count GPUs without touching one, and let ranks add up a number on them."""
    num_gpus = machine.num_gpus()
    if num_gpus == 0:
        if not machine.has_nvidia_driver():
            return Finding("ok", "no GPU: all lessons run on the CPU.")
        if machine.import_module("torch").version.cuda:
            return Finding(
                "warning",
                "there is an NVIDIA driver, but this torch finds no GPU that it can use.",
                "Type `nvidia-smi`: an older driver than torch's CUDA needs is the usual cause; "
                "until then all lessons run on the CPU.",
            )
        return Finding("ok", "this torch is built for the CPU: all lessons run there.")
    gpus = "1 GPU" if num_gpus == 1 else f"{num_gpus} GPUs"
    if machine.launch is None:
        return Finding("ok", f"{gpus}, not tried.", "", {"num_gpus": num_gpus})
    num_ranks = min(2, num_gpus)
    unproven = "" if _NCCL_RUN_BY_AUTHORS else " (the authors have never run this check on GPUs)"
    try:
        run = _launch(machine, _SUM_ON_GPUS, num_ranks, ["total", "gpu"], device="cuda")
    except Exception as error:
        return _failed(f"{num_ranks} of {gpus} with NCCL{unproven}", error, on_gpu=True)
    details = {
        "num_gpus": num_gpus,
        "gpus": run.outputs["gpu"],
        "devices": list(run.devices),
        "seconds": run.seconds,
    }
    if run.outputs["total"] != _expected(run) or not all(map(_is_cuda, run.devices)):
        return Finding(
            "problem",
            f"{gpus}, but all_reduce over NCCL on {list(run.devices)} gave "
            f"{run.outputs['total']}, not {_expected(run)}{unproven}.",
            "Work on the CPU: set DCP_TUTOR_DEVICE=cpu before the notebook starts.",
            details,
        )
    return Finding(
        "ok", f"{gpus}; all_reduce over NCCL on {len(run.ranks)} adds up{unproven}.", "", details
    )


def _launch(
    machine: Machine, program: str, num_ranks: int, outputs: list[str], device: str = "cpu"
) -> Run:
    """Launch ranks that leave nothing in the notebook's run folder, unless they fail."""
    from dcp_tutor.launching.folders import scratch

    assert machine.launch is not None, "checks that need ranks are left out without them"
    with scratch("doctor"), contextlib.redirect_stderr(io.StringIO()):
        # What `launch` says once on stderr, why it is cold, is this report's to say.
        return machine.launch(
            program,
            nproc_per_node=num_ranks,
            outputs=outputs,
            name="doctor",
            device=device,
            timeout=_TIMEOUT_SECONDS,
        )


def _failed(what: str, error: Exception, *, on_gpu: bool = False) -> Finding:
    """Say that a launch failed, and where its logs are."""
    run = getattr(error, "run", None)
    advice = (
        f"Read the logs in {run.folder}, and copy this report into an issue."
        if run is not None
        else "Mend what the sentence names, then call the doctor again."
    )
    chosen = os.environ.get("GLOO_SOCKET_IFNAME")
    if chosen and not on_gpu:  # a cluster's login scripts may set it, and the launcher obeys it
        advice += f" GLOO_SOCKET_IFNAME is {chosen}: unset it if that is not meant for here."
    if on_gpu:
        advice += " Until then set DCP_TUTOR_DEVICE=cpu before the notebook starts."
    details = {"error": str(error)}
    if run is not None:
        details["logs"] = str(run.folder)
    return Finding("problem", f"launching {what} failed: {first_line(error)}.", advice, details)


def _expected(run: Run) -> list[float]:
    """Return what every rank must have: 1 + 2 + … + the number of ranks."""
    count = len(run.ranks)
    return [count * (count + 1) / 2] * count


def _is_loopback(address: str) -> bool:
    plain = address.removeprefix("::ffff:")
    return plain == "::1" or plain.startswith("127.")


def _is_cuda(device: str | None) -> bool:
    return device is not None and device.startswith("cuda")

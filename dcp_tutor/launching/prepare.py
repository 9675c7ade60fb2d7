"""Checking everything that can be wrong before a rank starts, and writing the launch folder."""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcp_tutor.errors import UsageError
from dcp_tutor.launching import folders, limits
from dcp_tutor.launching.command import Command, check
from dcp_tutor.launching.interrupts import import_whole
from dcp_tutor.launching.supervisor import Request
from dcp_tutor.wire import LAUNCH_VARIABLE, NO_NAME_SERVER, Order

DEFAULT_TIMEOUT_SECONDS = 300.0
_LOOPBACK = "dcp_tutor.launching.loopback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A launch that was checked and written to its folder, and can start."""

    name: str
    command: Command
    program: Path
    folder: Path
    device: str
    outputs: tuple[str, ...]
    timeout: float
    asked_ranks: int


def prepare(
    *,
    program: str | Path,
    flags: Sequence[str],
    arguments: Sequence[str],
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    name: str | None,
    device: str | None,
    timeout: float | None,
) -> Prepared:
    """Check everything that can be wrong before a rank starts, and write the launch folder."""
    import_whole("torch.distributed.run")
    if inputs:
        import_whole("torch.distributed.tensor")
    command = check(flags, arguments)
    asked_ranks = command.nproc_per_node
    num_ranks = limits.cap_ranks(asked_ranks)
    if num_ranks != asked_ranks:
        command = check([*flags, "--nproc-per-node", str(num_ranks)], arguments)
    limits.check_memory(num_ranks)
    device = limits.resolve_device(device, num_ranks)
    timeout = _timeout(timeout)
    if isinstance(program, Path):
        source, file_name = _read_program(program), program.name
    else:
        source, file_name = program, f"{name or 'program'}.py"
    _check_syntax(source, file_name)
    folder = folders.new_launch_folder(name or Path(file_name).stem)
    path = program.resolve() if isinstance(program, Path) else folder / _file_name(file_name)
    try:
        if not isinstance(program, Path):
            path.write_text(source)
        folders.copy_modules(folder)
        Order(inputs=tuple(inputs), outputs=tuple(outputs)).write(folder)
        if inputs:
            _write_inputs(inputs, folder)
    except OSError as error:  # the disk is full
        shutil.rmtree(folder, ignore_errors=True)
        raise folders.unwritable(folder.parent, error) from None
    return Prepared(
        name=name or Path(file_name).stem,
        command=command,
        program=path,
        folder=folder,
        device=device,
        outputs=tuple(outputs),
        timeout=timeout,
        asked_ranks=asked_ranks,
    )


def request_for(plan: Prepared) -> Request:
    """Describe the agent's process: arguments, environment, folder, limits."""
    mask = os.umask(0o022)
    os.umask(mask)
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return Request(
        arguments=plan.command.torchrun_arguments(plan.program),
        environment=_environment(plan),
        cwd=str(Path.cwd()),
        log=str(plan.folder / "agent.log"),
        torchrun=_LOOPBACK if plan.command.num_nodes == 1 else "torch.distributed.run",
        notebook=os.getpid(),
        orphan_folder=str(folders.run_folder()),
        umask=mask,
        limits={
            str(number): resource.getrlimit(number)
            for number in {getattr(resource, name) for name in names}
        },
    )


def _environment(plan: Prepared) -> dict[str, str]:
    """Return the environment of torchrun and its ranks.

    torchrun takes its flags from variables too (PET_<FLAG>). Ours go there, so that the command
    line stays what the learner wrote.
    """
    environment = {
        **os.environ,
        LAUNCH_VARIABLE: str(plan.folder),
        "PET_LOG_DIR": str(plan.folder / "torchrun"),
        "PET_REDIRECTS": "3",
        "PET_EVENT_LOG_HANDLER": "console",
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    }
    environment.setdefault("PET_MONITOR_INTERVAL", "0.02")
    if plan.command.num_nodes == 1:
        # On one machine all talk over loopback, also where the machine's name leads nowhere.
        environment.setdefault("PET_LOCAL_ADDR", "127.0.0.1")
        loopback = "lo0" if sys.platform == "darwin" else "lo"
        environment.setdefault("GLOO_SOCKET_IFNAME", loopback)
        environment.update({**NO_NAME_SERVER, **environment})
        if plan.command.max_restarts:
            # With the shared store, ranks of the second attempt find addresses of the first
            # (seen with gloo on torch 2.13.0).
            environment.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    if plan.device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return environment


def _write_inputs(inputs: Mapping[str, Any], folder: Path) -> None:
    from dcp_tutor.wire.values import CannotCross, write_values

    try:
        write_values(inputs, folder / "inputs.pt")
    except CannotCross as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UsageError(str(error)) from None


def _read_program(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise UsageError(
            f"Cannot read the program {path}: {error.strerror}. Give the path of a Python file, "
            f"or source text as a string."
        ) from None


def _check_syntax(source: str, name: str) -> None:
    try:
        compile(source, name, "exec")
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        if isinstance(error, SyntaxError) and line is not None:
            raise UsageError(
                f"the program has a syntax error, so no rank was started.\n"
                f"  line {line}: {(error.text or '').rstrip()}\n  {error.msg}"
            ) from None
        # A null byte: a ValueError, but on Python 3.11 a SyntaxError of no line.
        raise UsageError(f"the program cannot be read, so no rank was started: {error}") from None


def _file_name(name: str) -> str:
    """Return a file name for a program: one that hides no module which it may import."""
    stem = "".join(c if c.isalnum() or c in "._-" else "-" for c in name.removesuffix(".py"))
    own = (folders.modules_folder() / f"{stem}.py").exists()
    taken = own or stem in sys.stdlib_module_names or _is_installed(stem)
    return f"{stem}_program.py" if taken else f"{stem}.py"


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _timeout(timeout: float | None) -> float:
    text = os.environ.get("DCP_TUTOR_TIMEOUT", "")
    try:
        seconds = timeout if timeout is not None else float(text or DEFAULT_TIMEOUT_SECONDS)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise UsageError(
            f"timeout {timeout if timeout is not None else text!r} is not a number of seconds; "
            f"type --timeout 60, or --timeout 0 for none."
        )
    return seconds

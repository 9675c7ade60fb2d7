"""Checks of what is installed: the interpreter, the kit, its dependencies, torch."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from dcp_tutor.checkup.machine import Machine
from dcp_tutor.checkup.report import Finding

_KIT = "dcp-tutor"
_INSTALL = "type `make setup` in the kit's folder, or there `python -m pip install -e .`"


def check_environment(machine: Machine) -> Finding:
    """Check that this interpreter is the one in which the kit lives, with all that it needs."""
    from packaging.specifiers import SpecifierSet

    try:
        kit = machine.distribution(_KIT)
    except importlib.metadata.PackageNotFoundError:
        return Finding(
            "problem",
            f"this interpreter has no {_KIT} installed; its code was found in {machine.package}.",
            f"Install it into this environment: {_INSTALL}; in a notebook, choose the kernel in "
            f"which it is installed.",
        )
    python = ".".join(map(str, machine.python))
    wanted = kit.metadata["Requires-Python"] or ">=3.11"
    if not SpecifierSet(wanted).contains(python, prereleases=True):
        return Finding(
            "problem",
            f"Python {python} is outside {wanted}, for which the kit is made.",
            "Make the environment with a newer Python: `make setup PYTHON=python3.12`.",
        )
    num_required, wrong = _unmet(kit, machine)
    if wrong:
        return Finding(
            "problem",
            f"of the kit's {num_required} dependencies, {'; '.join(wrong)}.",
            f"Install what is missing: {_INSTALL}.",
        )
    misled = _other_home(kit, machine)
    if misled is not None:
        return misled
    return Finding(
        "ok",
        f"Python {python}, {_KIT} {kit.version} and its {num_required} dependencies are in range"
        + (", and the notebook's kernel is theirs." if machine.in_notebook() else "."),
    )


def _unmet(kit: importlib.metadata.Distribution, machine: Machine) -> tuple[int, list[str]]:
    """Return how many dependencies the kit has, and what is wrong with which."""
    from packaging.requirements import Requirement

    wrong = []
    needed = [Requirement(line) for line in kit.requires or ()]
    # The extras are for the kit's own tests.
    needed = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    for one in needed:
        try:
            version = machine.version(one.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{one.name} is not installed")
            continue
        if not one.specifier.contains(version, prereleases=True):
            wrong.append(f"{one.name} {version} is outside {one.specifier}")
    return len(needed), wrong


def _other_home(kit: importlib.metadata.Distribution, machine: Machine) -> Finding | None:
    """Say if the code that runs, or the command, is that of another installation."""
    installed = _home(kit)
    if installed is not None and installed != machine.package:
        return Finding(
            "warning",
            f"the code that runs is {machine.package}, and the installed one is {installed}.",
            "If you did not set PYTHONPATH for this, unset it and restart the notebook's kernel.",
        )
    if not machine.in_notebook():
        return None
    command = machine.which(_KIT)
    if command is None:
        return Finding(
            "warning",
            f"the command `{_KIT}` is not on this notebook's PATH, so cells with `!{_KIT}` fail.",
            "Start JupyterLab by `make lab`, or from the activated environment.",
        )
    if Path(command).parent.resolve() != machine.scripts.resolve():
        return Finding(
            "warning",
            f"the kernel runs in {machine.scripts.parent}, and the command `{_KIT}` on its PATH "
            f"belongs to {Path(command).parent.parent}.",
            "Start JupyterLab by `make lab`, or choose the kernel of the activated environment.",
        )
    return None


def _home(kit: importlib.metadata.Distribution) -> Path | None:
    """Return the folder in which the installed package lies, or None if it cannot be told."""
    direct: dict[str, Any] = json.loads(kit.read_text("direct_url.json") or "{}")
    if direct.get("dir_info", {}).get("editable"):
        return (Path(unquote(urlparse(direct["url"]).path)) / "dcp_tutor").resolve()
    folder = Path(str(kit.locate_file("dcp_tutor"))).resolve()
    return folder if folder.is_dir() else None


def check_torch(machine: Machine) -> Finding:
    """Import torch and the parts that every lesson needs."""
    reinstall = f"Install torch again: {_INSTALL}."
    try:
        torch = machine.import_module("torch")
        machine.import_module("torch.distributed.checkpoint")
    except (ImportError, OSError) as error:  # OSError: a shared library that is not there
        return Finding("problem", f"torch cannot be imported: {first_line(error)}.", reinstall)
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_gloo_available():
        return Finding(
            "problem",
            f"torch {torch.__version__} was built without torch.distributed and gloo.",
            reinstall,
        )
    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    return Finding("ok", f"torch {torch.__version__} and its checkpoint module import ({build}).")


def first_line(error: BaseException) -> str:
    """Return an error's class and the first line of its message, without a full stop.

    Example:
        >>> first_line(ValueError("no such thing."))
        'ValueError: no such thing'

    """
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    if text.endswith(":") and ". " in text:  # a last sentence that leads over to further lines
        text = text.rpartition(". ")[0]
    return f"{type(error).__name__}: {text.strip()}".rstrip(". :")

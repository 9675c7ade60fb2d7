"""`dcp-tutor run`: execute the lessons and report."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command()
@click.argument("notebook", nargs=-1)
@click.option(
    "-p",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="Value for a parameter; given to each of the notebooks that has it.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    help="Where ranks run.  [default: $DCP_TUTOR_DEVICE, else auto]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where executed notebooks and pages go.  [default: a new folder below runs/]",
)
def run(
    notebook: tuple[str, ...],
    parameters: tuple[tuple[str, str], ...],
    device: str | None,
    output: Path | None,
) -> None:
    """Execute notebooks and write a report: one web page each, and an index.

    NOTEBOOK is a lesson's name (01_first_checkpoint, or just 01) or the path of an .ipynb file;
    without any, all lessons are run. The exit status is 1 if one failed.

    \b
    Examples:
      dcp-tutor run
      dcp-tutor run 01 -p save_ranks 2 -p load_ranks 3
    """  # noqa: D301 - click reads the backspace
    from dcp_tutor.kit.notebooks import find_notebooks
    from dcp_tutor.kit.parameters import read_parameters, settle

    # All that can be wrong with the command is said before anything is imported or started.
    notebooks = {path: read_parameters(path) for path in find_notebooks(notebook)}
    given = settle(parameters, notebooks)
    chosen = _device(device)

    from dcp_tutor.kit.batch import make_folder, plan_results, run_batch
    from dcp_tutor.kit.results import begin_report

    folder = make_folder(output)
    environment = {"DCP_TUTOR_DEVICE": chosen}
    results = plan_results(notebooks, given)
    sys.exit(run_batch(results, given, folder, environment, begin_report(chosen)))


def _device(device: str | None) -> str:
    """Return the device that kernels are told."""
    from dcp_tutor.errors import UsageError
    from dcp_tutor.launching.limits import DEVICES, num_gpus

    chosen = device or os.environ.get("DCP_TUTOR_DEVICE") or "auto"
    if chosen not in DEVICES:
        raise UsageError(
            f"DCP_TUTOR_DEVICE is {chosen!r}; it is one of {', '.join(DEVICES)}. Set it to one of "
            f"them, or type --device cpu."
        )
    if chosen == "cuda" and not num_gpus():
        raise UsageError(
            "device cuda was asked for, and torch finds no GPU on this machine. "
            "Type --device cpu, or --device auto to use GPUs where there are some."
        )
    return chosen

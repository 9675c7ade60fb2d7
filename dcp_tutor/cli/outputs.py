"""`dcp-tutor outputs`: the committed outputs of the lessons, fresh and canonical."""

from __future__ import annotations

import sys
import time

import click


@click.command()
@click.argument("notebook", nargs=-1)
@click.option("--check", is_flag=True, help="Write nothing; show what is stale and exit with 1.")
def outputs(notebook: tuple[str, ...], check: bool) -> None:
    """Execute notebooks and write their outputs into them, in one canonical form.

    NOTEBOOK is a lesson's name (01_first_checkpoint, or just 01) or the path of an .ipynb file;
    without any, all lessons are taken. Ranks run on the CPU. A notebook that fails is left as it
    is, and the exit status is 1.

    Cells tagged `volatile` keep their outputs, and --check does not compare them.

    \b
    Examples:
      dcp-tutor outputs 01
      dcp-tutor outputs --check
    """  # noqa: D301 - click reads the backspace
    from dcp_tutor.kit.notebooks import find_notebooks
    from dcp_tutor.kit.outputs import refresh
    from dcp_tutor.kit.stopping import Stopped, stoppable

    started = time.monotonic()
    try:
        with stoppable():
            bad = refresh(find_notebooks(notebook), check=check)
    except Stopped as stop:
        click.echo(f"stopped by {stop}; notebooks that were done stay done", err=True)
        sys.exit(stop.exit_status)
    click.echo(f"\n{time.monotonic() - started:.0f} s")
    sys.exit(1 if bad else 0)

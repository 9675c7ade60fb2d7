"""Regenerating or checking the committed outputs of notebooks, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from dcp_tutor.kit.console import Console
from dcp_tutor.kit.execute import first_line
from dcp_tutor.kit.freshness import differences, quick_problems, regenerate
from dcp_tutor.kit.results import plain

# Committed outputs are those of a laptop: no GPU, no cap, warm launches, nothing kept.
_ENVIRONMENT = {
    "DCP_TUTOR_DEVICE": "cpu",
    "DCP_TUTOR_MAX_RANKS": "",
    "DCP_TUTOR_COLD": "",
    "DCP_TUTOR_KEEP": "",
}


def refresh(notebooks: Sequence[Path], *, check: bool) -> int:
    """Execute notebooks and write their outputs into them, or say which are stale.

    Args:
        notebooks: their paths.
        check: write nothing, compare.

    Returns:
        How many failed, or are stale.

    Example:
        >>> refresh([], check=True)
        0

    """
    console = Console([notebook.stem for notebook in notebooks])
    bad = 0
    for notebook in notebooks:
        console.start(notebook.stem)
        try:
            fresh = regenerate(notebook, _ENVIRONMENT, bar=console.bar(notebook.stem))
        except PapermillExecutionError as error:
            bad += 1
            console.say(
                notebook.stem,
                f"✗ failed at In [{error.exec_count}] {first_line(error.source)}: "
                + plain(f"{error.ename}: {error.evalue}"),
            )
            continue
        except DeadKernelError:
            bad += 1
            console.say(notebook.stem, "✗ failed: the kernel died")
            continue
        if not check:
            changed = fresh != notebook.read_text(encoding="utf-8")
            if changed:
                notebook.write_text(fresh, encoding="utf-8")
            console.say(notebook.stem, "✓ written" if changed else "✓ unchanged")
            continue
        problems = [*quick_problems(notebook), *differences(notebook, fresh)]
        bad += bool(problems)
        console.say(notebook.stem, "✗ stale" if problems else "✓ fresh")
        for problem in problems:
            click.echo(f"  {problem}")
        if problems:
            click.echo(f"  Type `dcp-tutor outputs {notebook.stem}` and look at the difference.")
    return bad

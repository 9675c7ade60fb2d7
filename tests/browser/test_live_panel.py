"""The live panel of a launch in JupyterLab: lanes that move, and a button that stops it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import psutil
import pytest

from ..launching.conftest import find_processes
from .lab import OpenNotebook, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.ranks]

LAUNCH = """%%torchrun --nproc-per-node 2 --name save
import os, time
rank = int(os.environ["RANK"])
print("I am <b>rank</b>", rank, flush=True)
time.sleep(600 * (1 - rank))
"""


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_a_click_stops_a_launch(open_notebook: Callable[..., OpenNotebook], theme: str) -> None:
    name = f"panel-{theme.split()[-1].lower()}"
    notebook = open_notebook(
        f"{name}.ipynb", "%load_ext dcp_tutor", LAUNCH, "late = 1", theme=theme
    )
    notebook.run_all()
    launch, page = notebook.cell(1), notebook.page
    lanes = launch.locator(".dcp-tutor-lanes tbody tr")
    lanes.filter(has_text="✓ ended").wait_for()
    lanes.filter(has_text="▶ running").filter(has_text="I am <b>rank</b> 0").wait_for()
    assert lanes.count() == 2
    notebook.shoot(name)

    page.locator("button", has_text="Stop").click()
    launch.get_by_text("LaunchInterrupted: save was interrupted").wait_for()
    settled = "[rank 0] I am <b>rank</b> 0\n[rank 1] I am <b>rank</b> 1\n(interrupted)"
    launch.get_by_text("(interrupted)").wait_for()
    assert launch.locator(".jp-OutputArea-output pre").first.inner_text().strip() == settled
    assert launch.locator(".dcp-tutor-lanes").count() == 0
    page.get_by_text("| Idle").wait_for()
    assert notebook.cell(2).locator(".jp-InputPrompt").inner_text() == "[ ]:"  # not run
    notebook.shoot(f"{name}-stopped")

    wait_for(lambda: not ranks_of(notebook.lab.token), "no rank is left")
    [text, error] = notebook.save().cells[1].outputs
    assert text.data == {"text/plain": settled}
    assert error.ename == "LaunchInterrupted"
    assert notebook.errors == []


def ranks_of(token: str) -> list[psutil.Process]:
    """Find what runs as a rank."""
    found = []
    for process in find_processes(token):
        with contextlib.suppress(psutil.Error):
            if "RANK" in process.environ():
                found.append(process)
    return found

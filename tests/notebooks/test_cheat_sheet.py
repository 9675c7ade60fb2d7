"""The cheat sheet: its Python blocks are a program that runs on ranks, its commands run too."""

from __future__ import annotations

import json
import re
import shlex
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from click.testing import CliRunner

from dcp_tutor import Run, launch
from dcp_tutor.cli import main

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SHEET = (NOTEBOOKS / "cheat_sheet.md").read_text(encoding="utf-8")
PROGRAM = "\n".join(re.findall(r"^```python\n(.*?)^```$", SHEET, re.M | re.S))
ROOT = 'root = Path("checkpoints")'

# After the program's end: what it holds, for the tests to look at.
SEEN = """
step, samples_seen = resumed.step, resumed.samples_seen
rate = resumed.scheduler.get_last_lr()[0]
moments = len(resumed.optimizer.state)
"""


@pytest.fixture(scope="module", params=[1, 2, 3])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The sheet's program, run; its folder of checkpoints beside it."""
    assert PROGRAM.count(ROOT) == 1
    root = tmp_path_factory.mktemp("sheet")
    ran = launch(
        PROGRAM.replace(ROOT, f"root = Path({str(root)!r})") + SEEN,
        nproc_per_node=request.param,
        outputs=["step", "samples_seen", "rate", "moments"],
        device="cpu",
    )
    return ran, root


@pytest.mark.ranks
def test_the_resumed_program_is_where_the_saved_one_was(run: tuple[Run, Path]) -> None:
    outputs, ranks = run[0].outputs, len(run[0].ranks)

    assert outputs["step"] == [1] * ranks
    assert outputs["samples_seen"] == [8 * ranks] * ranks
    assert outputs["rate"] == pytest.approx([0.09] * ranks)
    assert outputs["moments"] == [2] * ranks


@pytest.mark.ranks
def test_both_saves_are_checkpoints_of_different_steps(run: tuple[Run, Path]) -> None:
    def loaded(step: int) -> tuple[int, torch.Tensor]:
        state: dict[str, Any] = {"app.progress.step": 0, "app.model.weight": torch.zeros(16, 16)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # there is no process group, on purpose
            dcp.load(state, checkpoint_id=run[1] / f"step-{step:06}", no_dist=True)
        return state["app.progress.step"], state["app.model.weight"]

    (first, weight), (second, later) = loaded(1), loaded(2)
    assert (first, second) == (1, 2)
    assert not torch.equal(weight, later)


@pytest.mark.ranks
def test_the_converted_file_has_the_same_weights(run: tuple[Run, Path]) -> None:
    converted = torch.load(run[1] / "all.pt", weights_only=False)
    stored = {"app.model.weight": torch.zeros(16, 16)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.load(stored, checkpoint_id=run[1] / "step-000002", no_dist=True)

    assert torch.equal(converted["app"]["model"]["weight"], stored["app.model.weight"])


@pytest.mark.ranks
def test_it_refuses_to_overwrite(run: tuple[Run, Path]) -> None:
    """Run again over the same folder: the first save of the sheet must stop it."""
    ran, _ = run
    again = launch(ran.program, nproc_per_node=len(ran.ranks), device="cpu", expect_failure=True)

    assert "Checkpoint already exists and self.overwrite=False" in str(again.problem)


@pytest.mark.ranks
def test_its_commands_run(run: tuple[Run, Path]) -> None:
    [block] = re.findall(r"^```sh\n(.*?)^```$", SHEET, re.M | re.S)
    first, second = (str(run[1] / f"step-{step:06}") for step in (1, 2))
    put = {"PATH": first, "OLD": first, "NEW": second, "MESSAGE": "No space left on device"}
    status = {"diff": 1}  # the two differ

    for line in block.splitlines():
        program, *words = shlex.split(line, comments=True)
        done = CliRunner().invoke(main, [put.get(word, word) for word in words])
        assert program == "dcp-tutor"
        assert done.exit_code == status.get(words[0], 0), f"{line}\n{done.output}"


def test_it_fits_a_page_and_its_links_lead_to_cases() -> None:
    assert len(SHEET.splitlines()) <= 180
    cells = json.loads((NOTEBOOKS / "13_when_it_breaks.ipynb").read_text())["cells"]
    headings = re.findall(
        r"^## ([a-z-]+)$", "\n".join("".join(cell["source"]) for cell in cells), re.M
    )
    for target, anchor in re.findall(r"\]\(([^)#]+)#?([^)]*)\)", SHEET):
        assert (NOTEBOOKS / target).exists(), target
        assert not anchor or anchor in headings, anchor

"""The clinic: each case still breaks as told on this torch, and its mend still holds.

The notebook's own cells are what runs: once, on two ranks, for all tests here. What its programs
brought back is recorded by the notebook; what ranks printed and raised is read from its outputs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
import torch
from torch import nn

from dcp_tutor.symptoms import find

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "13_when_it_breaks.ipynb"
TEXTS = {
    cell.id: cell.source
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells
    if cell.cell_type == "markdown"
}
CASES = [name for text in TEXTS.values() for name in re.findall(r"^## ([a-z-]+)$", text, re.M)]
FIRST_LOUD = CASES.index("nesting")
SILENT, LOUD = CASES[:FIRST_LOUD], CASES[FIRST_LOUD:]

# What ranks printed: the loss, and that the mend brought back what was lost.
SHOWN = {
    "same-key": ["[rank 1] I had 100; one key: 0; my own key: 100"],
    "rng": [
        "[rank 0] my stream goes on: with one key True, with a key of my own True",
        "[rank 1] my stream goes on: with one key False, with a key of my own True",
    ],
    "live-gradients": [
        "cleared: False  weights equal: True  optimizer has state for 0 of 4 parameters",
        "cleared: True   weights equal: True  optimizer has state for 4 of 4 parameters",
    ],
    "torn-load": [
        "[2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0]\n",
        "suspicion newer-than-metadata __0_0.distcp",
    ],
    "torn-right": ["torn-step-1 [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]"],
    "async-teardown": ["an async_save that still ran at the end of the program has failed"],
    "async-teardown-files": [
        "async-teardown        is a checkpoint: False",
        "async-teardown-right  is a checkpoint: True",
    ],
    "async-failed": [
        "the save is done, and nothing was raised; is it a checkpoint? False",
        "asked for its result: NotADirectoryError",
    ],
    "fewer-ranks-load": ["seen by all: 80; from the keys of ranks: 30; from one number: 80"],
    "untied": [
        "tied again: False  parameters: 2  equal after one step: False",
        "tied again: True   parameters: 1  equal after one step: True",
    ],
    "dtype": [
        "into bfloat16:        [1.0, 2.0, 3.0]",
        "into what was stored: tensor([1.0010, 2.0020, 3.0030])",
    ],
    "extra-keys": [
        "loaded 4 tensors, and nothing was raised",
        "asked which were not used: ['2.bias', '2.weight']",
    ],
    "kept-variable": ["the variable: 0   the dict: {}   the object: 700", "its own dict: 700"],
    "meta-device": [
        "to_empty first: False  the weight is on meta: True",
        "to_empty first: True   the weight is on meta: False",
    ],
    "nesting-right": ["nested alike, the weights came: True; with allow_partial_load: False"],
    "wrapper-names-right": ["_orig_mod.body.weight\n", "get_model_state_dict: body.weight\n"],
    "no-gradient-yet-right": ["'spare': 1.0, 'body.weight': 3.0"],
    "initial-lr-right": ["learning rate after the load, and one step later: [0.05, 0.025]"],
    "new-size-right": ["old rows are there: True  of shape (12, 4)"],
    "half-written-wrong": ["resuming from step-2 with ['__0_0.distcp']"],
    "half-written-right": ["resumed from step-1 [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]"],
    "node-local-wrong": [
        "[rank 0] saved; on my disk: ['.metadata', '__0_0.distcp']",
        "[rank 1] saved; on my disk: ['__1_0.distcp']",
    ],
    "node-local-right": ["the weights came: True"],
    "wrong-shape-wrong": ["[ranks 0-1] saved", "sizes torch.Size([8, 2]) vs torch.Size([4, 2])"],
    "wrong-shape-files": ["rank 1  8-15  0-1 ", "error record-differs table __1_0.distcp"],
    "wrong-shape-right": ["whole: (8, 2)  my rows came back: True"],
    "uneven-wrong": [
        "[rank 0] I hold 4 rows and take the whole to have 8",
        "[rank 1] I hold 3 rows and take the whole to have 6",
    ],
    "uneven-right": ["whole: (7, 2)  every row came back: True"],
    "one-rank-only-right": ["[rank 0] saved by all ranks"],
    "async-backend-right": ["saved in the background: True"],
}


@pytest.fixture(scope="module")
def clinic(execute_lesson: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return execute_lesson("13", tmp_path_factory.mktemp("clinic"))


def test_the_cases_that_raise_nothing_come_first() -> None:
    promised = {
        "same-key",
        "rng",
        "live-gradients",
        "torn",
        "async-teardown",
        "fewer-ranks",
        "untied",
        "dtype",
        "extra-keys",
        "kept-variable",
    }
    assert promised <= set(SILENT)
    assert len(CASES) == len(set(CASES)) >= 14
    assert "# The silent ones" in TEXTS[f"{SILENT[0]}-text"]
    assert "# The loud ones" in TEXTS[f"{LOUD[0]}-text"]


@pytest.mark.parametrize("case", CASES)
def test_a_case_tells_symptom_question_reason_and_mend(case: str) -> None:
    assert "**Symptom:**" in TEXTS[f"{case}-text"]
    assert "**Predict" in TEXTS[f"{case}-text"]
    assert "**Why:**" in TEXTS[f"{case}-why"]
    assert "**Mend:**" in TEXTS[f"{case}-why"]


def test_the_index_leads_to_every_case_and_nowhere_else() -> None:
    links = re.findall(r"\[([a-z-]+)\]\(#([a-z-]+)\)", TEXTS["index"])
    assert all(text == anchor for text, anchor in links)
    assert [anchor for _, anchor in links] == CASES


def test_links_between_cases_lead_somewhere() -> None:
    for text in TEXTS.values():
        assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= set(CASES)


@pytest.mark.ranks
@pytest.mark.parametrize("case", CASES)
def test_it_still_breaks_and_the_mend_still_holds(clinic: Any, case: str) -> None:
    breaks, mended = clinic.records["cases"][case]

    assert breaks is True, "the wrong way loses nothing any more: tell so in the case"
    assert mended is True


@pytest.mark.ranks
def test_the_ledger_knows_every_case(clinic: Any) -> None:
    assert set(clinic.records["cases"]) == set(CASES)
    assert [line.split()[0] for line in clinic.text("ledger").split("\n") if line] == CASES


@pytest.mark.ranks
@pytest.mark.parametrize("cell", SHOWN)
def test_the_loss_and_the_mend_can_be_seen(clinic: Any, cell: str) -> None:
    for words in SHOWN[cell]:
        assert words in clinic.text(cell)


@pytest.mark.ranks
@pytest.mark.parametrize("case", SILENT)
def test_a_silent_case_is_silent(clinic: Any, case: str) -> None:
    """No rank of it failed or warned, but for `torn`, whose rank is killed on purpose."""
    for name, cell in clinic.cells.items():
        if cell.cell_type == "code" and name.startswith(case):
            assert "Warning" not in clinic.text(name), name
            assert ("RankFailed" in clinic.text(name)) == (name == "torn"), name


@pytest.mark.ranks
@pytest.mark.parametrize("case", LOUD)
def test_why_finds_the_case_from_what_the_ranks_really_said(clinic: Any, case: str) -> None:
    found = find(clinic.text(f"{case}-wrong"))

    # A lost connection may be told in many ways, and each stands for many causes.
    best = found if case == "one-rank-only" else found[:1]
    assert case in [name for symptom in best for name in symptom.cases]


@pytest.mark.ranks
@pytest.mark.parametrize("case", [case for case in LOUD if case != "one-rank-only"])
def test_the_index_quotes_what_the_ranks_really_said(clinic: Any, case: str) -> None:
    [row] = [row for row in TEXTS["index"].splitlines() if f"(#{case})" in row]
    [quoted, *_] = re.findall(r"`([^`]+)`", row)
    pattern = ".*".join(re.escape(part) for part in quoted.split("…"))

    assert re.search(pattern, clinic.text(f"{case}-wrong")), quoted


@pytest.mark.ranks
def test_one_rank_alone_is_no_clinic(execute_lesson: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(papermill.PapermillExecutionError, match="1 at a time cannot show"):
        execute_lesson("13", tmp_path, ranks=1)


# Claims of its prose that no output beside them shows.


def test_to_empty_unties_a_plain_module() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    model.to_empty(device="cpu")

    assert model[1].weight is not model[0].weight


def test_a_group_without_a_name_has_gloo_for_the_cpu_beside_nccl() -> None:
    from torch.distributed.distributed_c10d import Backend

    backends = Backend.default_device_backend_map
    assert (backends["cpu"], backends["cuda"]) == ("gloo", "nccl")

"""What the comment behind a parameter allows holds in the notebook too."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import dcp_tutor as tutor
from dcp_tutor.errors import UsageError
from dcp_tutor.kit.bounds import check_parameters

CELL = """half: int = 10  # steps before the save: 1 or more
ranks: list[int] = [2]  # ranks that read: 1 or more
more: list[int] = [2]  # ranks that read later, if any: 1 or more
share: float = 0.5  # of the steps: 0.1 to 0.9
device: str = "auto"  # auto, cpu or cuda
fast: bool = False  # leave half of it out
"""
FITTING = {"half": 1, "ranks": [1, 2], "more": [], "share": 0.9, "device": "cpu", "fast": True}


def test_what_fits() -> None:
    check_parameters([CELL], FITTING)
    check_parameters([CELL], {"share": 0.1})
    check_parameters(["half = 0  # 1 or more", ""], {"half": 0})


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("half", 0, "half = 0: it must be 1 or more. Set it in the parameters cell, as in `half ="),
        ("half", 2.5, "half = 2.5: it takes a whole number"),
        ("half", True, "half = True: it takes a whole number"),
        ("ranks", 3, "ranks = 3: it takes a list"),
        ("ranks", [], r"ranks = \[\]: it must have an entry"),
        ("more", [0], r"more = \[0\]: it must be 1 or more"),
        ("ranks", [2, 0], r"ranks = \[2, 0\]: it must be 1 or more"),
        ("share", 1, "share = 1: it must be 0.1 to 0.9"),
        ("device", "gpu", "device = 'gpu': it must be auto, cpu or cuda"),
        ("fast", "no", "fast = 'no': it takes true or false"),
    ],
)
def test_what_does_not(name: str, value: object, sentence: str) -> None:
    with pytest.raises(UsageError, match=f"^{sentence}"):
        check_parameters([CELL], {**FITTING, name: value})


def test_the_cell_that_ran_last_counts() -> None:
    older = CELL.replace("1 or more", "5 or more")
    check_parameters([older, CELL], FITTING)
    with pytest.raises(UsageError, match="5 or more"):
        check_parameters([CELL, older], FITTING)


def test_a_lesson_checks_its_values_when_it_begins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = SimpleNamespace(user_ns={**FITTING, "In": ["", CELL, "# Parameters"]})
    monkeypatch.setattr("dcp_tutor.lesson.get_ipython", lambda: shell)
    monkeypatch.setattr("dcp_tutor.launching.limits._default_device", "auto")  # and back again
    assert tutor.begin(ranks=1, device="cpu") == "cpu"
    shell.user_ns["half"] = 0
    with pytest.raises(UsageError, match="half = 0: it must be 1 or more"):
        tutor.begin(ranks=1, device="cpu")
    assert capsys.readouterr().out.count("This notebook starts") == 1


def test_too_few_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"1 at a time cannot show .* needs 2. Set 2"):
        tutor.begin(ranks=1, least=2)
    monkeypatch.setenv("DCP_TUTOR_MAX_RANKS", "1")
    with pytest.raises(
        UsageError, match=r"DCP_TUTOR_MAX_RANKS is 1, .* Set the variable to 2 or m"
    ):
        tutor.begin(ranks=4, least=2)

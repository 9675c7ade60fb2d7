"""Whether somebody looks at a cell while it runs."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core import getipython

from dcp_tutor.views.watching import attended_kernel, watching_kernel

LAB = {"content": {"allow_stdin": True}, "metadata": {"cellId": "a"}}


class Shell:
    def __init__(self, request: dict[str, Any], kernel: object = "the kernel") -> None:
        self.request = request
        if kernel is not None:
            self.kernel = kernel

    def get_parent(self) -> dict[str, Any]:
        return self.request


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Any:
    def ask(shell: Shell | None) -> bool:
        monkeypatch.setattr(getipython, "get_ipython", lambda: shell)
        assert watching_kernel() is None or attended_kernel() is not None
        return watching_kernel() is not None

    monkeypatch.delenv("DCP_TUTOR_LIVE", raising=False)
    return ask


def test_a_notebook_on_a_screen(watched: Any) -> None:
    assert watched(Shell(LAB))


@pytest.mark.parametrize(
    "shell",
    [
        None,
        Shell(LAB, kernel=None),
        Shell({}),
        Shell({"content": {"allow_stdin": False}, "metadata": {"cellId": "a"}}),
        Shell({"content": {"allow_stdin": True}, "metadata": {}}),
    ],
    ids=["Python", "a terminal", "no message", "papermill", "a console"],
)
def test_nobody(watched: Any, shell: Shell | None) -> None:
    assert not watched(shell)


@pytest.mark.parametrize("value", ["0", ""])
def test_the_environment_says_no(watched: Any, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DCP_TUTOR_LIVE", value)
    assert not watched(Shell(LAB))


def test_explorers_are_for_whoever_attends(watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCP_TUTOR_LIVE", "0")
    watched(Shell(LAB))
    assert attended_kernel() == "the kernel"

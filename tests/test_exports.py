"""What `dcp_tutor` offers by name, and that its examples do what they say."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dcp_tutor


def test_names_are_sorted_and_have_a_home() -> None:
    assert dcp_tutor.__all__ == sorted(dcp_tutor.__all__)
    assert list(dcp_tutor._HOMES) == sorted(dcp_tutor._HOMES)
    assert set(dcp_tutor.__all__) == set(dcp_tutor._HOMES)


@pytest.mark.parametrize("name", dcp_tutor.__all__)
def test_every_name_resolves(name: str) -> None:
    thing = getattr(dcp_tutor, name)
    assert thing.__name__ == name
    assert thing.__module__ == f"dcp_tutor.{dcp_tutor._HOMES[name]}"
    assert thing.__doc__


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(dcp_tutor.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    homes = {
        alias.asname or alias.name: (node.module or "").removeprefix("dcp_tutor.")
        for node in block.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dcp_tutor")
        for alias in node.names
    }
    assert homes == dcp_tutor._HOMES


def test_an_unknown_name_is_said() -> None:
    with pytest.raises(AttributeError, match="module 'dcp_tutor' has no attribute 'lauch'"):
        dcp_tutor.lauch  # noqa: B018


def modules() -> list[str]:
    found = pkgutil.walk_packages(dcp_tutor.__path__, "dcp_tutor.")
    return ["dcp_tutor", *(module.name for module in found)]


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A place of its own for what examples launch and write."""
    from dcp_tutor.launching import folders, limits, warm

    warm.stop_server()
    monkeypatch.setenv("DCP_TUTOR_RUNS", str(tmp_path))
    monkeypatch.setattr(folders, "_folder", None)
    monkeypatch.setattr(limits, "_default_device", "auto")
    yield
    warm.stop_server()
    folders.remove_run_folder()


def examples_of(name: str) -> list[doctest.DocTest]:
    module: Any = importlib.import_module(name)
    return [test for test in doctest.DocTestFinder().find(module) if test.examples]


@pytest.mark.parametrize("name", modules())
def test_examples(name: str, request: pytest.FixtureRequest) -> None:
    examples = examples_of(name)
    if examples:
        request.getfixturevalue("notebook")
    # Prose is wrapped to fit the docstring, not the terminal.
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(verbose=False, optionflags=flags)
    for example in examples:
        said: list[str] = []
        runner.run(example, out=said.append)
        assert not runner.failures, "".join(said)


def test_there_are_examples() -> None:
    assert sum(bool(examples_of(name)) for name in modules()) > 5

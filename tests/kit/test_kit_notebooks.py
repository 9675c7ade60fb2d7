"""Notebooks are found by name and by path, and a wrong name gets a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcp_tutor.errors import UsageError
from dcp_tutor.kit import notebooks
from dcp_tutor.kit.notebooks import find_notebooks


@pytest.fixture
def three(lessons, tmp_path: Path) -> Path:
    for name in ("00_start_here", "01_first_checkpoint", "02_stateful"):
        lessons(name, "1")
    return tmp_path / "notebooks"


def test_without_names_all_lessons_in_order(three: Path) -> None:
    found = find_notebooks()
    assert [path.stem for path in found] == ["00_start_here", "01_first_checkpoint", "02_stateful"]
    assert all(path.is_absolute() for path in found)


def test_from_within_the_folder_of_lessons(three: Path, monkeypatch) -> None:
    monkeypatch.chdir(three)
    assert len(find_notebooks()) == 3


@pytest.mark.parametrize(
    "name",
    ["01", "1", "01_first_checkpoint", "01_first_checkpoint.ipynb", "01_first",
     "notebooks/01_first_checkpoint.ipynb"],
)  # fmt: skip
def test_a_lesson_by_its_names(three: Path, name: str) -> None:
    assert find_notebooks([name]) == [three / "01_first_checkpoint.ipynb"]


def test_a_notebook_named_twice_runs_once(three: Path) -> None:
    assert len(find_notebooks(["01", "notebooks/01_first_checkpoint.ipynb", "02"])) == 2


@pytest.mark.parametrize("name", ["03", "01_frist_checkpoint", "nowhere/01.ipynb"])
def test_an_unknown_name_lists_the_lessons(three: Path, name: str) -> None:
    with pytest.raises(UsageError) as raised:
        find_notebooks([name])
    message = str(raised.value)
    assert repr(name) in message
    assert "00_start_here, 01_first_checkpoint, 02_stateful" in message


def test_a_misspelt_name_is_guessed(three: Path) -> None:
    with pytest.raises(UsageError, match=r"as in `01_first_checkpoint`"):
        find_notebooks(["01_frist_checkpoint"])


def test_a_name_that_fits_two(three: Path, lessons) -> None:
    lessons("01_first_other", "1")
    with pytest.raises(UsageError, match=r"fits several.*01_first_checkpoint, 01_first_other"):
        find_notebooks(["01"])


def test_a_file_that_is_no_notebook(three: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("1")
    with pytest.raises(UsageError, match=r"script\.py is not a notebook"):
        find_notebooks(["script.py"])


def test_no_lessons_anywhere(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    # as if the package were installed into site-packages
    monkeypatch.setattr(notebooks, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    with pytest.raises(UsageError, match="no lessons were found"):
        find_notebooks()
    with pytest.raises(UsageError, match="there are no lessons here"):
        find_notebooks(["01"])

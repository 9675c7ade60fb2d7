from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dcp_tutor import UsageError
from dcp_tutor.launching import folders


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for run folders, with none in it yet."""
    root = tmp_path / "runs"
    monkeypatch.setenv("DCP_TUTOR_RUNS", str(root))
    monkeypatch.delenv("DCP_TUTOR_KEEP", raising=False)
    monkeypatch.setattr(folders, "_folder", None)
    monkeypatch.setattr(folders, "_launches", itertools.count(1))
    return root


def test_a_run_folder_is_made_once_and_for_its_user_alone(root: Path) -> None:
    folder = folders.run_folder()
    assert folder.parent == root
    assert folder == folders.run_folder()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_removed_run_folder_is_made_anew(root: Path) -> None:
    folder = folders.run_folder()
    folders.remove_run_folder()
    assert not folder.exists()
    assert folders.run_folder().is_dir()
    assert folders.new_launch_folder("a").name == "01-a"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("save", "save"),
        ("a b/c", "a-b-c"),
        ("../..", "program"),
        ("", "program"),
        ("ü", "program"),
        ("x" * 99, "x" * 60),
    ],
)
def test_launch_folders_are_numbered_and_have_plain_names(
    root: Path, name: str, expected: str
) -> None:
    assert folders.new_launch_folder("first").name == "01-first"
    assert folders.new_launch_folder(name).name == f"02-{expected}"
    assert {path.parent for path in root.glob("*/*-*")} == {folders.run_folder()}


def test_modules_are_copied_as_they_are_now(root: Path, tmp_path: Path) -> None:
    module = folders.modules_folder() / "app_state.py"
    for text in ("x = 1", "x = 2"):
        module.write_text(text)
        folder = folders.new_launch_folder("p")
        folders.copy_modules(folder)
        assert (folder / "app_state.py").read_text() == text


def test_a_run_folder_that_is_kept(root: Path) -> None:
    folder = folders.keep_run_folder()
    folders.remove_run_folder()
    assert folder.is_dir()


def run_python(code: str, root: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"from dcp_tutor.launching import folders\n{code}"],
        env={**os.environ, "DCP_TUTOR_RUNS": str(root), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def test_it_goes_at_the_end_of_its_process_and_not_of_a_fork(root: Path) -> None:
    code = """
import os, sys
folder = folders.run_folder()
if os.fork() == 0:
    sys.exit()
os.wait()
print(folder, folder.is_dir())
"""
    folder, there = run_python(code, root).split()
    assert there == "True"
    assert not Path(folder).exists()


def test_it_stays_where_the_environment_says_so(root: Path) -> None:
    assert Path(run_python("print(folders.run_folder())", root, DCP_TUTOR_KEEP="1")).is_dir()
    assert not Path(run_python("print(folders.run_folder())", root, DCP_TUTOR_KEEP="0")).is_dir()


def test_the_forsaken_are_cleared_away_and_no_others(root: Path) -> None:
    leave = "import os; print(folders.run_folder(), flush=True); os._exit(0)"
    forsaken = Path(run_python(leave, root))
    kept = Path(run_python(leave, root, DCP_TUTOR_KEEP="1"))
    stranger = root / "dcp-tutor-stranger"
    stranger.mkdir()
    other = root / "dcp-tutor-of-a-living"
    other.mkdir()
    (other / ".owner").write_text(str(os.getppid()))
    assert kept.is_dir()
    folders.run_folder()
    assert not forsaken.exists()
    assert all(path.is_dir() for path in (kept, stranger, other))


def test_nowhere_to_write(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.write_text("a file")
    monkeypatch.setenv("DCP_TUTOR_RUNS", str(root / "below"))
    with pytest.raises(UsageError) as caught:
        folders.run_folder()
    assert f"Cannot write below {root / 'below'}: Not a directory" in str(caught.value)
    assert "DCP_TUTOR_RUNS" in str(caught.value)


def test_threads_of_a_notebook_share_one_run_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCP_TUTOR_RUNS", str(tmp_path))
    monkeypatch.setattr(folders, "_folder", None)
    make = folders._make

    def slowly() -> Path:
        time.sleep(0.1)
        return make()

    monkeypatch.setattr(folders, "_make", slowly)
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: folders.run_folder(), range(4)))

    assert len(found) == 1


def test_a_name_that_is_taken_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCP_TUTOR_RUNS", str(tmp_path))
    monkeypatch.setattr(folders, "_folder", None)
    first = folders.new_launch_folder("save")
    number = int(first.name[:2])
    (first.parent / f"{number + 1:02d}-save").mkdir()

    assert folders.new_launch_folder("save").name == f"{number + 2:02d}-save"

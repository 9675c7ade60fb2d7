"""Where a rank was: read from dumps that Python's own fault handler wrote."""

from __future__ import annotations

import faulthandler
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent

import pytest

from dcp_tutor.launching.stacks import Place, find_place


def dump_of(tmp_path: Path, program: str, **modules: str) -> str:
    """Run a program that dumps its own stacks to its output."""
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(dedent(text))
    path = tmp_path / "save.py"
    path.write_text(dedent(program))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True)
    assert "most recent call first" in done.stderr
    return done.stderr


LIBRARY = """
    import faulthandler
    def all_reduce(tensor):
        return wrapper(tensor)
    def wrapper(tensor):
        faulthandler.dump_traceback(all_threads=True)
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is not the learner's, and dumps when it is called."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "library.py").write_text(dedent(LIBRARY))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")


def test_the_learners_line_and_the_name_it_called(tmp_path: Path, library: None) -> None:
    dump = dump_of(tmp_path, "import library\n\nlibrary.all_reduce(1)\n")
    place = find_place(dump, (tmp_path,))
    assert place == Place("save.py", 3, "library.all_reduce(1)", "all_reduce")
    assert str(place) == "line 3: library.all_reduce(1)  (inside all_reduce)"


def test_the_innermost_of_the_learners_lines(tmp_path: Path, library: None) -> None:
    dump = dump_of(
        tmp_path,
        "import app_state\napp_state.step()\n",
        app_state="import library\ndef step():\n    library.all_reduce(0)\n",
    )
    assert find_place(dump, (tmp_path,)) == Place(
        "app_state.py", 3, "library.all_reduce(0)", "all_reduce"
    )


def test_a_line_that_waits_by_itself(tmp_path: Path) -> None:
    dump = dump_of(tmp_path, "import faulthandler\nfaulthandler.dump_traceback()\n")
    place = find_place(dump, (tmp_path,))
    assert place == Place("save.py", 2, "faulthandler.dump_traceback()", "")
    assert str(place) == "line 2: faulthandler.dump_traceback()"


def test_the_main_thread_counts_not_a_helper(tmp_path: Path, library: None) -> None:
    """Python dumps the main thread last."""
    dump = dump_of(
        tmp_path,
        """
        import threading, time, library
        threading.Thread(target=lambda: time.sleep(1), daemon=True).start()
        library.all_reduce(2)
        """,
    )
    assert dump.count("most recent call first") == 2
    place = find_place(dump, (tmp_path,))
    assert place is not None
    assert place.line == "library.all_reduce(2)"


def test_the_last_of_several_dumps_counts(tmp_path: Path) -> None:
    dump = dump_of(
        tmp_path, "import faulthandler\n" + "faulthandler.dump_traceback(all_threads=False)\n" * 2
    )
    place = find_place(dump, (tmp_path,))
    assert place is not None
    assert place.line_number == 3


@pytest.mark.parametrize("dump", ["", "Current thread 0x1 (most recent call first):\n", "nonsense"])
def test_nothing_of_the_learners(dump: str, tmp_path: Path) -> None:
    assert find_place(dump, (tmp_path,)) is None


def test_a_dump_outside_of_the_learners_files(tmp_path: Path) -> None:
    path = tmp_path / "dump.txt"
    with path.open("w") as file:
        thread = threading.Thread(target=faulthandler.dump_traceback, args=(file,))
        thread.start()
        thread.join()
    assert "File" in path.read_text()
    assert find_place(path.read_text(), (tmp_path,)) is None

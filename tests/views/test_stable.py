"""A line of stderr reads the same on every machine and in every run."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from dcp_tutor.views.stable import stable

SITE = sysconfig.get_paths()["purelib"]
STDLIB = sysconfig.get_paths()["stdlib"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        # seen in torch 2.13
        (
            "[W1123 12:00:00.123456789 ProcessGroupGloo.cpp:123] Warning: slow",
            "[W ProcessGroupGloo.cpp] Warning: slow",
        ),
        (
            "[rank0]:[W1123 12:00:00.123456789 ProcessGroupNCCL.cpp:1250] Warning: leak",
            "[W ProcessGroupNCCL.cpp] Warning: leak",
        ),
        ("[rank1]:W1123 12:55:55.454000 12107 train.py:4] hello", "[W train.py] hello"),
        (
            "E1123 12:55:55.882000 11568 venv/lib/python3.11/site-packages/torch/api.py:9] failed",
            "[E torch/api.py] failed",
        ),
        (f"E1123 12:55:55.882000 11568 {SITE}/torch/api.py:9] failed", "[E torch/api.py] failed"),
        ("[rank0]: Traceback (most recent call last):", "Traceback (most recent call last):"),
        ('[rank0]:   File "/x/y.py", line 3', '  File "/x/y.py", line 3'),
        ("<object object at 0x7f9c34572070>", "<object object at 0x…>"),
        (
            "Connection closed by peer [127.0.0.1]:30861. See",
            "Connection closed by peer 127.0.0.1:…. See",
        ),
        ("from 127.0.0.1:43211 to [::1]:43211", "from 127.0.0.1:… to 127.0.0.1:…"),
        ("[::ffff:127.0.0.1]:29500 localhost:29500", "127.0.0.1:… 127.0.0.1:…"),
        ("peer [10.0.0.3]:51234 and 10.0.0.4:51235", "peer [10.0.0.3]:… and 10.0.0.4:…"),
        ("pid 1234, pid: 1235, (PID=1236)", "pid …, pid …, (PID …)"),
        ("  time      : 2026-11-23_12:55:55", "  time      : …"),
        ("2026-11-23 12:55:55,123 - WARNING", "… - WARNING"),
        (
            f'File "{SITE}/torch/distributed/run.py", line 7',
            'File "…/torch/distributed/run.py", line 7',
        ),
        (f'File "{STDLIB}/threading.py", line 7', 'File "…/threading.py", line 7'),
        (f"of binary: {sys.prefix}/bin/python", "of binary: …/bin/python"),
        # not to be touched
        ("errno 0x1F, rank 1, step 1234, 12:30", "errno 0x1F, rank 1, step 1234, 12:30"),
        ("rapid 7, pids 8, tensor[0]:1234", "rapid 7, pids 8, tensor[0]:1234"),
        (f"/mnt{SITE}/torch/x.py", f"/mnt{SITE}/torch/x.py"),
        ("[ranks] W is 3", "[ranks] W is 3"),
    ],
)
def test_stable(line: str, shown: str) -> None:
    assert stable(line) == shown
    assert stable(shown) == shown


def test_paths_below_the_run_folder_are_relative_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "run (1)"
    folder.mkdir()
    assert stable(f'File "{folder}/program.py", line 2', folder) == 'File "program.py", line 2'
    assert stable(f"'{folder}/step_3/.metadata'", folder) == "'step_3/.metadata'"
    assert stable(f"in {folder}.", folder) == stable(f"in {folder}/.", folder) == "in …."
    assert stable(f"{folder}2/x {folder}.old", folder) == f"{folder}2/x {folder}.old"
    assert stable(f"{folder}/x") == f"{folder}/x"


def test_a_folder_is_known_by_both_its_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to("real")
    assert stable(f"{link}/a {tmp_path}/real/b", link) == "a b"


def test_settling_text_needs_neither_torch_nor_ipython() -> None:
    code = "import sys; import dcp_tutor.views.log, dcp_tutor.views.stable; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "dcp_tutor" in loaded
    assert not loaded & {"torch", "numpy", "IPython", "ipywidgets"}

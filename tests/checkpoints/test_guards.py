"""What keeps this room apart: its imports, its exports, the cost of its front door."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dcp_tutor
from dcp_tutor import checkpoints
from dcp_tutor.checkpoints.findings import CODES, SEVERITIES

ROOM = Path(checkpoints.__file__).parent
ALLOWED = {"dcp_tutor.checkpoints", "dcp_tutor.errors", "torch", "fsspec"}


def imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("file", sorted(ROOM.glob("*.py")), ids=lambda f: f.stem)
def test_imports_go_one_way(file: Path) -> None:
    for name in imported(file):
        top = name.partition(".")[0]
        inside = any(name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED)
        assert inside or top in sys.stdlib_module_names or top == "__future__", name
        assert not name.startswith("torch.") and name != "pickle", name


def test_exports_are_sorted_and_there() -> None:
    assert checkpoints.__all__ == sorted(checkpoints.__all__, key=lambda n: (n[0].islower(), n))
    assert all(hasattr(checkpoints, name) for name in checkpoints.__all__)


def test_every_code_is_used_once_or_more() -> None:
    text = "".join(file.read_text() for file in ROOM.glob("*.py"))
    for code, severity in CODES.items():
        assert text.count(f'"{code}"') >= 2, code
        assert severity in SEVERITIES


def test_every_code_is_seen_in_a_test() -> None:
    text = "".join(f.read_text() for f in Path(__file__).parent.glob("test_*.py"))
    missing = [code for code in CODES if f'"{code}"' not in text]
    assert missing == []


def test_help_does_not_import_torch() -> None:
    program = (
        "import sys\nfrom dcp_tutor.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'fsspec' not in sys.modules\n"
    )
    root = str(Path(dcp_tutor.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    assert "inspect" in done.stdout and "Show what the checkpoint" in done.stdout

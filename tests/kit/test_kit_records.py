"""What a notebook records comes back, and shows nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from nbformat import v4

import dcp_tutor
from dcp_tutor.errors import UsageError
from dcp_tutor.kit.execute import execute
from dcp_tutor.kit.records import MEDIA_TYPE


def test_records_come_back_from_an_executed_notebook(lessons, tmp_path: Path) -> None:
    source = lessons(
        "01_x",
        "import dcp_tutor\n"
        "dcp_tutor.record('equal', True)\n"
        "dcp_tutor.record('ranks', [4, 2])\n"
        "dcp_tutor.record('equal', False)",
    )
    execute(source, tmp_path / "out.ipynb")
    assert dcp_tutor.read_records(tmp_path / "out.ipynb") == {"equal": False, "ranks": [4, 2]}
    assert dcp_tutor.read_records(str(tmp_path / "out.ipynb"))["ranks"] == [4, 2]
    cell = json.loads((tmp_path / "out.ipynb").read_text())["cells"][0]
    assert [list(output["data"]) for output in cell["outputs"]] == [[MEDIA_TYPE]] * 3


def test_a_notebook_without_records() -> None:
    assert dcp_tutor.read_records(v4.new_notebook(cells=[v4.new_markdown_cell("# x")])) == {}


@pytest.mark.parametrize("value", [{1, 2}, math.nan, math.inf, Path("x"), (1, 2), {1: 2}, b"x"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match=r"record\('x', …\) was given a "):
        dcp_tutor.record("x", value)

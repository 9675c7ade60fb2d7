"""The maps at the heads of the rooms name the files that are there, and no others."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import dcp_tutor

PACKAGE = Path(dcp_tutor.__file__).parent
MOST_WITHOUT_A_MAP = 7
"""Files that a newcomer finds a way through by their names."""

ROOMS = sorted(
    path.parent for path in PACKAGE.rglob("__init__.py") if len(list(path.parent.glob("*.py"))) > 1
)
EVERY_ROOM = pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)

# One word stands for several there.
FAMILIES = {
    "pictures": {
        "shard_map": {"shards", "shard_drawing"},
        "file_map": {"files", "file_drawing"},
        "overlap_map": {"overlap", "overlap_drawing"},
        "balance": {"balances", "balance_drawing"},
        "timeline": {"timelines", "timeline_drawing"},
    },
    "exercises": {"lesson_01": {f"lesson_{number:02}" for number in range(1, 6)}},
}


def mapped_in(text: str) -> set[str]:
    """Return the names that a map has: first column of a table, or of an indented list."""
    names = set()
    for line in text.splitlines():
        row = re.match(r"\| (`.+?) \|", line)
        entry = re.match(r" *([a-z_]+(?:, [a-z_]+)*)  +\w", line)
        if row:
            names |= set(re.findall(r"`([\w.]+)/?`", row[1]))
        elif entry:
            names |= set(entry[1].split(", "))
            names |= set(re.findall(r"; ([a-z_]+)(?::| draws)", line))  # "...; target: ..."
    return names


def wrong_in(map_: set[str], files: set[str], families: dict[str, set[str]]) -> set[str]:
    """Return the files that the map lacks, and the names in it that are no files."""
    meant = {file for name in map_ for file in families.get(name, {name})}
    return meant ^ files


def files_in(room: Path) -> set[str]:
    folders = {path.name for path in room.iterdir() if (path / "__init__.py").exists()}
    return {path.stem for path in room.glob("*.py")} - {"__init__"} | folders


@EVERY_ROOM
def test_a_room_has_a_map_of_its_files(room: Path) -> None:
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text()), clean=False) or ""
    map_, files = mapped_in(text), files_in(room)
    if not map_ and len(files) <= MOST_WITHOUT_A_MAP:
        return
    data = {"blanks", "solutions"} & map_  # folders without code
    assert wrong_in(map_ - data, files, FAMILIES.get(room.name, {})) == set()


def test_the_readme_names_every_room() -> None:
    text = (PACKAGE.parent / "README.md").read_text()
    named = set(re.findall(r"`(?:dcp_tutor/)?(\w+)(?:/|\.py)`", text.partition("## The house")[2]))
    assert files_in(PACKAGE) <= named


@pytest.mark.parametrize(
    ("text", "files", "wrong"),
    [
        ("| `a`, `b` | what |\n    c    how", {"a", "b", "c"}, set()),
        ("| `a` | what |", {"a", "b"}, {"b"}),
        ("    a    what\n    b    how", {"a"}, {"b"}),
        ("    a    what; b: how", {"a", "b"}, set()),
    ],
)
def test_the_check_can_fail(text: str, files: set[str], wrong: set[str]) -> None:
    assert wrong_in(mapped_in(text), files, {}) == wrong

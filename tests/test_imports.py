"""The rooms of the house: imports go one way, and a rank loads next to nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dcp_tutor

PACKAGE = Path(dcp_tutor.__file__).parent

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "wire": {"errors"},
    "rank": {"errors", "wire"},
    "launching": {"errors", "wire"},
    "checkpoints": {"errors"},
    "layouts": {"errors", "checkpoints"},
    "plans": {"errors", "checkpoints", "layouts"},
    "symptoms": {"errors"},
    "views": {"errors", "wire", "launching", "checkpoints", "layouts", "plans"},
    "kit": {"errors", "launching", "views"},
}
"""Room → the rooms that it may import, beside itself."""

FRONT_DOORS = {"magic", "cli", "lesson", "checkup", "exercises", "workshop", "notebooks", "bench"}
"""Rooms that may import all others; nobody but they import them."""

LAZILY = {
    # The forked rank runs what a cold one runs; the notebook itself never does.
    ("launching/zygotes.py", "rank"),
}
"""File and room: allowed, but inside a function only."""


def imports_of(source: str, module: str, *, package: bool) -> Iterator[tuple[str, bool]]:
    """Yield every room that a file imports, and whether that happens inside a function.

    What is imported for type annotations alone does not count.
    """

    def names_in(node: ast.AST) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if not isinstance(node, ast.ImportFrom):
            return []
        base = node.module or ""
        if node.level:
            parents = module.split(".")
            parents = parents[: len(parents) - node.level + package]
            base = ".".join([*parents, base]).rstrip(".")
        if base == "dcp_tutor":
            return [f"dcp_tutor.{home_of(alias.name)}" for alias in node.names]
        return [base]

    def walk(node: ast.AST, lazy: bool) -> Iterator[tuple[str, bool]]:
        for name in names_in(node):
            if name.startswith("dcp_tutor."):
                yield name.split(".")[1], lazy
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        below: list[ast.AST] = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            below = list(node.orelse)
        for child in below:
            yield from walk(child, lazy)

    yield from walk(ast.parse(source), False)


def home_of(name: str) -> str:
    """Return the room in which a name of the package itself is at home."""
    return str(dcp_tutor._HOMES.get(name, name)).partition(".")[0]


def complaints(path: str, source: str) -> list[str]:
    """Say what a file of the package, at this path in it, imports against the direction."""
    parts = path.removesuffix(".py").split("/")
    room, is_package = parts[0], parts[-1] == "__init__"
    module = ".".join(["dcp_tutor", *(parts[:-1] if is_package else parts)])
    if room not in MAY_IMPORT and room not in FRONT_DOORS:
        return [f"{path}: the room {room} has no place in MAY_IMPORT or FRONT_DOORS"]
    found = []
    for other, lazy in imports_of(source, module, package=is_package):
        if other == room or room in FRONT_DOORS:
            continue
        if other not in MAY_IMPORT[room] and not (lazy and (path, other) in LAZILY):
            found.append(f"{path} imports {other}")
    return found


FILES = sorted(
    str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE
) + sorted(path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", FILES)
def test_imports_go_one_way(path: str) -> None:
    assert complaints(path, (PACKAGE / path).read_text()) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("wire/values.py", "from dcp_tutor.launching.run import Run"),
        ("wire/values.py", "def f():\n    import dcp_tutor.rank"),
        ("errors.py", "from dcp_tutor import launch"),
        ("rank/spans.py", "from dcp_tutor.launching import folders"),
        ("rank/spans.py", "from ..launching import folders"),
        ("rank/__init__.py", "from ..views.log import settled"),
        ("launching/launch.py", "from dcp_tutor.views.panel import Panel"),
        ("launching/run.py", "from dcp_tutor.rank import span"),
        ("launching/zygotes.py", "from dcp_tutor.rank.__main__ import main"),
        ("launching/server.py", "class A:\n    def f(self):\n        from dcp_tutor import rank"),
        ("views/log.py", "import dcp_tutor.magic"),
        ("views/log.py", "if TYPE_CHECKING:\n    pass\nelse:\n    import dcp_tutor.cli"),
        ("attic/old.py", ""),
    ],
)
def test_the_check_can_fail(path: str, source: str) -> None:
    assert len(complaints(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("errors.py", "if TYPE_CHECKING:\n    from dcp_tutor.launching.run import Run"),
        ("launching/zygotes.py", "def f():\n    from dcp_tutor.rank.__main__ import main"),
        ("rank/report.py", "from ..wire import Record"),
        ("rank/__init__.py", "from .spans import span"),
        ("magic.py", "from dcp_tutor.views.panel import Panel\nfrom dcp_tutor import launch"),
    ],
)
def test_the_check_can_pass(path: str, source: str) -> None:
    assert complaints(path, source) == []


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "dcp_tutor",
        "dcp_tutor.rank",
        "dcp_tutor.rank.__main__",
        "dcp_tutor.errors",
        "dcp_tutor.wire",
    ],
)
def test_a_rank_loads_next_to_nothing(module: str) -> None:
    assert not {"torch", "numpy", "IPython", "ipywidgets", "psutil"} & loaded_by(f"import {module}")


@pytest.mark.parametrize("module", ["launching.server", "launching.supervisor"])
def test_servers_start_lean(module: str) -> None:
    """The server imports torch when it has seen that its notebook lives; a supervisor never."""
    assert not {"torch", "IPython", "ipywidgets"} & loaded_by(f"import dcp_tutor.{module}")


def test_loading_can_be_seen() -> None:
    assert "IPython" in loaded_by("import dcp_tutor.magic")

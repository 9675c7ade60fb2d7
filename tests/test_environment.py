"""One list of versions: environment.yml, pyproject.toml, the Makefile and the workflows agree.

`disagreements` reads the files of one folder and returns a sentence for each thing that is wrong.
That it can find them is proved on mutated copies, one fault each.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml  # papermill and jupytext bring it
from packaging.requirements import Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
FILES = [
    "Makefile",
    "environment.yml",
    "pyproject.toml",
    ".github/workflows/test.yml",
    ".github/workflows/gpu.yml",
]
# `make` of this test must not hear what the `make test` around it was given.
CLEAN_ENV = {
    name: value
    for name, value in os.environ.items()
    if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}
    and name not in {"TORCH", "TORCH_INDEX", "PYTHON", "ARGS"}
}
MAKE = shutil.which("make")
needs_make = pytest.mark.skipif(MAKE is None, reason="there is no program make here")


def installed_versions() -> dict[str, str]:
    """Return name and version of what this interpreter can import."""
    return {canonicalize_name(d.metadata["Name"]): d.version for d in metadata.distributions()}


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    assert MAKE is not None
    return subprocess.run(
        [MAKE, "-C", str(folder), "--no-print-directory", *arguments],
        env=CLEAN_ENV | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Lists:
    """The version lists of one folder, read as their own tools read them."""

    def __init__(self, folder: Path) -> None:
        self.environment: dict[str, Any] = yaml.safe_load((folder / "environment.yml").read_text())
        self.conda: list[str] = []
        self.pip: list[str] = []
        for entry in self.environment["dependencies"]:
            if isinstance(entry, dict):
                self.pip += entry["pip"]
            else:
                self.conda.append(entry)

        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        self.python = SpecifierSet(project["requires-python"])
        requirements = list(project["dependencies"])
        for extra in project["optional-dependencies"].values():
            requirements += extra
        self.ranges = {
            canonicalize_name(r.name): r.specifier for r in map(Requirement, requirements)
        }

        # A pin is anything in pip's part that is not an option (`-e .[dev]`).
        self.pins = {
            canonicalize_name(r.name): r.specifier
            for r in map(Requirement, (line for line in self.pip if not line.startswith("-")))
        }
        workflow = yaml.safe_load((folder / ".github/workflows/test.yml").read_text())
        matrix = workflow["jobs"]["cpu"]["strategy"]["matrix"]
        self.workflow_torch: list[str] = matrix["torch"]
        self.workflow_python: list[str] = matrix["python"]


def exact(specifier: SpecifierSet) -> Version | None:
    """Return the version of `==1.2.3`; None for a range, a wildcard or no version at all."""
    parts = list(specifier)
    if len(parts) != 1 or parts[0].operator != "==" or parts[0].version.endswith(".*"):
        return None
    return Version(parts[0].version)


def bound(specifier: SpecifierSet, operator: str) -> Version | None:
    found: list[Specifier] = [part for part in specifier if part.operator == operator]
    return Version(found[0].version) if len(found) == 1 else None


def after_wildcard(text: str) -> Version | None:
    """Return the first version behind `2.13.*`, which is 2.14; None where it is no wildcard."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.\*", text)
    return Version(f"{match[1]}.{int(match[2]) + 1}") if match else None


def disagreements(folder: Path, installed: Mapping[str, str] | None = None) -> Iterator[str]:
    lists = Lists(folder)

    for name, specifier in lists.pins.items():
        version = exact(specifier)
        if version is None:
            yield f"environment.yml: `{name}{specifier}` is not exact; write {name}==1.2.3"
        elif name not in lists.ranges:
            yield f"environment.yml pins {name}, which pyproject.toml does not ask for"
        elif version not in lists.ranges[name]:
            yield f"environment.yml: {name}=={version} is outside pyproject's {lists.ranges[name]}"
    for name in lists.ranges.keys() - lists.pins.keys():
        yield f"pyproject.toml asks for {name}, which environment.yml does not pin"

    if exact(lists.pins.get("torch", SpecifierSet())) != Version("2.13.0"):
        yield "environment.yml: torch must be pinned to 2.13.0, which the lessons were run with"
    if [line for line in lists.pip if line.startswith("-")] != ["-e .[dev]"]:
        yield "environment.yml must install the kit itself: - -e .[dev]"
    if lists.environment["name"] != "dcp-tutor":
        yield "environment.yml: the environment's name must be dcp-tutor"
    if lists.environment["channels"] != ["conda-forge", "nodefaults"]:
        yield "environment.yml: the channels must be conda-forge and nodefaults"

    pythons = [m[1] for line in lists.conda if (m := re.fullmatch(r"python=(3\.\d+)", line))]
    if len(pythons) != 1:
        yield "environment.yml must name one Python: python=3.11"
    elif Version(pythons[0]) not in lists.python:
        yield f"environment.yml: python={pythons[0]} is outside requires-python {lists.python}"
    if "pip" not in lists.conda:
        yield "environment.yml: conda needs `- pip` to install pip's part"
    oldest_python = bound(lists.python, ">=")
    if oldest_python != Version("3.11"):
        yield f"pyproject.toml: requires-python must begin at 3.11, not {oldest_python}"
    if oldest_python not in map(Version, lists.workflow_python):
        yield f"test.yml does not run the oldest Python, {oldest_python}"

    torch = lists.ranges.get("torch", SpecifierSet())
    if bound(torch, ">=") != exact(SpecifierSet(f"=={lists.workflow_torch[0]}")):
        yield f"test.yml: the first torch must be the oldest that pyproject allows ({torch})"
    newest = after_wildcard(lists.workflow_torch[-1])
    if newest is None or bound(torch, "<") != newest:
        yield f"test.yml: the last torch must be all that pyproject allows ({torch}): 2.13.*"
    for workflow in ("test.yml", "gpu.yml"):
        text = (folder / ".github/workflows" / workflow).read_text()
        if not re.search(r"^ +- run: make setup\b", text, re.MULTILINE):
            yield f"{workflow} must install through make setup, which holds to the pins"

    if MAKE is not None:
        wanted = [line for line in lists.pip if not line.startswith("-")]
        if make(folder, "pins").stdout.split() != wanted:
            yield "Makefile: `make pins` does not give what environment.yml pins"
        other = make(folder, "pins", "TORCH=2.13.*").stdout.split()
        if other != [re.sub(r"^torch==.*", "torch==2.13.*", line) for line in wanted]:
            yield "Makefile: `make pins TORCH=2.13.*` must replace torch's pin and no other"

    for name, version in (installed or {}).items():
        if name in lists.ranges and not lists.ranges[name].contains(version, prereleases=True):
            yield f"{name} {version} is installed here, outside pyproject's {lists.ranges[name]}"
    if installed is not None:
        for name in lists.ranges.keys() - installed.keys():
            yield f"{name} is not installed here"


def copy_of_files(folder: Path) -> Path:
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_lists_agree_and_what_is_installed_lies_in_the_ranges() -> None:
    assert list(disagreements(ROOT, installed_versions())) == []


PIN = {
    "newer than the range": (r"torch==2.13.0", "torch==2.14.0", "outside pyproject's"),
    "older than the range": (r"jupyterlab==[\d.]+", "jupyterlab==3.6.0", "outside pyproject's"),
    "another torch of the range": (r"torch==2.13.0", "torch==2.13.1", "pinned to 2.13.0"),
    "a range": (r"click==[\d.]+", "click>=8.1", "is not exact"),
    "a wildcard": (r"click==[\d.]+", "click==8.*", "is not exact"),
    "no version": (r"click==[\d.]+", "click", "is not exact"),
    "one missing": (r" +- nbval==.*\n", "", "asks for nbval"),
    "one of the tests' missing": (r" +- ruff==.*\n", "", "asks for ruff"),
    "one too many": (r"( +- )(nbval==.*\n)", r"\1\2\1rich==14.0.0\n", "pins rich"),
    "a form that only YAML reads": (r"(nbval==[\d.]+)", r'"\1"', "`make pins`"),
    "not the kit": (r" +- -e .*\n", "", "the kit itself"),
    "the kit without its tests' needs": (r"-e \.\[dev\]", "-e .", "the kit itself"),
    "another name": (r"name: dcp-tutor", "name: dcp", "name must be"),
    "Anaconda's channel": (r"nodefaults", "defaults", "channels"),
    "no Python": (r"  - python=.*\n", "", "one Python"),
    "any Python": (r"python=3.11", "python>=3.11", "one Python"),
    "an old Python": (r"python=3.11", "python=3.10", "outside requires-python"),
    "no pip": (r"  - pip\n", "", "`- pip`"),
}
RANGE = {
    "a higher lower end": (r"papermill>=2.6", "papermill>=3", "papermill==2.7.0 is outside"),
    "one more": (r'("click>=8.1",)', r'\1 "rich>=14",', "asks for rich"),
    "one more for the tests": (r'("ruff>=0.12",)', r'\1 "tox>=4",', "asks for tox"),
    "a longer torch range": (r">=2.13,<2.14", ">=2.13,<2.15", "the last torch"),
    "an older torch": (r">=2.13,<2.14", ">=2.12,<2.14", "the first torch"),
    "an older Python": (r">=3.11", ">=3.10", "must begin at 3.11"),
}
WORKFLOW = {
    "not the oldest torch": (r'"2.13.0", ', "", "the first torch"),
    "not the newest torch": (r', "2.13.\*"', "", "the last torch"),
    "not the oldest Python": (r'"3.11", ', "", "oldest Python"),
    "another way to install": (r"run: make setup", "run: pip install -e .", "make setup"),
}
MAKEFILE = {
    "a pin of its own": (r"PINS := .*", "PINS := echo torch==2.13.0", "`make pins`"),
    "deaf to TORCH": (r"(CONSTRAINTS = \$\(PINS\)).*", r"\1", "TORCH=2.13.*"),
}
FAULTS = [
    *(("environment.yml", *fault) for fault in PIN.items()),
    *(("pyproject.toml", *fault) for fault in RANGE.items()),
    *((".github/workflows/test.yml", *fault) for fault in WORKFLOW.items()),
    *(("Makefile", *fault) for fault in MAKEFILE.items()),
    (".github/workflows/gpu.yml", "another way to install", WORKFLOW["another way to install"]),
]


@needs_make
@pytest.mark.parametrize(
    ("file", "fault"),
    [(file, fault) for file, _, fault in FAULTS],
    ids=[f"{Path(file).name}: {name}" for file, name, _ in FAULTS],
)
def test_each_fault_is_found(file: str, fault: tuple[str, str, str], tmp_path: Path) -> None:
    pattern, replacement, sentence = fault
    path = copy_of_files(tmp_path) / file
    text, count = re.subn(pattern, replacement, path.read_text(), count=1)
    assert count == 1, f"{file} has no {pattern} any more; this fault must be written anew"
    path.write_text(text)
    found = list(disagreements(tmp_path))
    assert any(sentence in line for line in found), found


def test_a_wrong_installation_is_found() -> None:
    here = installed_versions()
    found = list(disagreements(ROOT, here | {"torch": "2.12.1"}))
    assert len(found) == 1
    assert "torch 2.12.1 is installed here, outside" in found[0]
    without = {name: version for name, version in here.items() if name != "papermill"}
    assert "papermill is not installed here" in disagreements(ROOT, without)


# --- make setup, with a stand-in for Python that writes down how it was called -----------------

STAND_IN = """\
#!/bin/sh
echo "$(basename "$0") $*" >> "$LOG"
case "$*" in
  "-m venv --clear .venv") rm -rf .venv; mkdir -p .venv/bin; ln -s "$0" .venv/bin/python ;;
  *"$FAIL_AT"*) test -z "$FAIL_AT" || exit 1 ;;
esac
"""


class Checkout:
    """A copy of the files, a stand-in for Python, and what that was asked to do."""

    def __init__(self, folder: Path) -> None:
        # A space in the path, as "My Documents" has.
        self.folder = folder / "my checkout"
        copy_of_files(self.folder)
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.bin.mkdir()
        for name in ("python3", "python3.99"):
            (self.bin / name).write_text(STAND_IN)
            (self.bin / name).chmod(0o755)
            # Older than all that make writes, as an installed Python is: make looks through links.
            os.utime(self.bin / name, (0, 0))

    def setup(self, *arguments: str, fail_at: str = "") -> list[str]:
        """Run `make setup`; return pip's and venv's calls."""
        self.log.write_text("")
        path = f"{self.bin}{os.pathsep}{CLEAN_ENV['PATH']}"
        self.result = make(
            self.folder, "setup", *arguments, PATH=path, LOG=str(self.log), FAIL_AT=fail_at
        )
        return [line for line in self.log.read_text().splitlines() if " -m " in line]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


TORCH_FIRST = "python -m pip install --disable-pip-version-check torch==2.13.0"
THEN_THE_KIT = (
    "python -m pip install --disable-pip-version-check -c .venv/constraints.txt -e .[dev]"
)
FROM_NOTHING = ["python3 -m venv --clear .venv", TORCH_FIRST, THEN_THE_KIT]


@needs_make
def test_setup_is_done_once_and_again_when_the_lists_change(checkout: Checkout) -> None:
    assert checkout.setup() == FROM_NOTHING
    pins = (checkout.folder / ".venv/constraints.txt").read_text().splitlines()
    assert pins == [line for line in Lists(ROOT).pip if not line.startswith("-")]
    assert checkout.setup() == []
    for name in ("pyproject.toml", "environment.yml"):
        newer = (checkout.folder / ".venv/.made-by").stat().st_mtime + 60
        os.utime(checkout.folder / name, (newer, newer))
        assert checkout.setup() == [TORCH_FIRST, THEN_THE_KIT]
        os.utime(checkout.folder / name, (0, 0))
        assert checkout.setup() == []


@needs_make
def test_setup_with_another_torch_and_back(checkout: Checkout) -> None:
    checkout.setup()
    calls = checkout.setup("TORCH=2.13.*", "TORCH_INDEX=https://example.org/cpu")
    pip = "python -m pip install --disable-pip-version-check"
    wanted = f"{pip} --upgrade --index-url https://example.org/cpu torch==2.13.*"
    assert calls == [wanted, THEN_THE_KIT]
    assert "torch==2.13.*\n" in (checkout.folder / ".venv/constraints.txt").read_text()
    assert checkout.setup("TORCH=2.13.*") == []
    assert checkout.setup() == [TORCH_FIRST, THEN_THE_KIT]


@needs_make
def test_setup_makes_a_moved_venv_anew(checkout: Checkout) -> None:
    checkout.setup()
    checkout.folder = checkout.folder.rename(checkout.folder.parent / "elsewhere")
    assert checkout.setup() == FROM_NOTHING
    assert checkout.setup() == []


@needs_make
def test_setup_makes_a_venv_of_another_python_anew(checkout: Checkout) -> None:
    checkout.setup()
    calls = checkout.setup("PYTHON=python3.99")
    assert calls == ["python3.99 -m venv --clear .venv", TORCH_FIRST, THEN_THE_KIT]
    # What was chosen once stays without being typed again.
    assert checkout.setup() == []


@needs_make
def test_setup_makes_a_venv_anew_whose_python_went_away(checkout: Checkout) -> None:
    checkout.setup("PYTHON=python3.99")
    (checkout.bin / "python3.99").unlink()
    assert checkout.setup() == FROM_NOTHING
    assert checkout.setup() == []


@needs_make
def test_setup_never_erases_a_venv_that_make_did_not_make(checkout: Checkout) -> None:
    mine = checkout.folder / ".venv/bin/python"
    mine.parent.mkdir(parents=True)
    shutil.copy(checkout.bin / "python3", mine)
    assert checkout.setup("PYTHON=python3.99") == [TORCH_FIRST, THEN_THE_KIT]
    assert "make did not make it" in checkout.result.stdout


@needs_make
@pytest.mark.parametrize(
    ("step", "sentence"),
    [("torch==", "could not install torch==2.13.0"), ("-e .", "could not install dcp-tutor")],
)
def test_setup_that_broke_off_is_taken_up_again(
    checkout: Checkout, step: str, sentence: str
) -> None:
    checkout.setup(fail_at=step)
    assert checkout.result.returncode != 0
    assert sentence in checkout.result.stdout
    assert checkout.setup() == [TORCH_FIRST, THEN_THE_KIT]
    assert checkout.setup() == []


# --- make setup, where Python will not do ------------------------------------------------------


def python_that(folder: Path, does: str) -> Path:
    """Make a Python that does something before it runs what it was given."""
    (folder / "sitecustomize.py").write_text(does)
    python = folder / "their-python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return python


@needs_make
@pytest.mark.parametrize(
    ("does", "sentences"),
    [
        (None, ["there is no program", "Python 3.11 or newer", "PYTHON=/path/to/python3"]),
        (
            "import sys; sys.version_info = (3, 10, 9, 'final', 0)",
            ["dcp-tutor needs Python 3.11 or newer", "PYTHON=python3.12"],
        ),
        ("import sys; sys.modules['ensurepip'] = None", ["apt install python3-venv"]),
    ],
    ids=["no such program", "too old", "no venv"],
)
def test_a_python_that_will_not_do_gets_a_sentence(
    does: str | None, sentences: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "checkout"
    copy_of_files(folder)
    python = tmp_path / "no-python" if does is None else python_that(tmp_path, does)
    result = make(folder, "setup", f"PYTHON={python}")
    assert result.returncode != 0
    for sentence in [*sentences, str(python)]:
        assert sentence in result.stdout, result.stdout + result.stderr
    assert not (folder / ".venv").exists()

"""`dcp-tutor why`, typed as people type it, and the page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dcp_tutor.cli import main
from dcp_tutor.symptoms import SYMPTOMS, Symptom, find
from dcp_tutor.symptoms.page import page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "notebooks" / "troubleshooting.md"


def why(*arguments: str, typed: str | bytes = "") -> Result:
    return CliRunner().invoke(main, ["why", *arguments], input=typed)


def test_a_message_is_explained() -> None:
    done = why("RuntimeError: Missing key in checkpoint state_dict: app.model.w.")
    assert done.exit_code == 0
    title, cause, *rest = done.stdout.splitlines()
    assert title == "Missing key in checkpoint state_dict: <key>  (torch; missing-key)"
    assert cause.startswith("  Cause: The state dict asks for a key")
    assert any(line.startswith("  Mend: Type `dcp-tutor inspect PATH`") for line in rest)


def test_words_without_quotation_marks() -> None:
    assert why("Address", "already", "in", "use").stdout.startswith("Address already in use")


@pytest.mark.parametrize(
    "text",
    [
        "-i hidden: this notebook has no variable `hidden`",
        "-o asks for `page`, which this rank's program never set",
        "--nproc-per-node 0: a launch needs at least one rank.",
        "--device cuda with 4 ranks needs 4 GPUs, one for each; this machine has 0.",
    ],
)
def test_a_message_that_begins_like_an_option(text: str) -> None:
    done = why(text)
    assert done.exit_code == 0, done.output
    assert "Cause: " in done.stdout


@pytest.mark.parametrize("typed", ["No space left on device", b"\xff\xfe No space left on device"])
def test_standard_input(typed: str | bytes) -> None:
    assert "(the system; no-space)" in why("-", typed=typed).stdout


def test_several_messages_stand_apart() -> None:
    done = why("-", typed="Connection closed by peer\nNo space left on device\n")
    titles = [paragraph.splitlines()[0] for paragraph in done.stdout.split("\n\n")]
    assert titles == [
        "No space left on device  (the system; no-space)",
        "Connection closed by peer  (torch; connection-closed)",
    ]


def test_it_leads_to_the_clinic() -> None:
    told = why("ValueError: Failed to validate global plan: key:table").stdout
    assert "  Live: notebooks/13_when_it_breaks.ipynb, uneven." in told.splitlines()
    two = why("metadata is None; global metadata read failed").stdout
    assert "half-written and node-local." in " ".join(two.split())
    assert "Live:" not in why("CUDA out of memory").stdout


def test_each_case_that_is_named_is_a_heading_of_the_clinic() -> None:
    cells = json.loads((ROOT / "notebooks" / "13_when_it_breaks.ipynb").read_text())["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    headings = set(re.findall(r"^## ([a-z-]+)$", text, re.MULTILINE))
    assert {case for symptom in SYMPTOMS for case in symptom.cases} <= headings


def test_an_unknown_message_gets_a_sentence() -> None:
    done = why("the moon is made of green cheese")
    assert done.exit_code == 1
    assert "dcp-tutor doctor" in " ".join(done.stdout.split())
    assert why("-", typed="").exit_code == 1


def test_nothing_typed() -> None:
    done = why()
    assert done.exit_code == 2
    assert 'dcp-tutor why "' in done.output


def test_json() -> None:
    (found,) = json.loads(why("--json", "CUDA out of memory").stdout)
    assert list(found) == ["code", "message", "source", "cause", "mend", "cases"]
    assert found["code"] == "cuda-memory"
    nothing = why("--json", "green cheese")
    assert (json.loads(nothing.stdout), nothing.exit_code) == ([], 1)


def test_it_answers_without_torch() -> None:
    code = (
        "import sys, dcp_tutor.cli.why, dcp_tutor.symptoms.page\n"
        "print({'torch', 'IPython'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == why("--page").stdout, (
        "type: dcp-tutor why --page > notebooks/troubleshooting.md"
    )


def test_every_link_of_the_page_leads_to_an_entry() -> None:
    text = page()
    links = re.findall(r"\]\(#([^)]*)\)", text)
    headings = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert links == headings == [symptom.code for symptom in SYMPTOMS]


def test_the_readme_leads_to_the_page() -> None:
    assert f"]({PAGE.relative_to(ROOT)})" in (ROOT / "README.md").read_text()


def test_an_entry_is_short_and_finds_itself() -> None:
    for symptom in SYMPTOMS:
        for text in (symptom.cause, symptom.mend):
            assert len(re.findall(r"[.!?](?:\s|$)", text)) <= 3, text
        for form in symptom.says:
            told = re.sub(r"<n>", "3", form)
            assert symptom in find(told), form


def test_a_new_entry_needs_no_more_than_itself() -> None:
    new = Symptom(
        code="green-cheese",
        says=("the <body> is made of <n> kinds of cheese",),
        source="torch",
        cause="Somebody was hungry.",
        mend="Type `dinner()`.",
    )
    assert find("ValueError: the moon is made of 3 kinds of cheese", [new]) == (new,)
    assert find("ValueError: the moon is made of no cheese", [new]) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"code": "Green Cheese"},
        {"says": ()},
        {"says": "a comma is missing here"},
        {"cause": "No full stop"},
        {"cases": "a comma is missing here"},
    ],
)
def test_a_new_entry_is_checked(wrong: dict[str, object]) -> None:
    right: dict[str, object] = {
        "code": "green-cheese",
        "says": ("a",),
        "source": "torch",
        "cause": "So.",
        "mend": "So.",
    }
    Symptom(**right)  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        Symptom(**{**right, **wrong})  # type: ignore[arg-type]

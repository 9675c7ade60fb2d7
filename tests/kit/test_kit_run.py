"""`dcp-tutor run` over notebooks that pass, fail and die, with real ranks."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner

from dcp_tutor import read_records
from dcp_tutor.cli import main
from dcp_tutor.launching.journal import read_entries

from .conftest import write_notebook

pytestmark = pytest.mark.ranks

RANKS = """%%torchrun --nproc-per-node {save_ranks} -o twice --name save
import os
twice = 2 * int(os.environ["RANK"])
print("hello")"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><title>shards</title></svg>'
REMOTE = (
    '<img src="https://example.org/a.png" alt="far"><script src="https://example.org/a.js">'
    '</script><link rel="stylesheet" href="https://example.org/a.css"><p>near</p>'
)


@dataclass
class Ran:
    """What a run left."""

    folder: Path
    status: int
    output: str

    def page(self, name: str) -> BeautifulSoup:
        return BeautifulSoup((self.folder / f"{name}.html").read_text(), "html.parser")

    def article(self, name: str) -> str:
        """The words of the index on one notebook."""
        article = self.page("index").find(id=name)
        assert article is not None
        return re.sub(r"\s+", " ", article.get_text(" "))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    home = tmp_path_factory.mktemp("kit {braces}")
    lessons = home / "notebooks"
    write_notebook(
        lessons / "01_passes.ipynb",
        "# Saving\nAn ![image](https://example.org/image.png) from afar.",
        "[parameters] save_ranks: int = 4  # ranks that write\nwords: str = 'some'",
        "%load_ext dcp_tutor",
        "# On some ranks",
        RANKS,
        "%%module app_state\nclass AppState:\n    pass",
        "import os, sys, dcp_tutor\n"
        "dcp_tutor.record('twice', twice)\n"
        "dcp_tutor.record('python', sys.executable)\n"
        "dcp_tutor.record('cwd', os.getcwd())\n"
        "dcp_tutor.record('device', os.environ['DCP_TUTOR_DEVICE'])\n"
        "dcp_tutor.record('words', words)\n"
        "dcp_tutor.record('live', os.environ['DCP_TUTOR_LIVE'])",
        f"from IPython.display import display\n"
        f"display({{'image/svg+xml': {SVG!r}, 'text/plain': 'two <shards> of w'}}, raw=True)\n"
        f"display({{'text/html': {REMOTE!r}}}, raw=True)",
        "import ipywidgets\nipywidgets.IntSlider(3)",
    )
    write_notebook(
        lessons / "02_fails.ipynb",
        "# Failing",
        "[parameters] other: int = 1",
        "# Where it breaks",
        "\n# words first\nbad = [1, 2]\nraise ValueError('bad <shape>\\nof w')",
        "open('after', 'w')",
    )
    write_notebook(lessons / "03_dies.ipynb", "import os, signal", "os.kill(os.getpid(), 9)")
    write_notebook(lessons / "04_leaves.ipynb", "print('seen')", "import sys; sys.exit(0)")

    # A kernelspec `python3` that starts something else, as users have it in their home.
    fake = home / "jupyter" / "kernels" / "python3"
    fake.mkdir(parents=True)
    program = home / "not-python"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    argv = [str(program), "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "fake", "language": "python"}
    (fake / "kernel.json").write_text(json.dumps(spec))

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("JUPYTER_PATH", str(home / "jupyter"))
        patch.setenv("DCP_TUTOR_RUNS", str(home / "work"))
        words = ["run", "--device", "cpu", "-p", "save_ranks", "2", "-p", "words", 'it\'s "so"']
        result = CliRunner().invoke(main, words)
    folders = list((home / "runs").iterdir())
    assert len(folders) == 1, result.output
    assert os.listdir(home / "work") == []
    return Ran(folder=folders[0], status=result.exit_code, output=result.output)


def test_a_failure_is_the_exit_status_and_stops_nothing(ran: Ran) -> None:
    assert ran.status == 1
    states = re.findall(r"^(\d\d_\w+) +\S (\w+) in ", ran.output, re.MULTILINE)
    assert states == [
        ("01_passes", "passed"),
        ("02_fails", "failed"),
        ("03_dies", "failed"),
        ("04_leaves", "passed"),
    ]


def test_a_log_has_one_line_for_each_notebook_and_no_control_characters(ran: Ran) -> None:
    assert len(ran.output.strip().splitlines()) == 4 + 2  # an empty one, and the summary
    assert not re.search(r"[\r\x1b\x08]", ran.output)
    assert "2 passed, 2 failed in " in ran.output
    assert ran.output.rstrip().endswith("index.html")


def test_the_kernel_is_this_interpreter_in_the_notebooks_folder(ran: Ran) -> None:
    records = read_records(ran.folder / "01_passes.ipynb")
    assert records["python"] == sys.executable
    assert records["cwd"] == str(ran.folder.parents[1] / "notebooks")
    assert records["device"] == "cpu"
    assert records["live"] == "0"


def test_parameters_reach_the_ranks_and_only_notebooks_that_have_them(ran: Ran) -> None:
    records = read_records(ran.folder / "01_passes.ipynb")
    assert records["twice"] == [0, 2]
    assert records["words"] == 'it\'s "so"'
    assert "injected-parameters" not in (ran.folder / "02_fails.ipynb").read_text()


def test_launches_are_listed_with_the_devices_really_used(ran: Ran) -> None:
    [launch] = read_entries(ran.folder / "01_passes.launches.jsonl")
    assert (launch.name, launch.ranks, launch.ok) == ("save", 2, True)
    assert launch.devices == ["cpu", "cpu"]
    assert launch.seconds > 0
    assert not (ran.folder / "02_fails.launches.jsonl").exists()


def test_a_failed_notebook_keeps_its_artefact_up_to_the_failure(ran: Ran) -> None:
    notebook = nbformat.read(ran.folder / "02_fails.ipynb", as_version=4)
    [bad] = [cell for cell in notebook.cells if "raise" in cell.source]
    assert bad.outputs[0].ename == "ValueError"
    assert not (ran.folder.parents[1] / "notebooks" / "after").exists()
    assert "bad &lt;shape&gt;" in (ran.folder / "02_fails.html").read_text()


def test_the_index_says_where_and_why_it_failed(ran: Ran) -> None:
    words = ran.article("02_fails")
    assert "failed in" in words
    assert "under “Where it breaks”" in words
    assert "bad = [1, 2]" in words  # the first line of code, not the comment above it
    assert "ValueError: bad <shape> of w" in words
    link = ran.page("index").find(id="02_fails").select_one(".why a")
    page, _, anchor = link["href"].partition("#")
    target = ran.page(page.removesuffix(".html")).find(id=anchor)
    assert "raise" in target.get_text()


def test_the_index_knows_a_dead_kernel_and_its_last_cell(ran: Ran) -> None:
    words = ran.article("03_dies")
    assert "the kernel died" in words
    assert "os.kill(os.getpid(), 9)" in words


def test_the_index_says_what_ran_where_with_which_parameters(ran: Ran) -> None:
    words = ran.article("01_passes")
    assert "passed in" in words
    assert "1 warm launch, 2 ranks, on cpu" in words
    assert "save_ranks = 2 given ranks that write" in words
    assert "no ranks launched" in ran.article("04_leaves")
    assert "other = 1 default" in ran.article("02_fails")
    top = ran.page("index").find("dl").get_text(" ")
    for name in ("python", "torch", "dcp-tutor", "papermill", "device asked for"):
        assert name in top
    assert f"{sys.version_info.major}.{sys.version_info.minor}." in top


def test_every_link_of_the_index_leads_somewhere(ran: Ran) -> None:
    links = {link["href"].partition("#")[0] for link in ran.page("index").select("a[href]")}
    assert {"01_passes.html", "02_fails.ipynb", "01_passes.launches.jsonl"} <= links
    assert [link for link in links if not (ran.folder / link).exists()] == []


def highlighted(page: BeautifulSoup, text: str) -> dict[str, str]:
    """The pieces of the cell that contains `text`: piece → its class."""
    [cell] = [cell for cell in page.select(".highlight pre") if text in cell.get_text()]
    return {span.get_text(): " ".join(span["class"]) for span in cell.select("span[class]")}


def test_programs_of_ranks_are_highlighted_as_python(ran: Ran) -> None:
    page = ran.page("01_passes")
    program = highlighted(page, "%%torchrun")
    assert program["import"].startswith("k")
    assert program['"RANK"'].startswith("s")
    assert program["2"].startswith("m")
    module = highlighted(page, "%%module")
    assert module["class"].startswith("k")


def test_pictures_carry_their_words_and_records_show_nothing(ran: Ran) -> None:
    page = ran.page("01_passes")
    [picture] = page.select(".jp-RenderedSVG img")
    assert picture["alt"] == "two <shards> of w"
    assert picture["src"].startswith("data:image/svg+xml;base64,")
    assert "hello" in page.get_text()
    assert "IntSlider" not in page.select_one("main").get_text().split("IntSlider(3)")[1]
    [cell] = [cell for cell in page.select(".jp-Cell") if "record('twice'" in cell.get_text()]
    assert cell.select(".jp-OutputArea-child") == []


@pytest.mark.parametrize("name", ["index", "01_passes", "02_fails", "03_dies", "04_leaves"])
def test_pages_fetch_nothing(ran: Ran, name: str) -> None:
    page = ran.page(name)
    policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'")
    assert "http" not in policy["content"] and "script" not in policy["content"]
    # The policy holds once it is read: nothing that fetches may stand above it.
    above = [tag.name for tag in policy.find_all_previous()]
    assert set(above) <= {"html", "head", "meta", "title"}
    sources = [tag["src"] for tag in page.select("[src]")]
    assert [src for src in sources if not src.startswith("data:")] == []
    assert page.select("script, link, iframe, object, embed") == []
    styles = " ".join(tag.get_text() for tag in page.select("style"))
    styles = re.sub(r"/\*.*?\*/", "", styles, flags=re.DOTALL)
    assert "@import" not in styles
    assert [url for url in re.findall(r"url\(([^)]*)", styles) if "data:" not in url[:8]] == []
    assert "prefers-color-scheme: dark" in str(page)


@pytest.mark.browser
def test_a_browser_asks_for_the_file_alone(ran: Ran) -> None:
    api = pytest.importorskip("playwright.sync_api")
    chromium = Path("/usr/bin/chromium")
    if not chromium.exists():
        pytest.skip("needs Debian's Chromium: apt-get install chromium")
    wanted = []
    with api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=str(chromium), args=arguments)
        page = browser.new_page()
        page.on("request", lambda request: wanted.append(request.url))
        for name in ("index", "01_passes"):
            page.goto((ran.folder / f"{name}.html").as_uri())
        near = page.get_by_text("near", exact=True).is_visible()
        browser.close()
    assert near
    files = [url for url in wanted if not url.startswith("data:")]
    assert files == [(ran.folder / f"{name}.html").as_uri() for name in ("index", "01_passes")]

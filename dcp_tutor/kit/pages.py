"""Web pages: one of each executed notebook, and the index of a run.

They stand alone: styles and pictures are inside, there is no JavaScript, and a content security
policy keeps them from fetching anything.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from bs4 import BeautifulSoup
from nbconvert.exporters import HTMLExporter
from traitlets.config import Config

from dcp_tutor.kit.console import in_words
from dcp_tutor.kit.results import Report, Result, duration

WIDGET = "application/vnd.jupyter.widget-view+json"
_TEMPLATES = Path(__file__).parent / "templates"
_SHOWN = [
    *("text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg"),
    *("text/latex", "text/plain"),
]
"""What of an output is shown, the best first. Widgets would need JavaScript, and a kernel."""


def write_page(notebook: Any, page: Path) -> None:
    """Write an executed notebook as a web page.

    Args:
        notebook: as `nbformat.read` returned it.
        page: file to write.

    Example:
        >>> write_page(nbformat.read(path, 4), path.with_suffix(".html"))  # doctest: +SKIP

    """
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="lab",
        template_file="page.html.j2",
        extra_template_paths=[str(_TEMPLATES)],
        # Images are outputs, which are in the page anyway. Embedding those of the text goes
        # through a parser that closes each `<details>` before its content.
        embed_images=False,
        config=Config(
            {
                "NbConvertBase": {"display_data_priority": _SHOWN},
                # The magic's own line is read as Python as well, and looks well that way.
                "HighlightMagicsPreprocessor": {
                    "languages": {"%%torchrun": "python3", "%%module": "python3"}
                },
            }
        ),
    )
    notebook = copy.deepcopy(notebook)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            # A widget without JavaScript would show its `repr`.
            if output.get("data", {}).pop(WIDGET, None) is not None:
                output.data["text/plain"] = "(to be used in JupyterLab)"
    resources = {"metadata": {"name": page.stem}}
    html, _ = exporter.from_notebook_node(notebook, resources)
    page.write_text(_without_fetching(html), encoding="utf-8")


def write_index(folder: Path, report: Report, results: Sequence[Result]) -> None:
    """Write `index.html` of a run.

    Args:
        folder: of the run.
        report: what there is to say of it as a whole.
        results: one for each notebook, in order.

    Example:
        >>> write_index(Path("runs/today"), report, results)  # doctest: +SKIP

    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True
    )
    html = environment.get_template("report.html.j2").render(
        report=report,
        results=results,
        words=in_words(results),
        took=duration(report.seconds),
        good=all(result.state == "passed" for result in results),
    )
    # Replaced in one step: a reader who reloads never sees half a page.
    draft = folder / ".index.html"
    draft.write_text(html, encoding="utf-8")
    draft.replace(folder / "index.html")


def _without_fetching(html: str) -> str:
    """Put an image's words in its place where it lies on another machine, and drop scripts."""
    soup = BeautifulSoup(html, "html.parser")
    for tag in soup.select("script, link, iframe, object, embed"):
        tag.decompose()
    for image in soup.select("img[src]"):
        if not str(image["src"]).startswith("data:"):
            image.replace_with(f"[{image.get('alt') or 'image'}: {image['src']}]")
    return str(soup)

"""Pictures in committed notebooks and on the pages of a run."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from gallery import PICTURES, picture
from nbformat import v4

from dcp_tutor.kit.canonical import canonical
from dcp_tutor.kit.pages import write_page
from dcp_tutor.views.pictures import Picture


def notebook_with(shown: Picture) -> object:
    data, metadata = shown._repr_mimebundle_()
    output = v4.new_output("execute_result", data=data, metadata=metadata, execution_count=1)
    cell = v4.new_code_cell("tutor.shard_map(...)", outputs=[output], execution_count=1)
    return v4.new_notebook(cells=[cell])


@pytest.mark.parametrize("name", PICTURES)
def test_the_canonical_form_changes_nothing(name: str, tmp_path: Path) -> None:
    notebook = notebook_with(picture(name))
    tidy = canonical(notebook, notebook, folder=tmp_path)
    [output] = tidy.cells[0].outputs
    assert output.data["image/svg+xml"] == picture(name).svg
    assert output.data["text/plain"] == picture(name).text


@pytest.mark.parametrize("name", ["overlap, 3", "files, hostile"])
def test_a_page_shows_it_with_its_words(name: str, tmp_path: Path) -> None:
    page = tmp_path / "lesson.html"
    write_page(notebook_with(picture(name)), page)
    [image] = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select("img")
    assert image["alt"] == picture(name).alt
    kind, _, data = str(image["src"]).partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(data).decode() == picture(name).svg

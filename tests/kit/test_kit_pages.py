"""What a notebook looks like as a page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from nbformat import v4

from dcp_tutor.kit.pages import write_page

CHROMIUM = Path("/usr/bin/chromium")
HINT = """<details>
<summary>Hint</summary>

Look at **rank 1**.

```python
x = 1
```

</details>"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell(HINT)])
    path = tmp_path / "lesson.html"
    write_page(notebook, path)
    return path


def test_a_hint_is_inside_its_fold(page: Path) -> None:
    [fold] = page.read_text().split("<details>")[1:]

    inside = fold.partition("</details>")[0]
    assert "<strong>rank 1</strong>" in inside
    assert 'class="highlight' in inside


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium here (apt-get install chromium)")
def test_a_hint_unfolds_when_it_is_clicked(page: Path) -> None:
    before, after = asyncio.run(_click(page))

    assert (before, after) == (False, True)


WIDE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 20" width="880" height="20"/>'


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium here (apt-get install chromium)")
@pytest.mark.parametrize("width", [1400, 1000, 600])
def test_pictures_stand_in_one_column_inside_the_page(tmp_path: Path, width: int) -> None:
    picture = {"image/svg+xml": WIDE, "text/plain": "picture"}
    outputs = [
        v4.new_output("display_data", data=picture),
        v4.new_output("execute_result", data=picture, execution_count=1),
    ]
    path = tmp_path / "lesson.html"
    write_page(v4.new_notebook(cells=[v4.new_code_cell("cell", outputs=outputs)]), path)

    main, displayed, result = asyncio.run(_edges(path, width))

    assert displayed == result
    assert 0 <= main[0] <= result[0] < result[1] <= main[1] <= width


async def _edges(page: Path, width: int) -> list[list[float]]:
    """Return left and right of the page's column, and of both pictures."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        tab = await browser.new_page(viewport={"width": width, "height": 800})
        await tab.goto(page.as_uri())
        edges: list[list[float]] = await tab.evaluate(
            """() => [...document.querySelectorAll("main, .jp-RenderedSVG img")]
            .map(one => one.getBoundingClientRect()).map(box => [box.left, box.right])"""
        )
        await browser.close()
    return edges


async def _click(page: Path) -> tuple[bool, bool]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        tab = await browser.new_page()
        await tab.goto(page.as_uri())
        hint = tab.get_by_text("Look at rank 1")
        before = await hint.is_visible()
        await tab.get_by_text("Hint", exact=True).click()
        after = await hint.is_visible()
        await browser.close()
    return before, after

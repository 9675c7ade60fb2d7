"""Pictures in Chromium: every text inside the card, none over another, no mark outside.

Before a font is known, widths are only counted; here they are measured.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gallery import PICTURES, picture

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium here (apt-get install chromium)"),
]

MEASURE = """() => [...document.querySelectorAll('svg')].map(svg => {
  const card = svg.getBoundingClientRect();
  const box = element => {
    const r = element.getBoundingClientRect();
    return [r.left - card.left, r.top - card.top, r.right - card.left, r.bottom - card.top];
  };
  return {
    name: svg.parentElement.id, width: card.width, height: card.height,
    texts: [...svg.querySelectorAll('text')].map(t => [t.textContent, ...box(t)]),
    marks: [...svg.querySelectorAll('rect, path, line')]
      .filter(e => !e.closest('defs')).map(e => [e.outerHTML.slice(0, 90), ...box(e)]),
    colours: [...svg.querySelectorAll('.card')].map(e => getComputedStyle(e).fill),
  };
})"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pictures = "".join(f'<div id="{name}">{picture(name).svg}</div>' for name in PICTURES)
    page = tmp_path_factory.mktemp("pictures") / "all.html"
    head = '<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
    page.write_text(f"{head}<body style='width:880px'>{pictures}", encoding="utf-8")
    return asyncio.run(_measure(page))


async def _measure(page: Path) -> dict[str, Any]:
    from playwright.async_api import async_playwright

    found = {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for scheme in ("light", "dark"):
            tab = await browser.new_page(
                viewport={"width": 1000, "height": 900},
                color_scheme=scheme,  # type: ignore[arg-type]
            )
            await tab.goto(page.as_uri())
            found[scheme] = {one["name"]: one for one in await tab.evaluate(MEASURE)}
        await browser.close()
    return found


def outside(box: list[float], width: float, height: float) -> bool:
    left, top, right, bottom = box
    return left < -0.5 or top < -0.5 or right > width + 0.5 or bottom > height + 0.5


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_leaves_the_card(name: str, measured: dict[str, Any]) -> None:
    one = measured["light"][name]
    assert one["width"] == 840
    for words, *box in [*one["texts"], *one["marks"]]:
        assert not outside(box, one["width"], one["height"]), (words, box)


@pytest.mark.parametrize("name", PICTURES)
def test_no_text_covers_another(name: str, measured: dict[str, Any]) -> None:
    texts = measured["light"][name]["texts"]
    for at, (words, *a) in enumerate(texts):
        for other, *b in texts[:at]:
            across = min(a[2], b[2]) - max(a[0], b[0])
            # A line's box is taller than its letters.
            down = min(a[3], b[3]) - max(a[1], b[1])
            assert across < 1 or down < 4, (other, words)


def test_the_page_decides_on_light_or_dark(measured: dict[str, Any]) -> None:
    for scheme, fill in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(23, 27, 33)")):
        assert {one["colours"][0] for one in measured[scheme].values()} == {fill}

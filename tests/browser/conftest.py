"""One JupyterLab and one Chromium for each file of tests of what is seen in a browser.

Not for several: as long as Playwright's synchronous driver is open, no other test can run an event
loop of its own.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .lab import ARGUMENTS, CHROMIUM, Lab, OpenNotebook, survivors

SCREENSHOTS = Path(__file__).parents[2] / "runs" / "browser"
"""Screenshots stay here, to be looked at; `make clean` removes them."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, as Debian packages it."""
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM} here (apt-get install chromium)")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no playwright here (pip install playwright)"
    )
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def lab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab with folders of its own; at its end nothing of it is left."""
    token = uuid.uuid4().hex
    lab = Lab(tmp_path_factory.mktemp("lab"), token)
    with contextlib.closing(lab):
        yield lab
    assert survivors(token) == []
    assert list((lab.place / "runs").iterdir()) == []


@pytest.fixture(scope="module")
def open_notebook(lab: Lab, browser: Any) -> Iterator[Callable[..., OpenNotebook]]:
    """Open notebooks; when the module's tests are done, their pages and kernels are closed."""
    opened: list[OpenNotebook] = []

    def open_one(name: str, *cells: str, theme: str = "JupyterLab Light") -> OpenNotebook:
        if cells:
            lab.write(name, *cells)
        lab.set_theme(theme)
        opened.append(OpenNotebook(lab, browser, name, SCREENSHOTS))
        return opened[-1]

    yield open_one
    for notebook in opened:
        notebook.close()
    lab.end_kernels()

"""A JupyterLab of our own for the tests, and a notebook that is open in a headless Chromium."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import nbformat

import dcp_tutor

from ..launching.conftest import TOKEN, survivors, wait_for

__all__ = ["TOKEN", "Lab", "OpenNotebook", "survivors", "wait_for"]

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SECONDS = 60.0
"""How long anything may take on a machine that is busy with something else."""

_KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
_QUIET = [
    "--LabApp.news_url=",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
    "--ServerApp.token=",
    "--ServerApp.password=",
    "--ServerApp.disable_check_xsrf=True",
]


class Lab:
    """A JupyterLab server with folders of its own."""

    def __init__(self, place: Path, token: str) -> None:
        self.place, self.token = place, token
        self.notebooks = place / "notebooks"
        folders = {
            "JUPYTER_RUNTIME_DIR": place / "runtime",
            "JUPYTER_CONFIG_DIR": place / "config",
            "JUPYTER_DATA_DIR": place / "data",
            "JUPYTERLAB_SETTINGS_DIR": place / "settings",
            "JUPYTERLAB_WORKSPACES_DIR": place / "workspaces",
            "IPYTHONDIR": place / "ipython",
            "DCP_TUTOR_RUNS": place / "runs",
            "TMPDIR": place / "tmp",
        }
        for folder in (*folders.values(), self.notebooks):
            folder.mkdir(parents=True)
        self._set("notification", fetchNews="false", checkForUpdates=False)
        ours = {name: str(folder) for name, folder in folders.items()}
        gone = ("PYTEST_CURRENT_TEST", "DCP_TUTOR_LIVE")
        environment = {key: value for key, value in os.environ.items() if key not in gone}
        source = str(Path(dcp_tutor.__file__).parents[1])
        environment |= {**ours, TOKEN: token, "PYTHONPATH": source}
        command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"]
        command += ["--ip=127.0.0.1", "--port=0", f"--ServerApp.root_dir={self.notebooks}"]
        with (place / "lab.log").open("w") as log:
            self.process = subprocess.Popen(
                [*command, *_QUIET], env=environment, stdout=log, stderr=log, cwd=place
            )
        try:
            self.url = wait_for(self._find_url, "JupyterLab is up", SECONDS)
        except BaseException:
            self.close()
            raise

    def set_theme(self, name: str) -> None:
        """Choose the theme, such as `JupyterLab Dark`, of pages that are opened from now on."""
        self._set("themes", theme=name)

    def write(self, name: str, *cells: str) -> None:
        """Write a notebook with these code cells."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": _KERNEL, "language_info": {"name": "python"}},
        )
        nbformat.write(notebook, self.notebooks / name)

    def read(self, name: str) -> Any:
        """Read a notebook as it was saved."""
        return nbformat.read(self.notebooks / name, as_version=4)

    def api(self, path: str, method: str = "GET") -> Any:
        """Ask the server."""
        request = urllib.request.Request(f"{self.url}api/{path}", method=method)
        with urllib.request.urlopen(request, timeout=SECONDS) as reply:
            return json.loads(reply.read() or "null")

    def end_kernels(self) -> None:
        """Shut all sessions down, as a user does who closes his notebooks."""
        for session in self.api("sessions"):
            self.api(f"sessions/{session['id']}", "DELETE")

    def close(self) -> None:
        """End the server as Ctrl-C and yes do."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def _set(self, what: str, **values: Any) -> None:
        folder = self.place / "settings" / "@jupyterlab" / "apputils-extension"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{what}.jupyterlab-settings").write_text(json.dumps(values))

    def _find_url(self) -> str | None:
        assert self.process.poll() is None, (self.place / "lab.log").read_text()[-3000:]
        for path in (self.place / "runtime").glob("jpserver-*.json"):
            with contextlib.suppress(ValueError, OSError):
                url = str(json.loads(path.read_text())["url"])
                urllib.request.urlopen(f"{url}api", timeout=1).close()
                return url
        return None


class OpenNotebook:
    """A notebook in a tab of the browser, with a kernel that is ready.

    Attributes:
        page: Playwright's page.
        errors: what the page has written to the browser's console as errors.

    """

    def __init__(self, lab: Lab, browser: Any, name: str, screenshots: Path) -> None:
        self.lab, self.name, self._screenshots = lab, name, screenshots
        self.errors: list[str] = []
        self.page = browser.new_page(viewport={"width": 1280, "height": 1100})
        self.page.set_default_timeout(SECONDS * 1000)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(
            f"{lab.url}lab/workspaces/{Path(name).stem}/tree/{name}", wait_until="domcontentloaded"
        )
        self.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        self.page.get_by_text("| Idle").wait_for()  # the kernel has answered

    def run_all(self) -> None:
        """Run all cells, as the menu does; does not wait for their end."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    def cell(self, number: int) -> Any:
        """Return a code cell with its output, the first being 0."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def show(self, what: Any) -> None:
        """Scroll to a part of the page, and wait until it stays where it is.

        JupyterLab measures and paints a cell when it first comes into view; until then its place
        is a guess, and a screenshot shows an empty page.
        """

        def rests() -> bool:
            what.scroll_into_view_if_needed()
            place = what.bounding_box()
            self.page.wait_for_timeout(300)
            return bool(place == what.bounding_box())

        wait_for(rests, "the page rests", SECONDS)

    def wait_until(self, what: str, argument: Any = None) -> None:
        """Wait until a JavaScript function of the page, given the argument, returns true."""
        self.page.wait_for_function(what, arg=argument)

    def shoot(self, name: str, what: Any = None) -> None:
        """Keep a screenshot of the page, or of a part of it."""
        self._screenshots.mkdir(parents=True, exist_ok=True)
        (what or self.page).screenshot(path=self._screenshots / f"{name}.png")

    def save(self) -> Any:
        """Save the notebook, and read it."""
        path = self.lab.notebooks / self.name
        before = path.read_text()
        self.page.keyboard.press("Control+s")

        def saved() -> Any:
            if path.read_text() == before:
                return None
            with contextlib.suppress(ValueError):  # half of it is written
                return self.lab.read(self.name)

        return wait_for(saved, "the notebook is saved", SECONDS)

    def close(self) -> None:
        """Close the tab."""
        self.page.close()

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

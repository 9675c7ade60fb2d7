"""A real Jupyter kernel for tests, and what it leaves behind."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from .conftest import TOKEN, survivors, temporary_files, wait_for

OUTER_SECONDS = 90.0
"""How long a cell may take on a machine that is busy with something else."""


class Notebook:
    """One kernel with `%load_ext dcp_tutor`, in a place of its own."""

    def __init__(self, place: Path, **environment: str) -> None:
        self.place = place
        self.token = uuid.uuid4().hex
        self.runs, self.temporary = place / "runs", place / "tmp"
        for folder in (self.runs, self.temporary, place / "jupyter"):
            folder.mkdir(parents=True)
        self.environment = {
            **{key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"},
            **environment,
            TOKEN: self.token,
            "DCP_TUTOR_RUNS": str(self.runs),
            "TMPDIR": str(self.temporary),
            "IPYTHONDIR": str(place / "jupyter"),
        }
        self.manager = KernelManager(connection_file=str(place / "jupyter" / "kernel.json"))
        self.manager.start_kernel(env=self.environment, cwd=str(place))
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.set_up()

    def set_up(self) -> None:
        """Do what a lesson's first cell does, and learn the kernel's process ids."""
        self.client.wait_for_ready(timeout=OUTER_SECONDS)
        reply = self.run("%load_ext dcp_tutor\nimport os\nfrom dcp_tutor.launching import warm")
        assert reply["status"] == "ok", reply
        self.pid = int(self.value("os.getpid()"))

    @property
    def lives(self) -> bool:
        """The kernel's process runs."""
        return bool(self.manager.is_alive())

    def server_pid(self) -> int | None:
        """Process id of the warm server."""
        text = self.value("warm.server_pid()")
        return None if text == "None" else int(text)

    def start(self, cell: str) -> str:
        """Start a cell and do not wait for it.

        When a cell fails, a kernel drops what it is sent in the same moment, unless told not to: no
        person is as quick as these tests.
        """
        return str(self.client.execute(cell, stop_on_error=False))

    def finish(self, message: str, seconds: float = OUTER_SECONDS) -> dict[str, Any]:
        """Wait for a cell's end, and return the kernel's reply."""
        give_up = time.monotonic() + seconds
        while True:
            reply = self.client.get_shell_msg(timeout=give_up - time.monotonic())
            if reply["parent_header"].get("msg_id") == message:
                content: dict[str, Any] = reply["content"]
                return content

    def run(self, cell: str) -> dict[str, Any]:
        """Run a cell to its end, and return the kernel's reply."""
        return self.finish(self.start(cell))

    def value(self, expression: str) -> str:
        """Return the `repr` of an expression's value in the notebook."""
        message = self.client.execute("", user_expressions={"value": expression})
        value = self.finish(message)["user_expressions"]["value"]
        assert value["status"] == "ok", value
        return str(value["data"]["text/plain"])

    def survivors(self) -> list[str]:
        """What there is beside the kernel and its server."""
        return survivors(self.token, allowed=[self.pid, self.server_pid()])

    def left_after_its_end(self) -> list[str]:
        """What there is of a kernel that has ended: processes, run folders, temporary files."""
        left = survivors(self.token)
        return left + [str(path) for path in self.runs.iterdir()] + temporary_files(self.temporary)

    def close(self) -> None:
        """End the kernel as Jupyter does."""
        self.client.stop_channels()
        if self.lives:
            self.manager.shutdown_kernel()
        self.manager.cleanup_resources()


def wait_for_file(path: Path) -> str:
    """Wait until a rank has written this file."""
    return str(
        wait_for(lambda: path.exists() and path.read_text(), f"{path.name} written", OUTER_SECONDS)
    )

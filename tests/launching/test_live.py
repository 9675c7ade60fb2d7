"""What a watched cell shows while its ranks run, and its stop button; the test is the front end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from dcp_tutor import launch
from dcp_tutor.launching.prepare import Prepared

from .notebooks import OUTER_SECONDS, Notebook

pytestmark = pytest.mark.ranks

Message = dict[str, Any]
_VIEW = "application/vnd.jupyter.widget-view+json"

FOR_EVER = """%%torchrun --nproc-per-node 2 --name wait
import os, time
print("rank", os.environ["RANK"], "of <2>")
time.sleep(600)
"""
TWO_SECONDS = """%%torchrun --nproc-per-node 2
import os, time
print("hello")
time.sleep(2)
print("rank", os.environ["RANK"])
"""
SETTLED = "[ranks 0-1] hello\n[rank 0]    rank 0\n[rank 1]    rank 1"


class FrontEnd:
    """Plays the part of a front end to a notebook's kernel, and notes all that it is told."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.client = notebook.client
        self.told: list[Message] = []

    def start(self, cell: str, *, cell_id: str | None = "a", can_be_asked: bool = True) -> str:
        """Send a cell as a front end does; return the message's id."""
        content = {
            "code": cell,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": can_be_asked,
            "stop_on_error": True,
        }
        metadata = {} if cell_id is None else {"cellId": cell_id}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def finish(self, message: str) -> Message:
        """Wait for a cell's end, and hear all that it said until then."""
        reply = self.notebook.finish(message)
        self.wait_until(
            lambda told: (
                told["msg_type"] == "status"
                and told["content"]["execution_state"] == "idle"
                and told["parent_header"]["msg_id"] == message
            )
        )
        return reply

    def wait_until(self, is_it: Callable[[Message], bool]) -> Message:
        """Listen until the kernel says this; return it."""
        give_up = time.monotonic() + OUTER_SECONDS
        while True:
            left = give_up - time.monotonic()
            try:
                message: Message = self.client.get_iopub_msg(timeout=max(0, left))
            except Empty:
                raise AssertionError("the kernel never said so") from None
            self.told.append(message)
            if is_it(message):
                return message

    def stop_button(self) -> str:
        """Wait until the ranks are drawn as running; return the button's comm."""
        self.wait_until(lambda told: "▶ running" in str(told["content"].get("data")))
        [button] = [
            told["content"]["comm_id"]
            for told in self.of("comm_open")
            if told["content"]["data"]["state"].get("_model_name") == "ButtonModel"
        ]
        return str(button)

    def click(self, comm: str, subshell: str | None) -> None:
        """Click a button; JupyterLab sends that to a subshell where the kernel has them."""
        data = {"method": "custom", "content": {"event": "click"}}
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)

    def make_subshell(self) -> str:
        """Make a subshell, or skip where ipykernel has none."""
        if self.notebook.value("hasattr(get_ipython().kernel, 'shell_channel_thread')") == "False":
            pytest.skip("ipykernel before 7 has no subshells")
        self.client.control_channel.send(self.client.session.msg("create_subshell_request"))
        reply = self.client.get_control_msg(timeout=OUTER_SECONDS)
        return str(reply["content"]["subshell_id"])

    def of(self, *kinds: str) -> list[Message]:
        """Return what was told of these kinds."""
        return [message for message in self.told if message["msg_type"] in kinds]

    def displayed(self) -> list[str]:
        """Return every text that was displayed, in order."""
        shown = self.of("display_data", "update_display_data")
        return [message["content"]["data"]["text/plain"] for message in shown]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    notebook = Notebook(tmp_path_factory.mktemp("live"))
    yield notebook
    notebook.close()
    assert notebook.left_after_its_end() == []


@pytest.fixture
def front_end(notebook: Notebook) -> Iterator[FrontEnd]:
    yield FrontEnd(notebook)
    assert notebook.survivors() == []
    assert notebook.value("len(__import__('ipywidgets').Widget.widgets)") == "0"


@pytest.mark.parametrize("to_subshell", [False, True])
def test_the_stop_button_ends_a_launch_as_an_interrupt_does(
    front_end: FrontEnd, to_subshell: bool
) -> None:
    subshell = front_end.make_subshell() if to_subshell else None
    running = front_end.start(FOR_EVER)
    queued = front_end.start("late = 1", cell_id="b")
    front_end.click(front_end.stop_button(), subshell)
    reply = front_end.finish(running)
    assert reply["ename"] == "LaunchInterrupted"
    assert reply["evalue"].startswith("wait was interrupted; all its ranks are ended.")
    assert front_end.notebook.finish(queued)["status"] == "aborted"
    said = "[rank 0] rank 0 of <2>\n[rank 1] rank 1 of <2>"
    assert front_end.displayed() == ["wait: ranks are running", f"{said}\n(interrupted)"]
    assert front_end.notebook.run("late = 2")["status"] == "ok"


def test_cells_that_come_meanwhile_run_afterwards_in_their_order(front_end: FrontEnd) -> None:
    running = front_end.start("order = ['launch']\n" + "pass")
    front_end.finish(running)
    running = front_end.start(TWO_SECONDS)
    front_end.stop_button()
    queued = [front_end.start(f"order.append({n})", cell_id=str(n)) for n in range(3)]
    front_end.client.session.send(  # a message that is none of ours goes its way
        front_end.client.shell_channel.socket,
        "comm_info_request",
        {"target_name": "jupyter.widget"},
    )
    assert front_end.finish(running)["status"] == "ok"
    for message in queued:
        assert front_end.notebook.finish(message)["status"] == "ok"
    assert front_end.notebook.value("order") == "['launch', 0, 1, 2]"


def test_it_settles_into_the_text_that_unwatched_cells_show(front_end: FrontEnd) -> None:
    front_end.finish(front_end.start(TWO_SECONDS))
    first, last = front_end.of("display_data", "update_display_data")
    assert _VIEW in first["content"]["data"]
    assert last["content"]["data"] == {"text/plain": SETTLED}
    assert last["content"]["transient"] == first["content"]["transient"]  # in the same place
    drawn = [
        told["header"]["date"]
        for told in front_end.of("comm_msg")
        if "dcp-tutor-lanes" in str(told["content"]["data"])
    ]
    assert len(drawn) >= 3
    seconds = (drawn[-1] - drawn[0]).total_seconds()
    assert len(drawn) - 1 <= 10 * seconds


@pytest.mark.parametrize(
    "how",
    [{"cell_id": None}, {"can_be_asked": False}],
    ids=["a console", "papermill, nbval, nbconvert"],
)
def test_nothing_is_live_where_nobody_watches(front_end: FrontEnd, how: dict[str, Any]) -> None:
    front_end.finish(front_end.start(TWO_SECONDS, **how))
    assert front_end.displayed() == [SETTLED]
    assert front_end.of("comm_open", "comm_msg") == []


def test_nothing_is_live_where_the_environment_says_so(front_end: FrontEnd) -> None:
    front_end.finish(front_end.start("os.environ['DCP_TUTOR_LIVE'] = '0'"))
    front_end.finish(front_end.start(TWO_SECONDS))
    front_end.finish(front_end.start("del os.environ['DCP_TUTOR_LIVE']"))
    assert front_end.displayed() == [SETTLED]
    assert front_end.of("comm_open", "comm_msg") == []


def test_a_mistake_of_the_watcher_leaves_no_rank(tmp_path: Path) -> None:
    def watch(plan: Prepared) -> None:
        if (tmp_path / "up").exists():
            raise ZeroDivisionError

    program = f"import time\nopen({str(tmp_path / 'up')!r}, 'w').close()\ntime.sleep(600)"
    with pytest.raises(ZeroDivisionError):
        launch(program, watch=watch)

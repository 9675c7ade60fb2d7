"""Hearing a button while its cell runs: the door to ipykernel's private names.

A kernel answers widgets between cells, not during one. Where a click goes meanwhile, as seen with
a cell that runs (tests/launching/test_live.py plays the front end):

| ipykernel | front end sends it | it waits |
|---|---|---|
| 6.29 | on the shell channel | in the socket of the main thread, which is busy |
| 7.0 | to a subshell (JupyterLab from 4.4) | nowhere: the handler runs at once, in a thread |
| 7.0 | to the main shell (others) | in a socket between ipykernel's two threads |
| 7.4 | either way | the same socket: a comm answers the loop that opened it |

So whoever keeps the main thread busy looks into that socket from time to time. All messages but
clicks on the one button go on to ipykernel as they would have done, in their order.
"""

from __future__ import annotations

import threading
from typing import Any

_CLICK = {"method": "custom", "content": {"event": "click"}}  # ipywidgets 8, widget_button.py


class ClickListener:
    """Tells whether a button was clicked, also while a cell runs.

    Use it on the main thread, and close it before the cell ends.

    Args:
        button: an `ipywidgets.Button`.
        kernel: the ipykernel that runs this code.

    Attributes:
        hears: whether this ipykernel is built as expected; if not, a click is heard too late.

    Example:
        >>> listener = ClickListener(button, get_ipython().kernel)  # doctest: +SKIP
        >>> while not listener.clicked():  # doctest: +SKIP
        ...     time.sleep(0.1)
        >>> listener.close()  # doctest: +SKIP

    """

    def __init__(self, button: Any, kernel: Any) -> None:
        self._came = threading.Event()
        self._comm_id = button.comm.comm_id
        self._session = kernel.session
        button.on_click(lambda _: self._came.set())
        self._stream = _stream_of_main_thread(kernel)
        self._pass_on = getattr(self._stream, "_recv_callback", None)
        self.hears = self._pass_on is not None
        if self.hears:
            self._stream.on_recv(self._sieve, copy=False)

    def clicked(self) -> bool:
        """Look at what has come in, and say whether the button was clicked since the start."""
        if self.hears:
            import zmq

            self._stream.flush(zmq.POLLIN)
        return self._came.is_set()

    def close(self) -> None:
        """Give the socket back to ipykernel."""
        if self.hears:
            self._stream.on_recv(self._pass_on, copy=False)
            self.hears = False

    def _sieve(self, frames: list[Any]) -> Any:
        """Keep a click on our button; hand everything else on."""
        if self._is_our_click(frames):
            self._came.set()
            return None
        assert self._pass_on is not None
        return self._pass_on(frames)

    def _is_our_click(self, frames: list[Any]) -> bool:
        """Peek into a message; its signature is not used up by that."""
        try:
            _, parts = self._session.feed_identities(frames, copy=False)
            message = self._session.deserialize(parts, content=False, copy=False)
            if message["header"]["msg_type"] != "comm_msg":
                return False
            content = self._session.unpack(message["content"])
        except (ValueError, KeyError, TypeError):
            return False  # not for us to judge
        return bool(content.get("comm_id") == self._comm_id and content.get("data") == _CLICK)


def _stream_of_main_thread(kernel: Any) -> Any:
    """Return the stream from which the main thread takes its messages, or None."""
    thread = getattr(kernel, "shell_channel_thread", None)  # ipykernel 7
    if thread is None:
        return getattr(kernel, "shell_stream", None)  # ipykernel 6
    pair = getattr(getattr(thread, "manager", None), "_shell_channel_to_main", None)
    return getattr(pair, "to_stream", None)

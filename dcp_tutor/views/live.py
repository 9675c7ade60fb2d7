"""The live panel of a launch: lanes and a stop button, as widgets, while the cell runs."""

from __future__ import annotations

import time
from html import escape
from typing import Any

from dcp_tutor.launching.prepare import Prepared
from dcp_tutor.views.busy_kernel import ClickListener
from dcp_tutor.views.lanes import headline, lanes_html, read_lanes

_SECONDS_BEFORE = 0.4
"""A launch that is over sooner shows no panel: it would only flicker."""
_SECONDS_BETWEEN = 0.2
_HEADLINE_CSS = (
    "font-family: var(--jp-code-font-family, monospace); font-size: 13px; line-height: 28px; "
    "color: var(--jp-content-font-color1, inherit);"
)


class LivePanel:
    """What a watched cell shows while its ranks run.

    It opens itself at the first `update` that comes late enough, sends at most five updates a
    second, and is gone after `replace` or `close`.

    Args:
        kernel: the ipykernel of the notebook.

    """

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._started = time.monotonic()
        self._drawn = float("-inf")
        self._handle: Any = None
        self._widgets: _Widgets | None = None
        self._listener: ClickListener | None = None

    def update(self, plan: Prepared) -> None:
        """Draw the lanes anew, if it is time to.

        Raises:
            KeyboardInterrupt: the stop button was clicked.

        """
        now = time.monotonic()
        if now < self._started + _SECONDS_BEFORE:
            return
        if self._widgets is None:
            self._open(plan)
        assert self._widgets is not None
        if self._listener is not None and self._listener.clicked():
            self._widgets.show_stopping()
            raise KeyboardInterrupt
        if now >= self._drawn + _SECONDS_BETWEEN:
            self._drawn = now
            lanes = read_lanes(plan)
            self._widgets.show(headline(plan, lanes, now - self._started), lanes_html(lanes))

    def replace(self, text: str) -> bool:
        """Put a text in the panel's place; return whether there was a panel."""
        if self._handle is None:
            return False
        self._handle.update({"text/plain": text}, raw=True)
        return True

    def close(self) -> None:
        """Let go of the widgets and of the kernel."""
        if self._listener is not None:
            self._listener.close()
        if self._widgets is not None:
            self._widgets.close()

    def _open(self, plan: Prepared) -> None:
        from IPython.display import display

        self._widgets = _Widgets(plan.name)
        self._listener = ClickListener(self._widgets.stop, self._kernel)
        if not self._listener.hears:
            self._widgets.show_no_button()
        bundle = self._widgets.bundle(f"{plan.name}: ranks are running")
        self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]


class _Widgets:
    """The widgets of one panel."""

    def __init__(self, name: str) -> None:
        import ipywidgets

        self.stop = ipywidgets.Button(
            description="Stop",
            icon="stop",
            tooltip=f"End all ranks of {name}, as Kernel > Interrupt does",
            layout={"width": "8em", "margin": "0 0 0 auto"},
        )
        self._headline = ipywidgets.HTML()
        self._lanes = ipywidgets.HTML(layout={"width": "100%", "margin": "0"})
        head = ipywidgets.HBox([self._headline, self.stop])
        self._box = ipywidgets.VBox([head, self._lanes])
        self._all = [self.stop, self._headline, self._lanes, head, self._box]

    def bundle(self, text: str) -> dict[str, Any]:
        """Return what a front end displays; one without widgets shows the text."""
        data: dict[str, Any] = self._box._repr_mimebundle_()
        return {**data, "text/plain": text}

    def show(self, headline: str, lanes: str) -> None:
        """Draw the ranks."""
        self._headline.value = f'<span style="{_HEADLINE_CSS}">{escape(headline)}</span>'
        self._lanes.value = lanes

    def show_stopping(self) -> None:
        """Answer a click: ending ranks may take some seconds."""
        self.stop.disabled = True
        self.stop.description = "Stopping"

    def show_no_button(self) -> None:
        """Offer no button that would be heard too late."""
        self.stop.layout.display = "none"

    def close(self) -> None:
        """Remove the widgets here and in the front end, with what belongs to them."""
        for widget in self._all:
            parts = [widget.layout, getattr(widget, "style", None), widget]
            for part in parts:
                if part is not None:
                    part.close()

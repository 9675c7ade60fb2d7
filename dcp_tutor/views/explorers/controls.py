"""The controls of `explore_reshard`: what they say, and where the drawing goes.

No menus and no radio buttons: JupyterLab 4.6 takes the arrow keys and letters of whatever has the
focus and is no field to write in, and moves between cells, or cuts them. Buttons and fields keep
their keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from dcp_tutor.layouts import Layout
from dcp_tutor.views.explorers.pieces import ROOT_CLASS, STYLE
from dcp_tutor.views.explorers.target import KINDS, MOST_RANKS, Target

_WIDE = {"description_width": "initial"}


class ReshardControls:
    """All widgets of the explorer.

    Args:
        tensors: keys to choose from.
        tensor: the one that is chosen.
        layout: text of the layout to begin with.

    Attributes:
        box: all of them, to be displayed.

    """

    def __init__(self, tensors: Sequence[str], tensor: str, layout: str) -> None:
        target = target_of(layout)
        self._keys = tuple(tensors)
        self._chosen = tensor
        self._tensor = ipywidgets.Combobox(
            options=self._keys, value=tensor, description="Tensor", style=_WIDE,
            placeholder="type a part of its name", layout={"width": "34em"},
        )  # fmt: skip
        self._before = _step("arrow-left", "The tensor before")
        self._behind = _step("arrow-right", "The next tensor")
        names, words = [(name, kind) for name, kind, _ in KINDS], [say for _, _, say in KINDS]
        self._kind = ipywidgets.ToggleButtons(
            options=names, tooltips=words, value=target.kind, description="Load with",
            style={**_WIDE, "button_width": "initial"}, layout={"width": "max-content"},
        )  # fmt: skip
        self._first = _number(target.first, 1, MOST_RANKS)
        self._second = _number(target.second, 1, MOST_RANKS)
        self._dim = _number(target.dim, 0, 9, "tp shards dim")
        self._text = ipywidgets.Text(
            value=target.text, description="layout", continuous_update=False, style=_WIDE,
            layout={"width": "26em"},
        )  # fmt: skip
        self._view = ipywidgets.ToggleButtons(
            options=[("one tensor", False), ("whole model: ranks by files", True)],
            value=False, description="Show", style={**_WIDE, "button_width": "initial"},
            layout={"width": "max-content"},
        )  # fmt: skip
        self._message, self._totals = ipywidgets.HTML(), ipywidgets.HTML()
        self._drawing, self._reads = ipywidgets.HTML(), ipywidgets.HTML()
        self._back = ipywidgets.Button(description="Previous reads", icon="arrow-left")
        self._on = ipywidgets.Button(description="Next reads", icon="arrow-right")
        self._pages = ipywidgets.HBox([self._back, self._on])
        wrap = {"flex_flow": "row wrap"}
        which = [self._tensor, self._before, self._behind, self._view]
        sizes = [self._first, self._second, self._dim, self._text]
        self.box = ipywidgets.VBox(
            [
                ipywidgets.HTML(STYLE, layout={"display": "none"}),
                ipywidgets.HBox(which, layout=wrap),
                ipywidgets.HBox([self._kind, *sizes], layout=wrap),
                *(self._message, self._totals, self._drawing, self._reads, self._pages),
            ]
        )
        self.box.add_class(ROOT_CLASS)
        self._before.on_click(lambda _: self._move(-1))
        self._behind.on_click(lambda _: self._move(1))
        self._offer()

    @property
    def tensor(self) -> str:
        """Key of the chosen tensor; while one is being typed, the one before."""
        if self._tensor.value in self._keys:
            self._chosen = self._tensor.value
        return self._chosen

    @property
    def target(self) -> Target:
        """The layout that is chosen."""
        return Target(
            self._kind.value, self._first.value, self._second.value, self._dim.value,
            self._text.value,
        )  # fmt: skip

    @property
    def whole(self) -> bool:
        """Whether all tensors are to be shown."""
        return bool(self._view.value)

    def on_change(self, do: Callable[[], None]) -> None:
        """Call `do` when something else is chosen."""

        def changed(_: Any) -> None:
            self._offer()
            do()

        for control in (
            self._tensor, self._kind, self._first, self._second, self._dim, self._text, self._view
        ):  # fmt: skip
            control.observe(changed, "value")

    def on_page(self, turn: Callable[[int], None]) -> None:
        """Call `turn` with -1 or 1 when another page of reads is asked for."""
        self._back.on_click(lambda _: turn(-1))
        self._on.on_click(lambda _: turn(1))

    @property
    def message(self) -> str:
        """HTML beneath the controls."""
        return str(self._message.value)

    @message.setter
    def message(self, html: str) -> None:
        self._message.value = html

    @property
    def totals(self) -> str:
        """HTML of the totals."""
        return str(self._totals.value)

    @totals.setter
    def totals(self, html: str) -> None:
        self._totals.value = html

    @property
    def drawing(self) -> str:
        """The SVG."""
        return str(self._drawing.value)

    @drawing.setter
    def drawing(self, svg: str) -> None:
        self._drawing.value = svg

    def show_reads(self, html: str, page: int, num_pages: int) -> None:
        """Show a page of reads, of this tensor only where it is what is drawn."""
        _show(self._reads, not self.whole)
        _show(self._pages, num_pages > 1 and not self.whole)
        self._reads.value = html
        self._back.disabled = page == 0
        self._on.disabled = page == num_pages - 1

    def _move(self, by: int) -> None:
        """Choose the neighbour of the tensor that is shown."""
        at = self._keys.index(self.tensor) + by
        self._tensor.value = self._keys[at % len(self._keys)]

    def _offer(self) -> None:
        """Show the sizes that this kind of layout has, under their names."""
        names = self.target.sizes
        for control, name in zip((self._first, self._second), (*names, "", ""), strict=False):
            _show(control, bool(name))
            if name:
                control.description = name
        _show(self._dim, self._kind.value == "tp")
        _show(self._text, self._kind.value == "text")


def target_of(layout: str) -> Target:
    """Return what the controls must say for a layout.

    Example:
        >>> target_of("replicate=2,shard=3")
        Target(kind='hsdp', first=2, second=3, dim=0, text='replicate=2,shard=3')

    """
    sizes = [*Layout.parse(layout).mesh_shape, 2, 2]
    for kind in (kind for _, kind, _ in KINDS if kind != "text"):
        for dim in (0, 1):
            target = Target(kind, sizes[0], sizes[1], dim, layout)
            if target.layout == layout:
                return target
    return Target("text", text=layout)


def _number(value: int, least: int, most: int, name: str = "") -> Any:
    return ipywidgets.BoundedIntText(
        value=value, min=least, max=most, description=name, style=_WIDE, layout={"width": "11em"}
    )


def _step(icon: str, says: str) -> Any:
    return ipywidgets.Button(icon=icon, tooltip=says, layout={"width": "3em"})


def _show(widget: Any, shown: bool) -> None:
    widget.layout.display = None if shown else "none"

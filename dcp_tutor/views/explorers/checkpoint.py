"""`explore_checkpoint`: the tree of keys, and where the bytes of each entry lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets

from dcp_tutor.checkpoints import Checkpoint
from dcp_tutor.checkpoints.checkpoint import opened
from dcp_tutor.views.explorers.explorer import Explorer
from dcp_tutor.views.explorers.keys import MOST_FOUND, ROOT, Keys
from dcp_tutor.views.explorers.pieces import ROOT_CLASS, STYLE, paragraph
from dcp_tutor.views.explorers.places import (
    PLACES_ON_A_PAGE,
    Map,
    files_html,
    findings_html,
    num_places,
    places_html,
    summary_html,
)
from dcp_tutor.views.pictures import file_map
from dcp_tutor.views.words import count_text

_WIDE = {"description_width": "4em"}
_ROWS = 14
_MOST_OFFERED = 2000  # keys that the search field completes; it finds all


class CheckpointExplorer(Explorer):
    """What `explore_checkpoint` returns.

    Attributes:
        still: the picture of the first state: the map of the files.
        checkpoint: that is explored.
        key: of the entry that is shown, or the beginning of several; "" for all.

    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.key = ROOT
        self.still = file_map(checkpoint)
        self._keys = Keys(checkpoint, checkpoint.verify())
        self._map = Map(checkpoint, self.still)
        self._page = 0
        self._lines = self._keys.lines(self._keys.opening)
        self._top = 0  # the first line that is listed

    def _build(self) -> Any:
        self._search = ipywidgets.Combobox(
            options=list(self.checkpoint)[:_MOST_OFFERED], description="Search",
            placeholder="part of a key", style=_WIDE, layout={"width": "40em", "max_width": "100%"},
        )  # fmt: skip
        self._rows = [ipywidgets.Button(layout={"width": "100%"}) for _ in range(_ROWS)]
        self._up = ipywidgets.Button(description="Lines above", icon="arrow-up")
        self._down = ipywidgets.Button(description="Lines below", icon="arrow-down")
        self._scroll = ipywidgets.HBox([self._up, self._down])
        rows = ipywidgets.VBox(self._rows)
        rows.add_class("keys")
        self._heading, self._summary = ipywidgets.HTML(_heading(self._keys)), ipywidgets.HTML()
        self._findings, self._drawing = ipywidgets.HTML(), ipywidgets.HTML()
        self._places = ipywidgets.HTML()
        self._back = ipywidgets.Button(description="Previous ranges", icon="arrow-left")
        self._on = ipywidgets.Button(description="Next ranges", icon="arrow-right")
        self._pages = ipywidgets.HBox([self._back, self._on])
        self._search.observe(lambda _: self._find(), "value")
        for number, row in enumerate(self._rows):
            row.on_click(lambda _, number=number: self._choose(number))
        self._up.on_click(lambda _: self._list(self._top - _ROWS))
        self._down.on_click(lambda _: self._list(self._top + _ROWS))
        self._back.on_click(lambda _: self._turn(-1))
        self._on.on_click(lambda _: self._turn(1))
        self._list(0)
        self._draw()
        box = ipywidgets.VBox(
            [
                ipywidgets.HTML(STYLE, layout={"display": "none"}),
                *(self._heading, self._search, rows, self._scroll, self._summary),
                *(self._findings, self._drawing, self._places, self._pages),
            ]
        )
        box.add_class(ROOT_CLASS)
        return box

    def _find(self) -> None:
        """List what is searched for; without a word, the tree around the key that is shown."""
        text = self._search.value.strip()
        if text in self.checkpoint:
            self._show(text)
        if text:
            self._lines = self._keys.found(text)
            heading = _found(text, self._keys.count(text))
        else:
            self._lines = self._keys.lines(self.key)
            heading = _heading(self._keys)
        self._list(0)
        self._heading.value = heading

    def _choose(self, number: int) -> None:
        """Show the key of a row, and unfold the tree there; the row stays where it is."""
        key = self._lines[self._top + number][1]
        if not self._search.value.strip():
            self._lines = self._keys.lines(key)
        self.key = key
        at = next(at for at, (_, other) in enumerate(self._lines) if other == key)
        self._list(at - number)
        self._show(key)

    def _show(self, key: str) -> None:
        self.key, self._page = key, 0
        self._draw()

    def _turn(self, by: int) -> None:
        self._page += by
        self._draw_places()

    def _list(self, top: int) -> None:
        """List lines from this one on."""
        self._top = max(0, min(top, len(self._lines) - _ROWS))
        for number, row in enumerate(self._rows):
            at = self._top + number
            text, key = self._lines[at] if at < len(self._lines) else ("", None)
            row.description = text
            row.button_style = "info" if key == self.key else ""
            row.layout.visibility = "hidden" if key is None else None
            row.layout.display = "none" if number >= len(self._lines) else None
        self._scroll.layout.display = None if len(self._lines) > _ROWS else "none"
        self._up.disabled = self._top == 0
        self._down.disabled = self._top + _ROWS >= len(self._lines)

    def _draw(self) -> None:
        node = self._keys.node(self.key)
        self._summary.value = summary_html(node)
        self._findings.value = findings_html(self._keys.findings_at(self.key))
        self._draw_places()
        self._drawing.value = self._map.draw(node)

    def _draw_places(self) -> None:
        entry = self._keys.node(self.key).entry
        last = max(0, (num_places(entry) - 1) // PLACES_ON_A_PAGE)
        self._page = min(max(0, self._page), last)
        node = self._keys.node(self.key)
        self._places.value = files_html(node) or places_html(self.checkpoint, entry, self._page)
        self._pages.layout.display = None if last else "none"
        self._back.disabled, self._on.disabled = self._page == 0, self._page == last


def explore_checkpoint(checkpoint: Checkpoint | str | Path) -> CheckpointExplorer:
    """Walk through the keys of a checkpoint, and see where the bytes of each entry lie.

    The list is a tree that unfolds where one stands, or the answer to a search. What `verify`
    finds is marked at the keys that it is about: ✗ an error, ! a warning, ? a suspicion, · a
    note. No tensor data is read. Without a notebook on a screen it is the map of the
    checkpoint's files.

    Args:
        checkpoint: its path or URL, or an opened one.

    Returns:
        A `CheckpointExplorer`.

    Raises:
        CheckpointUnreadable: it is no checkpoint.
        UsageError: it is something else.

    Example:
        >>> explore_checkpoint("runs/step-3")  # doctest: +SKIP

    """
    takes = "explore_checkpoint takes the path of a checkpoint or an opened one"
    return CheckpointExplorer(opened(checkpoint, takes))


def _found(text: str, count: int) -> str:
    more = f"; the first {MOST_FOUND} are listed" if count > MOST_FOUND else ""
    return paragraph(f"{count_text(count, 'key')} with {text!r}{more}")


def _heading(keys: Keys) -> str:
    found = keys.findings
    by_kind: dict[str, int] = {}
    for finding in found:
        by_kind[finding.severity] = by_kind.get(finding.severity, 0) + 1
    words = ", ".join(count_text(number, kind) for kind, number in by_kind.items())
    said = f"verify found: {words}." if found else "verify found nothing wrong."
    return paragraph(
        f"{said} A key that is chosen unfolds; what is beneath it shows where its bytes lie.",
        problem=any(finding.severity == "error" for finding in found),
    )

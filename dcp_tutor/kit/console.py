"""Progress, for people at a terminal and for the log of a machine that runs notebooks."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from dcp_tutor.kit.results import Result, duration

_SIGNS = {"passed": "✓", "failed": "✗", "interrupted": "■", "not run": "·"}
_COLOURS = {"passed": "green", "failed": "red"}
_BAR = "{desc} {percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} cells {elapsed}{postfix}"


class Console:
    """Says what runs and what became of it; a moving bar only where somebody can see it move."""

    def __init__(self, names: Sequence[str]) -> None:
        """Remember the notebooks' names, for their width."""
        self._width = max(map(len, names), default=0)
        self._moving = _somebody_watches()

    def bar(self, name: str) -> Mapping[str, Any] | None:
        """Return options for a bar, or None where there shall be none."""
        if not self._moving:
            return None
        return {
            "desc": name.ljust(self._width),
            "bar_format": _BAR,
            "leave": False,
            "dynamic_ncols": True,
        }

    def start(self, name: str) -> None:
        """Name the notebook that begins, where no bar does."""
        if not self._moving:
            click.echo(f"{name.ljust(self._width)}  ", nl=False)
            sys.stdout.flush()

    def finish(self, result: Result) -> None:
        """Say in one line what became of it."""
        sign = f"{_SIGNS[result.state]} {result.state}"
        text = f"{click.style(sign, fg=_COLOURS.get(result.state))} in {result.duration}"
        if result.launches:
            text += f", {result.launched} on {result.devices}"
        if result.place is not None:
            text += f", at {result.place}"
        if result.error is not None and result.state == "failed":
            text += f": {result.error.splitlines()[0]}"
        self.say(result.name, text)

    def say(self, name: str, text: str) -> None:
        """Say something of a notebook that has ended."""
        click.echo(f"{name.ljust(self._width)}  {text}" if self._moving else text)

    def summary(self, results: Sequence[Result], seconds: float, index: str) -> None:
        """Say what became of all, and where to read on."""
        click.echo(f"\n{in_words(results)} in {duration(seconds)}. Read on: {index}")


def _somebody_watches() -> bool:
    """Say whether a bar can be seen: stdout and stderr are a terminal, and one with a width.

    Some build machines give their jobs a terminal of no width, where tqdm would write nothing.
    """
    try:
        return sys.stdout.isatty() and os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError):
        return False


def in_words(results: Sequence[Result]) -> str:
    """Return how many notebooks came to which end.

    Example:
        >>> from pathlib import Path
        >>> in_words([Result(notebook=Path("a.ipynb"), name="a", state="passed")])
        '1 passed'

    """
    states = [result.state for result in results]
    return ", ".join(f"{states.count(state)} {state}" for state in _SIGNS if state in states)

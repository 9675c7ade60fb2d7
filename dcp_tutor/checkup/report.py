"""What the doctor found, as data and in the forms in which it is shown."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any, Literal

Verdict = Literal["ok", "warning", "problem"]

_WIDTH = 96


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has to say.

    Attributes:
        verdict: `ok`; `warning`: the lessons run, with a difference; `problem`: some will fail.
        seen: one sentence, what was tried and seen.
        advice: one sentence, what to do; empty only where the verdict is `ok`.
        details: numbers that differ from run to run, for programs; they stand in no text.

    """

    verdict: Verdict
    seen: str
    advice: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert (self.verdict == "ok") == (not self.advice), "advice for all that is not ok"


@dataclass(frozen=True, slots=True)
class Check:
    """A check that was made: its name, and what it found (see `Finding`)."""

    name: str
    verdict: Verdict
    seen: str
    advice: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor found on this machine.

    Attributes:
        checks: in the order in which they were made.
        machine: what an issue should say of the machine: label → text.
        launched: ranks were launched; without, the checks that need them were left out.

    Example:
        >>> report = Report((Check("memory", "ok", "23.5 GB are free."),), {"python": "3.11.7"})
        >>> print(report)
        dcp-tutor doctor: no problem
        <BLANKLINE>
          ok       memory  23.5 GB are free.
        <BLANKLINE>
          python  3.11.7

    """

    checks: tuple[Check, ...]
    machine: Mapping[str, str] = field(default_factory=dict)
    launched: bool = True

    @property
    def ok(self) -> bool:
        """No check found a problem; there may be warnings."""
        return not self._names("problem")

    @property
    def summary(self) -> str:
        """One line: how many problems and warnings."""
        parts = [
            f"{len(names)} {word}{'s' * (len(names) > 1)} ({', '.join(names)})"
            for word, names in ((word, self._names(word)) for word in ("problem", "warning"))
            if names
        ]
        if self.ok:
            parts.insert(0, "no problem")
        if not self.launched:
            parts.append("no ranks were launched")
        return ", ".join(parts)

    def verdict(self) -> str:
        """Return names and verdicts alone: the same text on every machine that is fit.

        Example:
            >>> print(Report((Check("memory", "ok", "23.5 GB are free."),)).verdict())
            memory  ok

        """
        width = max((len(check.name) for check in self.checks), default=0)
        return "\n".join(f"{check.name:{width}}  {check.verdict}" for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Return everything, also the details, as plain data for `json.dumps`."""
        return {
            "ok": self.ok,
            "launched": self.launched,
            "machine": dict(self.machine),
            "checks": [asdict(check) for check in self.checks],
        }

    def __str__(self) -> str:
        lines = [f"dcp-tutor doctor: {self.summary}", ""]
        width = max((len(check.name) for check in self.checks), default=0)
        for check in self.checks:
            head = f"  {check.verdict:7}  {check.name:{width}}  "
            lines += _wrapped(head, check.seen)
            if check.advice:
                lines += _wrapped(" " * len(head) + "-> ", check.advice)
        if self.machine:
            lines.append("")
            width = max(map(len, self.machine))
            lines += [f"  {label:{width}}  {text}" for label, text in self.machine.items()]
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._html()}

    def _html(self) -> str:
        """Return a table; it takes the page's own colours, and says each verdict in a word."""
        # Bars differ in kind too: solid, dashed, double.
        bars = {"ok": "1px solid", "warning": "4px dashed", "problem": "6px double"}
        cell = "text-align:left;vertical-align:top;padding:0.3em 0.8em"
        rows = []
        for check in self.checks:
            weight = "normal" if check.verdict == "ok" else "bold"
            advice = f"<br><b>What to do:</b> {escape(check.advice)}" if check.advice else ""
            rows.append(
                f'<tr><th scope="row" style="{cell};border-left:{bars[check.verdict]}">'
                f'{escape(check.name)}</th><td style="{cell};font-weight:{weight}">'
                f'{check.verdict}</td><td style="{cell}">{escape(check.seen)}{advice}</td></tr>'
            )
        heads = "".join(
            f'<th scope="col" style="{cell}">{head}</th>' for head in ("Check", "Verdict", "Seen")
        )
        machine = " · ".join(f"{label} {text}" for label, text in self.machine.items())
        return (
            f"<div><p><b>dcp-tutor doctor:</b> {escape(self.summary)}</p>"
            f'<table style="border-collapse:collapse"><thead><tr>{heads}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table>"
            f"<p><small>{escape(machine)}</small></p></div>"
        )

    def _names(self, verdict: Verdict | str) -> list[str]:
        return [check.name for check in self.checks if check.verdict == verdict]


def _wrapped(head: str, text: str) -> list[str]:
    """Return `text` behind `head`, its further lines below its first. Words stay whole."""
    return textwrap.wrap(
        text,
        max(_WIDTH, len(head) + 30),
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,  # a path must stay one that can be copied
        break_on_hyphens=False,
    )

"""The page `notebooks/troubleshooting.md`, written from the registry."""

from __future__ import annotations

from collections.abc import Iterator

from dcp_tutor.symptoms.registry import SECTIONS
from dcp_tutor.symptoms.symptom import Symptom

_CLINIC = "13_when_it_breaks.ipynb"
_HEAD = """\
# Troubleshooting: what does this message mean?

Find your message below, or let the kit find it: copy it, with as much around it as you like, and
type

    dcp-tutor why "<the message>"

or `dcp-tutor why -` and paste there (Ctrl-D ends it). In the messages below `<n>` stands for a
number, and `<any other word>` for what differs from case to case.

What raises nothing has no message. For that, and for many of these on real ranks, open the clinic:
[13_when_it_breaks](13_when_it_breaks.ipynb).

A message that is not here: type `dcp-tutor doctor`. It tests this machine with real ranks, and its
report can be copied into an issue, with the message under it.

<!-- Written by `dcp-tutor why --page > notebooks/troubleshooting.md` from dcp_tutor/symptoms/. -->
"""


def page() -> str:
    """Return the page as Markdown: a table of contents by message, then the entries."""
    return "\n".join([_HEAD, *_contents(), *_entries()]).rstrip() + "\n"


def _contents() -> Iterator[str]:
    for section in SECTIONS:
        yield f"**{section.title}**\n"
        for symptom in section.symptoms:
            yield f"- [{_code(symptom.title)}](#{symptom.code})"
        yield ""


def _entries() -> Iterator[str]:
    for section in SECTIONS:
        yield f"## {section.title}\n\n{section.introduction}\n"
        for symptom in section.symptoms:
            yield _entry(symptom)


def _entry(symptom: Symptom) -> str:
    forms = "\n".join(f"    {form}" for form in symptom.says)
    live = " and ".join(f"[{case}]({_CLINIC}#{case})" for case in symptom.cases)
    return (
        f"### {symptom.code}\n\n{forms}\n\n"
        f"*Printed by {symptom.source}.* {symptom.cause}\n\n**Mend:** {symptom.mend}\n"
        + (f"\n**See it live:** {live}\n" if live else "")
    )


def _code(text: str) -> str:
    """Return text as a code span, also where it has backticks of its own."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"

"""`dcp-tutor why`: say what a message means, and what to type."""

from __future__ import annotations

import json
import sys
import textwrap

import click

from dcp_tutor.symptoms.symptom import Symptom

_WIDTH = 96
_NOTHING = (
    "No message that this kit knows stands in that text. Paste the whole of it, from the line that "
    "names the error, as in `dcp-tutor why -`. If that finds nothing either, type `dcp-tutor "
    "doctor` and open an issue with its report and the message."
)


# Only long options: a message may begin with `-i` or `-o`, and is text all the same.
@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
)
@click.argument("text", nargs=-1, type=click.UNPROCESSED)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, for programs.")
@click.option("--page", "as_page", is_flag=True, help="Print the page of all messages (Markdown).")
def why(text: tuple[str, ...], as_json: bool, as_page: bool) -> None:
    """Explain a message: its cause, and what to type; exit 1 if it is not known.

    TEXT is the message, with as much around it as you like; - reads it from standard input.
    """
    if as_page:
        from dcp_tutor.symptoms.page import page

        click.echo(page(), nl=False)
        return
    if not text:
        raise click.UsageError('give the message, as in: dcp-tutor why "Connection closed by peer"')
    from dcp_tutor.symptoms.matching import find

    found = find(_from_standard_input() if text == ("-",) else " ".join(text))
    if as_json:
        click.echo(json.dumps([symptom.as_dict() for symptom in found], indent=2))
    else:
        click.echo("\n\n".join(map(_told, found)) if found else textwrap.fill(_NOTHING, _WIDTH))
    sys.exit(0 if found else 1)


def _from_standard_input() -> str:
    """Read a paste; bytes that are no UTF-8 do not matter to what it means."""
    return sys.stdin.buffer.read().decode(errors="replace")


def _told(symptom: Symptom) -> str:
    paragraphs = [f"Cause: {symptom.cause}", f"Mend: {symptom.mend}"]
    if symptom.cases:
        paragraphs.append(
            f"Live: notebooks/13_when_it_breaks.ipynb, {' and '.join(symptom.cases)}."
        )
    filled = [
        textwrap.fill(
            text,
            _WIDTH,
            initial_indent="  ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,  # what is to be typed stays in one piece
        )
        for text in paragraphs
    ]
    head = textwrap.fill(symptom.title, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join([f"{head}  ({symptom.source}; {symptom.code})", *filled])

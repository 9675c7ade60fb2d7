"""`dcp-tutor inspect|verify|diff`: a checkpoint as tables for people, or JSON for programs.

Exit status: 0 sound (or equal), 1 findings (or differences), 2 cannot be read (or wrong usage).
The JSON forms are documented in `dcp_tutor/checkpoints/report.py`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import click

from dcp_tutor.errors import TutorError

# The room of checkpoints imports torch, so it is imported inside the commands: `--help` is quick.

P = ParamSpec("P")

SOUND, FINDINGS, UNREADABLE = 0, 1, 2

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def ends_well(command: Callable[P, int]) -> Callable[P, None]:
    """Turn what a command returns or raises into an exit status, and never into a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            status = command(*args, **kwargs)
            sys.stdout.flush()
        except TutorError as error:
            status = _say(str(error), bool(kwargs.get("as_json")))
        except BrokenPipeError:
            # `dcp-tutor inspect ... | head`: who read has read enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            status = SOUND
        except MemoryError:
            status = _say("there is not enough memory to read this", bool(kwargs.get("as_json")))
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception as error:  # whatever is left is a mistake of ours
            if os.environ.get("DCP_TUTOR_DEBUG"):
                raise
            message = f"unexpected {type(error).__name__}: {error} (DCP_TUTOR_DEBUG=1 shows where)"
            status = _say(message, bool(kwargs.get("as_json")))
        sys.exit(status)

    return run


def _say(message: str, as_json: bool) -> int:
    if as_json:
        from dcp_tutor.checkpoints.report import error_form

        print_json(error_form(message))
    else:
        click.echo(f"dcp-tutor: {message}", err=True)
    return UNREADABLE


def print_json(form: dict[str, Any]) -> None:
    """Print one of the documented forms."""
    # ASCII: a key may hold what a terminal or a pipe cannot encode.
    click.echo(json.dumps(form, indent=2, allow_nan=False))


@click.command()
@click.argument("path")
@click.option("--all", "everything", is_flag=True, help="Fold nothing: every key, every chunk.")
@click.option("--key", metavar="FQN", help="Only this key, and those below it, with its chunks.")
@click.option("--rank", type=int, help="See only what this rank's own metadata file tells.")
@as_json_option
@ends_well
def inspect(path: str, everything: bool, key: str | None, rank: int | None, as_json: bool) -> int:
    """Show what the checkpoint at PATH holds: keys, shapes, chunks, files, totals."""
    from dcp_tutor.checkpoints import open_checkpoint
    from dcp_tutor.checkpoints.report import checkpoint_form
    from dcp_tutor.cli.tables import inspect_text

    checkpoint = open_checkpoint(path, rank=rank)
    if as_json:
        form = checkpoint_form(checkpoint)
        if key is not None:
            wanted = {*_below(list(checkpoint), key, checkpoint.url)}
            form["entries"] = [e for e in form["entries"] if e["fqn"] in wanted]
        print_json(form)
    else:
        below = None if key is None else _below(list(checkpoint), key, checkpoint.url)
        click.echo(inspect_text(checkpoint, below=below, everything=everything))
    return SOUND


def _below(fqns: list[str], key: str, url: str) -> list[str]:
    found = [fqn for fqn in fqns if fqn == key or fqn.startswith(f"{key}.")]
    if not found:
        raise TutorError(f"{url}: no key {key!r}, and none that begins with '{key}.'")
    return found


@click.command()
@click.argument("path")
@click.option("--deep", is_flag=True, help="Also read every record and check its checksums.")
@as_json_option
@ends_well
def verify(path: str, deep: bool, as_json: bool) -> int:
    """Check that the checkpoint at PATH can be loaded. Nothing in it is run."""
    from dcp_tutor.checkpoints import open_checkpoint
    from dcp_tutor.checkpoints.report import verification_form
    from dcp_tutor.cli.tables import verify_text

    checkpoint = open_checkpoint(path)
    found = checkpoint.verify(deep=deep)
    if as_json:
        print_json(verification_form(found, checkpoint.url))
    else:
        click.echo(verify_text(checkpoint, found))
    return SOUND if found.sound else FINDINGS


@click.command()
@click.argument("path_a", metavar="A")
@click.argument("path_b", metavar="B")
@click.option("--values", is_flag=True, help="Also read and compare values.")
@as_json_option
@ends_well
def diff(path_a: str, path_b: str, values: bool, as_json: bool) -> int:
    """Show what changed from checkpoint A to checkpoint B."""
    from dcp_tutor import checkpoints
    from dcp_tutor.checkpoints import open_checkpoint
    from dcp_tutor.checkpoints.report import diff_form
    from dcp_tutor.cli.tables import diff_text

    difference = checkpoints.diff(open_checkpoint(path_a), open_checkpoint(path_b), values=values)
    if as_json:
        print_json(diff_form(difference, path_a, path_b))
    else:
        click.echo(diff_text(difference, path_a, path_b))
    return SOUND if difference.same else FINDINGS

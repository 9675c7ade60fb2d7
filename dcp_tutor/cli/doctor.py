"""`dcp-tutor doctor`: find out whether this machine runs the lessons."""

from __future__ import annotations

import json
import sys

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, for programs.")
def doctor(as_json: bool) -> None:
    """Test whether this machine runs the lessons; exit 1 if there is a problem.

    Starts a few real ranks. The report can be copied into an issue.
    """
    from dcp_tutor.checkup.doctor import doctor as examine

    if sys.stderr.isatty():
        click.echo("Testing this machine with real ranks; it takes some seconds ...", err=True)
    report = examine()
    if any("logs" in check.details for check in report.checks):
        from dcp_tutor.launching.folders import keep_run_folder

        keep_run_folder()  # the report sends its reader there, after this process has ended
    click.echo(json.dumps(report.as_dict(), indent=2) if as_json else str(report))
    sys.exit(0 if report.ok else 1)

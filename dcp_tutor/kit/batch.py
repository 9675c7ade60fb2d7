"""Several notebooks, one after the other, whatever becomes of each."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import DeadKernelError

from dcp_tutor.errors import UsageError
from dcp_tutor.kit.console import Console
from dcp_tutor.kit.execute import execute
from dcp_tutor.kit.pages import write_index, write_page
from dcp_tutor.kit.parameters import Parameter
from dcp_tutor.kit.results import Report, Result, Setting, find_failure, find_last, plain
from dcp_tutor.kit.stopping import Stopped, stoppable
from dcp_tutor.launching.journal import read_entries


def plan_results(
    notebooks: Mapping[Path, Sequence[Parameter]], given: Mapping[Path, Mapping[str, Any]]
) -> list[Result]:
    """Return a result for each notebook, before anything runs; names are made unique."""
    results: list[Result] = []
    for notebook, parameters in notebooks.items():
        taken = [result.name for result in results]
        name, number = notebook.stem, 1
        while name in taken:
            number += 1
            name = f"{notebook.stem}-{number}"
        values = given[notebook]
        settings = [
            Setting(
                name=each.name,
                value=repr(values[each.name]) if each.name in values else each.default,
                help=each.help,
                given=each.name in values,
            )
            for each in parameters
        ]
        results.append(Result(notebook=notebook, name=name, settings=settings))
    return results


def make_folder(output: Path | None) -> Path:
    """Return the folder of a run, made; by default a new one below `runs`.

    Raises:
        UsageError: it cannot be written.

    Example:
        >>> make_folder(None)  # doctest: +SKIP
        PosixPath('/home/me/dcp-tutor/runs/2026-11-23_14-05-09')

    """
    try:
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
            probe = output / ".dcp-tutor"
            probe.touch()
            probe.unlink()
            return output.absolute()
        stamp = f"{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}"
        for name in (stamp, *(f"{stamp}_{number}" for number in range(2, 100))):
            folder = Path("runs", name).absolute()
            if not folder.exists():
                folder.mkdir(parents=True)
                return folder
    except OSError as error:
        wanted = output or Path("runs").absolute()
        raise UsageError(
            f"nothing can be written to {wanted}: {error.strerror or error}. Type "
            f"`--output DIR` with a folder that you may write to."
        ) from None
    raise AssertionError("a hundred runs began within one second")


def run_batch(
    results: Sequence[Result],
    given: Mapping[Path, Mapping[str, Any]],
    folder: Path,
    environment: Mapping[str, str],
    report: Report,
) -> int:
    """Execute notebooks, write their pages and the index. Return the exit status.

    The index is written anew after each notebook, so that it is right whatever happens next.

    Args:
        results: one for each notebook, as `plan_results` made them; they are filled in.
        given: notebook → values of its parameters.
        folder: where everything goes.
        environment: variables for the kernels.
        report: what the index says of the run as a whole.

    """
    console = Console([result.name for result in results])
    started = time.monotonic()

    def tell() -> None:
        report.seconds = time.monotonic() - started
        write_index(folder, report, results)

    status = 0
    with stoppable():
        try:
            for result in results:
                tell()
                console.start(result.name)
                _run_one(result, given[result.notebook], folder, environment, console)
                console.finish(result)
                status = max(status, int(result.state == "failed"))
        except Stopped as stop:
            report.stopped_by = str(stop)
            status = stop.exit_status
            for result in results:
                if result.state == "interrupted":
                    console.finish(result)
        tell()
    console.summary(results, report.seconds, _short(folder / "index.html"))
    return status


def _run_one(
    result: Result,
    parameters: Mapping[str, Any],
    folder: Path,
    environment: Mapping[str, str],
    console: Console,
) -> None:
    """Execute one notebook, write its page, and fill in its result."""
    executed = folder / f"{result.name}.ipynb"
    launches = folder / f"{result.name}.launches.jsonl"
    kernel_log = folder / f"{result.name}.kernel.log"
    started = time.monotonic()
    stopped: Stopped | None = None
    try:
        execute(
            result.notebook,
            executed,
            parameters=parameters,
            environment=environment,
            kernel_log=kernel_log,
            launches=launches,
            bar=console.bar(result.name),
        )
        result.state = "passed"
    except Stopped as stop:
        result.state = "interrupted"
        stopped = stop
    except DeadKernelError:
        result.state = "failed"
        result.error = (
            "the kernel died: it crashed, was killed, or the machine ran out of memory. "
            "What it said, if anything, is in its log."
        )
    except Exception as error:  # whatever it was, the other notebooks still run
        result.state = "failed"
        result.error = plain(f"{type(error).__name__}: {error}")
    result.seconds = time.monotonic() - started
    result.launches = read_entries(launches)
    result.kernel_log = kernel_log.name if kernel_log.exists() else None
    if executed.exists():
        _read_back(result, executed, folder)
    if stopped is not None:
        raise stopped


def _read_back(result: Result, executed: Path, folder: Path) -> None:
    """Fill in what the executed notebook tells, and write its page."""
    notebook = nbformat.read(executed, as_version=4)  # type: ignore[no-untyped-call]
    result.executed = executed.name
    if result.state == "failed":
        failure = find_failure(notebook)
        # Without an error in a cell it is the kernel that died, and the exception says so.
        result.place, result.error = failure or (find_last(notebook), result.error)
    elif result.state == "interrupted":
        result.place = find_last(notebook)
    page = folder / f"{result.name}.html"
    write_page(notebook, page)
    result.page = page.name


def _short(path: Path) -> str:
    """Return a path relative to the current folder, if it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)

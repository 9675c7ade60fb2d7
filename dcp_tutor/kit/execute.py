"""One notebook through papermill, in a kernel of this very interpreter."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines
from papermill.execute import execute_notebook

from dcp_tutor.launching import journal
from dcp_tutor.launching.folders import remove_forsaken

LAST_CELL = "dcp_tutor_last_cell"
"""Key of papermill's metadata in an executed notebook: the id of the cell that began last."""
_LABEL_LENGTH = 32


def execute(
    source: Path,
    target: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    kernel_log: Path | None = None,
    launches: Path | None = None,
    bar: Mapping[str, Any] | None = None,
) -> None:
    """Execute a notebook in its own folder and write it, with its outputs, to `target`.

    Args:
        source: the notebook.
        target: where it goes, also when it fails.
        parameters: values for its parameters, already checked.
        environment: variables for its kernel, on top of this process's own.
        kernel_log: file for what the kernel process says outside of cells; removed if nothing.
        launches: file for the list of its launches (`dcp_tutor.launching.journal`).
        bar: options of tqdm for a progress bar; None for no bar.

    Raises:
        papermill.exceptions.PapermillExecutionError: a cell failed.
        nbclient.exceptions.DeadKernelError: the kernel died.

    Example:
        >>> execute(Path("notebooks/01.ipynb"), Path("runs/01.ipynb"))  # doctest: +SKIP

    """
    variables = {**os.environ, "DCP_TUTOR_LIVE": "0", **(environment or {})}
    # ipykernel behaves otherwise under pytest, where it would show less of subprocesses.
    variables.pop("PYTEST_CURRENT_TEST", None)
    if launches is not None:
        variables[journal.VARIABLE] = str(launches.absolute())
        launches.unlink(missing_ok=True)
    log = kernel_log or Path(os.devnull)
    with log.open("wb") as kernel_output:
        try:
            execute_notebook(
                _literal(source),
                _literal(target),
                parameters=dict(parameters or {}),
                engine_name=_Engine.name,
                kernel_name="python3",
                language="python",
                progress_bar=dict(bar) if bar is not None else False,
                cwd=str(source.absolute().parent),
                environment=variables,
                kernel_output=kernel_output,
            )
        finally:
            remove_forsaken()  # a kernel that was killed could not
            kernel_output.close()
            if kernel_log is not None and not kernel_log.stat().st_size:
                kernel_log.unlink()


def _literal(path: Path) -> str:
    """Return a path as papermill takes it: a format string."""
    return str(path.absolute()).replace("{", "{{").replace("}", "}}")


class _ThisInterpreter(KernelSpecManager):
    """Knows one kernel, whatever it is asked for: that of the running interpreter.

    An installed kernelspec `python3` may well start another environment's Python.
    """

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        spec = get_kernel_dict()
        return KernelSpec(**{**spec, "argv": [sys.executable, *spec["argv"][1:]]})


class _Manager(NotebookExecutionManager):  # type: ignore[misc]
    """papermill's own, which names the cell that runs and remembers it."""

    heading = ""

    def cell_start(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        self.nb.metadata.papermill[LAST_CELL] = cell.get("id")
        if cell.cell_type == "markdown":
            self.heading = heading_of(cell.source) or self.heading
        elif self.pbar is not None:
            label = self.heading or first_line(cell.source)
            self.pbar.set_postfix_str(label[:_LABEL_LENGTH], refresh=True)
        super().cell_start(cell, cell_index, **kwargs)


class _Engine(NBClientEngine):  # type: ignore[misc]
    """papermill's own, with our manager and our kernel."""

    name = "dcp-tutor"

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool | dict[str, Any] = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        **kwargs: Any,
    ) -> Any:
        manager = _Manager(nb, output_path, log_output, progress_bar, autosave_cell_every)
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, **kwargs)
        finally:
            manager.cleanup_pbar()
            manager.notebook_complete()
        return manager.nb

    @classmethod
    def execute_managed_notebook(cls, nb_man: _Manager, kernel_name: str, **kwargs: Any) -> None:
        kernel = AsyncKernelManager(
            kernel_name=kernel_name, kernel_spec_manager=_ThisInterpreter(), log=_silent()
        )
        # With keys the kernel does not warn about its sockets. Older managers know no such thing.
        if kernel.has_trait("transport_encryption") and zmq.has("curve"):
            kernel.transport_encryption = "auto"
        client = PapermillNotebookClient(nb_man, km=kernel, log=_silent())
        output = kwargs["kernel_output"]
        try:
            client.execute(env=kwargs["environment"], stdout=output, stderr=output, cleanup_kc=True)
        finally:
            if kernel.has_kernel:  # a signal came before the client took care of it
                with suppress(RuntimeError):
                    run_sync(kernel.shutdown_kernel)(now=True)


def _silent() -> logging.Logger:
    """Return a logger that says nothing: what goes wrong is raised, and told by the caller."""
    log = logging.getLogger("dcp_tutor.kit.silent")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    return log


papermill_engines.register(_Engine.name, _Engine)


def heading_of(markdown: str) -> str | None:
    r"""Return the last heading in a Markdown cell, or None.

    Example:
        >>> heading_of("Some words.\n\n## Save on 4 ranks\nMore.")
        'Save on 4 ranks'

    """
    headings = [line for line in markdown.splitlines() if line.startswith("#")]
    return headings[-1].strip("# ").replace("`", "") if headings else None


def first_line(source: str) -> str:
    r"""Return the first line of a cell that says something.

    Example:
        >>> first_line("# predict first\nx = 1")
        'x = 1'

    """
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    code = [line for line in lines if not line.startswith("#")]
    return (code or lines or [""])[0]

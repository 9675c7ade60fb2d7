"""Whether somebody sits before a notebook, and looks at a cell's output while the cell runs."""

from __future__ import annotations

import os
from typing import Any


def watching_kernel() -> Any:
    """Return the kernel of a cell whose output somebody watches while it runs, or None.

    That is `attended_kernel`, unless `DCP_TUTOR_LIVE=0` says that nothing is to be shown before
    the end.

    Example:
        In a terminal:

        >>> watching_kernel() is None
        True

    """
    if os.environ.get("DCP_TUTOR_LIVE", "1") in ("", "0"):
        return None
    return attended_kernel()


def attended_kernel() -> Any:
    """Return the kernel of a cell that somebody runs from a notebook on his screen, or None.

    Such a front end says which cell it runs (`cellId`: JupyterLab, Notebook 7 and VS Code do, a
    console does not) and that it could be asked a question; papermill, nbval and nbconvert say
    that nobody would answer.

    Example:
        In a terminal:

        >>> attended_kernel() is None
        True

    """
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return None
    request = shell.get_parent()
    can_be_asked = request.get("content", {}).get("allow_stdin", False)
    is_cell = "cellId" in request.get("metadata", {})
    return kernel if can_be_asked and is_cell else None

"""Whether somebody looks at a cell's output while the cell runs."""

from __future__ import annotations

import os
from typing import Any


def watching_kernel() -> Any:
    """Return the kernel of a notebook that somebody watches, or None.

    Watched is a cell of which the front end says which one it is (`cellId`, as JupyterLab,
    Notebook 7 and VS Code do; a console does not), and that could be asked a question:
    papermill, nbval and nbconvert say of their cells that nobody would answer.
    `DCP_TUTOR_LIVE=0` says that nobody watches.

    Example:
        In a terminal:

        >>> watching_kernel() is None
        True

    """
    if os.environ.get("DCP_TUTOR_LIVE", "1") in ("", "0"):
        return None
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return None
    request = shell.get_parent()
    can_be_asked = request.get("content", {}).get("allow_stdin", False)
    is_cell = "cellId" in request.get("metadata", {})
    return kernel if can_be_asked and is_cell else None

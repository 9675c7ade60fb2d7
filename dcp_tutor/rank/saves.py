"""Asynchronous saves that a program did not wait for: told at the end, for nobody else would."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from concurrent.futures import Future
from typing import Any


def unfinished_saves() -> list[Future[Any]]:
    """Return the futures of `async_save`s that still run, also those that nobody has kept."""
    # The name that torch gives to such a thread (_async_thread_executor.py, torch 2.13).
    if not any(t.name.startswith("AsyncCheckpointExecutor") for t in threading.enumerate()):
        return []
    return [found for found in gc.get_objects() if type(found) is Future and not found.done()]


def group_is_gone() -> bool:
    """Say whether ranks that belong together have no process group any more."""
    import torch.distributed as dist

    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized()


def say_lost_saves(saves: list[Future[Any]], *, without_group: bool) -> None:
    """Tell of saves that the program did not wait for and that went wrong: nobody else would."""
    errors = [error for save in saves if (error := save.exception()) is not None]
    what = f"has failed: {type(errors[0]).__name__}: {errors[0]}" if errors else None
    if without_group and not errors:
        what = "may lack the shards of other ranks, for destroy_process_group() was called"
    if what is not None:
        text = (
            f"dcp_tutor: an async_save that still ran at the end of the program {what}. Keep what "
            f"async_save returns, and call its .result() before destroy_process_group()."
        )
        with contextlib.suppress(AttributeError, ValueError, OSError):
            print(text, file=sys.stderr)

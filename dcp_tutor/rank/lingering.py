"""A rank that failed by itself stays a moment, so that others that fail too can say so.

When it goes, torchrun stops the others. Ranks that are about to fail by themselves, because the
program is wrong on all of them, shall not be cut off in the middle: then what is told of a launch
does not depend on which rank was quick.
"""

from __future__ import annotations

import os
import time

from dcp_tutor.rank.report import Report, is_from_all_ranks
from dcp_tutor.wire import read_records

_SECONDS = 0.2
_SECONDS_FOR_ALL = 2.0
"""For an error that DCP raises on every rank: they all will say it, also on a busy machine."""


def linger(error: BaseException, report: Report) -> None:
    """Wait until all ranks of this machine have ended their programs, but not for long."""
    seconds = _SECONDS_FOR_ALL if is_from_all_ranks(error) else _SECONDS
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up and not _all_have_spoken(report):
        time.sleep(0.02)


def _all_have_spoken(report: Report) -> bool:
    first = report.rank - int(os.environ.get("LOCAL_RANK", "0"))
    count = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return all(
        any(
            record.event in ("error", "end") and record.attempt == report.attempt
            for record in read_records(report.launch_folder, rank)
        )
        for rank in range(first, first + count)
    )

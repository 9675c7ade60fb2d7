"""The words for a launch that did not end well: root cause first, then one line on the others."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from dcp_tutor.errors import LauncherLost, RankFailed, RankTimeout
from dcp_tutor.launching.collect import read_agent_log
from dcp_tutor.launching.failures import Failure, find_failures
from dcp_tutor.launching.run import RankRun, Run
from dcp_tutor.launching.stacks import Place, find_place

_LAST_LINES = 8
_FULL_BYTES = 1 << 16
"""With less space than this a disk counts as full."""
_OURS = str(Path(__file__).parents[1])


def rank_failed(run: Run, program: Path) -> RankFailed | LauncherLost:
    """Return the exception for a launch in which a rank failed."""
    failures = find_failures(run.ranks)
    if not failures or all(failure.order == 4 for failure in failures):
        return launcher_lost(run)
    root, *others = failures
    place = _place(root.rank, program)
    parts = [
        f"rank {root.rank.rank} of {len(run.ranks)} {root.cause}",
        _line(place, program),
        _details(root),
        root.rank.error.hint if root.rank.error else None,
        _others(root, others),
        _left_early(run, root),
        _lost_files(run),
        _where(run),
    ]
    return RankFailed(
        "\n".join(part for part in parts if part),
        run,
        rank=root.rank.rank,
        cause=root.cause.removeprefix("raised "),
        line_number=place.line_number if place else None,
        line=place.line if place else None,
    )


def rank_timeout(run: Run, program: Path, seconds: float) -> RankTimeout:
    """Return the exception for a launch that took longer than its timeout."""
    own = (run.folder, program.parent)
    where: dict[str, list[int]] = {}
    for rank in run.ranks:
        place = find_place(rank.stack, own)
        if rank.finished:
            text = "had ended its program"
            if "in _shutdown" in rank.stack:
                text += ", and waited for its threads that are no daemons"
            text += f": {place}" if place else ""
        else:
            text = str(place) if place else "had not reached the program, or could not say where"
        where.setdefault(text, []).append(rank.rank)
    lines = [f"  {name_ranks(ranks)}: {text}" for text, ranks in where.items()]
    message = [
        f"the launch was ended after {seconds:g} s, its timeout. At that moment:",
        *lines,
        "A rank that waits in a collective waits for ranks that never call it, or call another\n"
        "one: compare the lines. If the program is only slow, give it longer: --timeout "
        f"{seconds * 4:g}.",
        _where(run),
    ]
    return RankTimeout("\n".join(message), run)


def launcher_lost(run: Run) -> LauncherLost:
    """Return the exception for a launch whose torchrun agent failed or vanished."""
    if run.status is None:
        how = "the launch was lost: its supervisor ended without a word (killed?)"
    elif run.status < 0:
        how = f"torchrun was killed by signal {-run.status} while ranks ran"
    else:
        how = f"torchrun ended with exit status {run.status}, and no rank said why"
    said = [f"  {line}" for line in read_agent_log(run.folder)[-_LAST_LINES:]]
    parts = [
        f"{how}. All its ranks were ended; the next launch starts anew.",
        "What torchrun said last:\n" + "\n".join(said) if said else None,
        _lost_files(run),
        _where(run),
    ]
    return LauncherLost("\n".join(part for part in parts if part), run)


def name_ranks(ranks: Iterable[int]) -> str:
    """Return `rank 1`, `ranks 0-3` or `ranks 0, 2-3`.

    Example:
        >>> name_ranks([0, 2, 3])
        'ranks 0, 2-3'

    """
    numbers = set(ranks)
    return f"rank{'s' if len(numbers) > 1 else ''} {', '.join(rank_spans(numbers))}"


def rank_spans(ranks: Iterable[int]) -> list[str]:
    """Return numbers of ranks in order, those that follow each other in one.

    Example:
        >>> rank_spans([0, 3, 2])
        ['0', '2-3']

    """
    spans: list[list[int]] = []
    for number in sorted(set(ranks)):
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    return [f"{span[0]}-{span[-1]}" if len(span) > 1 else f"{span[0]}" for span in spans]


def _place(rank: RankRun, program: Path) -> Place | None:
    """Return the learner's line: from the error, else from the stack of a crash."""
    error = rank.error
    if error is not None:
        if error.line_number is None:
            return None
        return Place(error.file or program.name, error.line_number, error.line or "", "")
    return find_place(rank.tail("stderr.log"), (program.parent,))


def _line(place: Place | None, program: Path) -> str | None:
    if place is None:
        return None
    where = "of this cell" if place.file == program.name else f"of {place.file}"
    return f"  line {place.line_number} {where}: {place.line}"


def _details(root: Failure) -> str | None:
    """Return the traceback through the learner's lines, or the rank's last lines."""
    if root.rank.error is not None:
        return _short_traceback(root.rank.error.traceback)
    # After these words Python's fault handler lists frames; the learner's is said already.
    stderr = root.rank.tail("stderr.log").partition("Fatal Python error: ")[0]
    lines = (root.rank.tail("stdout.log") + stderr).strip().splitlines()[-_LAST_LINES:]
    return "Its last lines:\n" + "\n".join(f"  {line}" for line in lines) if lines else None


def _short_traceback(traceback: str) -> str | None:
    """Return a long traceback with the frames inside libraries counted instead of shown."""
    blocks = re.split(r"(?m)^(?=  File )", traceback)
    frames = blocks[1:]
    if len(frames) < 2:
        return None  # the one line is said already
    shown, hidden = [], 0
    for frame in frames:
        head = frame.partition("\n")[0]
        if _OURS in head or ("site-packages" in head and frame is not frames[-1]):
            hidden += _OURS not in head
            continue
        if hidden:
            shown.append(f"  … {hidden} {'calls' if hidden > 1 else 'call'} inside libraries …\n")
        hidden = 0
        shown.append(_frame_text(frame, is_last=frame is frames[-1]))
    if len(shown) < 2:
        return None
    return "Traceback (most recent call last):\n" + "".join(shown).rstrip()


def _frame_text(frame: str, *, is_last: bool) -> str:
    """Return a frame with its file's path cut to what tells it apart, without the final error."""
    head, _, rest = frame.partition("\n")
    head = re.sub(r'"[^"]*/site-packages/', '"…/', head)
    head = re.sub(r'"/[^"]*/([^"/]+)"', r'"\1"', head)
    lines = rest.split("\n")
    if is_last:
        lines = [line for line in lines if line.startswith("    ")]
    return "\n".join([head, *lines]).rstrip() + "\n"


def _others(root: Failure, others: Sequence[Failure]) -> str | None:
    """Return one line on the ranks that failed as a consequence."""
    if not others:
        return None
    by_kind: dict[str, list[int]] = {}
    for other in others:
        if other.cause == root.cause:
            kind = "failed the same way"
        elif other.order >= 3:
            # Which of the two it is depends on who was quick.
            kind = "stopped by torchrun, or lost the connection, as a consequence"
        else:
            kind = other.cause.splitlines()[0][:120]
        by_kind.setdefault(kind, []).append(other.rank.rank)
    told = [f"{name_ranks(ranks)}: {kind}" for kind, ranks in sorted(by_kind.items())]
    text = "; ".join(told)
    return f"{text[0].upper()}{text[1:]}."


def _left_early(run: Run, root: Failure) -> str | None:
    """Say which ranks had ended well, where a rank's only complaint is that its peers are gone."""
    ended = [rank.rank for rank in run.ranks if rank.finished and rank.exit_code in (0, None)]
    if root.order != 3 or not ended:
        return None
    has = "has" if len(ended) == 1 else "have"
    text = name_ranks(ended)
    return (
        f"{text[0].upper()}{text[1:]} {has} ended the program while rank {root.rank.rank} was in a "
        f"collective: every rank must call it."
    )


def _lost_files(run: Run) -> str | None:
    """Say why less is known than there should be: the folder is gone, or its disk is full."""
    if not (run.folder / "launch.json").exists():
        return (
            "Files of this launch have been removed from its folder while ranks ran, so they could "
            "not be read or told. Let the program remove only what it has made."
        )
    if shutil.disk_usage(run.folder).free < _FULL_BYTES:
        return (
            f"The disk that holds {run.folder.parent} is full, so ranks could not write all that "
            f"they had to say. Free some space, or set DCP_TUTOR_RUNS to a folder on another disk."
        )
    return None


def _where(run: Run) -> str:
    return f"All logs: {run.folder}"

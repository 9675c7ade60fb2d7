"""Reading a launch's folder after its end: reports, outputs, spans, logs, torchrun's own events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dcp_tutor.launching.run import RankError, RankRun, Span
from dcp_tutor.wire import Record, rank_folder, read_records


def collect_ranks(folder: Path, num_ranks: int, asked_at: float) -> tuple[RankRun, ...]:
    """Return every rank of a launch that this machine knows of.

    Args:
        folder: launch folder.
        num_ranks: ranks that were to start here; one that never came up is listed too.
        asked_at: monotonic time of the call, from which spans and errors are counted.

    """
    ranks = ranks_here(folder, num_ranks)
    exit_codes = read_exit_codes(folder)
    return tuple(_collect_rank(folder, rank, exit_codes.get(rank), asked_at) for rank in ranks)


def ranks_here(folder: Path, num_ranks: int) -> list[int]:
    """Return the global ranks of a launch on this machine, as far as they have said who they are.

    Args:
        folder: launch folder.
        num_ranks: ranks that were to start here.

    """
    reported = set()
    if (folder / "ranks").is_dir():
        reported = {
            int(path.name) for path in (folder / "ranks").iterdir() if path.name.isdecimal()
        }
    return sorted(reported) if len(reported) >= num_ranks else list(range(num_ranks))


def read_exit_codes(folder: Path) -> dict[int, int]:
    """Return each rank's exit code, from the events that torchrun's agent writes.

    torchrun prints an event for each worker at the end (`--event-log-handler console`;
    torch/distributed/elastic/agent/server/api.py, torch 2.13). A code is told only of ranks that
    failed or were stopped; a rank without one has ended with 0, also where others failed.
    """
    codes: dict[int, int] = {}
    for event in _events(folder / "agent.log"):
        facts = event.get("metadata", {})
        if event.get("source") != "WORKER" or facts.get("state") == "START":
            continue
        detail = json.loads(facts.get("metadata") or "{}")
        codes[int(facts["global_rank"])] = (detail.get("exit_code") or [None])[0] or 0
    return codes


def read_agent_log(folder: Path) -> list[str]:
    """Return what torchrun's agent said, without its events."""
    return [line for line in _log_lines(folder / "agent.log") if not line.startswith('{"name": "')]


def _events(log: Path) -> list[dict[str, Any]]:
    events = []
    for line in _log_lines(log):
        if line.startswith('{"name": "torchelastic.'):
            try:
                events.append(json.loads(line))
            except ValueError:
                continue
    return events


def _log_lines(log: Path) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _collect_rank(folder: Path, rank: int, exit_code: int | None, asked_at: float) -> RankRun:
    records = read_records(folder, rank)
    attempt = max((record.attempt for record in records), default=0)
    last = {record.event: record for record in records if record.attempt == attempt}
    ended = last.get("end")
    if exit_code is None and ended is not None and "error" not in last:
        exit_code = int(ended.facts["status"])
    hello = last.get("hello")
    local_rank = int(hello.facts["local_rank"]) if hello else rank
    device = last.get("device")
    own = rank_folder(folder, rank)
    return RankRun(
        rank=rank,
        exit_code=exit_code,
        finished=ended is not None,
        error=_error(last["error"], asked_at) if "error" in last else None,
        device=str(device.facts["device"]) if device else None,
        spans=_spans(own / "spans.jsonl", asked_at),
        stack="\n".join(_log_lines(own / "stacks.txt")),
        attempt=attempt,
        logs=rank_logs(folder, local_rank),
    )


def _error(record: Record, asked_at: float) -> RankError:
    facts = record.facts
    return RankError(
        type=facts["type"],
        message=facts["message"],
        line_number=facts["line_number"],
        line=facts["line"],
        file=facts["file"],
        traceback=facts["traceback"],
        origins={int(rank): text for rank, text in facts["origins"].items()},
        hint=facts["hint"],
        time=record.time - asked_at,
    )


def _spans(path: Path, asked_at: float) -> tuple[Span, ...]:
    spans = []
    for line in _log_lines(path):
        try:
            facts = json.loads(line)
            spans.append(Span(facts["name"], facts["start"] - asked_at, facts["end"] - asked_at))
        except (ValueError, KeyError):
            continue  # cut off by a crash
    return tuple(spans)


def rank_logs(folder: Path, local_rank: int) -> Path | None:
    """Return a rank's folder in torchrun's log directory, of its last attempt, by local rank."""
    found = (folder / "torchrun").glob(f"*/attempt_*/{local_rank}")
    # A program may have put anything here.
    attempts = [path for path in found if path.parent.name.split("_")[1].isdecimal()]
    return max(attempts, key=lambda path: int(path.parent.name.split("_")[1]), default=None)

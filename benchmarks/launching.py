"""How long a launch takes, beside the other ways to start the same ranks; and where the time goes.

    python benchmarks/launching.py [--repeats N] [--slow-repeats N] [--ranks 1,2,4,8] [--json FILE]

Four ways, side by side in one run, round after round (A B C D, A B C D, ...), so that whatever
else the machine does falls on all of them alike:

- `warm`: `dcp_tutor.launch`, from the call to its `Run`, with the server up
- `floor`: a bare fork of the same ranks, without an agent, by a process that has the same things
  imported as the warm server (`_drivers.py` says how bare)
- `cold`: `dcp_tutor.launch(cold=True)`, a real `torchrun` subprocess
- `spawn`: `torch.multiprocessing.spawn`, in a process that has imported torch

Two programs: `empty` (`pass`), and `step`: a process group, one step of a small model under FSDP
with Adam, and a `dcp.save`. The slow ways take part in fewer rounds. One launch of each fast way
and size goes before, unmeasured.

Then: where a warm launch's time goes, from what its processes note down as they pass; the first
launch of a fresh process that has only just loaded the package, warm and cold; and the memory of
the ranks while they stand still after the save. Figures are medians, with the least, the quartiles
and the most; a ratio is that of the medians, with its least and most within one round.

Nothing here is asserted. It leaves nothing behind, also when it is interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil

WAYS = ("warm", "floor", "cold", "spawn")
SLOW = ("cold", "spawn")
_MOST_ABORTS = 5

EMPTY = "pass\n"
STEP = """\
import os
from dcp_tutor.rank import span
with span("imports"):
    import torch
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict
    from torch.distributed.fsdp import fully_shard
with span("process group"):
    dist.init_process_group("gloo")
with span("FSDP step"):
    model = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    fully_shard(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.rand(8, 16)).sum().backward()
    optimizer.step()
with span("save"):
    weights, state = get_state_dict(model, optimizer)
    dcp.save({"model": weights, "optimizer": state}, checkpoint_id=os.environ["BENCH_CHECKPOINT"])
"""
STAND_STILL = """
import time
from pathlib import Path
still = Path(os.environ["BENCH_STILL"])
(still / f"{os.getpid()}.rank").touch()
while not (still / "go").exists():
    time.sleep(0.05)
"""
LEAVE = """
dist.destroy_process_group()
"""
PROGRAMS = {"empty": EMPTY, "step": STEP + LEAVE}

# A process that has just been started, as a kernel is. `argv`: warm or cold, ranks, program, and
# when it was started. It tells how long loading took, and the launch that was asked for at once.
FIRST = """\
import json, sys, time
from pathlib import Path
import dcp_tutor
from dcp_tutor.launching import warm
if sys.argv[1] == "warm":
    warm.start_server()
loaded = time.monotonic()
run = dcp_tutor.launch(Path(sys.argv[3]), nproc_per_node=int(sys.argv[2]), device="cpu",
                       cold=sys.argv[1] == "cold")
end = time.monotonic()
assert run.warm == (sys.argv[1] == "warm")
print(json.dumps({"load": loaded - float(sys.argv[4]), "launch": end - loaded}))
"""

STAGES = (
    ("prepare", "checks, launch folder"),
    ("ask", "request to the server"),
    ("supervisor", "fork of the supervisor"),
    ("agent", "fork of the agent"),
    ("torchrun", "its environment, torchrun's parser"),
    ("rendezvous -", "agent up to its first rank, less rendezvous"),
    ("rendezvous", "rendezvous (torchrun's own figure)"),
    ("ranks", "forks of the ranks, until the last says hello"),
    ("start", "from hello to the program's first line"),
    ("program", "program, until the last rank has ended it"),
    ("end", "end of ranks and agent"),
    ("sweep", "supervisor looks for what is left"),
    ("told", "the notebook hears of it"),
    ("collect", "reports, logs, `Run`"),
)
"""Stages of a warm launch, one after the other: together they are the launch."""


class Bench:
    """The processes and folders of one run of the benchmark, and all that it measured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.samples: list[dict[str, Any]] = []
        self.first: list[dict[str, Any]] = []
        self.memory: list[dict[str, Any]] = []
        self.aborts = 0
        self._count = 0
        self._drivers: dict[str, subprocess.Popen[str]] = {}
        for name, text in PROGRAMS.items():
            (folder / f"{name}.py").write_text(text)
        os.environ["DCP_TUTOR_RUNS"] = str(folder / "runs")
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # as a launch sets it for its ranks

    def open(self) -> None:
        """Start the warm server and the drivers, and wait until all have imported torch."""
        from dcp_tutor.launching import warm

        warm.start_server()
        for way in ("floor", "spawn"):
            self._drivers[way] = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("_drivers.py")), way],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        for driver in self._drivers.values():
            self._answer(driver)

    def close(self) -> None:
        """End all that was started."""
        from dcp_tutor.launching import warm
        from dcp_tutor.launching.folders import remove_run_folder

        for driver in self._drivers.values():
            # Its session holds the spawned ranks; the forked ones die with their parent.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()
        warm.stop_server()
        remove_run_folder()

    def measure(self, way: str, program: str, ranks: int, number: int | None) -> float:
        """Launch once. Keep the sample as one of round `number`, if that is given."""
        self._count += 1
        checkpoint = self.folder / f"checkpoint-{self._count}"
        os.environ["BENCH_CHECKPOINT"] = str(checkpoint)
        stages: dict[str, float] = {}
        if way in self._drivers:
            seconds = self._drive(way, program, ranks)
        else:
            seconds, stages = self._launch(program, ranks, cold=way == "cold")
        shutil.rmtree(checkpoint, ignore_errors=True)
        if number is not None:
            self.samples.append(
                {
                    "way": way,
                    "program": program,
                    "ranks": ranks,
                    "round": number,
                    "seconds": seconds,
                    "stages": stages,
                }
            )
        return seconds

    def measure_first(self, way: str, program: str, ranks: int, number: int) -> None:
        """Launch once from a fresh process that has only just loaded the package."""
        os.environ["BENCH_CHECKPOINT"] = str(self.folder / f"first-{way}-{number}")
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", FIRST, way, str(ranks)),
                *(str(self.folder / f"{program}.py"), str(time.monotonic())),
            ],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            said = process.communicate()[0]
        finally:
            # Interrupted: its server and supervisors see it go and end what they started.
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode:
            raise RuntimeError(f"the first launch, {way}, failed with {process.returncode}")
        shutil.rmtree(os.environ["BENCH_CHECKPOINT"], ignore_errors=True)
        self.first.append({"way": way, "program": program, "ranks": ranks, **json.loads(said)})

    def measure_memory(self, ranks: int, *, cold: bool) -> None:
        """Read the memory of ranks that stand still after a step and a save."""
        from dcp_tutor import launch

        still = Path(tempfile.mkdtemp(prefix="still-", dir=self.folder))
        os.environ["BENCH_STILL"] = str(still)
        os.environ["BENCH_CHECKPOINT"] = str(still / "checkpoint")
        found: list[dict[str, int]] = []

        def look(_: Path) -> None:
            pids = [int(path.stem) for path in still.glob("*.rank")]
            if len(pids) == ranks and not found:
                for pid in pids:
                    memory = psutil.Process(pid).memory_full_info()
                    found.append({"uss": memory.uss, "rss": memory.rss})
                (still / "go").touch()

        launch(
            STEP + STAND_STILL + LEAVE, nproc_per_node=ranks, device="cpu", cold=cold, watch=look
        )
        shutil.rmtree(still)
        way = "cold" if cold else "warm"
        self.memory += [{"way": way, "ranks": ranks, **memory} for memory in found]

    def _launch(self, program: str, ranks: int, *, cold: bool) -> tuple[float, dict[str, float]]:
        from dcp_tutor import launch

        with Clock() as clock:
            started = time.monotonic()
            run = launch(
                self.folder / f"{program}.py", nproc_per_node=ranks, device="cpu", cold=cold
            )
            seconds = time.monotonic() - started
        if run.warm == cold:
            raise RuntimeError("a launch was not as it should be: warm for cold, or cold for warm")
        stages = {} if cold else clock.stages(run, started, started + seconds)
        shutil.rmtree(run.folder)
        return seconds, stages

    def _drive(self, way: str, program: str, ranks: int) -> float:
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        names = ("BENCH_CHECKPOINT", "GLOO_SOCKET_IFNAME")
        driver = self._drivers[way]
        assert driver.stdin is not None
        request = {
            "ranks": ranks,
            "program": str(self.folder / f"{program}.py"),
            "logs": str(logs),
            "environment": {
                **{name: os.environ[name] for name in names},
                "CUDA_VISIBLE_DEVICES": "",
            },
        }
        for _ in range(_MOST_ABORTS):
            driver.stdin.write(json.dumps(request) + "\n")
            driver.stdin.flush()
            try:
                return float(self._answer(driver)["seconds"])
            except RuntimeError as error:
                # A bare rank sometimes aborts in its last moment, when gloo's threads meet
                # Python's end. Launches of this kit hold ranks back from that; these do not.
                if way != "spawn" or "SIGABRT" not in str(error):
                    raise
                self.aborts += 1
                shutil.rmtree(os.environ["BENCH_CHECKPOINT"], ignore_errors=True)
        raise RuntimeError(f"{_MOST_ABORTS} times in a row a spawned rank aborted at its end")

    def _answer(self, driver: subprocess.Popen[str]) -> dict[str, Any]:
        assert driver.stdout is not None
        answer: dict[str, Any] = json.loads(driver.stdout.readline() or '{"error": "it died"}')
        if "error" in answer:
            raise RuntimeError(f"{driver.args}: {answer['error']}")
        return answer


class Clock:
    """Notes when `launch` passes from one of its own steps to the next."""

    _STEPS = ("prepare", "_start", "_wait")

    def __enter__(self) -> Clock:
        self.ended: dict[str, float] = {}
        self.agent: Any = None
        self._module = importlib.import_module("dcp_tutor.launching.launch")
        self._steps = {name: getattr(self._module, name) for name in self._STEPS}
        for name, step in self._steps.items():
            setattr(self._module, name, self._timed(name, step))
        return self

    def __exit__(self, *_: object) -> None:
        for name, step in self._steps.items():
            setattr(self._module, name, step)

    def _timed(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            result = step(*arguments, **named)
            self.ended[name] = time.monotonic()
            if name == "_start":
                self.agent = result
            return result

        return timed

    def stages(self, run: Any, started: float, ended: float) -> dict[str, float]:
        """Return the seconds of each stage of a warm launch, and of the spans in its program."""
        from dcp_tutor.wire import read_records

        said = [
            {record.event: record for record in read_records(run.folder, rank.rank)}
            for rank in run.ranks
        ]
        moments = [records["hello"].facts["moments"] for records in said]
        rendezvous = _rendezvous_seconds(run.folder / "agent.log")
        forked = min(moment["fork"] for moment in moments)
        marks = (
            *(started, self.ended["prepare"], self.ended["_start"]),
            *(moments[0]["request"], moments[0]["agent"], moments[0]["torchrun"]),
            *(forked - rendezvous, forked),
            *(max(records[event].time for records in said) for event in ("hello", "start", "end")),
            *(self.agent.moments["agent end"], self.agent.moments["swept"]),
            *(self.ended["_wait"], ended),
        )
        names = [name for name, _ in STAGES]
        pairs = itertools.pairwise(marks)
        stages = {name: end - start for name, (start, end) in zip(names, pairs, strict=True)}
        for name in [span.name for span in run.ranks[0].spans]:
            spans = [span for rank in run.ranks for span in rank.spans if span.name == name]
            stages[f"· {name}"] = statistics.median(span.end - span.start for span in spans)
        return stages


def _rendezvous_seconds(log: Path) -> float:
    """Return how long the rendezvous took, from the event that torchrun writes of it."""
    for line in log.read_text().splitlines():
        if line.startswith('{"name": "torchelastic.worker.status.RENDEZVOUS"'):
            return float(json.loads(line)["metadata"]["duration_ms"]) / 1000
    raise RuntimeError(f"no rendezvous in {log}")


def run_all(bench: Bench, sizes: list[int], repeats: int, slow_repeats: int) -> None:
    """Measure everything."""
    say("starting the warm server and the drivers")
    bench.open()
    # The slow ways' rounds, spread evenly over all.
    slow_rounds = {index * repeats // slow_repeats for index in range(slow_repeats)}
    for program in PROGRAMS:
        for ranks in sizes:
            for way in ("warm", "floor"):
                bench.measure(way, program, ranks, None)
            for number in range(repeats):
                ways = [way for way in WAYS if way not in SLOW or number in slow_rounds]
                say(f"{program}, {ranks} ranks, round {number + 1} of {repeats}: {' '.join(ways)}")
                for way in ways:
                    bench.measure(way, program, ranks, number)
    ranks = middle(sizes)
    for program in PROGRAMS:
        for number in range(slow_repeats):
            say(f"first launch of a fresh process: {program}, {number + 1} of {slow_repeats}")
            for way in ("warm", "cold"):
                bench.measure_first(way, program, ranks, number)
    say("memory")
    for cold in (False, True):
        bench.measure_memory(ranks, cold=cold)


def report(bench: Bench, sizes: list[int]) -> list[dict[str, Any]]:
    """Print the tables. Return the targets and whether they are met."""
    for program in PROGRAMS:
        print_launches(bench, program, sizes)
    for program in PROGRAMS:
        print_stages(bench, program, sizes)
    print_first(bench)
    print_memory(bench)
    if bench.aborts:
        print(f"\n`spawn` was repeated {bench.aborts} times: a rank aborted at its end.")
    return print_targets(bench, sizes)


def print_launches(bench: Bench, program: str, sizes: list[int]) -> None:
    """Print the four ways for each number of ranks, and their ratios."""
    head(f"Launches, program `{program}`, milliseconds")
    print(f"{'ranks':>5} {'way':<6} {'median':>8} {SPREAD}    n")
    for ranks in sizes:
        for way in WAYS:
            values = bench_seconds(bench, way, program, ranks)
            print(f"{ranks:>5} {way:<6} {spread(values)} {len(values):>4}")
    print(f"\n{'ranks':>5} {'warm / floor':>24} {'cold / warm':>24} {'spawn / warm':>24}")
    for ranks in sizes:
        cells = [
            ratio(bench, program, ranks, *pair)
            for pair in (("warm", "floor"), ("cold", "warm"), ("spawn", "warm"))
        ]
        print(f"{ranks:>5} " + " ".join(f"{words(*cell):>24}" for cell in cells))


def print_stages(bench: Bench, program: str, sizes: list[int]) -> None:
    """Print where a warm launch's time goes."""
    head(f"Where a warm launch goes, program `{program}`, median milliseconds, by ranks")
    print(f"{'':<52}" + "".join(f"{ranks:>8}" for ranks in sizes))
    found = {ranks: [s["stages"] for s in select(bench, "warm", program, ranks)] for ranks in sizes}
    spans = [name for name in found[sizes[0]][0] if name.startswith("· ")]
    for name, meaning in STAGES:
        print(f"{meaning:<52}" + "".join(f"{middle_of(found[n], name):8.1f}" for n in sizes))
        if name == "program":
            for span in spans:
                label = f"    {span.removeprefix('· ')} (median of the ranks)"
                print(f"{label:<52}" + "".join(f"{middle_of(found[n], span):8.1f}" for n in sizes))
    totals = [statistics.median(bench_seconds(bench, "warm", program, n)) for n in sizes]
    print(f"{'the whole':<52}" + "".join(f"{1000 * total:8.1f}" for total in totals))


def print_first(bench: Bench) -> None:
    """Print the first launch of a fresh process."""
    ranks = bench.first[0]["ranks"]
    head(f"First launch right after loading, in a fresh process, {ranks} ranks, milliseconds")
    print(f"{'program':<8} {'way':<5} {'what':<22} {'median':>8} {SPREAD}    n")
    for program in PROGRAMS:
        for way in ("warm", "cold"):
            for label, parts in (
                ("launch", ("launch",)),
                ("process start to end", ("load", "launch")),
            ):
                values = first_seconds(bench, way, program, parts)
                print(f"{program:<8} {way:<5} {label:<22} {spread(values)} {len(values):>4}")


def print_memory(bench: Bench) -> None:
    """Print the memory of a rank."""
    ranks = bench.memory[0]["ranks"]
    head(f"Memory of each of {ranks} ranks after the step and the save, megabytes (1e6 bytes)")
    print(f"{'way':<5} {'private, median':>16} {'private, most':>14} {'resident, median':>17}")
    for way in ("warm", "cold"):
        found = [memory for memory in bench.memory if memory["way"] == way]
        private = [memory["uss"] / 1e6 for memory in found]
        resident = statistics.median(memory["rss"] / 1e6 for memory in found)
        print(f"{way:<5} {statistics.median(private):16.0f} {max(private):14.0f} {resident:17.0f}")


def print_targets(bench: Bench, sizes: list[int]) -> list[dict[str, Any]]:
    """Print what is aimed at (for 2 cores), and what was found."""
    targets: list[tuple[str, float, bool]] = []
    if 4 in sizes:
        warm = statistics.median(bench_seconds(bench, "warm", "step", 4))
        gain = ratio(bench, "step", 4, "cold", "warm")[0]
        above = ratio(bench, "step", 4, "warm", "floor")[0]
        targets += [
            ("4 ranks, step and save: cold / warm at least 15", gain, gain >= 15),
            ("4 ranks, step and save: warm at most 0.8 s", warm, warm <= 0.8),
            ("4 ranks, step and save: warm / floor towards 1.3", above, above <= 1.3),
        ]
    if 8 in sizes:
        warm = statistics.median(bench_seconds(bench, "warm", "step", 8))
        targets.append(("8 ranks, step and save: warm at most 1.3 s", warm, warm <= 1.3))
    for program in PROGRAMS:
        first, cold = (
            statistics.median(first_seconds(bench, way, program, ("launch",)))
            for way in ("warm", "cold")
        )
        what = f"first launch after loading, {program}: at most 1 x cold"
        targets.append((what, first / cold, first <= cold))
    head("Targets, for 2 cores that do nothing else")
    for what, value, met in targets:
        print(f"{what:<58} {value:8.2f}  {'met' if met else 'NOT met'}")
    return [{"target": what, "value": value, "met": met} for what, value, met in targets]


SPREAD = f"{'min':>8} {'q1':>8} {'q3':>8} {'max':>8}"


def spread(values: list[float]) -> str:
    """Return median, least, quartiles and most, in milliseconds."""
    first, third = values[0], values[0]
    if len(values) > 1:
        first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    figures = (statistics.median(values), min(values), first, third, max(values))
    return " ".join(f"{1000 * figure:8.0f}" for figure in figures)


def ratio(
    bench: Bench, program: str, ranks: int, above: str, below: str
) -> tuple[float, float, float]:
    """Return the ratio of the medians, and its least and most within one round.

    Where one way took part in fewer rounds, only those are compared.
    """
    tops, bottoms = (
        {s["round"]: s["seconds"] for s in select(bench, way, program, ranks)}
        for way in (above, below)
    )
    rounds = sorted(tops.keys() & bottoms.keys())
    pairs = [tops[number] / bottoms[number] for number in rounds]
    medians = [statistics.median(found[number] for number in rounds) for found in (tops, bottoms)]
    return medians[0] / medians[1], min(pairs), max(pairs)


def words(value: float, least: float, most: float) -> str:
    """Write a ratio with its spread."""
    return f"{value:.2f} ({least:.2f} to {most:.2f})"


def select(bench: Bench, way: str, program: str, ranks: int) -> list[dict[str, Any]]:
    """Return the samples of one way, program and size."""
    wanted = {"way": way, "program": program, "ranks": ranks}
    return [sample for sample in bench.samples if wanted.items() <= sample.items()]


def bench_seconds(bench: Bench, way: str, program: str, ranks: int) -> list[float]:
    """Return how long the launches of one way, program and size took."""
    return [sample["seconds"] for sample in select(bench, way, program, ranks)]


def first_seconds(bench: Bench, way: str, program: str, parts: Iterable[str]) -> list[float]:
    """Return how long these parts of the first launches took together."""
    return [
        sum(sample[part] for part in parts)
        for sample in bench.first
        if (sample["way"], sample["program"]) == (way, program)
    ]


def middle_of(stages: list[dict[str, float]], name: str) -> float:
    """Return the median of one stage in milliseconds."""
    return 1000 * statistics.median(stage[name] for stage in stages)


def middle(sizes: list[int]) -> int:
    """Return the number of ranks for what is measured at one size only."""
    return 4 if 4 in sizes else sizes[len(sizes) // 2]


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    import torch

    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gigabytes": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load_average_at_start": [round(load, 2) for load in os.getloadavg()],
    }


def head(title: str) -> None:
    """Print the head of a table."""
    print(f"\n{title}\n{'-' * len(title)}")


def say(text: str) -> None:
    """Say on stderr how far it is."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def opened() -> Iterator[Bench]:
    """Make a benchmark whose processes and folders are gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="dcp-tutor-bench-"))
    bench = Bench(folder)
    try:
        yield bench
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one must not keep things alive
        bench.close()
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> int:
    """Measure, print, and write the raw samples if a file was named."""
    parser = argparse.ArgumentParser(description="Measure launches of torchrun ranks.")
    parser.add_argument("--repeats", type=int, default=15, help="rounds of warm and floor")
    parser.add_argument("--slow-repeats", type=int, help="of them with cold and spawn; a third")
    parser.add_argument("--ranks", default="1,2,4,8", help="numbers of ranks, with commas")
    parser.add_argument("--json", type=Path, help="file for all raw samples")
    options = parser.parse_args()
    sizes = [int(size) for size in options.ranks.split(",")]
    repeats = max(1, options.repeats)
    slow_repeats = min(repeats, options.slow_repeats or max(2, repeats // 3))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    facts = machine()
    try:
        with opened() as bench:
            run_all(bench, sizes, repeats, slow_repeats)
    except KeyboardInterrupt:
        say("interrupted; all that it started is ended")
        return 130
    print("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in facts.items()))
    targets = report(bench, sizes)
    if options.json:
        found = {"machine": facts, "programs": PROGRAMS, "targets": targets}
        found |= {"launches": bench.samples, "first": bench.first, "memory": bench.memory}
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

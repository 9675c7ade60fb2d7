"""Real messages: raised by the code that prints them, wherever that needs no ranks."""

from __future__ import annotations

import contextlib
import io
import itertools
import mmap
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp

import dcp_tutor
from dcp_tutor import DidNotFail, RankRun, Run, UsageError, begin, end
from dcp_tutor.kit.bounds import check_parameters
from dcp_tutor.launching import folders, launch, limits, messages, prepare, warm
from dcp_tutor.launching.command import check
from dcp_tutor.launching.run import RankError
from dcp_tutor.magic import TutorMagics, _check_module_name, _parse
from dcp_tutor.rank.__main__ import _send_outputs
from dcp_tutor.rank.__main__ import main as rank_main
from dcp_tutor.rank.keyboard import _refuse, hint_for
from dcp_tutor.views.panel import settled_text
from dcp_tutor.wire import Order
from dcp_tutor.wire.values import write_values

Samples = dict[str, list[str]]


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """Code of an entry → messages that it must explain."""
    found: Samples = defaultdict(list)
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("samples")
        (folder / "launch.json").write_text("{}")  # of the runs that are made by hand
        patch.setenv("DCP_TUTOR_RUNS", str(folder / "runs"))
        patch.setattr(folders, "_folder", None)
        patch.setattr(folders, "_launches", itertools.count(1))
        patch.setattr(limits, "_default_device", "auto")
        for make in (_asked, _lesson, _launches, _values, _groups, _checkpoints, _system):
            for code, text in make(folder, patch):
                found[code].append(text)
    return dict(found)


def error_of(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> str:
    """Call something that must fail, and return how Python would print its error's last lines."""
    try:
        function(*arguments, **keywords)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError(f"{function} did not fail")


def told(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> str:
    """Return what a call prints, on either stream, and its warnings."""
    text = io.StringIO()
    with (
        contextlib.redirect_stdout(text),
        contextlib.redirect_stderr(text),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        function(*arguments, **keywords)
    return text.getvalue() + "".join(str(warning.message) for warning in caught)


def make_run(folder: Path, *ranks: RankRun, status: int | None = 1, **facts: Any) -> Run:
    return Run(
        name="save",
        command="torchrun",
        program=folder / "save.py",
        folder=folder,
        ok=status == 0,
        status=status,
        seconds=1.0,
        warm=True,
        device="cpu",
        ranks=ranks,
        **facts,
    )


def failure(folder: Path, *ranks: RankRun, status: int | None = 1) -> str:
    return str(messages.rank_failed(make_run(folder, *ranks, status=status), folder / "save.py"))


def make_error(kind: str, message: str) -> RankError:
    return RankError(
        type=kind,
        message=message,
        line_number=7,
        line="step(model)",
        file="save.py",
        traceback="",
        origins={},
        hint=None,
        time=1.0,
    )


def _asked(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    yield "no-torchrun-flag", error_of(check, ["save.py"])
    yield "flag-taken", error_of(check, ["--log-dir", "/tmp"])
    yield "flag-taken", error_of(check, ["--no-python"])
    yield "torchrun-line", error_of(check, ["--ranks", "2"])
    yield "torchrun-line", error_of(check, ["--nproc-per-node"])
    yield "nproc-no-number", error_of(check, ["--nproc-per-node", "many"])
    yield "no-rank", error_of(check, ["--nproc-per-node", "-2"])
    yield "nnodes", error_of(check, ["--nnodes", "3:2"])
    for gpus in (0, 2):
        patch.setattr(limits, "num_gpus", lambda gpus=gpus: gpus)
        yield "too-few-gpus", error_of(limits.resolve_device, "cuda", 4)
    yield "unknown-device", error_of(limits.resolve_device, "tpu", 1)
    patch.setenv("DCP_TUTOR_MAX_RANKS", "two")
    yield "max-ranks-no-number", error_of(limits.cap_ranks, 4)
    patch.delenv("DCP_TUTOR_MAX_RANKS")
    with patch.context() as inner:
        inner.setattr(limits, "available_megabytes", lambda: 1500)
        yield "memory-for-ranks", error_of(limits.check_memory, 64)
    with patch.context() as inner:
        inner.setenv("DCP_TUTOR_RUNS", "/proc/nowhere")
        inner.setattr(folders, "_folder", None)
        yield "cannot-write", error_of(folders.run_folder)
    yield "program-file", error_of(prepare._read_program, folder / "no.py")
    yield "program-syntax", error_of(prepare._check_syntax, "x = (1,\ny = 2", "save.py")
    yield "program-unreadable", error_of(prepare._check_syntax, "x = '\ud800'", "save.py")
    # Some releases of Python say it in this way: as a syntax error, or as a ValueError.
    yield "program-unreadable", error_of(compile, "x = 1\0", "save.py", "exec")
    yield "timeout-no-number", error_of(prepare._timeout, -1.0)
    patch.setenv("DCP_TUTOR_TIMEOUT", "soon")
    yield "timeout-no-number", error_of(prepare._timeout, None)
    patch.delenv("DCP_TUTOR_TIMEOUT")
    yield "undefined-in-line", error_of(_parse, "--nproc-per-node {ranks}")
    yield "unreadable-line", error_of(_parse, "--name it's")
    yield "magic-flags", error_of(_parse, "--timeout soon")
    yield "magic-flags", error_of(_parse, "-i a-b")
    magics = TutorMagics(None)
    with patch.context() as inner:
        inner.setattr(TutorMagics, "_variables", {})
        yield "no-variable", error_of(magics._variable, "checkpoint_dir")
    yield "module-syntax", error_of(magics.module, "app_state", "class A(:\n    pass")
    yield "module-name", error_of(_check_module_name, "app-state")
    yield "module-name", error_of(_check_module_name, "")
    yield "module-installed", error_of(_check_module_name, "json")
    yield "rank-usage", error_of(rank_main, [])
    yield "no-such-rank", error_of(make_run(folder, RankRun(rank=0)).rank, 3)


def _lesson(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    yield "parameter-no-count", error_of(begin, save_ranks="4")
    half = ["half: int = 10  # steps: 1 or more"]
    yield "parameter-not-allowed", error_of(check_parameters, half, {"half": 0})
    yield "parameter-not-allowed", error_of(check_parameters, half, {"half": "10"})
    ranks = ["ranks: list = [2]  # ranks that read: 1 or more"]
    yield "parameter-not-allowed", error_of(check_parameters, ranks, {"ranks": ["a"]})
    yield "parameter-not-allowed", error_of(check_parameters, ranks, {"ranks": []})
    yield "too-few-ranks", error_of(begin, ranks=1, least=2)
    yield "too-few-ranks", error_of(begin, ranks=2, least=3)
    patch.setattr(limits, "num_gpus", lambda: 0)
    yield "device-chosen", told(begin, save_ranks=1)
    patch.setattr(limits, "available_megabytes", lambda: 10_000)
    yield "device-chosen", told(begin, save_ranks=3)
    patch.setenv("DCP_TUTOR_MAX_RANKS", "2")
    yield "fewer-ranks", told(begin, save_ranks=4)
    yield "too-few-ranks", error_of(begin, ranks=4, least=3)
    capped = make_run(folder, RankRun(rank=0), RankRun(rank=1), status=0, asked_ranks=4)
    yield "fewer-ranks", settled_text(capped)
    patch.delenv("DCP_TUTOR_MAX_RANKS")
    yield "files-removed", told(end)


def _launches(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    stopped = RankRun(rank=0, exit_code=-15)
    raised = RankRun(rank=1, exit_code=1, error=make_error("ValueError", "bad shape"))
    yield "rank-raised", failure(folder, stopped, raised)
    yield "rank-sigkill", failure(folder, stopped, RankRun(rank=1, exit_code=-9))
    yield "rank-sigsegv", failure(folder, stopped, RankRun(rank=1, exit_code=-11))
    yield "rank-signal", failure(folder, RankRun(rank=1, exit_code=-6))
    yield "rank-signal", failure(folder, RankRun(rank=1, exit_code=-63))
    yield "exit-status", failure(folder, stopped, RankRun(rank=1, exit_code=3))
    lost = make_error("RuntimeError", "Connection closed by peer [127.0.0.1]:3514")
    left = RankRun(rank=1, exit_code=0)
    yield "silent-end", failure(folder, RankRun(rank=0, exit_code=1, error=lost), left)
    yield "rank-stopped", failure(folder, stopped, raised).splitlines()[-2]
    timeout = messages.rank_timeout(make_run(folder, stopped), folder / "save.py", 30.0)
    yield "rank-timeout", str(timeout)
    yield "supervisor-lost", failure(folder, stopped, status=None)
    yield "torchrun-killed", failure(folder, stopped, status=-9)
    yield "torchrun-ended", failure(folder, stopped, status=1)
    # These take real ranks, or a disk of their own: the words alone.
    yield (
        "left-a-collective",
        "Ranks 0, 2 have ended the program while rank 1 was in a collective: every rank must call "
        "it.",
    )
    yield "waits-for-threads", "  rank 1: had ended, and waited for its threads that are no daemons"
    yield (
        "launch-files-gone",
        "Files of this launch have been removed from its folder while ranks ran, so they could not "
        "be read or told.",
    )
    yield (
        "launch-disk-full",
        "The disk that holds /tmp/dcp-tutor-x1 is full, so ranks could not write all that they had "
        "to say.",
    )
    yield (
        "unwaited-save",
        "dcp_tutor: an async_save that still ran at the end of the program has failed: it was lost",
    )
    yield from _ends(folder, patch)
    with patch.context() as inner:
        inner.setattr(warm.sys, "platform", "darwin")
        yield "cold-not-linux", str(warm.unavailable())
    server = object.__new__(warm.Server)
    server._process = _Died()
    server._errors = io.BytesIO(b"ImportError: libtorch.so: cannot open shared object file")
    with patch.context() as inner:
        inner.delenv("DCP_TUTOR_COLD", raising=False)
        words = server._last_words()
        yield "cold-launch", words

        def give_up() -> warm.Server:
            raise warm.WarmUnavailable(f"the warm server does not start: {words}")

        inner.setattr(warm, "ready_server", give_up)
        inner.setattr(launch, "_said", set())
        yield "cold-launch", told(launch._warm_server)


class _Died:
    def wait(self, timeout: float) -> int:
        return 1


class _Agent:
    """Stands in for torchrun's agent, so that `launch` runs to its end without ranks."""

    warm, status = False, 0

    def __init__(self, error: type[BaseException] | None = None) -> None:
        self._error = error

    def wait(self, _: float) -> bool:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return True

    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...


def _ends(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Let `launch` itself end in the three ways that only it words."""
    with patch.context() as inner:
        inner.setattr(launch, "_start", lambda *_: _Agent(KeyboardInterrupt))
        yield "interrupted", error_of(dcp_tutor.launch, "pass", cold=True, device="cpu")
        inner.setattr(launch, "_start", lambda *_: _Agent())
        inner.setattr(launch, "collect_ranks", lambda *_: (RankRun(rank=0, exit_code=0),))
        planned: dict[str, Any] = {"cold": True, "device": "cpu"}
        text = error_of(dcp_tutor.launch, "pass", expect_failure=True, **planned)
        assert text.startswith(DidNotFail.__name__)
        yield "did-not-fail", text
        text = error_of(dcp_tutor.launch, "pass", outputs=["total"], **planned)
        assert text.startswith(UsageError.__name__)
        yield "output-left-early", text


def _values(folder: Path, _: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    for value in (object(), {"deep": [range(3)]}):
        yield "cannot-cross", error_of(write_values, {"cfg": value}, folder / "values.pt")
    from torch.distributed.tensor import DTensor

    sharded = torch.Tensor._make_subclass(DTensor, torch.ones(2))
    yield "dtensor-cannot-cross", error_of(write_values, {"w": sharded}, folder / "values.pt")
    order = Order(outputs=("digest", "total"))
    yield "output-never-set", error_of(_send_outputs, order, {"total": 1}, None)
    yield "no-breakpoint", error_of(_refuse)
    error = EOFError("EOF when reading a line")
    yield "no-input", f"EOFError: {error}"
    yield "no-input", str(hint_for(error))


def _groups(_: Path, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    yield "no-process-group", error_of(dist.barrier)
    with patch.context() as inner:
        inner.delenv("RANK", raising=False)
        inner.setattr(dist, "is_initialized", lambda: False)
        yield "not-under-torchrun", error_of(dist.init_process_group, "gloo")
    taken = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    yield (
        "address-in-use",
        error_of(dist.TCPStore, "127.0.0.1", taken.port, is_master=True),
    )
    from datetime import timedelta

    taken.set_timeout(timedelta(milliseconds=5))
    yield "store-timeout", error_of(taken.get, "nobody sets it")
    with patch.context() as inner:
        inner.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
        inner.setattr(torch.cuda, "is_initialized", lambda: False)
        yield "cuda-fork", error_of(torch.cuda._lazy_init)
    if not torch.cuda.is_available():
        yield "no-cuda", error_of(torch.ones, 1, device="cuda")
    yield from _in_a_group()
    # What follows needs several ranks or GPUs: the words as they were seen, and for those that
    # this torch holds, `test_torch_still_has_these_words`.
    gloo = "[../third_party/gloo/gloo/transport/tcp/pair.cc:547]"
    yield "connection-closed", f"RuntimeError: {gloo} Connection closed by peer [127.0.0.1]:27042"
    yield "connection-closed", f"{gloo} Read error [127.0.0.1]:1842: Connection reset by peer"
    yield (
        "connection-closed",
        "torch.distributed.DistNetworkError: failed to recv, got 0 bytes. Connection was likely "
        "closed. Did the remote server shutdown or crash?",
    )
    for reason in (
        "Connection closed by peer",
        "Read error [127.0.0.1]:1: Connection reset by peer",
    ):
        yield (
            "left-while-connecting",
            f"RuntimeError: Gloo connectFullMesh failed with {gloo} {reason} [127.0.0.1]:27042. "
            "This is typically caused by a remote worker crashing.",
        )
    yield (
        "full-mesh",
        f"RuntimeError: Gloo connectFullMesh failed with {gloo.replace('547', '144')} no error",
    )
    yield (
        "store-timeout",
        "torch.distributed.DistNetworkError: The client socket has timed out after 60000ms while "
        "trying to connect to (127.0.0.1, 29500).",
    )
    yield (
        "collective-timeout",
        "RuntimeError: [../third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:78] Timed out "
        "waiting 1800000ms for recv operation to complete",
    )
    yield (
        "collective-mismatch",
        "RuntimeError: Detected mismatch between collectives on ranks. Rank 0 is running "
        "collective: CollectiveFingerPrint(SequenceNumber=0, OpType=ALLREDUCE",
    )
    yield (
        "duplicate-gpu",
        "ncclInvalidUsage: This usually reflects invalid usage of NCCL library.\nLast error:\n"
        "Duplicate GPU detected : rank 1 and rank 0 both on CUDA device 4000",
    )
    yield (
        "nccl-error",
        "torch.distributed.DistBackendError: NCCL error in: ../torch/csrc/distributed/c10d/"
        "NCCLUtils.hpp:275, unhandled system error (run with NCCL_DEBUG=INFO for details)",
    )
    yield (
        "cuda-memory",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a "
        "total capacity of 7.79 GiB",
    )
    yield "cuda-ordinal", "torch.AcceleratorError: CUDA error: invalid device ordinal"
    yield "no-cuda", "RuntimeError: No CUDA GPUs are available"
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

    died = ProcessFailure(local_rank=1, pid=71, exitcode=1, error_file="<N/A>")
    kind = f"{ChildFailedError.__module__}.{ChildFailedError.__qualname__}"
    module = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError"
    assert kind.removesuffix("ChildFailedError").startswith(module.removesuffix("ChildFailedError"))
    yield "child-failed", f"{module}: {ChildFailedError('save.py', {1: died})}"
    yield "child-failed", f"ChildFailedError: {ChildFailedError('save.py', {1: died})}"
    yield "child-failed", str(ChildFailedError("save.py", {1: died}))
    yield (
        "closing-signal",
        "W1123 09:14:02.1 71 torch/distributed/elastic/multiprocessing/api.py:1010] Sending "
        "process 72 closing signal SIGTERM",
    )
    yield "terminate-called", "terminate called without an active exception\nFatal Python error"
    yield (
        "group-not-destroyed",
        "[rank0]:[W1123 ProcessGroupNCCL.cpp:1524] Warning: WARNING: destroy_process_group() was "
        "not called before program exit, which can leak resources.",
    )
    yield (
        "omp-threads",
        "Setting OMP_NUM_THREADS environment variable for each process to be 1 in default, to "
        "avoid your system being overloaded",
    )


def _in_a_group() -> Iterator[tuple[str, str]]:
    """Raise what needs a process group: of this process alone."""
    from torch.distributed.tensor import DeviceMesh, Replicate, distribute_tensor

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield "group-twice", error_of(dist.init_process_group, "gloo", store=dist.HashStore())
        mesh = DeviceMesh("cpu", [0])
        whole = distribute_tensor(torch.ones(2), mesh, [Replicate()])
        yield "mixed-dtensor", error_of(torch.add, whole, torch.ones(2))
        yield from _fsdp_refuses(mesh)
    finally:
        dist.destroy_process_group()
    dist.init_process_group("cuda:gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield "no-backend-for-device", error_of(dist.all_reduce, torch.ones(1))
        state = {"w": torch.ones(2)}
        yield "async-cpu-backend", error_of(dcp.async_save, state, checkpoint_id="/nowhere")
    finally:
        dist.destroy_process_group()


def _fsdp_refuses(mesh: Any) -> Iterator[tuple[str, str]]:
    """Let FSDP's first forward pass find what was done wrong before it."""
    from torch import nn
    from torch.distributed.fsdp import fully_shard

    def forward(device: str, *, apart: bool) -> None:
        with torch.device(device):
            model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
        model[1].weight = model[0].weight
        for layer in model if apart else ():
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)(torch.ones(1, 2))

    yield "tied-weights", error_of(forward, "cpu", apart=True)
    yield "still-on-meta", error_of(forward, "meta", apart=False)
    yield "still-on-meta", error_of(torch.ones(1, device="meta").cpu)


def _checkpoints(folder: Path, _: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    path = folder / "checkpoint"
    yield "assuming-single-process", told(dcp.save, {"w": torch.ones(4)}, checkpoint_id=path)
    yield "assuming-single-process", told(dcp.load, {"w": torch.ones(4)}, checkpoint_id=path)
    yield "overwriting", told(dcp.save, {"w": torch.ones(4)}, checkpoint_id=path, no_dist=True)

    def load(state: dict[str, Any], where: Path = path) -> None:
        dcp.load(state, checkpoint_id=where, no_dist=True)

    yield "metadata-none", error_of(load, {"w": torch.ones(4)}, folder / "empty")
    yield "missing-key", error_of(load, {"app.w": torch.ones(4)})
    for fqn in ("_orig_mod.w", "app.model._orig_mod.w", "module.w"):
        yield "wrapper-names", error_of(load, {fqn: torch.ones(4)})
    for fqn in ("optim.state.w.step", "app.optim.state.w.exp_avg", "o.state.w.momentum_buffer"):
        yield "optimizer-state-missing", error_of(load, {fqn: torch.ones(4)})
    yield "size-mismatch", error_of(load, {"w": torch.ones(3)})
    yield "checkpoint-exception", error_of(load, {"w": torch.ones(3)}).replace("ValueError", "X")
    raised = make_error("CheckpointException", "OSError: [Errno 5] Input/output error")
    yield "checkpoint-exception", failure(folder, RankRun(rank=0, exit_code=1, error=raised))
    yield from _bad_files(folder / "bad-files", load)
    writer = dcp.FileSystemWriter(path, overwrite=False)
    yield (
        "checkpoint-exists",
        error_of(dcp.save, {"w": torch.ones(4)}, storage_writer=writer, no_dist=True),
    )
    yield (
        "chunk-mismatch",
        "AssertionError: req MetadataIndex(fqn='t', offset=torch.Size([8, 0]), index=1) mismatch "
        "sizes torch.Size([8, 2]) vs torch.Size([4, 2])",
    )
    from torch.distributed.checkpoint.staging import DefaultStager

    if not torch.accelerator.is_available():
        yield "staging-without-gpu", error_of(DefaultStager)
        yield "staging-without-gpu", error_of(torch.accelerator.current_device_index)
    yield "global-plan", error_of(_bad_plan)
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR
    yield "initial-lr", error_of(scheduler, optimizer, step_size=1, last_epoch=3)
    torch.save(Path("x"), folder / "object.pt")
    yield "weights-only", error_of(torch.load, folder / "object.pt", weights_only=True)
    from dcp_tutor.checkpoints import open_checkpoint

    yield "no-checkpoint", error_of(open_checkpoint, folder / "nowhere")
    (folder / "hollow").mkdir()
    yield "no-checkpoint", error_of(open_checkpoint, folder / "hollow")
    (folder / "torn").mkdir()
    (folder / "torn" / "__0_0.distcp").write_bytes(b"1")
    yield "unfinished-save", error_of(open_checkpoint, folder / "torn")


def _bad_files(path: Path, load: Callable[..., None]) -> Iterator[tuple[str, str]]:
    """Cut off a data file, then take it away; write to a disk that is full."""
    dcp.save({"w": torch.ones(1000)}, checkpoint_id=path, no_dist=True)
    [file] = path.glob("*.distcp")
    file.write_bytes(file.read_bytes()[:2000])
    yield "data-file-damaged", error_of(load, {"w": torch.ones(1000)}, path)
    file.unlink()
    yield "data-file-missing", error_of(load, {"w": torch.ones(1000)}, path)
    if Path("/dev/full").exists():
        yield "write-failed", error_of(torch.save, torch.ones(10_000), "/dev/full")
    yield "write-failed", "PytorchStreamWriter failed writing file data/0: file write failed"


def _bad_plan() -> None:
    """Let DCP's own planner look at a plan that goes beyond its tensor."""
    import dataclasses

    from torch.distributed.checkpoint.default_planner import DefaultSavePlanner

    planner = DefaultSavePlanner()
    planner.set_up_planner({"w": torch.ones(4)}, is_coordinator=True)
    plan = planner.create_local_plan()
    item = plan.items[0]
    assert item.tensor_data is not None
    data = dataclasses.replace(item.tensor_data, size=torch.Size([2]))
    broken = dataclasses.replace(plan, items=[dataclasses.replace(item, tensor_data=data)])
    planner.create_global_plan([broken])


def _system(_: Path, __: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    import errno
    import os

    for code, number in (
        ("no-space", errno.ENOSPC),
        ("no-space", errno.EDQUOT),
        ("no-memory", errno.ENOMEM),
        ("too-many-files", errno.EMFILE),
    ):
        yield code, f"OSError: {OSError(number, os.strerror(number))}"
    yield "no-memory", error_of(torch.empty, 2**55)
    yield "no-module", error_of(__import__, "app_state")
    for magic in ("torchrun", "module"):
        yield "magic-unknown", f"UsageError: Cell magic `%%{magic}` not found."


@pytest.fixture(scope="session")
def torch_holds() -> Callable[[str], bool]:
    """Say whether some words stand in torch's compiled library."""
    library = next((Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*"))

    def holds(words: str) -> bool:
        with (
            library.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view,
        ):
            return view.find(words.encode()) >= 0

    return holds

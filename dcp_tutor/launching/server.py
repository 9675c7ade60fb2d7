"""The warm server: one process per notebook that has imported torch and waits to be forked.

It touches no device, starts no thread and keeps no state between launches. For each launch the
notebook sends one end of a channel; the server forks a supervisor for it and goes on waiting.
It ends when the notebook's process ends, and then takes that notebook's run folder with it.

    python -m dcp_tutor.launching.server CONTROL NOTEBOOK_PID RUN_FOLDER
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
from pathlib import Path

from dcp_tutor.wire.processes import die_with_parent, outlive_parent

# Set before torch is imported: torch then asks NVML whether there are GPUs, and does not
# initialise CUDA, which no forked process could use after that.
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")

PRELOADED = (
    "numpy.random",
    "fsspec",
    "torch",
    "torch.distributed.run",
    "torch.distributed.fsdp",
    "torch.distributed.checkpoint",
    "torch.distributed.checkpoint.state_dict",
    "torch.distributed.checkpoint.stateful",
    "torch.distributed.checkpoint.format_utils",
    "torch.distributed.tensor.parallel",
    "torch._dynamo",  # the first optimizer step and the first FSDP forward import these lazily
    "torch._inductor",
    "torch._numpy",
    "torch.testing",
    "torch.distributed.checkpoint._fsspec_filesystem",  # the first save imports these
    "torch.utils.serialization.config",
    "torch.distributed.elastic.rendezvous.c10d_rendezvous_backend",  # and torchrun's agent these
    "encodings.idna",
    "psutil",
    "dcp_tutor.launching.forking",
    "dcp_tutor.rank.__main__",
    "dcp_tutor.wire.values",
)
"""What the server imports: what the lessons' programs import, and what torch imports lazily."""


def main() -> None:
    """Import, say so, and fork a supervisor for each channel that arrives."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    notebook = int(sys.argv[2])
    # While it imports it cannot listen, so the system tells it of the notebook's end.
    die_with_parent()
    if os.getppid() != notebook:
        return
    for name in PRELOADED:
        importlib.import_module(name)
    # What is loaded now stays: the collector need not walk it, nor make each fork copy it.
    gc.collect()
    gc.freeze()
    # From here on the descriptor below tells of the notebook's end, also when this server was
    # started by one of its threads, whose end the signal would mistake for the notebook's.
    outlive_parent()
    with contextlib.suppress(OSError):
        control.sendall(b"r")
        _serve(control, notebook)
    from dcp_tutor.launching.folders import remove_forsaken, remove_orphan
    from dcp_tutor.launching.supervisor import is_gone

    if is_gone(notebook):
        remove_orphan(Path(sys.argv[3]))
        remove_forsaken()  # it may have made another one since


def _serve(control: socket.socket, notebook: int) -> None:
    """Fork a supervisor for each channel, until the notebook is gone."""
    woken, waker = socket.socketpair()
    for end in (woken, waker):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno())
    poll = select.poll()
    descriptors = (control.fileno(), woken.fileno(), os.pidfd_open(notebook))
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if descriptors[2] in ready:
            return
        if woken.fileno() in ready:
            woken.recv(4096)
            _reap()
        if control.fileno() in ready:
            data, channels, _, _ = socket.recv_fds(control, 1, 1)
            if not data:
                return
            for channel in channels:
                _fork_supervisor(channel, control)


def _fork_supervisor(channel: int, control: socket.socket) -> None:
    """Fork the process that sees one launch to its end."""
    if os.fork():
        os.close(channel)
        return
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()  # a signal to the server's session is none of this launch's business
        control.close()
        from dcp_tutor.launching.forking import run_torchrun
        from dcp_tutor.launching.supervisor import supervise

        supervise(socket.socket(fileno=channel), run_torchrun)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(0)


def _reap() -> None:
    """Collect supervisors that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    main()

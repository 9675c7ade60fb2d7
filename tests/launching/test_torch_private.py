"""The private names of torch and Python that the launcher leans on: this fails when they move.

Checked on torch 2.13.0, Python 3.11.
"""

from __future__ import annotations

import argparse
import atexit
import inspect
import subprocess
import threading
from pathlib import Path

import pytest
import torch
from torch.distributed import run
from torch.distributed.elastic.multiprocessing import subprocess_handler
from torch.distributed.elastic.rendezvous import dynamic_rendezvous


def parameters(function: object) -> list[str]:
    assert callable(function)
    return list(inspect.signature(function).parameters)


def test_the_one_seam() -> None:
    handler = subprocess_handler.SubprocessHandler
    assert parameters(handler._popen) == ["self", "args", "env"]
    source = inspect.getsource(handler)
    assert "self.proc: Popen = self._popen(args_str, env_vars)" in source
    assert "self._stdout = open(stdout" in source
    assert "self._stderr = open(stderr" in source
    assert "start_new_session" in inspect.getsource(handler._popen)


def test_what_torchs_agent_asks_of_a_process() -> None:
    """`ForkedRank` has these, and no more of `Popen`."""
    from torch.distributed.elastic.multiprocessing import api

    from dcp_tutor.launching.zygotes import ForkedRank

    source = inspect.getsource(api.SubprocessContext)
    used = {
        name
        for name in dir(subprocess.Popen)
        if not name.startswith("_") and f".proc.{name}" in source
    }
    used |= {name for name in ("pid", "returncode") if f".proc.{name}" in source}
    assert used
    assert used <= set(dir(ForkedRank(0)))
    assert parameters(ForkedRank.wait) == parameters(subprocess.Popen.wait)


def test_the_rendezvous_delay() -> None:
    assert parameters(dynamic_rendezvous._delay) == ["seconds"]
    assert "_delay(seconds=(0, 0.3))" in inspect.getsource(dynamic_rendezvous)


def test_the_two_stores_of_an_agent() -> None:
    """`loopback.py` replaces these two names; a third place would listen on all interfaces."""
    from torch.distributed.elastic.rendezvous import c10d_rendezvous_backend

    assert c10d_rendezvous_backend.TCPStore is torch.distributed.TCPStore
    assert "store = TCPStore(" in inspect.getsource(c10d_rendezvous_backend._create_tcp_store)
    made = inspect.getsource(dynamic_rendezvous.DynamicRendezvousHandler._create_tcp_store_server)
    assert "return dist.TCPStore(" in made
    assert "master_listen_fd: " in str(torch.distributed.TCPStore.__init__.__doc__)

    # The static backend is for launches on several machines, which must be reached.
    folder = Path(inspect.getfile(dynamic_rendezvous)).parent
    makers = {path.name for path in folder.glob("*.py") if "TCPStore(" in path.read_text()}
    assert makers == {
        "c10d_rendezvous_backend.py",
        "dynamic_rendezvous.py",
        "static_tcp_rendezvous.py",
        "__init__.py",  # in its documentation
    }


def test_torchruns_own_command_line() -> None:
    parser = run.get_args_parser()
    assert isinstance(parser, argparse.ArgumentParser)
    options = run.parse_args(["--nproc-per-node", "2", "-m", "dcp_tutor.rank", "p.py", "--x"])
    assert (options.nnodes, options.module, options.training_script) == (
        "1:1",
        True,
        "dcp_tutor.rank",
    )
    assert options.training_script_args == ["p.py", "--x"]
    _, command, arguments = run.config_from_args(options)
    assert list(arguments[:3]) == ["-u", "-m", "dcp_tutor.rank"]
    assert isinstance(command, str)
    assert parameters(run.determine_local_world_size) == ["nproc_per_node"]
    assert run.parse_min_max_nnodes("1:2") == (1, 2)
    assert "args" in parameters(run.main)


@pytest.mark.parametrize(
    ("variable", "flag", "value"),
    [
        ("PET_LOG_DIR", "log_dir", "/x"),
        ("PET_REDIRECTS", "redirects", "3"),
        ("PET_EVENT_LOG_HANDLER", "event_log_handler", "console"),
        ("PET_MONITOR_INTERVAL", "monitor_interval", 0.02),
        ("PET_LOCAL_ADDR", "local_addr", "127.0.0.1"),
    ],
)
def test_flags_are_taken_from_variables(
    monkeypatch: pytest.MonkeyPatch, variable: str, flag: str, value: object
) -> None:
    monkeypatch.setenv(variable, str(value))
    assert getattr(run.parse_args(["p.py"]), flag) == value


def test_what_a_rank_leans_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_DISTRIBUTED_DEBUG", "INFO")
    torch.distributed.set_debug_level_from_env()
    assert torch.distributed.get_debug_level() == torch.distributed.DebugLevel.INFO
    monkeypatch.delenv("TORCH_DISTRIBUTED_DEBUG")
    torch.distributed.set_debug_level_from_env()
    assert torch.distributed.get_debug_level() == torch.distributed.DebugLevel.OFF
    assert callable(torch.backends.mkl.is_available)
    assert parameters(threading._shutdown) == []
    assert callable(atexit._run_exitfuncs)
    assert parameters(threading.main_thread()._set_native_id) == []


def test_errors_of_several_ranks_are_gathered_under_a_known_name() -> None:
    from torch.distributed.checkpoint.api import CheckpointException, _wrap_exception

    gathered = CheckpointException("save", {1: _wrap_exception(OSError("full"))})
    assert isinstance(gathered.failures[1][0], OSError)
    assert not isinstance(gathered, Exception)  # so it leaves no error file of torchrun's

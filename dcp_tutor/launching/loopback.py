"""torchrun whose stores listen on loopback: `python -m dcp_tutor.launching.loopback FLAGS ...`.

torchrun's agent hosts two stores, one for the rendezvous and one that ranks meet in. torch lets
them listen on all interfaces: whoever reaches the machine could read and write the keys of a
launch. torch has no flag against it, but its store takes a socket that is bound already
(`master_listen_fd`), so here it gets one that is bound to 127.0.0.1. Nothing else is changed.

Not confined: the store of a launch with `--max-restarts`, which rank 0 itself hosts, and launches
on several machines, which must be reached.

Torch's private names that are used here, checked on torch 2.13.0: `TCPStore` in
`c10d_rendezvous_backend`, and `dist.TCPStore` as `dynamic_rendezvous` finds it.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

_HERE = ("localhost", "127.0.0.1")


def confine_stores() -> None:
    """Let stores of this process listen on loopback only, where that is where they are sought."""
    import torch.distributed as dist
    from torch.distributed.elastic.rendezvous import c10d_rendezvous_backend

    store: Any = dist.TCPStore

    def confined(host_name: str, port: int, is_master: bool = False, **how: Any) -> Any:
        if not is_master or host_name not in _HERE:
            return store(host_name, port, is_master=is_master, **how)
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:  # taken: torch says so in its own words
            listener.close()
            return store(host_name, port, is_master=is_master, **how)
        port = listener.getsockname()[1]
        descriptor = listener.detach()  # the store closes it
        return store("127.0.0.1", port, is_master=True, master_listen_fd=descriptor, **how)

    dist.TCPStore = confined  # type: ignore[misc, assignment]
    c10d_rendezvous_backend.TCPStore = confined  # type: ignore[misc, assignment]


def main() -> None:
    """Be torchrun."""
    from torch.distributed import run

    confine_stores()
    run.main(sys.argv[1:])


if __name__ == "__main__":
    main()

"""dcp-tutor: learn PyTorch Distributed Checkpoint with real ranks on your own machine."""

from __future__ import annotations

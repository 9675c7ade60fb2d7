"""The private name of torch that values lean on, behind one door.

Checked on torch 2.13.0: `tests/launching/test_values.py` fails when it moves.
Source: `torch/distributed/_functional_collectives.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import torch

CHECKED_ON = "2.13.0"


def waited(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor that stands behind a functional collective's result, waiting for it.

    `RowwiseParallel`, `DTensor.redistribute` and the like return an `AsyncCollectiveTensor`: a
    wrapper that waits for its collective when it is first computed with. Any other tensor comes
    back as it is.

    Example:
        >>> import torch
        >>> waited(torch.tensor([1, 2]))
        tensor([1, 2])

    """
    from torch.distributed._functional_collectives import AsyncCollectiveTensor

    if isinstance(tensor, AsyncCollectiveTensor):
        return cast("torch.Tensor", tensor.trigger_wait())  # type: ignore[no-untyped-call]
    return tensor

"""Values that cross between notebook and ranks: tensors and plain containers, nothing else.

They travel through `torch.save` and come back through `torch.load(weights_only=True)`, so that
reading a value never runs code. `torch.save` writes more than that load reads back (numpy
arrays, named tuples, dataclasses, ...), therefore the writer reads its own file at once: what
will not cross is named where it can be mended.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dcp_tutor.wire.torch_private import waited


class CannotCross(ValueError):
    """A value cannot cross. The message names it and says what to write instead."""


def write_values(values: Mapping[str, Any], path: Path) -> None:
    """Write named values to `path`.

    Tensors go to the CPU, and a view takes only its own elements with it, not the storage
    behind it; a collective's result that is still on its way (`AsyncCollectiveTensor`) is waited
    for. A path at the top becomes its string.

    Raises:
        CannotCross: naming the value that cannot, and what to write instead.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp()) / "values.pt"
        >>> write_values({"row": torch.arange(6.0).view(2, 3)[0]}, path)
        >>> read_values(path)
        {'row': tensor([0., 1., 2.])}

    """
    import torch

    portable = {name: _portable(name, value) for name, value in values.items()}
    try:
        torch.save(portable, path)
        read_values(path)
    except Exception:  # a full disk, or a value: each object refuses to be written in its own way
        path.unlink(missing_ok=True)
        for name, value in portable.items():
            if not _crosses(value):
                raise CannotCross(_advice(name, value)) from None
        raise


def read_values(path: Path) -> Any:
    """Read what `write_values` wrote. Runs no code from the file."""
    import torch

    return torch.load(path, weights_only=True)


def _portable(name: str, value: Any) -> Any:
    """Return `value` with each tensor on the CPU and in a storage of its own size."""
    import torch
    from torch.distributed.tensor import DTensor

    if isinstance(value, DTensor):
        raise CannotCross(
            f"`{name}` is a DTensor: each rank holds only its shard of it. "
            f"Write `{name}.full_tensor()` for the whole (every rank must call it), "
            f"or `{name}.to_local()` for this rank's shard."
        )
    if isinstance(value, torch.Tensor):
        tensor = waited(value).detach().cpu()
        whole_storage = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        return tensor if whole_storage else tensor.clone()
    if isinstance(value, Path):
        return str(value)
    # Exactly these types: a subclass (defaultdict, namedtuple) is not what would come back.
    if type(value) is dict:
        return {key: _portable(f"{name}[{key!r}]", item) for key, item in value.items()}
    if type(value) is list or type(value) is tuple:
        return type(value)(_portable(f"{name}[{i}]", item) for i, item in enumerate(value))
    return value


def _advice(name: str, value: Any) -> str:
    """Say what cannot cross, and what to write instead."""
    path, culprit = _find_culprit(name, value)
    kind = type(culprit)
    module = kind.__module__.partition(".")[0]
    if module == "numpy":
        instead = f"torch.as_tensor({path})" if hasattr(culprit, "__len__") else f"{path}.item()"
    elif isinstance(culprit, range | set | frozenset):
        instead = f"list({path})"
    elif isinstance(culprit, tuple):
        instead = f"tuple({path})"
    elif isinstance(culprit, dict):
        instead = f"dict({path})"
    elif hasattr(culprit, "__dataclass_fields__"):
        instead = f"dataclasses.asdict({path})"
    elif hasattr(culprit, "state_dict"):
        instead = f"{path}.state_dict()"
    elif hasattr(culprit, "value") and hasattr(culprit, "name"):
        instead = f"{path}.value"
    else:
        instead = f"str({path})"
    return (
        f"`{path}` is a {kind.__module__}.{kind.__qualname__}, which cannot cross between notebook "
        f"and ranks: only tensors, numbers, strings, None, and lists, tuples and dicts of them. "
        f"Write `{instead}`."
    )


def _find_culprit(name: str, value: Any) -> tuple[str, Any]:
    """Descend to the innermost part that cannot cross."""
    items: list[tuple[str, Any]] = []
    if type(value) is dict:
        items = [(f"{name}[{key!r}]", item) for key, item in value.items()]
    elif type(value) in (list, tuple):
        items = [(f"{name}[{i}]", item) for i, item in enumerate(value)]
    for path, item in items:
        if not _crosses(item):
            return _find_culprit(path, item)
    return name, value


def _crosses(value: Any) -> bool:
    """Say whether a value can be written and read back."""
    import torch

    buffer = io.BytesIO()
    try:
        torch.save(value, buffer)
        buffer.seek(0)
        torch.load(buffer, weights_only=True)
    except Exception:  # whatever it is: this one cannot
        return False
    return True

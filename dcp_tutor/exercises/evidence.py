"""What an answer left behind: a `Run`'s values, a checkpoint's keys and values."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcp_tutor.exercises.verdict import not_yet
from dcp_tutor.launching.run import Run


@dataclass(frozen=True, slots=True)
class Stored:
    """The content of a checkpoint, read without ranks.

    Attributes:
        values: key → whole tensor, or other value.
        lumps: keys of objects of a class that is known only to the program that saved them.
        files: key → the data files that hold it, by the offset of their part.
        num_chunks: key → into how many pieces the tensor was cut.

    """

    values: dict[str, Any]
    lumps: tuple[str, ...]
    files: dict[str, list[str]]
    num_chunks: dict[str, int]


def is_blank(value: object) -> bool:
    """Say whether a value is what a blank leaves: `...`, None, or a container of those alone."""
    if value is None or value is ...:
        return True
    if isinstance(value, list | tuple):
        return all(map(is_blank, value))
    return isinstance(value, dict) and all(map(is_blank, value.values()))


def need_run(answer: object, variable: str) -> Run:
    """Return the answer if it is a `Run` whose files are still there."""
    how = (
        f"Run the cell with your program: `--run {variable}` in its first line puts the `Run` "
        f"into `{variable}`. Then run this cell again."
    )
    if is_blank(answer):
        raise not_yet(f"This check reads the `Run` of your program. {how}")
    if not isinstance(answer, Run):
        raise not_yet(
            f"This check reads the `Run` of your program, and was given a "
            f"`{type(answer).__name__}`. {how}"
        )
    if not answer.folder.is_dir():
        raise not_yet(
            f"The files of this `Run` are gone; they are removed at a notebook's end. {how}"
        )
    return answer


def need_outputs(run: Run, names: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values that came back, by name."""
    missing = [name for name in names if name not in run.outputs]
    if missing:
        raise not_yet(
            f"{_words(missing)} did not come back from the ranks. The first line of the cell must "
            f"ask for it: `-o {','.join(names)}`."
        )
    blank = [name for name in names if is_blank(run.outputs[name])]
    if blank:
        raise not_yet(
            f"The program ran to its end, but {_words(blank)} "
            f"{'are' if len(blank) > 1 else 'is'} still empty. Fill in the part marked TODO."
        )
    return {name: run.outputs[name] for name in names}


def need_folder(run: Run, name: str) -> Path:
    """Return the folder that the program was given with `-i`."""
    from dcp_tutor.wire.values import read_values

    path = run.folder / "inputs.pt"
    inputs = read_values(path) if path.exists() else {}
    if not isinstance(inputs.get(name), str):
        raise not_yet(
            f"Your program was not given the notebook's `{name}`, so this check does not know "
            f"which checkpoint to look at. Write `-i {name}` in the first line of the cell."
        )
    return Path(inputs[name])


def is_saved_by(run: Run, folder: Path) -> bool:
    """Say whether the checkpoint in `folder` was written by this launch, and not before it."""
    committed = folder / ".metadata"
    # What went to the ranks was written before they started.
    return (
        committed.exists()
        and committed.stat().st_mtime_ns >= (run.folder / "inputs.pt").stat().st_mtime_ns
    )


def read_stored(folder: Path) -> Stored | None:
    """Read a whole checkpoint, without ranks; None where there is none.

    Example:
        >>> import tempfile, torch.distributed.checkpoint as dcp
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = dcp.save({"step": 3}, checkpoint_id=folder, no_dist=True)
        >>> read_stored(folder).values
        {'step': 3}

    """
    import torch
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata

    if not (folder / ".metadata").exists():
        return None
    metadata = dcp.FileSystemReader(folder).read_metadata()
    values: dict[str, Any] = {}
    num_chunks = {}
    for key, entry in metadata.state_dict_metadata.items():
        values[key], num_chunks[key] = None, 1
        if isinstance(entry, TensorStorageMetadata):
            values[key] = torch.empty(entry.size, dtype=entry.properties.dtype)
            num_chunks[key] = len(entry.chunks)
    parts = sorted(
        (index.fqn, tuple(index.offset or ()), info.relative_path)
        for index, info in metadata.storage_data.items()
    )
    files: dict[str, list[str]] = {}
    for key, _, file in parts:
        files.setdefault(key, []).append(file)
    tensors = {key: value for key, value in values.items() if value is not None}
    lumps = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no ranks take part is on purpose
        if tensors:
            dcp.load(tensors, checkpoint_id=folder, no_dist=True)
        for key in values.keys() - tensors.keys():
            value = {key: None}
            try:
                dcp.load(value, checkpoint_id=folder, no_dist=True)
            except dcp.CheckpointException:
                lumps.append(key)
            values[key] = value[key]
    return Stored(values, tuple(sorted(lumps)), files, num_chunks)


def read_saved(run: Run, folder: Path) -> Stored | None:
    """Read the checkpoint in `folder` if this launch wrote it; None where it wrote none."""
    return read_stored(folder) if is_saved_by(run, folder) else None


def plain(value: Any) -> Any:
    """Return a number for a tensor, list or dict with a single element, else the value itself.

    Example:
        >>> import torch
        >>> plain(torch.tensor([3])), plain([[4]]), plain([1, 2])
        (3, 4, [1, 2])

    """
    import torch

    if isinstance(value, torch.Tensor):
        return value.item() if value.numel() == 1 else value
    if isinstance(value, list | tuple) and len(value) == 1:
        return plain(value[0])
    return value


def flat_tensors(state: object, path: str = "") -> dict[str, Any]:
    """Return the tensors of a nested dict under the keys that DCP gives them.

    Example:
        >>> import torch
        >>> flat_tensors({"model": {"bias": torch.zeros(1)}, "step": 3}, "app")
        {'app.model.bias': tensor([0.])}

    """
    import torch

    if isinstance(state, torch.Tensor):
        return {path: state}
    found: dict[str, Any] = {}
    if isinstance(state, dict):
        for key, value in state.items():
            found |= flat_tensors(value, f"{path}.{key}" if path else str(key))
    return found


def same(one: object, other: object) -> bool:
    """Say whether two values are equal, tensors bit for bit.

    Example:
        >>> import torch
        >>> same(torch.ones(2), torch.ones(2)), same(torch.ones(2), torch.ones(1)), same(3, 3)
        (True, False, True)

    """
    import torch

    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, torch.Tensor) or isinstance(other, torch.Tensor):
        return False
    return bool(one == other)


def _words(names: Sequence[str]) -> str:
    """Return names as `a`, `b` and `c`."""
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)

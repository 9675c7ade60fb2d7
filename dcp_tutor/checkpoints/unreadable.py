"""Why a path is no DCP checkpoint, in words that say what it is instead and what to type."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from dcp_tutor.checkpoints.storage import File, Folder
from dcp_tutor.checkpoints.torch_private import (
    DATA_FILE,
    METADATA_FILE,
    METADATA_TEMPORARY,
    RANK_METADATA_FILE,
)

_MOST_NAMES = 3


def why_unreadable(folder: Folder, files: Mapping[str, File]) -> str:
    """Explain a folder that has no metadata file.

    Args:
        folder: where we looked.
        files: what lies there.

    Returns:
        One or two sentences, beginning with the path.

    """
    kind = folder.kind()
    if kind == "missing":
        return f"{folder.url}: there is nothing at this path"
    if kind != "directory":
        return f"{folder.url}: {_why_file(folder.url)}"
    data = [name for name in files if DATA_FILE.fullmatch(name)]
    unfinished = [
        name
        for name in files
        if name == METADATA_TEMPORARY or ((m := RANK_METADATA_FILE.fullmatch(name)) and m[2])
    ]
    if data or unfinished:
        return (
            f"{folder.url}: an unfinished save: {_count(data)} but no {METADATA_FILE}"
            f"{', only ' + unfinished[0] if unfinished else ''}. DCP writes {METADATA_FILE} last, "
            f"so the save died before its end, or still runs; nothing of it can be loaded"
        )
    if any(name.endswith(".safetensors") for name in files):
        return (
            f"{folder.url}: a Hugging Face checkpoint ({_some(files, '.safetensors')}), not one of "
            f"DCP's; read it with safetensors.safe_open or torch's HuggingFaceStorageReader"
        )
    inner = [name for name in folder.folders() if folder.has(name, METADATA_FILE)]
    if inner:
        steps = sorted(inner, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])
        return (
            f"{folder.url}: no {METADATA_FILE} here, but in {_few(steps)}; "
            f"try {posixpath.join(folder.url, steps[-1])}"
        )
    if not files and not folder.folders():
        return f"{folder.url}: an empty folder, no DCP checkpoint"
    held = _few(sorted([*files, *(f"{name}/" for name in folder.folders())]))
    return f"{folder.url}: no DCP checkpoint: it has no {METADATA_FILE}, only {held}"


def _why_file(url: str) -> str:
    name = posixpath.basename(url)
    if name == METADATA_FILE or name.endswith((".distcp", ".metadata")):
        return f"a file of a checkpoint; give its folder: {posixpath.dirname(url) or '.'}"
    if name.endswith((".pt", ".pth", ".bin", ".ckpt")):
        return (
            "a single file, as torch.save writes; read it with torch.load(..., weights_only=True)"
        )
    if name.endswith(".safetensors"):
        return "a Hugging Face safetensors file; read it with safetensors.safe_open"
    return "a file, where the folder of a DCP checkpoint is wanted"


def _count(data: list[str]) -> str:
    return f"{len(data)} data file{'' if len(data) == 1 else 's'}"


def _some(files: Mapping[str, File], ending: str) -> str:
    return _few([name for name in files if name.endswith(ending)])


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return shown + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")

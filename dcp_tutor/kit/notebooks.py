"""Finding notebooks: by path, or by a lesson's name."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from dcp_tutor.errors import UsageError


def find_notebooks(names: Sequence[str] = ()) -> list[Path]:
    """Return the notebooks that are meant, each once and absolute; without names all lessons.

    Args:
        names: paths, or lessons' names: `01_first_checkpoint`, `01` or `1`.

    Raises:
        UsageError: a name fits none or several; the message lists the lessons.

    Example:
        >>> find_notebooks(["01"])  # doctest: +SKIP
        [PosixPath('/home/me/dcp-tutor/notebooks/01_first_checkpoint.ipynb')]

    """
    if names:
        return list(dict.fromkeys(_find(name) for name in names))
    folder = notebooks_folder()
    if folder is None:
        raise UsageError(
            f"no lessons were found: neither {Path.cwd()} nor the place that dcp-tutor is "
            f"installed from has a folder `notebooks` with notebooks in it. Go to the repository "
            f"(`cd dcp-tutor`) or name notebooks by their paths."
        )
    return _lessons(folder)


def notebooks_folder() -> Path | None:
    """Return the folder of the lessons, or None.

    The current folder comes first, so that a clone's own lessons win over an installed kit's.
    """
    here = Path.cwd()
    repository = Path(__file__).resolve().parents[2]
    candidates = [here] if here.name == "notebooks" else []
    candidates += [here / "notebooks", repository / "notebooks"]
    return next((place for place in candidates if place.is_dir() and _lessons(place)), None)


def _lessons(folder: Path) -> list[Path]:
    return sorted(path.absolute() for path in folder.glob("*.ipynb"))


def _find(name: str) -> Path:
    """Return the notebook called `name`."""
    path = Path(name)
    if path.is_file():
        if path.suffix != ".ipynb":
            raise UsageError(f"{name} is not a notebook: its name does not end in .ipynb.")
        return path.absolute()
    folder = notebooks_folder()
    lessons = _lessons(folder) if folder is not None else []
    stem = name.removesuffix(".ipynb")
    stem = stem.zfill(2) if stem.isdigit() else stem
    exact = [lesson for lesson in lessons if lesson.stem == stem]
    found = exact or [lesson for lesson in lessons if lesson.stem.startswith(f"{stem}_")]
    if len(found) == 1:
        return found[0]
    stems = [lesson.stem for lesson in found or lessons]
    problem = "fits several notebooks" if found else "is neither a file nor a lesson"
    if not stems:
        raise UsageError(
            f"notebook {name!r} {problem}, and there are no lessons here. Type the path of an "
            f"existing .ipynb file, or go to the kit's repository first."
        )
    guess = get_close_matches(stem, stems, n=1, cutoff=0.4) or stems[:1]
    raise UsageError(
        f"notebook {name!r} {problem}. Lessons: {', '.join(stems)}. "
        f"Type one of them, as in `{guess[0]}`, or the path of an .ipynb file."
    )

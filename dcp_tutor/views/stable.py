"""One line of stderr without what differs between machines and runs.

Warnings carry paths, C++ log lines carry times, sockets carry ports. A committed notebook that
showed them would change with every run, and four ranks that warn of one thing would not fold.
Only stderr is treated so: stdout is the learner's own and is never changed.
"""

from __future__ import annotations

import re
import site
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path

_LOG_PREFIX = re.compile(
    r"(?<!\w)(?:\[rank\d+\]:\s?)?"  # torch marks the rank; the view's own tag says it already
    r"\[?([VDIWEF])\d{4} \d\d:\d\d:\d\d(?:\.\d+)?\s+"  # level, month and day, time
    r"(?:\d+ )?"  # Python's loggers in torch add the process id
    r"(?:…/|[^\s\]]*/site-packages/)?"  # torch writes its own files relative to the cwd
    r"([^\s\]]+):\d+\]"  # file and line
)
_RANK_PREFIX = re.compile(r"^\[rank\d+\]: ?")
_TIMESTAMP = re.compile(
    r"\b\d{4}-\d\d-\d\d[ T_]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z\b|[+-]\d\d:?\d\d\b)?"
)
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")  # shorter ones are flags or error codes
_LOOPBACK = re.compile(
    r"(?<![\w.:])"
    r"(?:\[(?:::1|::ffff:127\.0\.0\.1|127\.0\.0\.1|localhost)\]|127\.0\.0\.1|localhost)"
    r":\d+\b"
)
_PORT = re.compile(r"((?<!\w)\[[\w.:%-]+\]|\b\d+\.\d+\.\d+\.\d+):\d{4,5}\b")
_PID = re.compile(r"\b(pid)(?:\s*[:=]\s*|\s+)\d+\b", re.IGNORECASE)


def stable(line: str, folder: Path | None = None) -> str:
    """Return `line` without times, addresses, ports, process ids and this machine's paths.

    Paths below `folder` become relative to it; paths of installed packages begin with `…/`.

    Example:
        >>> stable("[rank0]:[W1123 12:00:00.123 ProcessGroupGloo.cpp:99] 127.0.0.1:43211 is slow")
        '[W ProcessGroupGloo.cpp] 127.0.0.1:… is slow'

    Args:
        line: one line of a rank's stderr.
        folder: the run's folder.

    """
    line = _without_roots(line, folder)
    line = _LOG_PREFIX.sub(r"[\1 \2]", line)
    line = _RANK_PREFIX.sub("", line)
    line = _TIMESTAMP.sub("…", line)
    line = _ADDRESS.sub("0x…", line)
    line = _LOOPBACK.sub("127.0.0.1:…", line)
    line = _PORT.sub(r"\1:…", line)
    return _PID.sub(r"\1 …", line)


def _without_roots(line: str, folder: Path | None) -> str:
    pattern, names = _roots(folder)
    return pattern.sub(lambda found: names[found["root"]] if found["slash"] else "…", line)


@lru_cache(maxsize=16)
def _roots(folder: Path | None) -> tuple[re.Pattern[str], dict[str, str]]:
    """Return a pattern for the folders to shorten, and what stands for each with its slash."""
    paths = sysconfig.get_paths()
    installed = [paths[name] for name in ("purelib", "platlib", "stdlib", "platstdlib")]
    installed += [site.getusersitepackages(), sys.prefix, sys.base_prefix]
    installed.append(str(Path(__file__).parents[2]))  # a clone, where this package is not installed
    names = {root: "…/" for path in installed for root in _spellings(Path(path))}
    if folder is not None:
        names |= dict.fromkeys(_spellings(folder), "")
    # The longest first: site-packages lies inside the prefix, the run folder may as well.
    roots = sorted(names, key=lambda root: (-len(root), root))
    pattern = re.compile(
        r"(?<![\w./-])"  # not in the middle of a longer path
        f"(?P<root>{'|'.join(map(re.escape, roots))})"
        r"(?:(?P<slash>/)(?=\.*[^\s.,;:)'\"])|/?(?!\.?[\w-]))"  # something below it, or itself
    )
    return pattern, names


def _spellings(path: Path) -> list[str]:
    """Return a folder as it was named and as the system resolves it (macOS: /tmp is a link)."""
    absolute = path.absolute()
    both = dict.fromkeys((str(absolute), str(absolute.resolve())))
    return [spelling for spelling in both if spelling != absolute.anchor]

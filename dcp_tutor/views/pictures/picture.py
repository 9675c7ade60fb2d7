"""`Picture`: a drawing with its words."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Picture:
    """A drawing, the same facts as text, and one sentence on what is to be seen.

    As the last line of a notebook's cell it is shown. A page that cannot show it, a terminal, a
    screen reader or a diff takes the text.

    Attributes:
        svg: the drawing, complete in itself: opaque, without scripts, fetching nothing. Its style
            and its ids carry a hash of the content, so that many stand on one page.
        text: the same facts as an aligned table, with full names.
        alt: what is to be seen, in a sentence or two.

    Example:
        >>> picture = Picture(svg="<svg/>", text="rank  rows", alt="Two ranks.")
        >>> print(picture)
        rank  rows

    """

    svg: str = field(repr=False)
    text: str = field(repr=False)
    alt: str

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"image/svg+xml": self.svg, "text/plain": self.text}
        return data, {"image/svg+xml": {"alt": self.alt}}

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the drawing to a file, for a slide or an issue.

        Args:
            path: of the file; ".svg" is added where it has no ending.

        Returns:
            The path that was written.

        """
        target = Path(path)
        target = target if target.suffix else target.with_suffix(".svg")
        target.write_text(self.svg, encoding="utf-8")
        return target

"""`Explorer`: controls round a drawing in a notebook on a screen; elsewhere its still picture."""

from __future__ import annotations

from typing import Any

from dcp_tutor.views.pictures import Picture
from dcp_tutor.views.watching import attended_kernel


class Explorer:
    """What `explore_reshard` and `explore_checkpoint` return; as a cell's last line it is shown.

    A notebook on a screen gets the controls. papermill, nbval and nbconvert get the picture of
    the first state, which is also what a saved notebook shows on GitHub: the same on every run.

    Attributes:
        still: the picture of the first state.

    """

    still: Picture

    def __init__(self) -> None:
        self._widgets: Any = None

    @property
    def widgets(self) -> Any:
        """The controls and the drawing, as one ipywidget; made when first asked for."""
        if self._widgets is None:
            self._widgets = self._build()
        return self._widgets

    def _build(self) -> Any:
        raise NotImplementedError

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = self.still._repr_mimebundle_()
        bundle: dict[str, Any] = dict(data)
        if attended_kernel() is not None:
            shown: dict[str, Any] = self.widgets._repr_mimebundle_()
            bundle = {**shown, **bundle}
        return bundle, metadata

    def __str__(self) -> str:
        return str(self.still)

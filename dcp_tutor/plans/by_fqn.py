"""What the plans of a load and of a save have in common: they are mappings by fqn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, TypeVar

from dcp_tutor.checkpoints.unknown import entry_of


class _Planned(Protocol):
    @property
    def misplaced(self) -> tuple[int, ...]: ...


P = TypeVar("P", bound=_Planned)


class ByFqn(Mapping[str, P]):
    """A plan's tensors by fqn; a wrong one is told which are near."""

    _planned: dict[str, P]

    @property
    def misplaced(self) -> dict[str, tuple[int, ...]]:
        """Tensors that DCP stores or fills wrongly, with the ranks: see `Layout.misplaced`."""
        return {fqn: one.misplaced for fqn, one in self._planned.items() if one.misplaced}

    def __getitem__(self, fqn: str) -> P:
        return entry_of(self._planned, fqn, "the plan")

    def __iter__(self) -> Iterator[str]:
        return iter(self._planned)

    def __len__(self) -> int:
        return len(self._planned)

"""The layouts that an explorer's controls can say, as the text that `plan_load` takes."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = (
    ("FSDP", "fsdp", "each tensor cut over all ranks"),
    ("HSDP", "hsdp", "groups of ranks that hold the same, cut within a group"),
    ("FSDP + TP", "tp", "cut by FSDP, and by tensor parallelism along a second axis"),
    ("one process", "single", "whole tensors"),
    ("as written", "text", "any layout that plan_load takes"),
)
"""What is offered: its name, the word for it here, and what it means."""

MOST_RANKS = 4096


@dataclass(frozen=True, slots=True)
class Target:
    """What stands in the controls.

    Attributes:
        kind: one of `KINDS`.
        first: ranks along the only axis, or along the slower of two.
        second: ranks along the faster axis.
        dim: dimension that tensor parallelism shards.
        text: a layout in words, for the kind "text".

    """

    kind: str = "fsdp"
    first: int = 2
    second: int = 2
    dim: int = 0
    text: str = "fsdp=2"

    @property
    def layout(self) -> str:
        """The layout's text.

        Example:
            >>> Target("tp", 4, 2, dim=1).layout
            'fsdp=4,tp=2:Shard(1)'

        """
        return {
            "fsdp": f"fsdp={self.first}",
            "hsdp": f"replicate={self.first},shard={self.second}",
            "tp": f"fsdp={self.first},tp={self.second}:Shard({self.dim})",
            "single": "single",
        }.get(self.kind, self.text)

    @property
    def sizes(self) -> tuple[str, ...]:
        """The names of the sizes that this kind has.

        Example:
            >>> Target("hsdp").sizes
            ('replicate', 'shard')

        """
        return {"fsdp": ("fsdp",), "hsdp": ("replicate", "shard"), "tp": ("fsdp", "tp")}.get(
            self.kind, ()
        )

"""What runs inside a rank. A program may import one name from here: `span`.

`torchrun FLAGS -m dcp_tutor.rank PROGRAM` runs PROGRAM as `__main__`, just as
`torchrun FLAGS PROGRAM` would, and adds what a notebook needs: inputs and outputs, a report of
errors, the stack of a rank that hangs, the tie to the agent's death, and an orderly end.
"""

from __future__ import annotations

from dcp_tutor.rank.spans import span

__all__ = ["span"]

"""Messages about what `-i` and `-o` carry, and about a rank without a keyboard."""

from __future__ import annotations

from dcp_tutor.symptoms.symptom import Symptom

SYMPTOMS: tuple[Symptom, ...] = (
    Symptom(
        code="cannot-cross",
        says=(
            "<value> is a <type>, which cannot cross between notebook and ranks",
            "which cannot cross between notebook and ranks: only tensors, numbers, strings",
        ),
        source="dcp_tutor",
        cause="Notebook and ranks are separate processes. Only tensors and plain containers go "
        "from one to the other, so that reading them never runs code.",
        mend="Type what the message proposes, such as `dict(x)`, `x.item()` or "
        "`torch.as_tensor(x)`.",
    ),
    Symptom(
        code="dtensor-cannot-cross",
        says=("<value> is a DTensor: each rank holds only its shard of it",),
        source="dcp_tutor",
        cause="A DTensor belongs to its process group, which the notebook is not in.",
        mend="In the program set `whole = x.full_tensor()` (on every rank: it is a collective) or "
        "`shard = x.to_local()`, and bring that back: `-o whole`.",
    ),
    Symptom(
        code="output-never-set",
        says=("-o asks for <names>, which this rank's program never set",),
        source="dcp_tutor",
        cause="`-o` brings a global variable of the program back from every rank, and on this rank "
        "there was none of that name: misspelt, set inside a function, or under `if rank == 0`.",
        mend="Set it at the top level of the cell on every rank, to `None` where there is nothing.",
    ),
    Symptom(
        code="output-left-early",
        says=("-o asks for <names>, but rank <n> left the program before its end",),
        source="dcp_tutor",
        cause="Values are brought back when the program has come to its end, and this rank left "
        "before, with `sys.exit(0)` or `os._exit(0)`.",
        mend="Let the program run to its end on every rank; put the rest under an `if`.",
    ),
    Symptom(
        code="no-breakpoint",
        says=("A rank has no keyboard, so breakpoint() would wait for ever",),
        source="dcp_tutor",
        cause="Ranks run apart from the notebook, and nobody can type into them.",
        mend="Print what you want to see. For a debugger copy `run.command` into a terminal, with "
        "`--nproc-per-node 1`.",
    ),
    Symptom(
        code="no-input",
        says=("A rank has no keyboard, so input() has nothing to read", "EOF when reading a line"),
        source="dcp_tutor",
        cause="`input()` asks a keyboard, and a rank has none.",
        mend="Hand the value over: `-i answer` for a notebook variable, or words after `--`, which "
        "the program reads from `sys.argv`.",
    ),
)

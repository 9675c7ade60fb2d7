"""Messages before a rank starts: what was typed cannot be done, or not on this machine."""

from __future__ import annotations

from dcp_tutor.symptoms.symptom import Symptom

SYMPTOMS: tuple[Symptom, ...] = (
    Symptom(
        code="no-torchrun-flag",
        says=("<word> is no torchrun flag. The program is the cell itself",),
        source="dcp_tutor",
        cause="A word on the `%%torchrun` line is neither a flag nor a flag's value. torchrun "
        "would take it for the program, but here the cell is the program.",
        mend="Take the word away. If it is meant for the program, put it after `--`: "
        "`%%torchrun --nproc-per-node 2 -- word`.",
    ),
    Symptom(
        code="flag-taken",
        says=("<flag> is set by dcp_tutor itself; leave it out",),
        source="dcp_tutor",
        cause="The launcher needs this flag of torchrun's for its own work: it sends the logs to "
        "the launch's folder and starts the cell as the program.",
        mend="Leave the flag out. The message says what serves in its place, such as "
        "`run.folder` or `run.rank(0).stdout`.",
    ),
    Symptom(
        code="torchrun-line",
        says=("torchrun does not take this line: <reason>",),
        source="dcp_tutor",
        cause="torchrun's own parser refused the line: a flag is misspelt or abbreviated, lacks "
        "its value, or has one of the wrong kind.",
        mend="Compare with `!torchrun --help` (torchrun's flags) and `%%torchrun?` (this kit's). "
        "Flags are written in full: `--nproc-per-node 4`.",
    ),
    Symptom(
        code="nproc-no-number",
        says=("--nproc-per-node <value>: <reason> Give a number of ranks, as in",),
        source="dcp_tutor",
        cause="The value is no number and none of the words that torchrun knows, or it asks for "
        "one rank on each GPU where there is none.",
        mend="Type a number, as in `--nproc-per-node 4`. If it comes from a variable (`{ranks}`), "
        "print the variable.",
    ),
    Symptom(
        code="no-rank",
        says=("--nproc-per-node <n>: a launch needs at least one rank",),
        source="dcp_tutor",
        cause="The number of ranks is 0 or less.",
        mend="Type `--nproc-per-node 1` or more; if it comes from a variable, set that in the "
        "parameters cell.",
    ),
    Symptom(
        code="nnodes",
        says=("--nnodes <value>: give a number of machines",),
        source="dcp_tutor",
        cause="The value is no number of machines, 1 or more, and no range MIN:MAX in that order.",
        mend="On one machine leave `--nnodes` out. For several type `--nnodes 2` or "
        "`--nnodes 1:2`.",
    ),
    Symptom(
        code="too-few-gpus",
        says=("--device cuda with <n> ranks needs <n> GPUs, one for each",),
        source="dcp_tutor",
        cause="NCCL wants a GPU of its own for each rank, and this machine has fewer than ranks "
        "were asked for.",
        mend="Type `--device cpu`, or ask for as many ranks as there are GPUs. "
        "`DCP_TUTOR_MAX_RANKS=<GPUs>` makes whole lessons fit.",
    ),
    Symptom(
        code="unknown-device",
        says=("device <name> is unknown; it is one of <devices>",),
        source="dcp_tutor",
        cause="`--device`, `begin(device=...)` or `DCP_TUTOR_DEVICE` holds another word.",
        mend="Type `--device cpu`. If you typed no device, look at the variable: "
        "`echo $DCP_TUTOR_DEVICE`.",
    ),
    Symptom(
        code="max-ranks-no-number",
        says=("DCP_TUTOR_MAX_RANKS is <value>; it must be a number of ranks",),
        source="dcp_tutor",
        cause="The environment variable that limits ranks holds no whole number of 1 or more.",
        mend="Type `export DCP_TUTOR_MAX_RANKS=2` (or `unset DCP_TUTOR_MAX_RANKS`) before you "
        "start Jupyter; in a notebook `%env DCP_TUTOR_MAX_RANKS=2`.",
    ),
    Symptom(
        code="parameter-not-allowed",
        says=(
            "<parameter> = <value>: it must be <what>. Set it in the parameters cell, as in",
            "<parameter> = <value>: it must have an entry. Set it in the parameters cell, as in",
            "<parameter> = <value>: it takes <what>. Set it in the parameters cell, as in",
            "<parameter> = <value>: <entry> is no number. Set it in the parameters cell, as in",
        ),
        source="dcp_tutor",
        cause="A lesson's parameter is of another type, or outside of what the comment behind it "
        "in the parameters cell allows.",
        mend="Set it as the message says; from a terminal: `dcp-tutor run 05 -p half 10`.",
    ),
    Symptom(
        code="too-few-ranks",
        says=(
            "<n> at a time cannot show what ranks do to each other",
            "DCP_TUTOR_MAX_RANKS is <n>, and this notebook shows what ranks do to each other",
        ),
        source="dcp_tutor",
        cause="In this notebook ranks talk, or disagree. With fewer than the message names there "
        "is nothing to be seen.",
        mend="Raise the parameter. If `DCP_TUTOR_MAX_RANKS` holds it down: "
        "`unset DCP_TUTOR_MAX_RANKS` before you start Jupyter, and `-p device cpu` where there "
        "are too few GPUs.",
    ),
    Symptom(
        code="memory-for-ranks",
        says=("<n> ranks need about <n> GB of memory",),
        source="dcp_tutor",
        cause="Each rank is a process with torch in it. This machine (or container) has less free "
        "memory than so many would take, and the system would kill some of them.",
        mend="Type the number that the message allows, close other kernels (JupyterLab: Kernel, "
        "Shut Down All Kernels), or give the container more memory.",
    ),
    Symptom(
        code="cannot-write",
        says=("Cannot write below <folder>: <reason>. Programs, logs and checkpoints",),
        source="dcp_tutor",
        cause="The folder for this notebook's files cannot be written: it is read-only, full, or "
        "another user's.",
        mend="Set `DCP_TUTOR_RUNS` to a folder that you may write to, before the first cell: "
        "`%env DCP_TUTOR_RUNS=/path/with/room`. `df -h /tmp` shows whether the disk is full.",
    ),
    Symptom(
        code="program-file",
        says=("Cannot read the program <path>: <reason>. Give the path of a Python file",),
        source="dcp_tutor",
        cause="`launch(Path(...))` was given a path at which there is no file that can be read.",
        mend="Check the path with `path.resolve()`; it counts from the notebook's working "
        "directory. Source text is handed over as a string instead.",
    ),
    Symptom(
        code="program-syntax",
        says=("the program has a syntax error, so no rank was started",),
        source="dcp_tutor",
        cause="The cell is no valid Python; it is checked before any process starts. IPython's own "
        "syntax (`!command`, `%magic`) is not Python either, and ranks do not know it.",
        mend="Mend the line that the message shows, or the one before it: an open bracket is "
        "noticed late.",
    ),
    Symptom(
        code="program-unreadable",
        says=(
            "the program cannot be read, so no rank was started",
            "source code string cannot contain null bytes",
        ),
        source="dcp_tutor",
        cause="Python cannot read the source at all: it holds a null byte or half of a character, "
        "left by a bad copy or by an editor's wrong encoding.",
        mend="Type the cell anew, or save the file as UTF-8.",
    ),
    Symptom(
        code="timeout-no-number",
        says=("timeout <value> is not a number of seconds",),
        source="dcp_tutor",
        cause="`--timeout`, `launch(timeout=...)` or `DCP_TUTOR_TIMEOUT` holds no number of 0 or "
        "more.",
        mend="Type `--timeout 60`, or `--timeout 0` for none. If you typed no timeout, look at the "
        "variable: `echo $DCP_TUTOR_TIMEOUT`.",
    ),
    Symptom(
        code="undefined-in-line",
        says=("{<name>} in the line is not defined in this notebook",),
        source="dcp_tutor",
        cause="`{name}` on the `%%torchrun` line stands for a notebook variable, and there is none "
        "of that name yet. After a kernel restart all of them are gone.",
        mend="Run the cell that sets it (the parameters cell, near the top), then this one. "
        "In JupyterLab: Run, Run All Above Selected Cell.",
    ),
    Symptom(
        code="unreadable-line",
        says=("the line cannot be read: <reason>. Check its quotes",),
        source="dcp_tutor",
        cause="A quotation mark on the `%%torchrun` line has no partner.",
        mend="Close it, or put a backslash before an apostrophe: `-- --title it\\'s`.",
    ),
    Symptom(
        code="magic-flags",
        says=("Type `%%torchrun?` for the flags",),
        source="dcp_tutor",
        cause="One of this kit's own flags (`-i`, `-o`, `--name`, `--device`, `--timeout`, "
        "`--run`) lacks its value or has one that does not fit; the words before say which.",
        mend="Names are separated by commas without blanks: `-i model_dir,steps`. Type "
        "`%%torchrun?` for the flags.",
    ),
    Symptom(
        code="no-variable",
        says=("-i <name>: this notebook has no variable",),
        source="dcp_tutor",
        cause="`-i` hands notebook variables to the ranks, and this one does not exist (yet).",
        mend="Run the cell that sets it first, check its spelling, or leave it out of `-i`.",
    ),
    Symptom(
        code="module-syntax",
        says=("the module has a syntax error, so it was not written",),
        source="dcp_tutor",
        cause="The `%%module` cell is no valid Python; the module of an earlier run, if any, is "
        "unchanged.",
        mend="Mend the line that the message shows, or the one before it, and run the cell again.",
    ),
    Symptom(
        code="module-name",
        says=("%%module <name>: give a module name, as in", "give a module name, as in `%%module"),
        source="dcp_tutor",
        cause="After `%%module` stands no name, or one that Python cannot import: it has a dash, "
        "a dot or a blank, begins with a digit, or is a word of the language.",
        mend="Type a plain name without `.py`: `%%module app_state`.",
    ),
    Symptom(
        code="module-installed",
        says=("%%module <name>: a module of that name is installed",),
        source="dcp_tutor",
        cause="Programs would import your module where they mean the installed one, also from "
        "inside torch.",
        mend="Choose another name: `%%module my_<name>`.",
    ),
    Symptom(
        code="parameter-no-count",
        says=("<parameter> = <value>: a number of ranks is a whole number, 1 or more",),
        source="dcp_tutor",
        cause="A lesson's parameter that counts ranks is no whole number of 1 or more; text such "
        "as `'4'` does not count either.",
        mend="Set it in the parameters cell, as in `save_ranks = 2`; from a terminal: "
        "`dcp-tutor run 01 -p save_ranks 2`.",
    ),
    Symptom(
        code="rank-usage",
        says=("usage: torchrun FLAGS -m dcp_tutor.rank PROGRAM",),
        source="dcp_tutor",
        cause="`python -m dcp_tutor.rank` was started without a program. It is what torchrun "
        "starts on each rank.",
        mend="Copy a launch's whole command: `print(run.command)`.",
    ),
    Symptom(
        code="no-such-rank",
        says=("<name> has no rank <n> on this machine; it has",),
        source="dcp_tutor",
        cause="`run.rank(r)` was asked for a rank that this launch did not have. Ranks count from "
        "0, and `DCP_TUTOR_MAX_RANKS` may have made them fewer.",
        mend="Take one of the numbers that the message lists, or loop: `for rank in run.ranks:`.",
    ),
)

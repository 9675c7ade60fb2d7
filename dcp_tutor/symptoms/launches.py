"""Messages of a launch that did not end well, and notes beside one that did."""

from __future__ import annotations

from dcp_tutor.symptoms.symptom import Symptom

FAILURES: tuple[Symptom, ...] = (
    Symptom(
        code="rank-raised",
        says=("rank <n> of <n> raised <error>",),
        source="dcp_tutor",
        cause="A Python error ended this rank's program. It came first; torchrun then stopped the "
        "other ranks, or they lost their connection to it.",
        mend="Read the error's name and the line of the cell under it. To look closer, keep the "
        "run (`--run failed`) and print `failed.rank(1).stderr`.",
        general=True,
    ),
    Symptom(
        code="rank-sigkill",
        says=("was killed by SIGKILL (often: the machine ran out of memory)",),
        source="dcp_tutor",
        cause="The system ended this rank at once, and it could say nothing. As a rule the machine "
        "or the container had no memory left; else somebody typed `kill -9`.",
        mend="Use fewer ranks or a smaller model, and close other kernels. `dcp-tutor doctor` says "
        "how many ranks fit; `dmesg | grep -i oom` tells whether memory was the reason.",
    ),
    Symptom(
        code="rank-sigsegv",
        says=("was killed by SIGSEGV (a crash in native code)",),
        source="dcp_tutor",
        cause="Code that is not Python crashed: torch, another extension, or `ctypes`. The line in "
        "the message is where Python was then.",
        mend="Run it again with `--nproc-per-node 1` and `--cold`. If it crashes there too, the "
        "packages do not fit together: `make setup` installs those that were tested.",
    ),
    Symptom(
        code="rank-signal",
        says=("was killed by <signal>",),
        source="dcp_tutor",
        cause="A signal ended this rank. SIGABRT: torch or the C library gave up, its reason is in "
        "the last lines; SIGXCPU and SIGXFSZ: a limit of `ulimit`; SIGINT: an interrupt.",
        mend="Read the rank's last lines in the message, or all of them: `run.rank(r).stderr`.",
        general=True,
    ),
    Symptom(
        code="exit-status",
        says=("ended with exit status <n>",),
        source="dcp_tutor",
        cause="The program left with this status by itself: `sys.exit(n)`, `os._exit(n)`, or a "
        "library that ends the process. No Python error was raised.",
        mend="Look for exits in the program and read the rank's last lines. A program that ended "
        "well leaves with 0 or just comes to its end.",
    ),
    Symptom(
        code="silent-end",
        says=("ended the program in the middle with exit status 0",),
        source="dcp_tutor",
        cause="This rank left with `os._exit(0)` (or a library did) while others still waited for "
        "it, and they lost their connection. torchrun takes status 0 for success.",
        mend="Let every rank run to the end of the program; take `os._exit` away.",
    ),
    Symptom(
        code="rank-stopped",
        says=(
            "stopped by torchrun, or lost the connection, as a consequence",
            "was stopped by torchrun",
        ),
        source="dcp_tutor",
        cause="These ranks did nothing wrong: another failed, and without it they could not go on.",
        mend="Mend the rank that the first line names; these need nothing.",
        general=True,
    ),
    Symptom(
        code="rank-timeout",
        says=(
            "the launch was ended after <n> s, its timeout",
            "A rank that waits in a collective waits for ranks that never call it",
            "had not reached the program, or could not say where",
        ),
        source="dcp_tutor",
        cause="Ranks still ran when the time was over. As a rule they wait for each other: a "
        "collective (`all_reduce`, `barrier`, `dcp.save`, `full_tensor()`) that not every rank "
        "calls, often one under `if rank == 0`.",
        mend="Compare the lines of the ranks in the message, and let all of them make the same "
        "calls in the same order. If it is only slow: `--timeout 1200`, or `--timeout 0` for "
        "none.",
    ),
    Symptom(
        code="interrupted",
        says=("<name> was interrupted; all its ranks are ended",),
        source="dcp_tutor",
        cause="The cell was interrupted (the stop button, or Ctrl-C). Its ranks are ended; what "
        "they wrote is in the folder that the message names.",
        mend="Run the cell again when you like. If you stopped it because it hung, "
        "`--timeout 20` shows where each rank was.",
    ),
    Symptom(
        code="did-not-fail",
        says=("every rank of <name> ended well, and --expect-failure says that it must not",),
        source="dcp_tutor",
        cause="`--expect-failure` is for cells whose point is to fail, and this one worked. In a "
        "lesson: the cell was changed, or another number of ranks does not show the failure.",
        mend="Leave `--expect-failure` out if success is what you want; else put the cell back as "
        "it was (`git diff notebooks/`).",
    ),
    Symptom(
        code="supervisor-lost",
        says=("the launch was lost: its supervisor ended without a word",),
        source="dcp_tutor",
        cause="The process that watches over a launch was killed from outside, as a rule by the "
        "system because memory ran out. All the ranks went with it.",
        mend="Run the cell again; the launcher starts anew. If it happens again, use fewer ranks "
        "and type `dcp-tutor doctor`.",
    ),
    Symptom(
        code="torchrun-killed",
        says=("torchrun was killed by signal <n> while ranks ran",),
        source="dcp_tutor",
        cause="torchrun's agent was ended by a signal from outside: 9 is `kill -9` or the system "
        "out of memory, 15 a polite end.",
        mend="Run the cell again. If nobody sent the signal, use fewer ranks; `dmesg | grep -i "
        "oom` tells whether memory was the reason.",
    ),
    Symptom(
        code="torchrun-ended",
        says=("torchrun ended with exit status <n>, and no rank said why",),
        source="dcp_tutor",
        cause="torchrun failed by itself, before or beside the ranks: a flag's value that it "
        "cannot use, a rendezvous that does not come about, or a rank that could not start.",
        mend="Read what torchrun said last, in the message; all of it is in `agent.log` in the "
        "folder that it names. Leave torchrun's rarer flags out to see which one it is.",
        general=True,
    ),
    Symptom(
        code="left-a-collective",
        says=("ended the program while rank <n> was in a collective: every rank must call it",),
        source="dcp_tutor",
        cause="Some ranks came to their end while another still waited for them in a collective "
        "(`all_reduce`, `barrier`, `dcp.save`, `full_tensor()`), which every rank must call.",
        mend="Take that call out of its `if rank == 0`, or make it on all ranks and print on one.",
        cases=("one-rank-only",),
    ),
    Symptom(
        code="waits-for-threads",
        says=("and waited for its threads that are no daemons",),
        source="dcp_tutor",
        cause="The program had come to its end, and a thread that it started had not; Python waits "
        "for such threads.",
        mend="Let the thread end, or start it as `threading.Thread(..., daemon=True)`.",
    ),
    Symptom(
        code="launch-files-gone",
        says=("Files of this launch have been removed from its folder while ranks ran",),
        source="dcp_tutor",
        cause="The program, or somebody else, removed the launch's own folder: the ranks' reports "
        "and outputs were in it.",
        mend="Let the program remove only what it has made, such as its checkpoint's folder.",
    ),
    Symptom(
        code="launch-disk-full",
        says=("is full, so ranks could not write all that they had to say",),
        source="dcp_tutor",
        cause="The disk with the notebook's files has no room left; checkpoints are what fills it.",
        mend="Remove old runs (`df -h` shows the disk), or type "
        "`%env DCP_TUTOR_RUNS=/path/with/room` before the first cell.",
    ),
    Symptom(
        code="unwaited-save",
        says=(
            "an async_save that still ran at the end of the program",
            "may lack the shards of other ranks, for destroy_process_group() was called",
        ),
        source="dcp_tutor",
        cause="The program ended without waiting for its `async_save`, and that failed or lost its "
        "process group. The checkpoint may be unfinished.",
        mend="Keep the future (`saving = dcp.async_save(...)`) and call `saving.result()` before "
        "`dist.destroy_process_group()`.",
        cases=("async-teardown",),
    ),
)

NOTES: tuple[Symptom, ...] = (
    Symptom(
        code="cold-launch",
        says=(
            "dcp_tutor launches cold, which takes some seconds more: <reason>",
            "the warm server does not start: <reason>",
            "it was not ready after <n> s",
            "it ended with status <n>",
        ),
        source="dcp_tutor",
        cause="Ranks are forked from a server that has imported torch already, and that server "
        "cannot be had: it died (its last words follow the colon), is too slow, or there is "
        "too little memory. Results are the same, each launch just takes longer.",
        mend="Nothing needs to be done. To try again, restart the kernel; `dcp-tutor doctor` tells "
        "more, and `DCP_TUTOR_COLD=1` launches cold without asking.",
    ),
    Symptom(
        code="cold-not-linux",
        says=("warm launches need Linux, and this is <system>",),
        source="dcp_tutor",
        cause="Forking a process that has loaded torch is safe enough on Linux only.",
        mend="Nothing needs to be done: each launch takes some seconds more.",
    ),
    Symptom(
        code="fewer-ranks",
        says=(
            "(<n> ranks, not <n>: DCP_TUTOR_MAX_RANKS)",
            "DCP_TUTOR_MAX_RANKS=<n>: larger numbers become <n>",
        ),
        source="dcp_tutor",
        cause="`DCP_TUTOR_MAX_RANKS` is set and holds each launch to fewer ranks than the cell "
        "asks for. The lesson's numbers will differ from its text.",
        mend="Type `unset DCP_TUTOR_MAX_RANKS` before you start Jupyter, if this machine has "
        "memory (or GPUs) for all of them.",
    ),
    Symptom(
        code="device-chosen",
        says=("This notebook starts <how many>, on <where>",),
        source="dcp_tutor",
        cause="No error: the lesson says which device it chose for all its launches. It is the CPU "
        "unless there is a GPU for each rank.",
        mend="To have GPUs with fewer ranks: `DCP_TUTOR_DEVICE=cuda DCP_TUTOR_MAX_RANKS=<GPUs>`.",
    ),
    Symptom(
        code="files-removed",
        says=("Removed everything that this notebook wrote",),
        source="dcp_tutor",
        cause="No error: a lesson's last cell removes its checkpoints and logs.",
        mend="To keep them next time: `end(keep=True)` in the last cell, or `DCP_TUTOR_KEEP=1`.",
    ),
)

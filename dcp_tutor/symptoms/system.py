"""Messages of Python and of the system beneath."""

from __future__ import annotations

from dcp_tutor.symptoms.symptom import Symptom

SYMPTOMS: tuple[Symptom, ...] = (
    Symptom(
        code="no-space",
        says=("No space left on device", "Disk quota exceeded"),
        source="the system",
        cause="The disk that the program writes to is full; a container's `/tmp` and `/dev/shm` "
        "are often small.",
        mend="`df -h` shows which. Put the notebook's files elsewhere: "
        "`%env DCP_TUTOR_RUNS=/path/with/room`, before the first cell.",
    ),
    Symptom(
        code="no-memory",
        says=(
            "Cannot allocate memory",
            "DefaultCPUAllocator: can't allocate memory",
            "DefaultCPUAllocator: not enough memory",
            "Unable to allocate <size> for an array",
            "MemoryError",
        ),
        source="the system",
        cause="There is no memory left for this, or a limit (`ulimit -v`, the container's) forbids "
        "more.",
        mend="Use fewer ranks or a smaller model, and shut down other kernels. `dcp-tutor doctor` "
        "says how many ranks fit.",
    ),
    Symptom(
        code="too-many-files",
        says=("Too many open files",),
        source="the system",
        cause="A process has opened more files and connections than its limit allows.",
        mend="Type `ulimit -n 4096` in the terminal before you start Jupyter there.",
    ),
    Symptom(
        code="no-module",
        says=("No module named <name>",),
        source="Python",
        cause="A rank imports a module that it does not have. Ranks are processes of their own: a "
        "class of the notebook, or a file beside it, is not in their reach.",
        mend="Write your own code with `%%module NAME` in a cell above. For a package: "
        "`%pip install NAME`, then restart the kernel.",
    ),
    Symptom(
        code="magic-unknown",
        says=(
            "Cell magic `%%torchrun` not found",
            "Cell magic `%%module` not found",
        ),
        source="Python",
        cause="The kit's cell magics are not loaded in this kernel, as after each restart.",
        mend="Run `%load_ext dcp_tutor`, which stands in the notebook's first code cell.",
    ),
)

"""torch's messages about process groups, GPUs and tensors, and torchrun's own."""

from __future__ import annotations

from dcp_tutor.symptoms.symptom import Symptom

SYMPTOMS: tuple[Symptom, ...] = (
    Symptom(
        code="connection-closed",
        says=(
            "Connection closed by peer",
            "Connection reset by peer",
            "Connection closed by remote peer",
            "Broken pipe",
            "failed to recv, got 0 bytes",
            "recvValue failed on <address>",
            "sendBytes failed on <address>",
            "remote process exited or there was a network error",
            "NCCL communicator was aborted",
        ),
        source="torch",
        cause="Another rank went away while this one spoke with it. It is a consequence: the other "
        "rank failed, or came to its end without making a collective call that this one made.",
        mend="Look for the rank that raised something else, or that ended first. If none did, a "
        "collective is called on some ranks only: look for `if rank == 0`.",
        general=True,
        cases=("one-rank-only",),
    ),
    Symptom(
        code="left-while-connecting",
        says=(
            "Gloo connectFullMesh failed with <place> Connection closed by peer",
            "Gloo connectFullMesh failed with <place> Connection reset by peer",
        ),
        source="torch",
        cause="A rank left while others still connected: it failed, or its program ended (or "
        "destroyed its group) right after `init_process_group` or `init_device_mesh`, which do "
        "not wait for all ranks.",
        mend="Look for a rank that raised something else. If none did, type `dist.barrier()` "
        "before `dist.destroy_process_group()`, and before any rank leaves.",
        general=True,
    ),
    Symptom(
        code="full-mesh",
        says=("Gloo connectFullMesh failed with",),
        source="torch",
        cause="The ranks could not all connect when the process group was made: one of them went "
        "away at that moment, or the network interface that gloo chose does not lead there.",
        mend="Look for a rank that raised something else. Beyond this launcher, which sets it, "
        "name the interface: `export GLOO_SOCKET_IFNAME=lo`.",
        general=True,
    ),
    Symptom(
        code="address-in-use",
        says=("Address already in use", "EADDRINUSE"),
        source="torch",
        cause="The port that the ranks were to meet at belongs to another process: a fixed "
        "`--master-port` or `MASTER_PORT`, or an earlier torchrun that still runs.",
        mend="Leave `--master-port` out (this launcher then takes a free one), or in a terminal "
        "type `torchrun --standalone ...`. `ss -ltnp` shows who has the port.",
    ),
    Symptom(
        code="store-timeout",
        says=(
            "The client socket has timed out after <time> while trying to connect to",
            "wait timeout after <n>ms, keys:",
            "Socket Timeout",
        ),
        source="torch",
        cause="A rank waited for another at the store where all of them meet, and it never came: "
        "it failed before, or `WORLD_SIZE` promises more ranks than were started.",
        mend="Look for a rank that raised something else. Start all ranks with one torchrun, and "
        "set no `WORLD_SIZE` or `MASTER_ADDR` by hand.",
    ),
    Symptom(
        code="collective-timeout",
        says=(
            "Timed out waiting <n>ms for recv operation to complete",
            "Timed out waiting <n>ms for send operation to complete",
            "Watchdog caught collective operation timeout",
        ),
        source="torch",
        cause="A collective waited until torch's own timeout: not every rank called it, or they "
        "called them in different orders.",
        mend="Let all ranks make the same calls in the same order. A short `--timeout 20` shows at "
        "which line each rank waits.",
        cases=("one-rank-only",),
    ),
    Symptom(
        code="collective-mismatch",
        says=("Detected mismatch between collectives on ranks",),
        source="torch",
        cause="With `TORCH_DISTRIBUTED_DEBUG=DETAIL` torch compares what ranks call, and here they "
        "called different collectives, or one with different shapes.",
        mend="The message names both calls: make them the same on every rank.",
    ),
    Symptom(
        code="no-process-group",
        says=("Default process group has not been initialized",),
        source="torch",
        cause="A collective, a device mesh or DCP needs a process group, and the program made none "
        "(or has destroyed it already).",
        mend="Put `dist.init_process_group()` at the top of the program, and "
        "`dist.destroy_process_group()` at its very end.",
    ),
    Symptom(
        code="group-twice",
        says=("trying to initialize the default process group twice",),
        source="torch",
        cause="`init_process_group` was called a second time in one process. In a notebook cell "
        "without `%%torchrun` that happens when it is run again.",
        mend="Call it once, at the top of the program; in the notebook itself "
        "`if not dist.is_initialized():` before it.",
    ),
    Symptom(
        code="not-under-torchrun",
        says=("environment variable <name> expected, but not set",),
        source="torch",
        cause="The program runs without torchrun, which sets RANK, WORLD_SIZE, MASTER_ADDR and "
        "MASTER_PORT for every rank.",
        mend="Put `%%torchrun --nproc-per-node 2` on the cell's first line; in a terminal type "
        "`torchrun --standalone --nproc-per-node 2 program.py`.",
    ),
    Symptom(
        code="no-backend-for-device",
        says=("No backend type associated with device type <device>",),
        source="torch",
        cause="A collective got a tensor on a device for which the process group has no backend: a "
        "CPU tensor with NCCL alone, or a CUDA tensor with gloo alone.",
        mend="Move the tensor (`tensor.to(device)`), or name both backends: "
        "`dist.init_process_group('cpu:gloo,cuda:nccl')`.",
    ),
    Symptom(
        code="mixed-dtensor",
        says=("got mixed torch.Tensor and DTensor, need to convert all",),
        source="torch",
        cause="One operation got a plain tensor and a DTensor. As a rule one of a model's inputs, "
        "buffers or parameters was not sharded or distributed with the others.",
        mend="Make it a DTensor too (`distribute_tensor(x, mesh, [Replicate()])`), or work on the "
        "shard alone: `x.to_local()`.",
    ),
    Symptom(
        code="tied-weights",
        says=("is shared with a parameter already managed by another FSDP group",),
        source="torch",
        cause="Two modules share one weight, and `fully_shard` was called for each of them apart, "
        "which has made two weights of it.",
        mend="Shard them as one group, `fully_shard([model.embed, model.out])`, or let the call "
        "for the root take both.",
        cases=("untied",),
    ),
    Symptom(
        code="still-on-meta",
        says=(
            "FSDP parameters should be materialized from meta device before training",
            "Cannot copy out of meta tensor; no data!",
        ),
        source="torch",
        cause="The model was built on the meta device and never got memory. A load into it raises "
        "nothing: it fills new tensors of the state dict, and the module stays empty.",
        mend="`model.to_empty(device=...)` after `fully_shard` and before `dcp.load`.",
        cases=("meta-device",),
    ),
    Symptom(
        code="cuda-fork",
        says=("Cannot re-initialize CUDA in forked subprocess",),
        source="torch",
        cause="A process that had used CUDA was forked, and CUDA does not survive that: the "
        "program's own `multiprocessing`, or a DataLoader's workers that touch the GPU.",
        mend="Use the start method `spawn` in the program, and touch CUDA in the child only. If a "
        "bare cell does this, type `--cold` and tell us.",
    ),
    Symptom(
        code="duplicate-gpu",
        says=("Duplicate GPU detected : rank <n> and rank <n> both on CUDA device",),
        source="torch",
        cause="Two ranks use one GPU, and NCCL wants a GPU of its own for each. As a rule the "
        "program never chose its device, so that all ranks are on GPU 0.",
        mend="At the top of the program: `torch.cuda.set_device(int(os.environ['LOCAL_RANK']))`. "
        "With more ranks than GPUs use `--device cpu`.",
    ),
    Symptom(
        code="nccl-error",
        says=("NCCL error in: <place>", "ncclInvalidUsage", "ncclSystemError", "DistBackendError"),
        source="torch",
        cause="NCCL, which connects GPUs, failed; its reason stands under `Last error:`.",
        mend="Set `%env NCCL_DEBUG=WARN`, run the cell again and read the ranks' output. "
        "`--device cpu` runs the lesson without it.",
        general=True,
    ),
    Symptom(
        code="cuda-memory",
        says=("CUDA out of memory",),
        source="torch",
        cause="The GPU has no room for another tensor: other ranks, other kernels or a larger "
        "model hold it.",
        mend="Shut down other kernels that use the GPU (`nvidia-smi` lists them), take a smaller "
        "model, or type `--device cpu`.",
    ),
    Symptom(
        code="cuda-ordinal",
        says=("invalid device ordinal",),
        source="torch",
        cause="A rank asked for a GPU whose number does not exist: there are more ranks than GPUs, "
        "or `CUDA_VISIBLE_DEVICES` hides some.",
        mend="Ask for as many ranks as there are GPUs, or type `--device cpu`.",
    ),
    Symptom(
        code="no-cuda",
        says=(
            "Torch not compiled with CUDA enabled",
            "No CUDA GPUs are available",
            "Found no NVIDIA driver on your system",
        ),
        source="torch",
        cause="The program asks for CUDA, and there is none: torch was built without it, the "
        "machine has no GPU, or this launch runs on the CPU, where GPUs are hidden from ranks.",
        mend="Choose the device as the lessons do: `'cuda' if torch.cuda.is_available() else "
        "'cpu'`. For GPUs type `--device cuda`.",
    ),
    Symptom(
        code="child-failed",
        says=("ChildFailedError:", "Root Cause (first observed failure):"),
        source="torchrun",
        cause="torchrun says that a rank failed, and not why: the reason is in that rank's own "
        "traceback.",
        mend="Look for `Root Cause`, its rank and exit code, and read that rank's output: "
        "`run.rank(r).stderr`; in a terminal add `--redirects 3 --log-dir logs`.",
        general=True,
    ),
    Symptom(
        code="closing-signal",
        says=("Sending process <n> closing signal SIGTERM",),
        source="torchrun",
        cause="torchrun stops the ranks that still run because another failed.",
        mend="Mend the rank that failed first; these need nothing.",
        general=True,
    ),
    Symptom(
        code="terminate-called",
        says=("terminate called without an active exception",),
        source="torch",
        cause="Threads of torch's still ran while the interpreter was taken down, after the "
        "program's work was done. Launches of this kit end in a way that avoids it.",
        mend="In a program of your own: `dist.barrier(); dist.destroy_process_group()` at the end, "
        "and `.result()` on every future of `async_save` before.",
    ),
    Symptom(
        code="group-not-destroyed",
        says=("destroy_process_group() was not called before program exit",),
        source="torch",
        cause="A warning: the program ended with its process group still open.",
        mend="Put `dist.destroy_process_group()` at the very end of the program, after the last "
        "`async_save` has come to its `.result()`.",
    ),
    Symptom(
        code="omp-threads",
        says=("Setting OMP_NUM_THREADS environment variable for each process to be 1",),
        source="torchrun",
        cause="A note: several ranks share this machine's cores, so torchrun gives each of them "
        "one thread.",
        mend="Nothing needs to be done; `%env OMP_NUM_THREADS=2` gives each rank two.",
    ),
)

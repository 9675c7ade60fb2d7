"""A pickle machine that only ever builds inert data.

A pickle is a program for a small stack machine. Python's own machine, given `os.system` and an
argument, calls it. This one has no instruction that imports or calls anything: a global becomes
a `Global` (two names), an object becomes an `Object` (a global, its arguments, its state), and
what they mean is left to the reader (`structure.py`). So an unknown class costs nothing, and a
hostile file can do no more than lie.

Bounded on purpose:
    time     one pass, no instruction does more work than it has bytes or stack items.
    memory   at most one container per six bytes of file, so about 40 bytes of memory for each
             byte of file; memo numbers must follow each other (pickle writes them so), because
             one LONG_BINPUT of eight bytes makes Python's machine allocate gigabytes.
    hashing  a dict key is a string, a small number or an `Object` (hashed by identity), never
             a nested tuple, whose hash may take exponential time or overflow the C stack.

Opcodes: `pickletools` in the standard library describes them all; those that DCP's `.metadata`
never holds (protocol 0 text forms, extension registry, out-of-band buffers) are refused by name.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from struct import unpack_from
from typing import Any

from dcp_tutor.checkpoints.idioms import OBJECT, SPENT, Idioms
from dcp_tutor.checkpoints.inert import (
    KEYS,
    Global,
    Object,
    RefusedError,
    alias,
    as_text,
    counted,
    extend,
    line_at,
    refused,
    set_items,
)

_MAX_INT_BYTES = 8  # a tensor's sizes, offsets and byte counts are 64-bit numbers
_CONTAINER_PER_BYTES = 6
_FREE_CONTAINERS = 4096

_TOO_MANY = "more containers than a file of its size can fill"

_NAMES = {ord(op.code): op.name for op in pickletools.opcodes}


def run(
    data: bytes,
    on_global: Callable[[Global], None],
    *,
    aliases: frozenset[tuple[str, str]] = frozenset(),
    persistent_ids: bool = False,
) -> Any:
    """Run a pickle and return the inert value that it describes.

        run(pickle.dumps({"step": 3}), on_global=print)  # {'step': 3}

    Args:
        data: the whole pickle; what follows its STOP is not looked at, as in `pickle.load`.
        on_global: called once for each distinct global; raises `RefusedError` to stop the reading.
        aliases: (module, name) of classes whose `cls(value)` shall stand as `value` itself,
            when that is a tuple or a dict (`torch.Size`, `OrderedDict`).
        persistent_ids: admit BINPERSID, which torch's data files use for storages.

    Returns:
        Numbers, strings, bytes, None, tuples, lists, dicts, `Global` and `Object`. Sets come as
        lists, frozen sets as tuples.

    Raises:
        RefusedError: something in it was refused, or it is cut or malformed.

    """
    try:
        return _run(data, on_global, aliases, persistent_ids)
    except (IndexError, struct.error):
        message = "it ends in the middle of an instruction, or takes from an empty stack"
        raise RefusedError(message) from None


def _run(
    data: bytes,
    on_global: Callable[[Global], None],
    aliases: frozenset[tuple[str, str]],
    persistent_ids: bool,
) -> Any:
    # One function and one chain of comparisons, most frequent opcodes first: 39 million of them
    # stand in the metadata of 1,024 ranks x 723 tensors, and a call for each would take longer
    # than all the rest.
    stack: list[Any] = []
    marks: list[int] = []
    memo: list[Any] = []
    strings: dict[bytes, str] = {}
    globals_: dict[tuple[str, str], Global] = {}
    push, pop = stack.append, stack.pop
    budget = len(data) // _CONTAINER_PER_BYTES + _FREE_CONTAINERS
    # Dicts that became the state of an object. Pickle copies them then, so whoever would take one
    # from the memo could change it there without changing the object: no pickler writes that.
    spent: set[int] = set()
    size_class: Global | None = None
    idioms = Idioms(data, memo, strings)
    position = 0
    end = len(data)

    while True:
        op = data[position]
        position += 1
        if op == 0x94:  # MEMOIZE
            memo.append(stack[-1])
        elif op == 0x68 or op == 0x6A:  # BINGET, LONG_BINGET
            if op == 0x68:
                value = memo[data[position]]
                position += 1
            else:
                value = memo[unpack_from("<I", data, position)[0]]
                position += 4
            if value is SPENT or (type(value) is dict and id(value) in spent):
                raise refused(position, "an object's state, wanted a second time")
            if value is size_class and (phrase := idioms.size(position)):
                value, position = phrase
            push(value)
        elif op == 0x4B:  # BININT1
            push(data[position])
            position += 1
        elif op == 0x4D:  # BININT2
            push(data[position] | data[position + 1] << 8)
            position += 2
        elif op == 0x85:  # TUPLE1
            stack[-1] = (stack[-1],)
            budget -= 1
            if budget < 0:
                raise refused(position, _TOO_MANY)
        elif op == 0x52:  # REDUCE
            args = pop()
            cls = stack[-1]
            if type(args) is not tuple:
                raise refused(position, "a call whose arguments are no tuple")
            if type(cls) is Global and (cls.module, cls.name) in aliases:
                stack[-1] = alias(args, position)
            else:
                stack[-1] = Object(cls, args)
        elif op == 0x86:  # TUPLE2
            second = pop()
            stack[-1] = (stack[-1], second)
        elif op == 0x81:  # NEWOBJ
            args = pop()
            if type(args) is not tuple or type(stack[-1]) is not Global:
                raise refused(position, "an object whose class is no global")
            stack[-1] = Object(stack[-1], args)
        elif op == 0x29:  # EMPTY_TUPLE
            if data[position : position + 5] == OBJECT and type(stack[-1]) is Global:
                made = stack[-1] = Object(stack[-1], ())
                memo += (made, SPENT)
                position += 5
                if phrase := idioms.state(position):
                    made.state, position = phrase
                else:
                    push({})
                    memo[-1] = stack[-1]
                    marks.append(len(stack))
            else:
                push(())
        elif op == 0x7D:  # EMPTY_DICT
            push({})
            budget -= 1
            if budget < 0:
                raise refused(position, _TOO_MANY)
        elif op == 0x28:  # MARK
            marks.append(len(stack))
        elif op == 0x75:  # SETITEMS
            mark = marks.pop()
            items = stack[mark:]
            del stack[mark:]
            target, keys = stack[-1], items[::2]
            if type(target) is dict and KEYS.issuperset(map(type, keys)) and len(items) % 2 == 0:
                target.update(zip(keys, items[1::2]))  # noqa: B905 - lengths were compared
            else:
                set_items(target, keys, items[1::2], position)
        elif op == 0x62:  # BUILD
            state = pop()
            target = stack[-1]
            if type(target) is not Object or target.state is not None:
                raise refused(position, "a state for what is no object, or a second state")
            target.state = state
            spent.add(id(state))
        elif op == 0x8C:  # SHORT_BINUNICODE
            start = position + 1
            position = start + data[position]
            raw = data[start:position]
            text = strings.get(raw)
            push(as_text(raw, strings, start, position > end) if text is None else text)
        elif op == 0x4A:  # BININT
            push(unpack_from("<i", data, position)[0])
            position += 4
        elif op == 0x87:  # TUPLE3
            third, second = pop(), pop()
            stack[-1] = (stack[-1], second, third)
        elif op == 0x8A:  # LONG1
            start, position = counted(data, position, 1)
            if position - start > _MAX_INT_BYTES:
                raise refused(position, f"a number of {position - start} bytes")
            push(int.from_bytes(data[start:position], "little", signed=True))
        elif op == 0x74:  # TUPLE
            mark = marks.pop()
            stack[mark:] = [tuple(stack[mark:])]
        elif op == 0x89 or op == 0x88:  # NEWFALSE, NEWTRUE
            push(op == 0x88)
        elif op == 0x4E:  # NONE
            push(None)
        elif op == 0x5D or op == 0x8F:  # EMPTY_LIST, EMPTY_SET (kept as a list: no hashing)
            push([])
            budget -= 1
            if budget < 0:
                raise refused(position, _TOO_MANY)
        elif op == 0x65 or op == 0x90:  # APPENDS, ADDITEMS
            mark = marks.pop()
            items = stack[mark:]
            del stack[mark:]
            extend(stack[-1], items, position)
        elif op == 0x61:  # APPEND
            item = pop()
            extend(stack[-1], [item], position)
        elif op == 0x73:  # SETITEM
            value, key = pop(), pop()
            set_items(stack[-1], [key], [value], position)
        elif op == 0x95:  # FRAME
            position, _ = counted(data, position, 8)
        elif op == 0x80:  # PROTO
            if not 2 <= data[position] <= 5:
                raise refused(position, f"pickle protocol {data[position]}; 2 to 5 are known")
            position += 1
        elif op == 0x93 or op == 0x63:  # STACK_GLOBAL, GLOBAL
            if op == 0x93:
                name, module = pop(), pop()
            else:
                module, position = line_at(data, position)
                name, position = line_at(data, position)
            if type(name) is not str or type(module) is not str:
                raise refused(position, "a global whose name is no text")
            found = globals_.get((module, name))
            if found is None:
                found = globals_[(module, name)] = Global(module, name)
                on_global(found)
                if (module, name) == ("torch", "Size"):
                    size_class = idioms.size_class = found
            push(found)
        elif op == 0x58 or op == 0x8D:  # BINUNICODE, BINUNICODE8
            start, position = counted(data, position, 4 if op == 0x58 else 8)
            push(as_text(data[start:position], strings, start, False))
        elif op == 0x71 or op == 0x72:  # BINPUT, LONG_BINPUT
            width = 1 if op == 0x71 else 4
            number = int.from_bytes(data[position : position + width], "little")
            position += width
            if number != len(memo):
                raise refused(position, f"memo number {number} where {len(memo)} is next")
            memo.append(stack[-1])
        elif op == 0x43 or op == 0x42 or op == 0x8E:  # SHORT_BINBYTES, BINBYTES, BINBYTES8
            width = 1 if op == 0x43 else 4 if op == 0x42 else 8
            start, position = counted(data, position, width)
            push(data[start:position])
        elif op == 0x47:  # BINFLOAT
            push(unpack_from(">d", data, position)[0])
            position += 8
        elif op == 0x92:  # NEWOBJ_EX
            kwargs, args = pop(), pop()
            stack[-1] = Object(stack[-1], (args, kwargs))
        elif op == 0x91:  # FROZENSET
            mark = marks.pop()
            stack[mark:] = [tuple(stack[mark:])]
        elif op == 0x51 and persistent_ids:  # BINPERSID
            stack[-1] = Object(None, stack[-1])
        elif op == 0x30:  # POP
            pop()
        elif op == 0x31:  # POP_MARK
            del stack[marks.pop() :]
        elif op == 0x32:  # DUP
            push(stack[-1])
        elif op == 0x2E:  # STOP
            return pop()
        else:
            raise refused(position, f"the opcode {_NAMES.get(op, hex(op))}")

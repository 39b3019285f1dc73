"""Read foreign pickles without running them.

A pickle is a program for a small stack machine. Python's own machine imports and calls whatever the
program names; this one has no way to import or to call. It interprets the opcodes (as the standard
library's disassembler reports them) and builds plain values and inert records:

- lists, tuples, dicts, numbers, text and bytes as they are;
- `TensorRecord` and `Array` for tensors and numpy arrays, with their sizes still unbelieved;
- `StandIn` for an object of an admitted class: its name and its state, no behavior.

Names outside the tables below are refused, and so is calling anything but the few constructors that
weight files need. Steps and everything that is copied are charged to a `Meter`, so that a small
file cannot ask for much time or memory.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from likeness.errors import BundleError
from likeness.importers.constructors import CALLS, CLASSES, pairs
from likeness.importers.foreign_arrays import Array, DType
from likeness.importers.meter import Meter, plain, reason, refuse
from likeness.importers.records import Name, StandIn, StorageRecord

_ALIASES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
    "torch.storage.UntypedStorage": "torch.UntypedStorage",
}
_BITS = 128
"""Longest whole number: torch's own magic one has 77."""
_MEMO = 2**32
_NAME = 200


class _Mark:
    """Where a collection begins on the stack."""


_MARK = _Mark()
Persistent = Callable[[Any], StorageRecord | Name]
"""What becomes of a persistent id: torch files keep storages that way, old ones classes too."""


class Stream(Protocol):
    """Bytes in memory or mapped, which answer what there is when more is asked for."""

    def read(self, n: int = ..., /) -> bytes:
        """Return the next n bytes or fewer."""
        ...

    def readline(self) -> bytes:
        """Return the bytes up to the next line feed, or to the end."""
        ...

    def tell(self) -> int:
        """Return how many bytes were read."""
        ...


def no_persistent(pid: Any) -> StorageRecord | Name:
    """Refuse persistent ids, in pickles that are no part of a torch file."""
    raise refuse("refers to objects outside itself")


def unpickle(
    file: Stream, persistent: Persistent = no_persistent, meter: Meter | None = None
) -> Any:
    """Interpret one pickle and leave `file` behind its end.

    Args:
        file: at the first byte.
        persistent: what to put in the place of a persistent id.
        meter: the budget of the file that this is a part of.

    Raises:
        BundleError: the pickle is damaged, names or calls something that is not admitted, or asks
            for too many steps.
    """
    machine = _Machine(persistent, meter or Meter())
    try:
        for opcode, argument, _ in _opcodes(file):
            machine.meter.step()
            if opcode == "STOP":
                return machine.stack[-1]
            machine.obey(opcode, argument)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise BundleError(
            f"the file is no whole pickle ({reason(error)}); expected a checkpoint as its "
            "publisher wrote it: get it again"
        ) from error
    raise BundleError("the pickle ends early; get the file again")


def _opcodes(file: Stream) -> Iterator[tuple[str, Any, int | None]]:
    # It only reads: the methods of Stream are all that it needs.
    for opcode, argument, position in pickletools.genops(file):  # type: ignore[arg-type]
        yield opcode.name, argument, position


class _Machine:
    """The stack, the memo and one method per group of opcodes."""

    def __init__(self, persistent: Persistent, meter: Meter) -> None:
        self.meter = meter
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.persistent = persistent

    def obey(self, opcode: str, argument: Any) -> None:
        """Carry out one opcode."""
        if opcode in _CONSTANTS:
            if type(argument) is int and argument.bit_length() > _BITS:
                raise refuse("holds a whole number with too many digits")
            self.stack.append(argument if opcode in _LITERALS else _CONSTANTS[opcode]())
        elif opcode in _PUTS:
            self.remember(argument)
        elif opcode in _GETS:
            self.stack.append(self.memo[argument])
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME"):
            raise refuse(f"uses the pickle opcode {opcode}")

    def remember(self, key: int | None) -> None:
        """Keep the value on top under a number."""
        key = len(self.memo) if key is None else key
        # Long numbers can be chosen so that all of them collide, which makes a dict crawl.
        if not 0 <= key < _MEMO:
            raise refuse("keeps values under numbers beyond any use")
        self.memo[key] = self.stack[-1]

    def popped(self) -> list[Any]:
        """Take everything above the last mark, and the mark."""
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                return items
        raise ValueError("no mark")

    def tuple_of(self, count: int) -> None:
        """Join the last values."""
        if len(self.stack) < count:
            raise ValueError("stack is too short")
        values = tuple(self.stack[-count:])
        self.stack[-count:] = [values]

    def extend(self, items: list[Any]) -> None:
        """Append to the list on top."""
        top = self.stack[-1]
        if not isinstance(top, list):
            raise refuse("appends to what is no list")
        top.extend(items)

    def add(self, items: list[Any]) -> None:
        """Add to the set on top, which is kept as a list."""
        self.extend(items)

    def set_items(self, items: list[Any]) -> None:
        """Set pairs of the dict on top, or of a stand-in for a kind of dict."""
        top = self.stack[-1]
        target = top.state if isinstance(top, StandIn) else top
        if not isinstance(target, dict) or len(items) % 2:
            raise refuse("sets items of what is no dict")
        target.update(pairs(items))

    def name(self, module: Any, name: Any) -> None:
        """Push a name if it is admitted."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise refuse("names something without text")
        if len(module) + len(name) > _NAME:
            raise refuse("names something with more letters than any class has")
        text = f"{_ALIASES.get(module, module)}.{name}"
        text = _ALIASES.get(text, text)
        if text not in CALLS and not CLASSES.fullmatch(text):
            raise refuse(f"names {plain(text)}")
        self.stack.append(Name(text))

    def call(self, what: Any, arguments: Any) -> None:
        """Push what one of the known constructors would make."""
        if not isinstance(what, Name) or what.text not in CALLS:
            raise refuse(f"calls {what.text if isinstance(what, Name) else plain(what)}")
        if not isinstance(arguments, tuple):
            raise refuse("calls with something that is no tuple")
        self.meter.items(len(arguments))
        self.stack.append(CALLS[what.text](self.meter, *arguments))

    def make(self, what: Any) -> None:
        """Push an empty object of an admitted class."""
        if isinstance(what, Name) and what.text == "collections.OrderedDict":
            self.stack.append({})
            return
        if not isinstance(what, Name) or not CLASSES.fullmatch(what.text):
            named = plain(what.text) if isinstance(what, Name) else "something unnamed"
            raise refuse(f"makes an object of {named}")
        self.stack.append(StandIn(what.text))

    def build(self, state: Any) -> None:
        """Give the object on top its state; no method of it exists that could be called."""
        top = self.stack[-1]
        if isinstance(top, Array | DType):
            if isinstance(top, Array):
                self.meter.tensor()
            top.fill(state, self.meter)
            return
        if isinstance(top, dict):
            return  # attributes of an OrderedDict, such as a state dict's _metadata
        parts = state if isinstance(state, tuple) else (state,)
        if not isinstance(top, StandIn) or not all(isinstance(p, dict | None) for p in parts):
            raise refuse("gives a state to what has none")
        for part in parts:
            self.meter.entries(len(part or {}))
            top.state.update(part or {})

    def fetch(self, pid: Any) -> None:
        """Push what a persistent id stands for."""
        self.stack.append(self.persistent(pid))


def _new_object(machine: _Machine, count: int) -> None:
    """NEWOBJ and NEWOBJ_EX: class, arguments (and keywords); arguments are not looked at."""
    values = [machine.stack.pop() for _ in range(count)]
    machine.make(values[-1])


def _reduce(machine: _Machine) -> None:
    arguments = machine.stack.pop()
    machine.call(machine.stack.pop(), arguments)


_LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_CONSTANTS: dict[str, Callable[[], Any]] = {
    **dict.fromkeys(_LITERALS, object),
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "POP": lambda m, _: _drop(m.stack.pop()),
    "POP_MARK": lambda m, _: _drop(m.popped()),
    "DUP": lambda m, _: m.stack.append(m.stack[-1]),
    "APPEND": lambda m, _: m.extend([m.stack.pop()]),
    "APPENDS": lambda m, _: m.extend(m.popped()),
    "ADDITEMS": lambda m, _: m.add(m.popped()),
    "SETITEM": lambda m, _: m.set_items([m.stack.pop(-2), m.stack.pop()]),
    "SETITEMS": lambda m, _: m.set_items(m.popped()),
    "LIST": lambda m, _: m.stack.append(m.popped()),
    "FROZENSET": lambda m, _: m.stack.append(m.popped()),
    "DICT": lambda m, _: m.stack.append(pairs(m.popped())),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.popped())),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "GLOBAL": lambda m, text: m.name(*text.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.name(m.stack.pop(-2), m.stack.pop()),
    "REDUCE": lambda m, _: _reduce(m),
    "NEWOBJ": lambda m, _: _new_object(m, 2),
    "NEWOBJ_EX": lambda m, _: _new_object(m, 3),
    "BUILD": lambda m, _: m.build(m.stack.pop()),
    "PERSID": lambda m, text: m.fetch(text),
    "BINPERSID": lambda m, _: m.fetch(m.stack.pop()),
}


def _drop(_: Any) -> None:
    """Forget a value."""

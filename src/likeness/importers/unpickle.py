"""Read foreign pickles without running them.

A pickle is a program for a small stack machine. Python's own machine imports and calls whatever the
program names; this one has no way to import or to call. It interprets the opcodes (as the standard
library's disassembler reports them) and builds plain values and inert records:

- lists, tuples, dicts, numbers, text and bytes as they are;
- `TensorRecord` and `Array` for tensors and numpy arrays, with their sizes still unbelieved;
- `StandIn` for an object of an admitted class: its name and its state, no behavior.

Names outside the tables below are refused, and so is calling anything but the few constructors that
weight files need. The number of steps is limited, so that a small file cannot ask for much memory.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from likeness.errors import BundleError
from likeness.importers.foreign_arrays import Array, DType, are_sizes, array_of_buffer, scalar

STEPS = 10_000_000
"""Most opcodes that are obeyed; honest files stay far below."""

_CLASSES = re.compile(
    r"torch\.nn\.(modules(\.\w+)*|parallel\.data_parallel)\.[A-Z]\w*"
    r"|models(\.arcface_models)?\.(ResNet|IRBlock|SEBlock|Bottleneck|BasicBlock)"
    r"|(dnnlib(\.util)?\.EasyDict|argparse\.Namespace|collections\.defaultdict)"
    r"|torch\.(\w+Storage|device|Size|float16|float32|float64|bfloat16|u?int\d+|bool)"
    r"|numpy\.ndarray"
)
"""Classes that may be named: they become stand-ins, whatever the file says they should do."""

_ALIASES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
    "torch.storage.UntypedStorage": "torch.UntypedStorage",
}
_KEYS = (str, int, float, bool, bytes, type(None))
"""Types that may be keys: hashing anything nested could be made to exhaust the C stack."""


@dataclass(frozen=True, slots=True)
class Name:
    """Something importable that a file names; here only its name."""

    text: str


@dataclass(eq=False, slots=True)
class StandIn:
    """An object of a foreign class. Not frozen: a pickle makes it first and fills it later."""

    kind: str
    """Full name of its class."""
    state: dict[str, Any] = field(default_factory=dict)
    """Its attributes, or its items where it is a kind of dict."""


@dataclass(eq=False, slots=True)
class StorageRecord:
    """Where the numbers of tensors lie in the file."""

    kind: str
    """Name of the storage class, such as FloatStorage."""
    key: str
    count: int
    nested: bytes | None = None
    """A whole torch file inside the pickle, where the storage came that way."""


@dataclass(frozen=True, slots=True, eq=False)
class TensorRecord:
    """A view of a storage; nothing about it has been checked yet."""

    storage: StorageRecord
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


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


def refuse(what: str) -> BundleError:
    """Say that a file asks for more than weights need."""
    return BundleError(
        f"the file {what}; weights need nothing of the kind, so it is damaged or made to do harm: "
        "get it again from its publisher"
    )


def no_persistent(pid: Any) -> StorageRecord | Name:
    """Refuse persistent ids, in pickles that are no part of a torch file."""
    raise refuse("refers to objects outside itself")


def unpickle(file: Stream, persistent: Persistent = no_persistent) -> Any:
    """Interpret one pickle and leave `file` behind its end.

    Args:
        file: at the first byte.
        persistent: what to put in the place of a persistent id.

    Raises:
        BundleError: the pickle is damaged, names or calls something that is not admitted, or asks
            for too many steps.
    """
    machine = _Machine(persistent)
    try:
        for step, (opcode, argument, _) in enumerate(_opcodes(file)):
            if step >= STEPS:
                raise refuse(f"asks for more than {STEPS} steps")
            if opcode == "STOP":
                return machine.stack[-1]
            machine.obey(opcode, argument)
    except (ValueError, TypeError, LookupError, OverflowError, UnicodeError) as error:
        raise BundleError(
            f"the file is no whole pickle ({type(error).__name__}: {str(error)[:80]}); expected a "
            "checkpoint as its publisher wrote it: get it again"
        ) from error
    raise BundleError("the pickle ends early; get the file again")


def _opcodes(file: Stream) -> Iterator[tuple[str, Any, int | None]]:
    # It only reads: the methods of Stream are all that it needs.
    for opcode, argument, position in pickletools.genops(file):  # type: ignore[arg-type]
        yield opcode.name, argument, position


class _Machine:
    """The stack, the memo and one method per group of opcodes."""

    def __init__(self, persistent: Persistent) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.persistent = persistent

    def obey(self, opcode: str, argument: Any) -> None:
        """Carry out one opcode."""
        if opcode in _CONSTANTS:
            self.stack.append(argument if opcode in _LITERALS else _CONSTANTS[opcode]())
        elif opcode in _PUTS:
            self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
        elif opcode in _GETS:
            self.stack.append(self.memo[argument])
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME"):
            raise refuse(f"uses the pickle opcode {opcode}")

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
        target.update(_pairs(items))

    def name(self, module: Any, name: Any) -> None:
        """Push a name if it is admitted."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise refuse("names something without text")
        text = f"{_ALIASES.get(module, module)}.{name}"
        text = _ALIASES.get(text, text)
        if text not in _CALLS and not _CLASSES.fullmatch(text):
            raise refuse(f"names {text[:80]!r}")
        self.stack.append(Name(text))

    def call(self, what: Any, arguments: Any) -> None:
        """Push what one of the known constructors would make."""
        if not isinstance(what, Name) or what.text not in _CALLS:
            raise refuse(f"calls {what.text if isinstance(what, Name) else type(what).__name__}")
        if not isinstance(arguments, tuple):
            raise refuse("calls with something that is no tuple")
        self.stack.append(_CALLS[what.text](*arguments))

    def make(self, what: Any) -> None:
        """Push an empty object of an admitted class."""
        if isinstance(what, Name) and what.text == "collections.OrderedDict":
            self.stack.append({})
            return
        if not isinstance(what, Name) or not _CLASSES.fullmatch(what.text):
            raise refuse(f"makes an object of {getattr(what, 'text', 'something unnamed')!r}")
        self.stack.append(StandIn(what.text))

    def build(self, state: Any) -> None:
        """Give the object on top its state; no method of it exists that could be called."""
        top = self.stack[-1]
        if isinstance(top, Array | DType):
            top.fill(state)
            return
        if isinstance(top, dict):
            return  # attributes of an OrderedDict, such as a state dict's _metadata
        parts = state if isinstance(state, tuple) else (state,)
        if not isinstance(top, StandIn) or not all(isinstance(p, dict | None) for p in parts):
            raise refuse("gives a state to what has none")
        for part in parts:
            top.state.update(part or {})

    def fetch(self, pid: Any) -> None:
        """Push what a persistent id stands for."""
        self.stack.append(self.persistent(pid))


def _pairs(items: list[Any]) -> dict[Any, Any]:
    if not all(isinstance(key, _KEYS) for key in items[::2]):
        raise refuse("uses a nested key")
    return dict(zip(items[::2], items[1::2], strict=True))


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
    "DICT": lambda m, _: m.stack.append(_pairs(m.popped())),
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


def _mapping(pairs: Any = (), /) -> dict[Any, Any]:
    return _pairs([value for pair in pairs for value in (pair[0], pair[1])])


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> TensorRecord:
    plain = are_sizes((offset,)) and are_sizes(size) and are_sizes(stride)
    if not isinstance(storage, StorageRecord) or not plain or len(size) != len(stride):
        raise refuse("describes a tensor by something other than a storage and numbers")
    return TensorRecord(storage, offset, size, stride)


def _nested(content: Any) -> StorageRecord:
    if not isinstance(content, bytes):
        raise refuse("holds a storage that is no bytes")
    return StorageRecord("", "", -1, content)


def _encoded(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise refuse("encodes text in an unusual way")
    return text.encode("latin-1")


def _persistent_object(meta: Any) -> StandIn:
    """A stylegan2-ada object: class name and state are kept, its module's source text is not."""
    facts = meta.state if isinstance(meta, StandIn) else meta
    state = facts.get("state") if isinstance(facts, dict) else None
    if not isinstance(state, dict):
        raise refuse("holds a persistent object without a state")
    return StandIn(f"persistent.{facts.get('class_name', '')}", dict(state))


def _reconstructor(what: Any, *_: Any) -> StandIn:
    if not isinstance(what, Name) or not _CLASSES.fullmatch(what.text):
        raise refuse("reconstructs an object of a class that is not admitted")
    return StandIn(what.text)


_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": lambda *_: {},
    "builtins.set": lambda items=(): list(items),
    "builtins.frozenset": lambda items=(): list(items),
    "builtins.list": lambda items=(): list(items),
    "builtins.object": lambda: None,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda data, *_: data,
    "torch._utils._rebuild_parameter_with_state": lambda data, *_: data,
    "torch.storage._load_from_bytes": _nested,
    "torch.Size": lambda size: tuple(size),
    "torch.device": lambda *_: None,
    "_codecs.encode": _encoded,
    "copyreg._reconstructor": _reconstructor,
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent_object,
    "numpy.core.multiarray._reconstruct": lambda *_: Array(),
    "numpy.core.multiarray.scalar": scalar,
    "numpy.core.numeric._frombuffer": array_of_buffer,
    "numpy.dtype": DType,
}
"""What may be called, and what stands in its place here."""

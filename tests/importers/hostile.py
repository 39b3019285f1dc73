"""Pickles written by hand: what an attacker would send. Nothing here is ever run."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any


class Call:
    """Pickles as a call of any function, as malware does."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.reduced


class WithState:
    """An object whose class would run code when it gets its state back."""

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}

    def __setstate__(self, state: dict[str, int]) -> None:
        raise AssertionError("a foreign class was brought to life")


def call(module: str, name: str, *arguments: str) -> bytes:
    """A pickle that calls module.name with text arguments."""
    given = b"".join(b"V" + text.encode() + b"\n" for text in arguments)
    return f"c{module}\n{name}\n".encode() + b"(" + given + b"tR."


def nested_call(depth: int) -> bytes:
    """A pickle whose argument is made by a call, whose argument is made by a call, ..."""
    return b"cbuiltins\nlist\n" * depth + b"cos\nsystem\n(Vtrue\ntR" + b"\x85R" * depth + b"."


def state_call() -> bytes:
    """An admitted object that is given a state through the class's own __setstate__."""
    return b"ctorch.nn.modules.linear\nLinear\n)\x81cos\nsystem\nb."


def numpy_objects() -> bytes:
    """An honest array of objects: its elements could be anything."""
    import numpy as np

    return pickle.dumps({"w": np.array([1, "text", None], dtype=object)}, protocol=4)


def tensor(size: bytes, stride: bytes, offset: bytes = b"K\x00") -> bytes:
    """torch's _rebuild_tensor_v2 with any size, stride and offset, on a storage of 4 floats."""
    pid = b"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nK\x04tQ"
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + pid + offset + size + stride + b"\x89}tR."
    )


def number(value: int) -> bytes:
    """The opcode for an eight-byte integer."""
    return b"\x8a\x09" + struct.pack("<q", value) + b"\x00"

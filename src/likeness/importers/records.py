"""What a pickle of weights describes, as inert records: nothing here was checked or read yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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

"""How much a file may make its reader build: bytes and steps in proportion to its own size.

A few bytes of a pickle can call a constructor again on something large that is already there. Each
such call alone is honest; together they fill the machine. So whatever copies is charged here,
before it does, against a budget that grows with the file.
"""

from __future__ import annotations

from typing import Any

from likeness.errors import BundleError

STEPS = 3_000_000
"""Most opcodes that are obeyed; honest files stay far below."""
TENSORS = 100_000
"""Most tensors and arrays of a file, optimizer states included."""
_FREE = 16 * 2**20
"""Bytes that any file may build."""
_PER_BYTE = 4
"""Bytes to build per byte of the file: numbers are copied two or three times on their way."""
_SLOT, _ENTRY = 8, 100
"""Bytes that a list takes per item, and a dict."""


def refuse(what: str) -> BundleError:
    """Say that a file asks for more than weights need."""
    return BundleError(
        f"the file {what}; weights need nothing of the kind, so it is damaged or made to do harm: "
        "get it again from its publisher"
    )


def plain(value: Any, longest: int = 80) -> str:
    """Return what a message may show of anything in a file.

    Only text and whole numbers are ever formatted: writing a tree down that a file describes can
    take more memory than the tree.

    >>> plain("weights"), plain(3), plain([[]])
    ("'weights'", '3', 'a list')
    """
    if isinstance(value, str | bytes):
        return repr(value[:longest])
    if type(value) is int and value.bit_length() <= 128:
        return str(value)
    return f"a {type(value).__name__}"


def reason(error: BaseException) -> str:
    """Return what a message may show of an error that nonsense caused."""
    first = error.args[0] if error.args else ""
    return (
        f"{type(error).__name__}: {first[:80]}"
        if isinstance(first, str)
        else (f"{type(error).__name__}: {plain(first)}")
    )


class Meter:
    """What is left of the budget. Mutable: it is the budget of one reading."""

    def __init__(self, size: int = 0) -> None:
        """Open a budget for a file of `size` bytes."""
        self.left = _FREE + _PER_BYTE * size
        self.steps = 0
        self.tensors = 0

    def charge(self, cost: int) -> None:
        """Take `cost` bytes from the budget.

        Raises:
            BundleError: there are not as many left.
        """
        self.left -= cost
        if self.left < 0:
            raise refuse("builds far more than its own size")

    def items(self, count: int) -> None:
        """Charge for a list of `count` items; raises as `charge` does."""
        self.charge(64 + _SLOT * count)

    def entries(self, count: int) -> None:
        """Charge for a dict of `count` entries; raises as `charge` does."""
        self.charge(64 + _ENTRY * count)

    def tensor(self) -> None:
        """Count a tensor or an array.

        Raises:
            BundleError: there are far more than in any network.
        """
        self.tensors += 1
        if self.tensors > TENSORS:
            raise refuse(f"describes more than {TENSORS} tensors")

    def step(self) -> None:
        """Count a step.

        Raises:
            BundleError: there were too many.
        """
        self.steps += 1
        if self.steps > STEPS:
            raise refuse(f"asks for more than {STEPS} steps")

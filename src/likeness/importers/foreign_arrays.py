"""numpy arrays and dtypes as pickles describe them, with every claim checked against the bytes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from likeness.errors import BundleError
from likeness.importers.meter import Meter, plain

_CODE = re.compile(r"(b1|[iu][1248]|f[248])")
DIMENSIONS = 8
"""Most dimensions of an array or tensor."""
LARGEST = 2**40
"""No honest size, stride or offset is beyond it; products of a few of them stay cheap."""


@dataclass(eq=False, slots=True)
class DType:
    """A dtype of plain numbers. Not frozen: pickles tell the byte order afterward."""

    code: Any
    order: str = "="

    def __post_init__(self) -> None:
        if not isinstance(self.code, str) or not _CODE.fullmatch(self.code):
            raise BundleError(
                f"the file holds numpy values of type {plain(self.code, 20)}; expected plain "
                "numbers: objects could do harm and are not read"
            )

    def fill(self, state: Any, meter: Meter) -> None:
        """Take the byte order from numpy's (version, order, subtype, names, fields, ...)."""
        meter.charge(0)
        bare = isinstance(state, tuple) and 5 <= len(state) <= 12
        if (
            not bare
            or any(part is not None for part in state[2:5])
            or state[1] not in ("<", ">", "|", "=")
        ):
            raise BundleError("the file describes a numpy type with fields; expected plain numbers")
        self.order = state[1]

    @property
    def numpy(self) -> np.dtype[Any]:
        """The dtype itself."""
        return np.dtype(f"{self.order}{self.code}")


@dataclass(eq=False, slots=True)
class Array:
    """An array. Not frozen: a pickle makes it first and fills it later."""

    value: np.ndarray[Any, Any] | None = None

    def fill(self, state: Any, meter: Meter) -> None:
        """Take the content from numpy's (version, shape, dtype, is_fortran, bytes)."""
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise BundleError("the file holds a numpy array without content")
        shape, dtype, fortran, data = state[-4:]
        self.value = _checked(meter, data, dtype, shape, "F" if fortran is True else "C")


def are_sizes(numbers: Any) -> bool:
    """Tell whether these are a few whole numbers that sizes can be."""
    return (
        isinstance(numbers, tuple)
        and len(numbers) <= DIMENSIONS
        and all(type(number) is int and 0 <= number < LARGEST for number in numbers)
    )


def array_of_buffer(meter: Meter, buffer: Any, dtype: Any, shape: Any, order: Any) -> Array:
    """Make an array as pickle protocol 5 describes it."""
    meter.tensor()
    return Array(_checked(meter, buffer, dtype, shape, order if order == "F" else "C"))


def scalar(meter: Meter, dtype: Any, data: Any) -> float | int | bool:
    """Make a plain number from a numpy one."""
    value: float | int | bool = _checked(meter, data, dtype, (), "C").item()
    return value


def _checked(meter: Meter, data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    """Return a copy in native byte order; the bytes must be exactly what the shape needs."""
    if isinstance(data, str | bytes | bytearray):
        # Decoded from text, and copied: shared content would be so again for every array.
        meter.charge(2 * len(data) + 200)
    if isinstance(data, str):
        data = data.encode("latin-1")  # Python 2 wrote bytes as text
    sizes = shape if isinstance(shape, tuple) else ()
    if (
        not isinstance(data, bytes | bytearray)
        or not isinstance(dtype, DType)
        or not are_sizes(shape)
    ):
        raise BundleError("the file holds a numpy array that is no plain block of numbers")
    needed = math.prod(sizes) * dtype.numpy.itemsize
    if len(data) != needed:
        raise BundleError(
            f"the file holds a numpy array of {len(data)} bytes that claims to have {needed}; "
            "it is damaged: get it again"
        )
    array = np.frombuffer(data, dtype.numpy).reshape(sizes, order=order)
    return array.astype(dtype.numpy.newbyteorder("="), copy=True)

"""dlib's own file format of trained networks, read as numbers only.

A file is the network from the outside in: the loss, a version number for every layer, the input,
and then the layers themselves from the input on. Each layer is its name, its numbers, its settings,
and what training left behind (three truth values and three tensors, empty in published files).

Convention:
    An integer is a control byte (low four bits: how many bytes follow, 1 to 8; high bit: negative)
    and its absolute value, little endian. A real number is two integers, mantissa and binary
    exponent. A truth value is the character 0 or 1. A text is its length and its bytes. A tensor is
    the integer 2, four sizes (samples, channels, rows, columns) and its float32 values as they are.
    These are dlib's facts (serialize.h, float_details.h, dnn/tensor.h of its sources).

No code stands in such a file, and no size in it is believed before it was compared with the bytes
that are there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from likeness.errors import BundleError
from likeness.files import why_unreadable
from likeness.types import Floats

FILE_LIMIT = 256 * 2**20
"""Largest file in bytes: the recognizer has a tenth of it."""
LAYERS = 2000
"""Most layers, tags and skips of a network."""

_TEXT_LIMIT = 64
_COUNT_LIMIT = FILE_LIMIT // 4
_INTEGER_BYTES = 8
_NEGATIVE, _RESERVED, _LENGTH = 0x80, 0x70, 0x0F
_NOT_FINITE = 32000
"""Exponents from here on stand for infinity and for what is no number."""
_TENSOR, _ALIAS = 2, 1
"""Versions of tensors and of their named parts."""
_TAG, _LAYER, _LOWEST = 1, 2, 3
"""Versions of tags and skips, of layers, and of the layer that holds the input."""


@dataclass(frozen=True, eq=False)
class DlibLayer:
    """One layer of a network."""

    kind: str
    """con, affine, fc, relu, max_pool, avg_pool or add_prev."""
    settings: tuple[int, ...]
    """Pools: rows, columns, stride down, stride right, padding down, padding right (0 rows is the
    whole map); con: number of filters, then as pools; fc: outputs, inputs; else empty."""
    values: tuple[Floats, ...] = ()
    """con: filters (O,I,h,w) and biases (O); affine: factors (C) and offsets (C); fc: matrix (I,O)
    and, where it has them, biases (O)."""


@dataclass(frozen=True, eq=False)
class DlibNetwork:
    """A network with its input."""

    mean: tuple[float, float, float]
    """Taken off red, green and blue in [0,255] before they are divided by 256."""
    size: tuple[int, int]
    """(h, w) of the pictures."""
    layers: tuple[DlibLayer, ...]
    """From the input on."""


def read_dlib(path: Path) -> DlibNetwork:
    """Read a metric network on RGB pictures of one size, as dlib's recognizer is.

    Raises:
        BundleError: no such file, too large, cut off, damaged, or of another network.
    """
    try:
        size = path.stat().st_size
        if not 0 < size <= FILE_LIMIT:
            raise BundleError(f"{path} has {size} bytes, expected 1 to {FILE_LIMIT}")
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read: {why_unreadable(error)}; expected a network that dlib wrote"
        ) from error
    return parse_dlib(content, path.name)


def parse_dlib(content: bytes, name: str = "the file") -> DlibNetwork:
    """Read a network from the bytes of a file; see `read_dlib`.

    Args:
        content: the whole file.
        name: what errors call it.

    Raises:
        BundleError: cut off, damaged, or of another network.
    """
    try:
        return _network(_Stream(content))
    except BundleError as error:
        raise BundleError(
            f"{name}: {error}; expected dlib_face_recognition_resnet_model_v1.dat as published"
        ) from error


class _Stream:
    """Bytes that are read from front to back and never beyond their end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self._content) - self._at

    def refuse(self, what: str) -> BundleError:
        """Return an error that says where reading ended."""
        return BundleError(f"{what} before byte {self._at} of {len(self._content)}")

    def take(self, count: int) -> bytes:
        """Read so many bytes."""
        if count > self.left:
            raise self.refuse(f"{count} bytes are announced and {self.left} are left")
        self._at += count
        return self._content[self._at - count : self._at]

    def integer(self) -> int:
        """Read a packed integer."""
        control = self.take(1)[0]
        count = control & _LENGTH
        if control & _RESERVED or not 0 < count <= _INTEGER_BYTES:
            raise self.refuse(f"a control byte is {control:#04x}, which begins no integer,")
        value = int.from_bytes(self.take(count), "little")
        return -value if control & _NEGATIVE else value

    def count(self) -> int:
        """Read an integer that counts something."""
        value = self.integer()
        if not 0 <= value <= _COUNT_LIMIT:
            raise self.refuse(f"a size is {value}, expected 0 to {_COUNT_LIMIT},")
        return value

    def real(self) -> float:
        """Read a finite number."""
        mantissa, exponent = self.integer(), self.integer()
        if exponent >= _NOT_FINITE:
            raise self.refuse("a setting is no finite number")
        try:
            return math.ldexp(float(mantissa), max(exponent, -_NOT_FINITE))
        except OverflowError as error:
            raise self.refuse("a setting is too large a number") from error

    def truth(self) -> bool:
        """Read a truth value."""
        value = self.take(1)
        if value not in (b"0", b"1"):
            raise self.refuse(f"a truth value is {value!r}, expected b'0' or b'1',")
        return value == b"1"

    def text(self) -> str:
        """Read a short text in ASCII."""
        count = self.count()
        if count > _TEXT_LIMIT:
            raise self.refuse(f"a name has {count} letters, expected {_TEXT_LIMIT} at most,")
        return self.take(count).decode("ascii", "replace")

    def expect(self, wanted: int, what: str) -> None:
        """Read an integer that can only be one."""
        found = self.integer()
        if found != wanted:
            raise self.refuse(f"{what} is {found}, expected {wanted},")

    def tensor(self) -> Floats:
        """Read the float32 values of a tensor in a row: parts say how they lie."""
        self.expect(_TENSOR, "the version of a tensor")
        shape = tuple(self.count() for _ in range(4))
        count = math.prod(shape)
        if count * 4 > self.left:
            raise self.refuse(f"a tensor of {shape} values is announced and {self.left} bytes left")
        values = np.frombuffer(self.take(4 * count), "<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise self.refuse("a tensor holds values that are no finite numbers")
        return values

    def alias(self) -> tuple[int, ...]:
        """Read the four sizes of a part of a tensor."""
        self.expect(_ALIAS, "the version of a part")
        return tuple(self.count() for _ in range(4))


def _network(stream: _Stream) -> DlibNetwork:
    stream.expect(1, "the version of the loss")
    loss = stream.text()
    if loss != "loss_metric_2":
        raise stream.refuse(f"the loss is {loss!r}, expected 'loss_metric_2',")
    stream.real()  # margin
    stream.real()  # distance below which two faces are one person's, for training
    wanted = _announced(stream)
    kind = stream.text()
    if kind != "input_rgb_image_sized":
        raise stream.refuse(f"the input is {kind!r}, expected 'input_rgb_image_sized',")
    red, green, blue = stream.real(), stream.real(), stream.real()
    size = stream.count(), stream.count()
    layers = []
    for index in range(wanted):
        layers.append(_layer(stream))
        _remains(stream)
        if index == 0:
            stream.expect(1, "the number of pictures made from one")
    if stream.left:
        raise stream.refuse(f"the network is whole and {stream.left} bytes follow")
    return DlibNetwork((red, green, blue), size, tuple(layers))


def _announced(stream: _Stream) -> int:
    """Count the layers whose versions stand before the input."""
    layers = 0
    for _ in range(LAYERS):
        version = stream.integer()
        if version not in (_TAG, _LAYER, _LOWEST):
            raise stream.refuse(f"the version of a layer is {version}, expected 1, 2 or 3,")
        layers += version != _TAG
        if version == _LOWEST:
            return layers
    raise stream.refuse(f"more than {LAYERS} layers are announced")


def _layer(stream: _Stream) -> DlibLayer:
    name = stream.text()
    if name == "con_4":
        return _convolution(stream)
    if name == "affine_":
        return _affine(stream)
    if name == "fc_2":
        return _matrix(stream)
    if name in ("max_pool_2", "avg_pool_2"):
        return DlibLayer(name.removesuffix("_2"), tuple(stream.count() for _ in range(6)))
    if name in ("relu_", "add_prev_"):
        return DlibLayer(name.removesuffix("_"), ())
    raise stream.refuse(f"a layer is called {name!r}, which this network has no place for,")


def _convolution(stream: _Stream) -> DlibLayer:
    flat = stream.tensor()
    settings = tuple(stream.count() for _ in range(7))
    filters, biases = stream.alias(), stream.alias()
    for _ in range(4):
        stream.real()  # factors of learning rate and weight decay
    rows = settings[1:3]
    if filters[0] != settings[0] or filters[2:] != rows or biases != (1, filters[0], 1, 1):
        raise stream.refuse(f"filters {filters} and biases {biases} contradict {settings}")
    first, second = _parts(stream, flat, filters, biases)
    return DlibLayer("con", settings, (first, second))


def _affine(stream: _Stream) -> DlibLayer:
    flat = stream.tensor()
    factors, offsets = stream.alias(), stream.alias()
    stream.expect(0, "the mode of an affine layer")
    if factors != offsets or factors != (1, factors[1], 1, 1):
        raise stream.refuse(f"factors {factors} and offsets {offsets} are not one a channel")
    first, second = _parts(stream, flat, factors, offsets)
    return DlibLayer("affine", (), (first.reshape(-1), second))


def _matrix(stream: _Stream) -> DlibLayer:
    settings = stream.count(), stream.count()
    flat = stream.tensor()
    matrix, biases = stream.alias(), stream.alias()
    stream.integer()  # whether there are biases, which their sizes say as well
    for _ in range(4):
        stream.real()
    outputs, inputs = settings
    if matrix != (inputs, outputs, 1, 1) or math.prod(biases) not in (0, outputs):
        raise stream.refuse(f"a matrix {matrix} and biases {biases} contradict {settings}")
    first, second = _parts(stream, flat, matrix, biases)
    values = (first.reshape(inputs, outputs), second)
    return DlibLayer("fc", settings, values if second.size else values[:1])


def _parts(
    stream: _Stream, flat: Floats, first: tuple[int, ...], second: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """Cut a layer's numbers in two; the second stay in a row."""
    count = math.prod(first)
    if not count or count + math.prod(second) != len(flat):
        raise stream.refuse(f"{len(flat)} values are no {first} and {second}")
    return flat[:count].reshape(first), flat[count:]


def _remains(stream: _Stream) -> None:
    """Skip what training left behind."""
    for _ in range(3):
        stream.truth()
    for _ in range(3):
        stream.tensor()

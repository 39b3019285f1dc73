"""Write networks in dlib's format: the parser's counterpart, for tests only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from likeness.importers.dlib_file import DlibLayer, DlibNetwork
from likeness.importers.recognizer import _kinds
from likeness.nets.identity_dlib import MEAN, DlibIdentityConfig

SMALL = DlibIdentityConfig((1, 2), (4, 6), code=5, size=35)


def integer(value: int) -> bytes:
    """A control byte, then the absolute value."""
    count = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([count | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(count, "little")


def integers(*values: int) -> bytes:
    return b"".join(integer(value) for value in values)


def real(value: float) -> bytes:
    """Mantissa of 24 bits and exponent."""
    mantissa, exponent = math.frexp(value)
    return integers(round(mantissa * 2**24), exponent - 24)


def text(value: str) -> bytes:
    return integer(len(value)) + value.encode()


def tensor(values: Sequence[float] | np.ndarray) -> bytes:
    flat = np.asarray(values, "<f4").reshape(-1)
    sizes = (len(flat), 1, 1, 1) if len(flat) else (0, 0, 0, 0)
    return integers(2, *sizes) + flat.tobytes()


def part(*sizes: int) -> bytes:
    return integers(1, *sizes)


FACTORS = b"".join(real(value) for value in (1.0, 1.0, 1.0, 0.0))
LEFT_BEHIND = b"110" + 3 * tensor([])


def layer(one: DlibLayer) -> bytes:
    """One layer without what training left behind."""
    if one.kind == "con":
        filters, biases = one.values
        flat = np.concatenate([filters.reshape(-1), biases])
        parts = part(*filters.shape) + part(1, len(biases), 1, 1)
        return text("con_4") + tensor(flat) + integers(*one.settings) + parts + FACTORS
    if one.kind == "affine":
        flat = np.concatenate(one.values)
        parts = 2 * part(1, len(flat) // 2, 1, 1)
        return text("affine_") + tensor(flat) + parts + integer(0)
    if one.kind == "fc":
        inputs, outputs = one.values[0].shape
        parts = part(inputs, outputs, 1, 1) + part(0, 0, 0, 0)
        head = text("fc_2") + integers(*one.settings) + tensor(one.values[0])
        return head + parts + integer(1) + FACTORS
    if one.kind in ("max_pool", "avg_pool"):
        return text(f"{one.kind}_2") + integers(*one.settings)
    return text(f"{one.kind}_")


def head(network: DlibNetwork, layers: int, tags: int = 3) -> bytes:
    """Everything before the first layer."""
    versions = integers(*[2] * (layers - 1), *[1] * tags, 3)
    loss = integer(1) + text("loss_metric_2") + real(0.04) + real(0.6)
    given = text("input_rgb_image_sized") + b"".join(real(v) for v in network.mean)
    return loss + versions + given + integers(*network.size)


def written(network: DlibNetwork) -> bytes:
    """A whole file."""
    body = b""
    for index, one in enumerate(network.layers):
        body += layer(one) + LEFT_BEHIND + (integer(1) if index == 0 else b"")
    return head(network, len(network.layers)) + body


def recognizer(config: DlibIdentityConfig = SMALL, seed: int = 0) -> DlibNetwork:
    """A recognizer of random numbers."""
    random = np.random.default_rng(seed)

    def drawn(*shape: int) -> np.ndarray:
        scale = 1 / math.sqrt(max(1, math.prod(shape[1:])))
        return (random.standard_normal(shape) * scale).astype(np.float32)

    layers, inside, width = [], 3, 3
    for kind, settings in _kinds(config):
        values: tuple[np.ndarray, ...] = ()
        if kind == "con":
            width = settings[0]
            values = (drawn(width, inside, *settings[1:3]), drawn(width))
            inside = width
        elif kind == "affine":
            values = (1 + 0.1 * drawn(width), drawn(width))
        elif kind == "fc":
            values = (drawn(settings[1], settings[0]),)
        layers.append(DlibLayer(kind, settings, values))
    return DlibNetwork(MEAN, (config.size, config.size), tuple(layers))

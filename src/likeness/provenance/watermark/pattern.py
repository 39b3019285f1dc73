"""Keyed patterns: sums of waves whose phases come from a key, on a torus of `TILE` pixels."""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2

from likeness.types import Floats

Complex = NDArray[np.complexfloating[Any, Any]]
Reals = NDArray[np.floating[Any]]

TILE = 512
"""Side of the torus in pixels of unit scale: a wave has a whole number of periods on it."""
LONGEST, SHORTEST = 23.0, 8.5
"""Wavelengths in pixels of unit scale: shorter ones do not outlive halving the size and strong
compression, longer ones drown in the picture."""
RADIUS = math.ceil(TILE / SHORTEST)
"""Most periods on the torus along an axis."""
SYMBOLS = 16
"""Patterns that carry a byte each by where they lie on the torus; pattern 0 is the anchor."""
PLACES = 16
"""A byte chooses one of PLACES x PLACES places."""


def unit_of(size: tuple[int, int]) -> int:
    """Return by what whole number the pattern is enlarged on frames of `size` (H, W)."""
    return max(1, int(min(size) / TILE + 0.5))


@lru_cache(maxsize=1)
def profile() -> Floats:
    """Return (2R+1, R+1) amplitudes of the waves (fy, fx): zero outside the band.

    Only one of each pair of opposite frequencies has an entry; rows count fy from -R to R, columns
    fx from 0 to R.
    """
    fy, fx = np.mgrid[-RADIUS : RADIUS + 1, 0 : RADIUS + 1]
    radius = np.hypot(fx, fy)
    inside = (radius >= TILE / LONGEST) & (radius <= TILE / SHORTEST)
    once = (fx > 0) | (fy > 0)
    return np.where(inside & once, 1.0, 0.0)


@lru_cache(maxsize=64)
def waves(key: bytes, number: int) -> Complex:
    """Return (2R+1, R+1) waves of a keyed pattern: the profile with phases from SHAKE-256.

    Args:
        key: secret or public bytes.
        number: 0 is the anchor, 1 to `SYMBOLS` carry a byte each.
    """
    amplitude = profile()
    seed = b"likeness watermark" + number.to_bytes(2, "big") + key
    drawn = np.frombuffer(hashlib.shake_256(seed).digest(2 * amplitude.size), ">u2")
    angle = drawn.reshape(amplitude.shape) * (2 * np.pi / 65536)
    found: Complex = amplitude * np.exp(1j * angle)
    found.flags.writeable = False
    return found


def moved(spectrum: Complex, dy: float, dx: float) -> Complex:
    """Return the waves of a pattern read `(dy, dx)` pixels further on: p(y + dy, x + dx)."""
    fy = np.arange(-RADIUS, RADIUS + 1) * (2 * np.pi / TILE)
    fx = np.arange(RADIUS + 1) * (2 * np.pi / TILE)
    turned: Complex = spectrum * np.exp(1j * fy * dy)[:, None] * np.exp(1j * fx * dx)[None]
    return turned


def on_torus(spectrum: Complex, side: int) -> Reals:
    """Return the real part of the sum of waves at `side` x `side` even places of the torus.

    Args:
        spectrum: (2R+1, R+1), complex64 or complex128; sets the result's precision.
        side: at least 2R + 2.
    """
    grid = np.zeros((side, side // 2 + 1), spectrum.dtype)
    rows = np.arange(-RADIUS, RADIUS + 1)
    # A real wave is half of each of two opposite frequencies; only those along the first column
    # are both stored.
    grid[rows % side, : RADIUS + 1] = spectrum / 2
    grid[rows % side, 0] += spectrum[::-1, 0].conj() / 2
    values: Reals = irfft2(grid, s=(side, side), norm="forward", overwrite_x=True)
    return values


def place_of(byte: int) -> tuple[float, float]:
    """Return by how many pixels `(dy, dx)` a byte moves its pattern."""
    step = TILE / PLACES
    return byte // PLACES * step, byte % PLACES * step

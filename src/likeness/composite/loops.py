"""Loops over the pixels of a crop that would else be many passes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.compiled import njit
from likeness.types import Floats


@njit(cache=True, nogil=True)
def weighted_cells(
    rgb: Floats, like: Floats, weight: Floats, cells: int
) -> Floats:  # pragma: no cover - compiled
    """Return (cells,cells,7): sums of w rgb, w like and w over a grid of cells.

    Of large pictures every second pixel of every second line counts.
    """
    h, w = weight.shape
    step = 2 if min(h, w) >= 8 * cells else 1
    sums = np.zeros((cells, cells, 7), np.float32)
    columns = np.empty(w, np.int64)
    for x in range(w):
        columns[x] = x * cells // w
    for y in range(0, h, step):
        line = sums[y * cells // h]
        for x in range(0, w, step):
            share = weight[y, x]
            if share > 0:
                cell = line[columns[x]]
                for c in range(3):
                    cell[c] += share * rgb[y, x, c]
                    cell[3 + c] += share * like[y, x, c]
                cell[6] += share
    return sums


@njit(cache=True, nogil=True)
def scaled(rgb: Floats, ratio: Floats) -> Floats:  # pragma: no cover - compiled
    """Return (h,w,3) rgb times ratio, held within [0,1]."""
    out = np.empty_like(rgb)
    flat, left, right = out.reshape(-1), rgb.reshape(-1), ratio.reshape(-1)
    for n in range(len(flat)):
        flat[n] = min(max(left[n] * right[n], np.float32(0)), np.float32(1))
    return out


@njit(cache=True, nogil=True)
def lit_planes(
    rgb: Floats, gain: Floats, ids: NDArray[np.int32], alpha: Floats, planes: Floats
) -> None:  # pragma: no cover - compiled
    """Write rgb times gain (h,w,3), held within [0,1], and alpha where ids >= 0 into (4,h,w)."""
    h, w, _ = rgb.shape
    for y in range(h):
        for c in range(3):
            for x in range(w):
                value = rgb[y, x, c] * gain[y, x, c]
                planes[c, y, x] = min(max(value, np.float32(0)), np.float32(1))
        for x in range(w):
            planes[3, y, x] = alpha[y, x] if ids[y, x] >= 0 else np.float32(0)


@njit(cache=True, nogil=True)
def toward(under: Floats, over: Floats, share: Floats) -> Floats:  # pragma: no cover - compiled
    """Return (h,w,3) under + (over - under) times a share (h,w)."""
    out = np.empty_like(under)
    h, w, _ = under.shape
    for y in range(h):
        for x in range(w):
            for c in range(3):
                out[y, x, c] = under[y, x, c] + (over[y, x, c] - under[y, x, c]) * share[y, x]
    return out


@njit(cache=True, nogil=True)
def difference(over: Floats, under: Floats, alpha: Floats) -> Floats:  # pragma: no cover - compiled
    """Return (h,w,3) over minus under where alpha is above zero, else zero."""
    out = np.zeros_like(over)
    h, w, _ = over.shape
    for y in range(h):
        for x in range(w):
            if alpha[y, x] > 0:
                for c in range(3):
                    out[y, x, c] = over[y, x, c] - under[y, x, c]
    return out


@njit(cache=True, nogil=True)
def add_band(
    answer: Floats, whole: Floats, coarse: Floats, mask: Floats
) -> None:  # pragma: no cover - compiled
    """Add (whole - coarse) times mask to `answer` in place: one band of a pyramid."""
    h, w, channels = answer.shape
    for y in range(h):
        for x in range(w):
            share = mask[y, x]
            if share > 0:
                for c in range(channels):
                    answer[y, x, c] += share * (whole[y, x, c] - coarse[y, x, c])


@njit(cache=True, nogil=True)
def raised(under: Floats, change: Floats) -> Floats:  # pragma: no cover - compiled
    """Return (h,w,3) under, in [0,1], plus change, held within [0,1]."""
    out = np.empty_like(under)
    flat, left, right = out.reshape(-1), under.reshape(-1), change.reshape(-1)
    for n in range(len(flat)):
        flat[n] = min(max(left[n] + right[n], np.float32(0)), np.float32(1))
    return out


@njit(cache=True, nogil=True)
def with_noise(
    rgb: Floats, fine: Floats, wide: Floats, levels: Floats
) -> Floats:  # pragma: no cover - compiled
    """Return (h,w,3) rgb plus two tiles of (h,w) noise at their levels, held within [0,1]."""
    out = np.empty_like(rgb)
    h, w, _ = rgb.shape
    for y in range(h):
        for x in range(w):
            noise = levels[0] * fine[y, x] + levels[1] * wide[y, x]
            out[y, x, 0] = min(max(rgb[y, x, 0] + noise, np.float32(0)), np.float32(1))
            out[y, x, 1] = min(max(rgb[y, x, 1] + noise, np.float32(0)), np.float32(1))
            out[y, x, 2] = min(max(rgb[y, x, 2] + noise, np.float32(0)), np.float32(1))
    return out

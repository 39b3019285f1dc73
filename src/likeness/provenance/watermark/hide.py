"""How much of a mark a picture hides: strength from local activity, and the loops that apply it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.compiled import njit

Floats32 = NDArray[np.float32]

BLOCK = 8
"""Side in pixels of the blocks whose activity sets the strength."""
FLAT = 0.6
"""Root mean square of the mark on flat areas, in 8-bit levels."""
GAIN = 0.5
"""Levels of mark at one level of activity."""
POWER = 0.6
"""The mark grows with this power of activity: evenly spread marks are found more easily."""
MOST = 3.2
"""Strongest mark, in levels."""
LOUDEST = 1.975
"""Root mean square of the mark over a whole frame, in levels, that is never passed: 42.2 dB."""
_RED, _GREEN, _BLUE = 0.2126, 0.7152, 0.0722


@njit(cache=True, nogil=True)
def strengths(frame: Floats32, power: Floats32) -> Floats32:
    """Return the mark's strength per block, in units of the frame.

    Activity is the mean absolute step to the right and down neighbours' luma. Its square root is
    averaged over 3x3 blocks, so that one strong edge does not open up the flat area beside it.

    Args:
        frame: (3,H,W) RGB in [0,1].
        power: What `block_power` gives of the pattern.
    """
    height, width = frame.shape[1], frame.shape[2]
    rows, columns = (height + BLOCK - 1) // BLOCK, (width + BLOCK - 1) // BLOCK
    sums = np.zeros((rows, columns), np.float32)
    luma = np.empty((2, width), np.float32)
    red, green, blue = np.float32(_RED), np.float32(_GREEN), np.float32(_BLUE)
    step = np.empty(width, np.float32)
    for y in range(height):
        now = luma[y % 2]
        before = luma[1 - y % 2]
        for x in range(width):
            now[x] = red * frame[0, y, x] + green * frame[1, y, x] + blue * frame[2, y, x]
        if y == 0:
            before[:] = now
        for x in range(width - 1):
            step[x] = abs(now[x + 1] - now[x]) + abs(now[x] - before[x])
        step[width - 1] = 0
        line = sums[y // BLOCK]
        for column in range(columns):
            total = np.float32(0)
            for x in range(column * BLOCK, min(width, column * BLOCK + BLOCK)):
                total += step[x]
            line[column] += total
    for row in range(rows):
        lines = min(BLOCK, height - row * BLOCK)
        for column in range(columns):
            count = lines * min(BLOCK, width - column * BLOCK)
            sums[row, column] = np.sqrt(sums[row, column] / np.float32(2 * count))
    return _limited(sums, power)


@njit(cache=True, nogil=True)
def _limited(roots: Floats32, power: Floats32) -> Floats32:
    rows, columns = roots.shape
    result = np.empty((rows, columns), np.float32)
    energy = 0.0
    for row in range(rows):
        for column in range(columns):
            total, count = np.float32(0), 0
            for y in range(max(0, row - 1), min(rows, row + 2)):
                for x in range(max(0, column - 1), min(columns, column + 2)):
                    total += roots[y, x]
                    count += 1
            activity = 255.0 * float(total / count) ** 2
            value = min(FLAT + GAIN * activity**POWER, MOST) / 255.0
            result[row, column] = value
            energy += value * value * power[row, column]
    loud = np.sqrt(energy) * 255
    if loud > LOUDEST:
        result *= np.float32(LOUDEST / loud)
    return result


def block_power(pattern: Floats32) -> Floats32:
    """Return how much of the pattern's mean square over the frame lies in each block."""
    rows, columns = (range(0, side, BLOCK) for side in pattern.shape)
    sums = np.add.reduceat(np.add.reduceat(pattern**2, rows, axis=0), columns, axis=1)
    power: Floats32 = (sums / pattern.size).astype(np.float32)
    return power


def hidden(frame: Floats32, pattern: Floats32) -> Floats32:
    """Return what `strengths` and `add` make of a frame, slowly; they are tested against this."""
    height, width = pattern.shape
    luma = np.tensordot(np.array([_RED, _GREEN, _BLUE]), frame.astype(np.float64), 1)
    steps = np.zeros_like(luma)
    steps[1:, :-1] += np.abs(np.diff(luma, axis=0))[:, :-1]
    steps[:, :-1] += np.abs(np.diff(luma, axis=1))
    tops, lefts = range(0, height, BLOCK), range(0, width, BLOCK)
    roots = np.array(
        [[np.sqrt(steps[y : y + BLOCK, x : x + BLOCK].mean() / 2) for x in lefts] for y in tops]
    )
    strength = np.empty_like(roots)
    for y, x in np.ndindex(roots.shape):
        near = roots[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].mean()
        strength[y, x] = min(FLAT + GAIN * (255 * near**2) ** POWER, MOST) / 255
    strength *= min(1.0, LOUDEST / 255 / np.sqrt((strength**2 * block_power(pattern)).sum()))
    rows = (np.arange(len(tops)) + 0.5) * BLOCK
    columns = (np.arange(len(lefts)) + 0.5) * BLOCK
    wide = np.array([np.interp(np.arange(width) + 0.5, columns, line) for line in strength])
    full = np.array([np.interp(np.arange(height) + 0.5, rows, line) for line in wide.T]).T
    marked: Floats32 = np.clip(frame + full * pattern, 0, 1).astype(np.float32)
    return marked


@njit(cache=True, nogil=True)
def add(frame: Floats32, pattern: Floats32, strength: Floats32, out: Floats32) -> None:
    """Write frame + strength * pattern, clipped to [0,1]; strength is bilinear between blocks."""
    height, width = pattern.shape
    rows, columns = strength.shape
    line = np.empty(columns + 1, np.float32)
    change = np.empty(width, np.float32)
    half = np.float32(0.5)
    for y in range(height):
        position = (np.float32(y) + half) / np.float32(BLOCK) - half
        top = max(0, int(np.floor(position)))
        share = max(np.float32(0), position - np.float32(top))
        bottom = min(rows - 1, top + 1)
        for column in range(columns):
            upper = strength[top, column]
            line[column] = upper + share * (strength[bottom, column] - upper)
        line[columns] = line[columns - 1]
        for x in range(min(width, BLOCK // 2)):
            change[x] = line[0] * pattern[y, x]
        for column in range(columns):
            start = column * BLOCK + BLOCK // 2
            slope = (line[column + 1] - line[column]) / np.float32(BLOCK)
            first = line[column] + slope * half
            for x in range(start, min(width, start + BLOCK)):
                change[x] = (first + slope * np.float32(x - start)) * pattern[y, x]
        for channel in range(3):
            for x in range(width):
                value = frame[channel, y, x] + change[x]
                out[channel, y, x] = min(max(value, np.float32(0)), np.float32(1))

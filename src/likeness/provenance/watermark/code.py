"""A Reed-Solomon code over bytes, decoded from soft scores: eight bytes of payload in sixteen.

Arithmetic in GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1. Byte i of a word is the value at the i-th
power of x of the polynomial that takes the payload's bytes at the first eight powers (Reed and
Solomon 1960, systematic by interpolation): any eight of the sixteen fix the rest. Decoding follows
Fossorier and Lin (1995, ordered statistics): trust the eight most reliable places, change up to
three of them to runners-up, and take the word with the highest sum of scores.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Bytes = NDArray[np.uint8]

LENGTH = 16
DATA = 8
_RUNNERS_UP = 11
"""Other bytes that are tried per trusted place."""
_CHANGES = 3
"""Trusted places that are changed at once."""


def _tables() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    powers, logs = np.zeros(510, np.int64), np.zeros(256, np.int64)
    value = 1
    for exponent in range(255):
        powers[exponent] = powers[exponent + 255] = value
        logs[value] = exponent
        value <<= 1
        if value & 256:
            value ^= 0b1_0001_1101
    return powers, logs


_POWER, _LOG = _tables()


def times(a: Bytes, b: Bytes) -> Bytes:
    """Return the products of bytes in GF(256), broadcast."""
    products = _POWER[_LOG[a] + _LOG[b]]
    return np.where((a == 0) | (b == 0), 0, products).astype(np.uint8)


def _product(a: int, b: int) -> int:
    return int(_POWER[_LOG[a] + _LOG[b]]) if a and b else 0


def _over(a: int, b: int) -> int:
    return int(_POWER[_LOG[a] + 255 - _LOG[b]]) if a else 0


def completion(known: tuple[int, ...]) -> Bytes:
    """Return (DATA, LENGTH): how much each known byte puts into each byte of the word.

    These are Lagrange's polynomials on the known places, at all places.

    Args:
        known: `DATA` different places, 0 to `LENGTH` - 1.
    """
    at = [int(_POWER[i]) for i in range(LENGTH)]
    matrix = np.zeros((DATA, LENGTH), np.uint8)
    for row, place in enumerate(known):
        for column in range(LENGTH):
            others = [at[other] for other in known if other != place]
            value = 1
            for other in others:
                value = _over(_product(value, at[column] ^ other), at[place] ^ other)
            matrix[row, column] = value
    return matrix


def encode(data: bytes) -> bytes:
    """Return the word of `LENGTH` bytes that begins with the `DATA` bytes given."""
    matrix = completion(tuple(range(DATA)))
    parts = times(np.frombuffer(data, np.uint8)[:, None], matrix)
    return bytes(np.bitwise_xor.reduce(parts, axis=0))


def decode(scores: Scores) -> tuple[bytes, float]:
    """Return the payload's bytes of the best word found, and the sum of its scores.

    Args:
        scores: (LENGTH, 256) for each place and byte; the higher, the likelier.
    """
    ranked = np.argsort(-scores, axis=1)
    best = np.take_along_axis(scores, ranked[:, :2], 1)
    known = tuple(int(i) for i in np.argsort(best[:, 1] - best[:, 0])[:DATA])
    matrix = completion(known)
    first = ranked[list(known), 0].astype(np.uint8)
    word = np.bitwise_xor.reduce(times(first[:, None], matrix), axis=0)
    others = ranked[list(known), 1 : _RUNNERS_UP + 1].astype(np.uint8)
    # (DATA, runners-up, LENGTH): what changing one trusted byte does to the whole word.
    changes = times((others ^ first[:, None])[:, :, None], matrix[:, None, :])
    found, total = word, _sums(scores, word[None])[0]
    for count in range(1, _CHANGES + 1):
        for places in combinations(range(DATA), count):
            words = word[None]
            for place in places:
                words = (words[:, None] ^ changes[place][None]).reshape(-1, LENGTH)
            sums = _sums(scores, words)
            top = int(sums.argmax())
            if sums[top] > total:
                found, total = words[top], sums[top]
    return bytes(found[:DATA]), float(total)


def _sums(scores: Scores, words: Bytes) -> Scores:
    sums: Scores = scores[np.arange(LENGTH), words].sum(1)
    return sums

"""A Reed-Solomon code over bytes: eight bytes of payload in sixteen, four wrong ones mended.

Arithmetic in GF(256) with the polynomial x^8 + x^4 + x^3 + x^2 + 1; decoding by solving the key
equation with the extended Euclidean algorithm (Sugiyama, Kasahara, Hirasawa, Namekawa 1975), erased
places included.
"""

from __future__ import annotations

from collections.abc import Sequence

LENGTH = 16
DATA = 8
CHECKS = LENGTH - DATA


def _tables() -> tuple[tuple[int, ...], tuple[int, ...]]:
    powers, logs = [0] * 510, [0] * 256
    value = 1
    for exponent in range(255):
        powers[exponent] = powers[exponent + 255] = value
        logs[value] = exponent
        value <<= 1
        if value & 256:
            value ^= 0b1_0001_1101
    return tuple(powers), tuple(logs)


_POWER, _LOG = _tables()


def _times(a: int, b: int) -> int:
    return _POWER[_LOG[a] + _LOG[b]] if a and b else 0


def _over(a: int, b: int) -> int:
    return _POWER[_LOG[a] + 255 - _LOG[b]] if a else 0


Polynomial = list[int]
"""Coefficients, lowest power first."""


def _product(a: Sequence[int], b: Sequence[int]) -> Polynomial:
    result = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            result[i + j] ^= _times(x, y)
    return result


def _value(polynomial: Sequence[int], at: int) -> int:
    result = 0
    for coefficient in reversed(polynomial):
        result = _times(result, at) ^ coefficient
    return result


def _degree(polynomial: Sequence[int]) -> int:
    return max((i for i, x in enumerate(polynomial) if x), default=-1)


def _generator() -> Polynomial:
    result = [1]
    for i in range(CHECKS):
        result = _product(result, [_POWER[i], 1])
    return result


_GENERATOR = _generator()


def encode(data: Sequence[int]) -> list[int]:
    """Return `LENGTH` bytes: the `DATA` bytes of `data`, then the checks."""
    remainder = [0] * CHECKS + list(reversed(data))
    for i in range(LENGTH - 1, CHECKS - 1, -1):
        factor = remainder[i]
        for j, coefficient in enumerate(_GENERATOR):
            remainder[i - CHECKS + j] ^= _times(factor, coefficient)
    return list(data) + list(reversed(remainder[:CHECKS]))


def decode(received: Sequence[int], erased: Sequence[int] = ()) -> list[int] | None:
    """Return the code word nearest to what was received, or None.

    Args:
        received: `LENGTH` bytes.
        erased: places that are not trusted; 2 * wrong + erased may be up to `CHECKS`.
    """
    word = list(reversed(received))
    syndromes = [_value(word, _POWER[i]) for i in range(CHECKS)]
    if not any(syndromes):
        return list(received)
    erasures = [1]
    for place in erased:
        erasures = _product(erasures, [1, _POWER[LENGTH - 1 - place]])
    locator, evaluator = _key_equation(_product(syndromes, erasures)[:CHECKS], len(erased))
    locator = _product(locator, erasures)
    if not locator[0]:
        return None
    mended = 0
    for place in range(LENGTH):
        inverse = _POWER[(255 - place) % 255]
        if _value(locator, inverse):
            continue
        slope = _value(locator[1::2], _times(inverse, inverse))
        if not slope:
            return None
        size = _over(_value(evaluator, inverse), slope)
        word[place] ^= _times(size, _POWER[place])
        mended += 1
    if mended != _degree(locator) or any(_value(word, _POWER[i]) for i in range(CHECKS)):
        return None
    return list(reversed(word))


def _key_equation(syndromes: Polynomial, erased: int) -> tuple[Polynomial, Polynomial]:
    """Return locator and evaluator of the errors (Sugiyama): run Euclid until half the way."""
    before, now = [0] * CHECKS + [1], syndromes
    factor_before, factor = [0], [1]
    while 2 * _degree(now) >= CHECKS + erased:
        rest, quotient = list(before), [0] * (CHECKS + 1)
        top = _degree(now)
        while _degree(rest) >= top:
            shift = _degree(rest) - top
            scale = _over(rest[_degree(rest)], now[top])
            quotient[shift] ^= scale
            for i in range(top + 1):
                rest[i + shift] ^= _times(scale, now[i])
        product = _product(quotient, factor)
        width = max(len(product), len(factor_before))
        product += [0] * (width - len(product))
        for i, x in enumerate(factor_before):
            product[i] ^= x
        before, now = now, rest
        factor_before, factor = factor, product[: _degree(product) + 1]
    return factor, now

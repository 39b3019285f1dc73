"""What the portrait's loops need and numba has no words for: four pixels sampled at once, bits.

A bilinear sample of a picture with four bytes a pixel is two reads of eight bytes, each a pair of
neighbors, whose numbers are weighed together in the processor's vector registers. Written as plain
Python for numba it takes five times as long, because each byte is converted by itself.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from likeness.compiled import intrinsic, types

_I32, _F32 = ir.IntType(32), ir.FloatType()
_LOOSE = ("nnan", "ninf", "nsz", "arcp", "contract", "reassoc")
_QUARTETS = 4
"""Columns that `sample_four` samples."""


def _splat(builder: Any, value: Any, count: int) -> Any:
    """Return a vector of `count` times the same float."""
    empty = ir.Constant(ir.VectorType(_F32, count), ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(_I32, 0))
    zeros = ir.Constant(ir.VectorType(_I32, count), [0] * count)
    return builder.shuffle_vector(first, empty, zeros)


def _picked(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    """Return the elements at `places` of two vectors that lie one after the other."""
    wanted = ir.Constant(ir.VectorType(_I32, len(places)), places)
    return builder.shuffle_vector(a, b, wanted)


def _between(builder: Any, a: Any, b: Any, share: Any) -> Any:
    """Return a + share (b - a)."""
    change = builder.fmul(share, builder.fsub(b, a, flags=_LOOSE), flags=_LOOSE)
    return builder.fadd(a, change, flags=_LOOSE)


def _pair(builder: Any, base: Any, at: Any) -> Any:
    """Read two pixels of four bytes each as eight floats."""
    eight = ir.VectorType(ir.IntType(8), 8)
    bytes_ = builder.load(builder.bitcast(builder.gep(base, [at]), eight.as_pointer()))
    bytes_.align = 1
    return builder.uitofp(bytes_, ir.VectorType(_F32, 8))


def _data(context: Any, builder: Any, kind: Any, array: Any, element: Any) -> Any:
    """Return the address of an array's first element."""
    pointer = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(pointer, element.as_pointer())


def _sample_four(
    typing: Any, picture: Any, row: Any, places: Any, weights: Any, column: Any, planes: Any
) -> Any:
    """Sample four columns of a row: write planes[:, column : column + 4], four floats each.

    Args:
        typing: numba's own.
        picture: (S,S,4) uint8, its bytes one after the other.
        row: bytes from a pixel to the one below.
        places: (S,) int32 bytes from the picture's first to the pixel left above each sample.
        weights: (3,S) float32: how far right of that pixel, how far below, and a factor.
        column: the first of the four.
        planes: (4,S) float32, in levels of the picture.
    """
    signature = types.void(picture, types.intp, places, weights, types.intp, planes)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        base = _data(context, builder, kinds[0], args[0], ir.IntType(8))
        at = _data(context, builder, kinds[2], args[2], _I32)
        share = _data(context, builder, kinds[3], args[3], _F32)
        out = _data(context, builder, kinds[5], args[5], _F32)
        below, first = args[1], args[4]
        size = builder.extract_value(
            context.make_array(kinds[5])(context, builder, args[5]).shape, 1
        )
        lines = [builder.mul(size, ir.Constant(size.type, line)) for line in range(4)]
        samples = []
        for step in range(_QUARTETS):
            here = builder.add(first, ir.Constant(first.type, step))
            above = builder.sext(builder.load(builder.gep(at, [here])), first.type)
            right, down, factor = (
                builder.load(builder.gep(share, [builder.add(here, line)])) for line in lines[:3]
            )
            upper = _pair(builder, base, above)
            lower = _pair(builder, base, builder.add(above, below))
            both = _between(builder, upper, lower, _splat(builder, down, 8))
            left = _picked(builder, both, both, [0, 1, 2, 3])
            other = _picked(builder, both, both, [4, 5, 6, 7])
            mixed = _between(builder, left, other, _splat(builder, right, 4))
            samples.append(builder.fmul(mixed, _splat(builder, factor, 4), flags=_LOOSE))
        # Turned around: four pixels of four numbers become four numbers of four pixels.
        pairs = [(samples[0], samples[1]), (samples[2], samples[3])]
        low = [_picked(builder, a, b, [0, 4, 1, 5]) for a, b in pairs]
        high = [_picked(builder, a, b, [2, 6, 3, 7]) for a, b in pairs]
        four = ir.VectorType(_F32, 4)
        for half, (former, latter) in enumerate((low, high)):
            for odd in range(2):
                turned = _picked(
                    builder, former, latter, [2 * odd, 2 * odd + 1, 4 + 2 * odd, 5 + 2 * odd]
                )
                place = builder.gep(out, [builder.add(first, lines[2 * half + odd])])
                stored = builder.store(turned, builder.bitcast(place, four.as_pointer()))
                stored.align = 4
        return context.get_dummy_value()

    return signature, generate


def _float_of(typing: Any, bits: Any) -> Any:
    """Return the float32 that 32 bits (int32) stand for."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _F32)

    return types.float32(types.int32), generate


def _bits_of(typing: Any, value: Any) -> Any:
    """Return the 32 bits (int32) that stand for a float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _I32)

    return types.int32(types.float32), generate


# Compiled code calls them without the first argument, which is numba's own.
sample_four: Any = intrinsic(_sample_four)
float_of: Any = intrinsic(_float_of)
bits_of: Any = intrinsic(_bits_of)

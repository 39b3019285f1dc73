"""Is an edited person one person throughout: TL-ID and TG-ID.

Identity similarity between frames of the edited clip, over that of the same frames of the original:
between neighbors (TL-ID) and between all pairs (TG-ID). 1 is as consistent as the original, below
wavers, above is smoother than life. Introduced by Tzaban et al. (Stitch it in Time, SIGGRAPH Asia
2022); any recognizer serves if both clips use the same one.
"""

from __future__ import annotations

import numpy as np

from likeness.types import Floats, Ints, check

_LEAST = 0.05
"""Similarities of the original below this say nothing: two frames of it look like strangers."""


def tl_id(edited: Floats, original: Floats, frames: Ints) -> float | None:
    """Mean over neighboring frames of the ratio of similarities.

    Args:
        edited, original: (n,D) codes of the same frames.
        frames: (n,) which frames these are, increasing.

    Returns:
        None where no two of them are neighbors.
    """
    check(len(edited) == len(original) == len(frames), "codes and frames differ in number")
    first = np.flatnonzero(np.diff(frames) == 1)
    ratios = _ratios(edited, original)[first, first + 1] if len(first) else np.zeros(0)
    known = ratios[np.isfinite(ratios)]
    return float(known.mean()) if len(known) else None


def tg_id(edited: Floats, original: Floats) -> float | None:
    """Mean over all pairs of different frames of the ratio of similarities; None below two."""
    check(len(edited) == len(original), "codes differ in number")
    if len(edited) < 2:
        return None
    ratios = _ratios(edited, original)[~np.eye(len(edited), dtype=bool)]
    known = ratios[np.isfinite(ratios)]
    return float(known.mean()) if len(known) else None


def _ratios(edited: Floats, original: Floats) -> Floats:
    """(n,n) similarity of edited frames over that of original ones; NaN where that says nothing."""
    both = [_unit(codes) @ _unit(codes).T for codes in (edited, original)]
    told = both[1] > _LEAST
    ratios = np.where(told, both[0] / np.where(told, both[1], 1), np.nan)
    return np.asarray(ratios, np.float32)


def _unit(codes: Floats) -> Floats:
    length = np.linalg.norm(codes.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(codes / np.maximum(length, 1e-12), np.float32)

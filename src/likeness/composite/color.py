"""Bringing a drawn face to the colors of the picture that it is laid into.

Every transfer is a function of one frame alone, and its statistics count what the mask holds by how
much it holds: as the mask moves softly and leaves out what covers the face, so do they.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch

from likeness.composite.color_maps import (
    Samples,
    iterative_map,
    mapped,
    matched_histogram,
    sliced_map,
)
from likeness.composite.filters import averaged, spread
from likeness.composite.loops import scaled, weighted_cells
from likeness.types import Floats

ColorMode = Literal[
    "none",
    "low-pass",
    "rct",
    "rct-literal",
    "lct",
    "mkl",
    "idt",
    "sot",
    "hist-match",
    "relight",
]
_EPSILON = 0.02
_GRID = 32
"""Side of the grid on which light is compared."""
_SMOOTHINGS = 6
"""Means over seven cells that the comparison is smoothed by: a Gaussian of 0.15 sides of the crop,
which light across a face passes, and brows, lips and sockets that are one person's own don't."""
_DETAIL = 1.25
"""How much more contrast details get than they had: in a dark cheek that is to be a bright one,
grain would be four times as strong, and highlights would burn out."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue."""
_TONES = 2048
"""Pixels of a face that tell whether it is in color."""
_TONED, _COLORED = 0.022, 0.036
"""Deviations of color from what luma tells, over the mean luma: monochrome, and in color."""
_LEAST = 48.0
"""Pixels of a mask below which no statistic is taken."""
_LAB_RANGE = np.array([[0, -127, -127], [100, 127, 127]], np.float32)


def low_pass(rgb: torch.Tensor, like: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Multiply a picture by the ratio of two low passes, so that its light is the other's.

    answer = rgb r, r = (B(w like) + e) / (B(w rgb) + e), B a wide blur and w where both are known.
    Where r is more than 1.25, only the blur is brightened further: 1.25 (rgb - B(rgb)) + B(like).

    Args:
        rgb: (N,3,h,w) in [0,1].
        like: (N,3,h,w) in [0,1].
        weight: (N,1,h,w) in [0,1]: where both show a face.

    Returns:
        (N,3,h,w) in [0,1].
    """
    answers = [
        _lit_alike(*(np.ascontiguousarray(one.permute(1, 2, 0).numpy()) for one in three))
        for three in zip(rgb, like, weight, strict=True)
    ]
    if not answers:
        return rgb.clone()
    return torch.from_numpy(np.stack(answers)).permute(0, 3, 1, 2).contiguous()


def bring_color(mode: ColorMode, rgb: Floats, like: Floats, weight: Floats) -> Floats:
    """Bring a picture to another one's colors.

    Args:
        mode: "low-pass" compares light on a coarse grid; "relight" does the same after a method has
            lit its face anew; "rct" matches mean and deviation in CIE Lab (Reinhard et al. 2001),
            "rct-literal" as DeepFaceLab counts them, with what is outside the mask as black; "lct"
            matches mean and covariance by principal axes, "mkl" by the linear map that moves
            colors least (Pitie and Kokaram 2007); "idt" matches the distribution along random axes,
            one after the other (Pitie et al. 2007), "sot" along many at once, and lets no edge
            appear that neither picture has; "hist-match" matches each channel's histogram.
        rgb: (h,w,3) in [0,1].
        like: (h,w,3) in [0,1].
        weight: (h,w) in [0,1]: where both show a face.

    Returns:
        (h,w,3) in [0,1]; `rgb` itself where the mask holds next to nothing.
    """
    if mode == "none" or float(weight.sum()) < _LEAST:
        return rgb
    if mode in ("low-pass", "relight"):
        return toned(_lit_alike(rgb, like, weight), like, weight)
    answer = _TRANSFERS[mode](rgb, like, weight)
    return toned(np.asarray(np.clip(answer, 0, 1), np.float32), like, weight)


@dataclass(frozen=True, eq=False)
class Tone:
    """The one color, in each brightness, of a picture that is gray or tinted."""

    share: float
    """In (0,1]: how surely the picture is monochrome."""
    curve: Floats
    """(4,3) colors as a cubic function of luma."""
    known: tuple[float, float]
    """Lumas between which the curve was seen."""

    def on(self, rgb: Floats) -> Floats:
        """Return a picture (h,w,3) in [0,1] in this color; beyond known lumas the tint is kept."""
        luma = np.asarray(rgb @ LUMA, np.float32)
        held = np.clip(luma, *self.known).ravel()
        tint = np.vander(held, 4) @ self.curve / np.maximum(held, 1e-3)[:, None]
        gray = luma[..., None] * tint.reshape(rgb.shape)
        return np.asarray(np.clip(rgb + self.share * (gray - rgb), 0, 1), np.float32)


def tone_of(picture: Floats, weight: Floats) -> Tone | None:
    """Tell whether a face is monochrome: None where it is in color.

    It is where colors follow from luma but for a deviation of 2.2 % of the mean luma, and in part
    up to 3.6 %. In color, faces deviate by more, in dim light as in bright.

    Args:
        picture: (h,w,3) in [0,1].
        weight: (h,w) in [0,1]: where it shows the face.
    """
    chosen = np.flatnonzero(weight.ravel() > 0.5)
    chosen = chosen[:: max(1, len(chosen) // _TONES)]
    if len(chosen) < _LEAST:
        return None
    colors = picture.reshape(-1, 3)[chosen].astype(np.float64)
    luma = colors @ LUMA
    powers = np.vander(luma, 4)
    curve = np.linalg.lstsq(powers, colors, rcond=None)[0]
    level = max(float(luma.mean()), 1e-3)
    apart = float(np.sqrt(np.square(colors - powers @ curve).sum(1).mean())) / level
    share = min(1.0, (_COLORED - apart) / (_COLORED - _TONED))
    low, high = np.percentile(luma, (1, 99))
    return Tone(share, curve, (float(low), float(high))) if share > 0 else None


def toned(rgb: Floats, like: Floats, weight: Floats) -> Floats:
    """Take a picture's own colors off where the other one has none: `rgb` itself else."""
    tone = tone_of(like, weight)
    return rgb if tone is None else tone.on(rgb)


def _lit_alike(rgb: Floats, like: Floats, weight: Floats) -> Floats:
    """`low_pass` of (h,w,3) pictures and a (h,w) or (h,w,1) weight."""
    flat = np.ascontiguousarray(weight.reshape(weight.shape[:2]))
    sums = weighted_cells(rgb, like, flat, _GRID)
    for _ in range(_SMOOTHINGS):
        sums = averaged(sums, 7)
    # Where nothing is known, both are black and the ratio is one.
    known = np.maximum(sums[..., 6:], 1e-4)
    own, theirs = sums[..., :3] / known, sums[..., 3:6] / known
    ratio = np.clip((theirs + _EPSILON) / (own + _EPSILON), 0.25, _DETAIL)
    size = (flat.shape[0], flat.shape[1])
    answer = scaled(rgb, spread(ratio, size))
    beyond = np.maximum(theirs + _EPSILON - (own + _EPSILON) * _DETAIL, 0)
    if not beyond.any():
        return answer
    return np.asarray(np.clip(answer + spread(beyond, size), 0, 1), np.float32)


def _lab(rgb: Floats) -> Floats:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), np.float32)


def _from_lab(lab: Floats) -> Floats:
    held = np.clip(lab, *_LAB_RANGE).astype(np.float32)
    return np.asarray(cv2.cvtColor(held, cv2.COLOR_LAB2RGB), np.float32)


def _rct(rgb: Floats, like: Floats, weight: Floats) -> Floats:
    own, theirs = _lab(rgb), _lab(like)
    total = float(weight.sum())
    (mean, deviation), (wanted, spread) = (
        _mean_and_deviation(lab, weight, total) for lab in (own, theirs)
    )
    return _from_lab((own - mean) * (spread / np.maximum(deviation, 1e-3)) + wanted)


def _mean_and_deviation(lab: Floats, weight: Floats, total: float) -> tuple[Floats, Floats]:
    mean = np.einsum("hw,hwc->c", weight, lab) / total
    variance = np.einsum("hw,hwc->c", weight, (lab - mean) ** 2) / total
    return mean, np.sqrt(variance)


def _rct_literal(rgb: Floats, like: Floats, weight: Floats) -> Floats:
    own, theirs = _lab(rgb), _lab(like)
    inside = (weight >= 0.5)[..., None]
    black_own, black_theirs = np.where(inside, own, 0), np.where(inside, theirs, 0)
    deviation, spread = black_own.std((0, 1)), black_theirs.std((0, 1))
    scaled = (own - black_own.mean((0, 1))) * (spread / np.maximum(deviation, 1e-3))
    return _from_lab(np.asarray(scaled + black_theirs.mean((0, 1)), np.float32))


def _moments(picture: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Mean (3,) and covariance (3,3) inside a mask."""
    total = float(weight.sum())
    mean = np.einsum("hw,hwc->c", weight, picture).astype(np.float64) / total
    apart = (picture - mean).reshape(-1, 3)
    covariance = (apart * weight.reshape(-1, 1)).T @ apart / total
    return mean, covariance + 1e-5 * np.eye(3)


def _root(matrix: Floats, power: float) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 1e-9) ** power) @ vectors.T)


def _lct(rgb: Floats, like: Floats, weight: Floats) -> Floats:
    (mean, own), (wanted, theirs) = _moments(rgb, weight), _moments(like, weight)
    matrix = _root(theirs, 0.5) @ _root(own, -0.5)
    return np.asarray((rgb - mean) @ matrix.T + wanted, np.float32)


def _mkl(rgb: Floats, like: Floats, weight: Floats) -> Floats:
    (mean, own), (wanted, theirs) = _moments(rgb, weight), _moments(like, weight)
    root, back = _root(own, 0.5), _root(own, -0.5)
    matrix = back @ _root(root @ theirs @ root, 0.5) @ back
    return np.asarray((rgb - mean) @ matrix.T + wanted, np.float32)


def _idt(rgb: Floats, like: Floats, weight: Floats) -> Floats:
    return mapped(rgb, iterative_map(Samples.of(rgb, weight), Samples.of(like, weight)))


def _sot(rgb: Floats, like: Floats, weight: Floats) -> Floats:
    moved = mapped(rgb, sliced_map(Samples.of(rgb, weight), Samples.of(like, weight)))
    # At half the size: the filter's reach is wide and its answer smooth.
    size = (rgb.shape[1], rgb.shape[0])
    half = cv2.resize(moved - rgb, None, None, 0.5, 0.5, cv2.INTER_AREA)
    calm = cv2.bilateralFilter(np.ascontiguousarray(half), 0, 5 / 255, 8)
    return np.asarray(rgb + cv2.resize(calm, size), np.float32)


def _hist_match(rgb: Floats, like: Floats, weight: Floats) -> Floats:
    return matched_histogram(rgb, Samples.of(rgb, weight), Samples.of(like, weight))


_TRANSFERS: Mapping[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "rct": _rct,
    "rct-literal": _rct_literal,
    "lct": _lct,
    "mkl": _mkl,
    "idt": _idt,
    "sot": _sot,
    "hist-match": _hist_match,
}

"""What stands still should flicker alike, near the head and far from it.

A camera's noise, and what a codec leaves of it, covers a still background evenly. Where a picture
was generated or pasted around a face, the background there is another one: frozen, or shimmering.
Frame by frame, pixels that stand still (their neighborhood's mean difference to the frame before is
below `_STILL`) and lie outside of head and body give the variance of their differences, in a ring
around the head and beyond it. Noise depends on brightness, so both are compared at equal luma.
"""

from __future__ import annotations

import numpy as np
import torch

from likeness.metrics.regions import FACE_OVAL
from likeness.types import Bools, Floats, Window
from likeness.verify.coding import MOST, Coding, ColorCount, coding_of
from likeness.verify.signal import NO_FACE, PICTURE, Curve, Scene, SignalReading, luma_of, ramp

_STILL = 2.0 / 255
"""Largest mean difference of 7x7 pixels, in [0,1], of what counts as standing still."""
_AROUND = 7
_RING = 0.15
"""Width of the ring around the head, in face widths."""
_LEAST_FRAMES = 12
_LEAST_SHARE = 0.01
"""Share of the frame that must be still, in the ring as well as beyond."""
_BINS = 12
"""Steps of luma that ring and rest are compared in."""
_FLOOR = (0.1 / 255) ** 2
"""Added to variances: what quantization to 8 bit and a good codec leave of nothing."""
_USUAL, _FAR = 0.75, 2.0
"""Octaves of variance between ring and rest: recordings stay below the first."""
_USUAL_CODED, _FAR_CODED = 1.5, 3.5
"""The same where a coder works in blocks and the ring has more: it spends its bits near motion. 1.4
octaves were found in recordings at CRF 40."""
_POINTS = 300
"""Points of the curve."""
_BLIND = (
    "Needs a camera that stands still and a background on both sides of the ring. Codecs spend "
    "more on blocks near motion and freeze those far away, which raises the ratio of real "
    "recordings; strong compression hides the noise altogether. A picture that was generated as a "
    "whole is even everywhere, and so is one that was coded anew at low quality."
)
_TITLE = "Temporal residual of the still background"


class BackgroundSignal:
    """Accumulates differences of neighboring frames while the clip goes by."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        size = scene.clip.size
        self._energy = np.zeros((2, *size), np.float32)
        """Sum of squared differences of still pixels, [0] beyond the ring and [1] in it."""
        self._count = np.zeros((2, *size), np.float32)
        self._luma = np.zeros(size, np.float32)
        self._frames: list[int] = []
        self._levels: list[tuple[float, float]] = []
        self._before: tuple[int, Floats] | None = None
        self._colors = ColorCount()

    def look(self, window: Window, frames: torch.Tensor) -> None:
        """Add the differences of each frame to the one before."""
        self._colors.look(frames)
        for frame, luma in zip(window, luma_of(frames), strict=True):
            points = self._scene.landmarks(frame)
            before, self._before = self._before, None
            if points is None:
                continue
            self._before = frame, luma
            if before is not None and before[0] == frame - 1:
                self._add(frame, luma, luma - before[1], points)

    def read(self) -> SignalReading:
        """Compare the variance in the ring with that beyond."""
        if self._scene.track is None:
            return _without(NO_FACE)
        if len(self._scene.clip) == 1:
            return _without(PICTURE)
        if len(self._frames) < _LEAST_FRAMES:
            return _without(
                f"{len(self._frames)} pairs of frames with a face, {_LEAST_FRAMES} are needed"
            )
        known = self._count >= 0.3 * len(self._frames)
        shares = known.mean((1, 2))
        if shares.min() < _LEAST_SHARE:
            where = "around the head" if shares[1] < _LEAST_SHARE else "away from the head"
            return _without(f"too little stands still {where}, or the camera moves")
        variance = self._energy / np.maximum(2 * self._count, 1)
        ratio = _octaves(variance, known, self._luma / len(self._frames))
        if ratio is None:
            return _without("the background near the head has nowhere else the same brightness")
        return self._judge(ratio, variance, known)

    def _add(self, frame: int, luma: Floats, difference: Floats, points: Floats) -> None:
        from scipy.ndimage import uniform_filter

        person, ring = _zones(points, self._scene.clip.size)
        still = (np.abs(uniform_filter(difference, _AROUND)) < _STILL) & ~person
        square = difference * difference
        levels = []
        for row, part in enumerate((still & ~ring, still & ring)):
            self._energy[row] += square * part
            self._count[row] += part
            levels.append(float(np.sqrt(square[part].mean() / 2)) if part.any() else np.nan)
        self._luma += luma
        self._frames.append(frame)
        self._levels.append((levels[0], levels[1]))

    def _judge(self, ratio: float, variance: Floats, known: Bools) -> SignalReading:
        coding = coding_of(self._scene.clip)
        spent = coding.blocks and ratio > 0
        usual, far = (_USUAL_CODED, _FAR_CODED) if spent else (_USUAL, _FAR)
        score = ramp(abs(ratio), usual, far)
        explained = ""
        if coding.lossy or self._colors.few:
            score = min(score, MOST)
            explained = f" {_why(coding, self._colors.few)}" if score else ""
        more = "more" if ratio > 0 else "less"
        levels = 255 * _fewer(np.array(self._levels, np.float32))
        frames = _fewer(np.array(self._frames, np.float32)).astype(np.int64)
        said = f"The still background flickers {2 ** abs(ratio):.1f} times {more} around the head"
        verdict = f"; up to {2**usual:.1f} times is usual." if score else "; nothing unusual."
        return SignalReading(
            "background",
            _TITLE,
            score,
            f"{said} than away from it (variance at equal brightness){verdict}{explained}",
            _BLIND,
            {"octaves": ratio, "ring_share": float(known[1].mean())},
            (
                Curve(
                    "Flicker of what stands still",
                    self._scene.seconds(frames),
                    {"around the head": levels[:, 1], "away from it": levels[:, 0]},
                    ("seconds", "deviation, 8-bit steps"),
                    over_time=True,
                ),
            ),
            _map(variance, known),
            "Temporal deviation of every pixel that stood still, white is one step of 8 bit; "
            "dark blue is what moved or belongs to the person.",
        )


def _why(coding: Coding, few_colors: bool) -> str:
    """Name what may have changed the flicker without anybody's doing."""
    if coding.palette or few_colors:
        return f"Dithering between few colors ({coding.name}) may have done it."
    return f"{coding.name} may have done it: it freezes what moves little."


def _zones(points: Floats, size: tuple[int, int]) -> tuple[Bools, Bools]:
    """Rectangles (H,W) of the person, down to the lower edge, and of the ring around it."""
    (left, top), (right, bottom) = points[FACE_OVAL, :2].min(0), points[FACE_OVAL, :2].max(0)
    width, height = right - left, bottom - top
    person, both = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    for zone, grown in ((person, 0.0), (both, _RING * width)):
        x0, x1 = left - 0.3 * width - grown, right + 0.3 * width + grown
        zone[max(0, int(top - 0.35 * height - grown)) :, max(0, int(x0)) : max(0, int(x1))] = True
    # Shoulders are wider than the head.
    person[max(0, int(bottom)) :] = True
    return person, both & ~person


def _octaves(variance: Floats, known: Bools, luma: Floats) -> float | None:
    """Mean binary logarithm of the ring's variance over the rest's, at equal luma."""
    level = np.clip((luma * _BINS).astype(int), 0, _BINS - 1)
    total, weight = 0.0, 0
    for step in range(_BINS):
        here = known & (level == step)
        count = int(here.sum((1, 2)).min())
        if count < 50:
            continue
        rest, ring = (float(variance[i][here[i]].mean()) + _FLOOR for i in (0, 1))
        total, weight = total + count * float(np.log2(ring / rest)), weight + count
    return total / weight if weight else None


def _fewer(series: Floats) -> Floats:
    """Average neighbors of an (n,...) series until at most `_POINTS` are left to draw."""
    starts = np.arange(0, len(series), -(-len(series) // _POINTS))
    length = np.diff(np.r_[starts, len(series)]).reshape(-1, *[1] * (series.ndim - 1))
    averaged: Floats = np.add.reduceat(series, starts, axis=0) / length
    return averaged


def _map(variance: Floats, known: Bools) -> torch.Tensor:
    count = known.sum(0)
    deviation = 255 * np.sqrt((variance * known).sum(0) / np.maximum(count, 1))
    gray = torch.from_numpy(np.clip(deviation, 0, 1).astype(np.float32)).expand(3, -1, -1)
    unknown = torch.tensor([0.08, 0.13, 0.25]).view(3, 1, 1)
    return torch.where(torch.from_numpy(count > 0), gray, unknown)


def _without(reason: str) -> SignalReading:
    return SignalReading("background", _TITLE, None, f"Not applicable: {reason}.", _BLIND)

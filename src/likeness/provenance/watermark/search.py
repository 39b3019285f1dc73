"""Finding the mark: a test whose p-value holds for any picture, over the draw of the key.

Under "no mark", the picture knows nothing of the key, and the anchor's phases are independent and
uniform. What is compared with a threshold, C = sum a_k cos(phase_k), then has
E exp(tC) = prod I0(t a_k) <= exp(t^2 sum a_k^2 / 4), whatever amplitudes a_k the picture has,
and Chernoff's bound gives P(C > z sqrt(sum a_k^2 / 2)) <= exp(-z^2 / 2). Scales and places that are
tried are paid for by their number (Bonferroni).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

from likeness.provenance.watermark import code
from likeness.provenance.watermark.pattern import (
    RADIUS,
    SYMBOLS,
    TILE,
    Complex,
    moved,
    on_torus,
    profile,
    waves,
)
from likeness.types import Floats

LEVEL = 1e-6
"""Significance below which a mark is reported as present."""
_GRID = 256
"""Places per axis at which the anchor is looked for on the torus: every two pixels."""
_STEP = 0.008
"""Relative step between the scales that are tried."""
_SMALLEST, _LARGEST = 0.4, 2.2
_LIKELY = (1.0, 0.5, 1.5, 0.75, 2.0, 2 / 3, 1.25, 4 / 3, 0.8)
"""Scales that are tried first."""
_SURE = -30.0
"""Logarithm of a p-value at which no other scale is tried."""
_REFINEMENTS = 12
"""Scales that are tried around the best one."""


@dataclass(frozen=True, slots=True)
class WatermarkReading:
    """What the test says."""

    present: bool
    """The p-value is below 1e-6."""
    p_value: float
    """Bound on the chance that frames without this key's mark score as high, all scales and places
    that were tried counted; 1 where it says nothing."""
    payload: int | None
    """64 bits, where these are beyond chance too."""
    payload_p_value: float
    """Bound on the chance that any of the 2^64 payloads scores as high on frames without mark."""
    score: float
    """Standard deviations by which the anchor stands out."""
    scale: float
    """Size of the pattern relative to what is laid on a frame of this size."""
    offset: tuple[float, float]
    """(y, x) of the frame's corner on the pattern, in pixels of the pattern."""
    frames: int
    """How many frames were looked at."""


def _spectrum(picture: Floats, scale: float) -> Complex:
    """Return (2R+1, R+1) amplitudes of a picture at the pattern's frequencies.

    Summing waves over the picture does what resampling it by 1 / scale and folding it onto the
    torus would do, for any scale and without interpolation.
    """
    turn = -2j * np.pi / (TILE * scale)
    y, x = (np.arange(side, dtype=np.float64) + 0.5 for side in picture.shape)
    down = np.exp(turn * np.arange(-RADIUS, RADIUS + 1)[:, None] * y[None]).astype(np.complex64)
    across = np.exp(turn * x[:, None] * np.arange(RADIUS + 1)[None]).astype(np.complex64)
    found: Complex = down @ (picture.astype(np.float32) @ across)
    return found


def _whitened(picture: Floats, scale: float) -> Complex:
    """Return the spectrum, each wave weighted by the inverse of the power around it."""
    found = _spectrum(picture, scale)
    power = uniform_filter(np.abs(found) ** 2, 7)
    inside = profile() > 0
    white: Complex = np.where(inside, found / (power + 1e-3 * power[inside].mean() + 1e-30), 0)
    return white


def _deviation(white: Complex) -> float:
    return float(np.sqrt((np.abs(profile() * white) ** 2).sum() / 2)) + 1e-30


def _anchor(white: Complex, key: bytes, number: int = 0) -> Floats:
    """Return (G,G) scores of a pattern at all places, in standard deviations."""
    surface: Floats = on_torus(waves(key, number) * white.conj(), _GRID) / _deviation(white)
    return surface


@dataclass(frozen=True, slots=True)
class _Peak:
    score: float
    scale: float
    place: tuple[float, float]
    white: Complex


def _peak(picture: Floats, key: bytes, scale: float) -> _Peak:
    white = _whitened(picture, scale)
    surface = _anchor(white, key)
    y, x = np.unravel_index(int(surface.argmax()), surface.shape)
    step = TILE / _GRID
    return _Peak(float(surface[y, x]), scale, (float(y) * step, float(x) * step), white)


def _scales() -> list[float]:
    count = math.ceil(math.log(_LARGEST / _SMALLEST) / _STEP) + 1
    return [*_LIKELY, *(_SMALLEST * math.exp(i * _STEP) for i in range(count))]


def _log_p(score: float, scales: int) -> float:
    if score <= 0:
        return 0.0
    return min(0.0, math.log(_GRID * _GRID * (scales + _REFINEMENTS)) - score * score / 2)


def _best(picture: Floats, key: bytes) -> tuple[_Peak, float]:
    """Return the highest peak over all scales, and the logarithm of its p-value."""
    scales = _scales()
    best = None
    for scale in scales:
        found = _peak(picture, key, scale)
        if best is None or found.score > best.score:
            best = found
        if _log_p(best.score, len(scales)) < _SURE:
            break
    step = _STEP
    for _ in range(_REFINEMENTS // 2):
        step /= 2
        around = [_peak(picture, key, best.scale * (1 + sign * step)) for sign in (-1, 1)]
        best = max([best, *around], key=lambda peak: peak.score)
    return best, _log_p(best.score, len(scales))


def search(picture: Floats, key: bytes, frames: int) -> WatermarkReading:
    """Return the reading of a weighted mean of frames, (H, W)."""
    peak, log_p = _best(picture, key)
    payload, payload_log_p = _payload(peak, key)
    return WatermarkReading(
        present=log_p < math.log(LEVEL),
        p_value=math.exp(log_p),
        payload=payload if payload_log_p < math.log(LEVEL) else None,
        payload_p_value=math.exp(payload_log_p),
        score=peak.score,
        scale=peak.scale,
        offset=peak.place,
        frames=frames,
    )


def _payload(peak: _Peak, key: bytes) -> tuple[int | None, float]:
    """Return the most likely payload and the logarithm of its p-value, all 2^64 counted."""
    step = _GRID // 16
    scores = np.empty((SYMBOLS, 256))
    for number in range(SYMBOLS):
        placed = moved(peak.white.conj(), *peak.place)
        surface = on_torus(waves(key, number + 1) * placed, _GRID) / _deviation(peak.white)
        scores[number] = surface[::step, ::step].ravel()
    best, total = None, 0.0
    received = scores.argmax(1).tolist()
    sorted_scores = np.sort(scores, 1)
    order = np.argsort(sorted_scores[:, -1] - sorted_scores[:, -2]).tolist()
    for erased in range(0, code.CHECKS + 1, 2):
        word = code.decode(received, order[:erased])
        if word is None:
            continue
        score = float(sum(scores[i, byte] for i, byte in enumerate(word))) / math.sqrt(SYMBOLS)
        if score > total:
            best, total = int.from_bytes(bytes(word[: code.DATA]), "big"), score
    return best, min(0.0, 64 * math.log(2) - total * total / 2)

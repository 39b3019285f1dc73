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
from itertools import product

import numpy as np
from scipy.ndimage import uniform_filter

from likeness.provenance.watermark import code
from likeness.provenance.watermark.pattern import (
    PLACES,
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
_COUNT = math.ceil(math.log(_LARGEST / _SMALLEST) / _STEP) + 1
_SCALES = (*_LIKELY, *(_SMALLEST * math.exp(i * _STEP) for i in range(_COUNT)))
_REFINEMENTS = 10
"""Scales that are tried around the best one."""
_SMOOTH = 15
"""Side, in frequencies, of the neighbourhoods over which power is averaged."""
_SURE = math.log(1e-12)
"""Logarithm of a p-value at which no other scale is tried."""
_TRIED = len(_SCALES) + _REFINEMENTS
_WHOLE = math.log(9 * _TRIED * 2)
"""What is paid for the nine places at the torus's corner, at any scale: frames that were not cut.
Half of the false alarms are allotted to these, a quarter to each of the other two searches."""
_CUT = math.log(_GRID**2 * len(_LIKELY) * 4)
"""What is paid for any place at a likely scale."""
_ANY = math.log(_GRID**2 * _TRIED * 4)
"""What is paid for any place at any scale."""


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


NOTHING = WatermarkReading(False, 1.0, None, 1.0, 0.0, 1.0, (0.0, 0.0), 0)
"""The reading of no frames, or of frames that are too small."""


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
    power = uniform_filter(np.abs(found) ** 2, _SMOOTH)
    inside = profile() > 0
    white: Complex = np.where(inside, found / (power + 1e-3 * power[inside].mean() + 1e-30), 0)
    return white


def _deviation(white: Complex) -> float:
    return float(np.sqrt((np.abs(profile() * white) ** 2).sum() / 2)) + 1e-30


def _scores(white: Complex, key: bytes) -> Floats:
    """Return (G,G) scores of the anchor at all places, in standard deviations."""
    surface: Floats = on_torus(waves(key, 0) * white.conj(), _GRID) / _deviation(white)
    return surface


@dataclass(frozen=True, slots=True)
class _Peak:
    score: float
    log_p: float
    scale: float
    place: tuple[float, float]
    white: Complex


def _peak(picture: Floats, key: bytes, scale: float, paid: float) -> _Peak:
    """Return the more telling of the highest score near the corner and the highest of all.

    `paid` is what a place other than the corner costs at this scale.
    """
    white = _whitened(picture, scale)
    surface = _scores(white, key)
    corner = np.roll(surface, (1, 1), (0, 1))[:3, :3]
    step = TILE / _GRID
    y, x = (int(i) for i in np.unravel_index(corner.argmax(), corner.shape))
    whole = float(corner[y, x])
    v, u = (int(i) for i in np.unravel_index(surface.argmax(), surface.shape))
    cut = float(surface[v, u])
    if _log_p(whole, _WHOLE) <= _log_p(cut, paid):
        place = ((y - 1) * step, (x - 1) * step)
        return _Peak(whole, _log_p(whole, _WHOLE), scale, place, white)
    return _Peak(cut, _log_p(cut, paid), scale, (v * step, u * step), white)


def _log_p(score: float, paid: float) -> float:
    return min(0.0, paid - score * score / 2) if score > 0 else 0.0


def _best(picture: Floats, key: bytes) -> _Peak:
    """Return the most telling peak over all scales, its scale refined."""
    best = _peak(picture, key, 1.0, _CUT)
    for number, scale in enumerate(_SCALES[1:], 1):
        found = _peak(picture, key, scale, _CUT if number < len(_LIKELY) else _ANY)
        if best.log_p < _SURE and found.log_p >= best.log_p:
            break
        best = min(best, found, key=lambda peak: (peak.log_p, -peak.score))
    step = _STEP
    for _ in range(_REFINEMENTS // 2):
        step /= 2
        around = [_peak(picture, key, best.scale * (1 + sign * step), _ANY) for sign in (-1, 1)]
        best = min([best, *around], key=lambda peak: (peak.log_p, -peak.score))
    return best


def search(picture: Floats, key: bytes, frames: int) -> WatermarkReading:
    """Return the reading of a weighted mean of frames, (H, W)."""
    peak = _best(picture, key)
    payload, payload_log_p = _payload(peak, key)
    return WatermarkReading(
        present=peak.log_p < math.log(LEVEL),
        p_value=math.exp(peak.log_p),
        payload=payload if max(payload_log_p, peak.log_p) < math.log(LEVEL) else None,
        payload_p_value=math.exp(payload_log_p),
        score=peak.score,
        scale=peak.scale,
        offset=peak.place,
        frames=frames,
    )


def _finer(peak: _Peak, key: bytes) -> tuple[float, float]:
    """Return the place of a peak to half a pixel."""
    waves_there = waves(key, 0) * peak.white.conj()
    best = peak.place
    top = float(moved(waves_there, *best).real.sum())
    for step in (1.0, 0.5):
        y, x = best
        for dy, dx in product((-step, 0.0, step), repeat=2):
            score = float(moved(waves_there, y + dy, x + dx).real.sum())
            if score > top:
                best, top = (y + dy, x + dx), score
    return best


def _payload(peak: _Peak, key: bytes) -> tuple[int, float]:
    """Return the most likely payload and the logarithm of its p-value, all 2^64 paid for."""
    placed = moved(peak.white.conj(), *_finer(peak, key))
    step = _GRID // PLACES
    scores = np.empty((SYMBOLS, PLACES * PLACES))
    for number in range(SYMBOLS):
        surface = on_torus(waves(key, number + 1) * placed, _GRID)
        scores[number] = surface[::step, ::step].ravel() / _deviation(peak.white)
    data, total = code.decode(scores)
    score = total / math.sqrt(SYMBOLS)
    return int.from_bytes(data, "big"), _log_p(score, 64 * math.log(2))

"""Finding the mark: a test whose p-value holds for any picture, over the draw of the key.

Under "no mark", the picture knows nothing of the key, and the anchor's phases are independent and
uniform. What is compared with a threshold, C = sum a_k cos(phase_k), then has
E exp(tC) = prod I0(t a_k) <= exp(t^2 sum a_k^2 / 4), whatever amplitudes a_k the picture has,
and Chernoff's bound gives P(C > z sqrt(sum a_k^2 / 2)) <= exp(-z^2 / 2). Scales and places that are
tried are paid for by their number (Bonferroni).

What follows once an anchor is found, a finer scale and place for reading the payload, is chosen by
the anchor's phases alone. Those of the payload's patterns are independent of them, so that their
own bound needs nothing more than the number of payloads.
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
    Reals,
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
_LIKELY = (0.5, 1.5, 0.75, 2.0, 2 / 3, 1.25, 4 / 3, 0.8)
"""Scales that are tried after 1, before all others."""
_COUNT = math.ceil(math.log(_LARGEST / _SMALLEST) / _STEP) + 1
_OTHERS = tuple(_SMALLEST * math.exp(i * _STEP) for i in range(_COUNT))
_GROUPS = ((1.0,), _LIKELY, _OTHERS)
"""A third of the false alarms is allotted to each group of scales."""
_REFINEMENTS = 5
"""How often the step between scales is halved before the payload is read."""
_SMOOTH = 15
"""Side, in frequencies, of the neighbourhoods over which power is averaged."""
_SURE = math.log(1e-12)
"""Logarithm of a p-value at which no other scale is tried."""


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
    """Bound on the chance that any of the 2^64 payloads scores as high on frames without mark; 1
    where no mark is present."""
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


class Spectra:
    """A picture's spectra at the pattern's frequencies, by scale, each computed once.

    Summing waves over the picture does what resampling it by 1 / scale and folding it onto the
    torus would do, for any scale and without interpolation.
    """

    def __init__(self, picture: Floats) -> None:
        """Take a picture (H, W), such as `Evidence` gives."""
        self._picture = picture.astype(np.float32)
        self._known: dict[float, Complex] = {}

    def at(self, scale: float) -> Complex:
        """Return (2R+1, R+1): each wave weighted by the inverse of the power around it.

        A pattern with amplitudes of one and chance phases correlates with it with a standard
        deviation of one.
        """
        if scale not in self._known:
            self._known[scale] = self._whitened(scale)
        return self._known[scale]

    def _whitened(self, scale: float) -> Complex:
        turn = -2j * np.pi / (TILE * scale)
        y, x = (np.arange(side, dtype=np.float64) + 0.5 for side in self._picture.shape)
        down = np.exp(turn * np.arange(-RADIUS, RADIUS + 1)[:, None] * y[None])
        across = np.exp(turn * x[:, None] * np.arange(RADIUS + 1)[None])
        found = down.astype(np.complex64) @ (self._picture @ across.astype(np.complex64))
        power = uniform_filter(np.abs(found) ** 2, _SMOOTH)
        inside = profile() > 0
        white = np.where(inside, found / (power + 1e-3 * power[inside].mean() + 1e-30), 0)
        deviation = float(np.sqrt((np.abs(white) ** 2).sum() / 2)) + 1e-30
        scaled: Complex = (white / deviation).astype(np.complex64)
        return scaled


@dataclass(frozen=True, slots=True)
class _Peak:
    score: float
    log_p: float
    scale: float
    place: tuple[float, float]


def scores(white: Complex, spectrum: Complex) -> Reals:
    """Return (G,G) scores of a pattern at all places of the grid, in standard deviations.

    Args:
        white: What `Spectra.at` gives.
        spectrum: (2R+1, R+1) waves of the pattern.
    """
    return on_torus((spectrum * white.conj()).astype(np.complex64), _GRID)


def best_place(white: Complex, spectrum: Complex) -> tuple[float, tuple[float, float]]:
    """Return the highest of the `scores`, and its place `(y, x)` in pixels of the pattern."""
    surface = scores(white, spectrum)
    y, x = (int(i) for i in np.unravel_index(surface.argmax(), surface.shape))
    step = TILE / _GRID
    return float(surface[y, x]), (y * step, x * step)


def _log_p(score: float, paid: float) -> float:
    return min(0.0, paid - score * score / 2) if score > 0 else 0.0


def _best(spectra: Spectra, key: bytes) -> _Peak:
    """Return the most telling peak over all scales."""
    anchor = waves(key, 0)
    best = _Peak(0.0, 0.0, 1.0, (0.0, 0.0))
    for scales in _GROUPS:
        paid = math.log(_GRID**2 * len(scales) * len(_GROUPS))
        for scale in scales:
            score, place = best_place(spectra.at(scale), anchor)
            found = _Peak(score, _log_p(score, paid), scale, place)
            best = min(best, found, key=lambda peak: (peak.log_p, -peak.score))
        if best.log_p < _SURE:
            break
    return best


def search(spectra: Spectra, key: bytes, frames: int) -> WatermarkReading:
    """Return the reading of the weighted mean of so many frames."""
    peak = _best(spectra, key)
    present = peak.log_p < math.log(LEVEL)
    scale, place = peak.scale, peak.place
    payload, payload_log_p = 0, 0.0
    if present:
        scale, place = _finer(spectra, key, peak)
        payload, payload_log_p = _payload(spectra.at(scale), key, place)
    return WatermarkReading(
        present=present,
        p_value=math.exp(peak.log_p),
        payload=payload if payload_log_p < math.log(LEVEL) else None,
        payload_p_value=math.exp(payload_log_p),
        score=peak.score,
        scale=scale,
        offset=place,
        frames=frames,
    )


def _finer(spectra: Spectra, key: bytes, peak: _Peak) -> tuple[float, tuple[float, float]]:
    """Return scale and place of a peak, the place to half a pixel."""
    anchor = waves(key, 0)
    best = peak.score, peak.scale, peak.place
    step = _STEP
    for _ in range(_REFINEMENTS):
        step /= 2
        around = [best[1] * (1 + sign * step) for sign in (-1, 1)]
        tried = [(scale, *best_place(spectra.at(scale), anchor)) for scale in around]
        best = max(best, *((score, scale, place) for scale, score, place in tried))
    top, scale, place = best
    turned = anchor * spectra.at(scale).conj()
    for step in (1.0, 0.5):
        y, x = place
        for dy, dx in product((-step, 0.0, step), repeat=2):
            score = float(moved(turned, y + dy, x + dx).real.sum())
            if score > top:
                place, top = (y + dy, x + dx), score
    return scale, place


def _payload(white: Complex, key: bytes, place: tuple[float, float]) -> tuple[int, float]:
    """Return the most likely payload and the logarithm of its p-value, all 2^64 paid for."""
    placed = moved(white.conj(), *place)
    step = _GRID // PLACES
    found = np.empty((SYMBOLS, PLACES * PLACES))
    for number in range(SYMBOLS):
        surface = on_torus(waves(key, number + 1) * placed, _GRID)
        found[number] = surface[::step, ::step].ravel()
    data, total = code.decode(found)
    score = total / math.sqrt(SYMBOLS)
    return int.from_bytes(data, "big"), _log_p(score, 64 * math.log(2))

"""The spectrum of what is left of a face when its smooth part is taken off.

Networks that enlarge their pictures step by step leave periodic traces: isolated peaks in the
spectrum (Frank et al. 2020), and a wrong amount of high frequencies, seen in the azimuthal average
of the power spectrum (Durall et al. 2020). Both are measured in tiles of the frame as it is coded,
without resampling, and averaged over tiles and frames (Welch 1967): inside the face, and outside of
head and body. Block codecs leave peaks too, mostly in both; what counts is what the face has more.
Where the coding alone can leave such a peak (`coding`), it is a weak sign at most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from likeness.metrics.regions import FACE_OVAL, fill_convex
from likeness.types import Bools, Floats, Window
from likeness.verify.coding import MOST, Coding, ColorCount, coding_of, on_grid
from likeness.verify.signal import NO_FACE, Curve, Scene, SignalReading, luma_of, ramp

_TILE = 32
"""Side of a tile in pixels: a multiple of the 8 pixels that codecs repeat after."""
_FRAMES = 150
"""Frames that are looked at, spread over the clip."""
_LEAST = 40
"""Tiles below which the average is too rough: its logarithm still varies by 0.7 dB."""
_PLACES = 4
"""Tiles that the face must fill in one frame. Frames show the same skin in the same tiles, so that
more of them make no mean out of one place."""
_ROUGH = 6.5
"""Decibels by which a peak of chance stands out where there is one place: one and a half deviations
of a logarithm of power, 4.3 dB, which fall with the root of the places (Welch 1967)."""
_LOW = 0.12
"""Cycles per pixel below which the picture itself makes peaks."""
_NEAR = 3
"""Bins on either side that a peak is compared with."""
_USUAL, _FAR = 1.6, 5.0
"""Decibels by which the face's strongest peak stands out more than the same one elsewhere."""
_USUAL_CODED, _FAR_CODED = 4.0, 8.0
"""The same off the grid of a coder that works in blocks: 3.4 dB were found in textures that were
only coded anew."""
_BLIND = (
    "Sees regular traces of upsampling only. Compression, scaling and noise added afterward wipe "
    "them out, and generators that filter properly leave none; fine regular patterns (mesh, "
    "pinstripes, glasses frames) can look alike. Faces below about 100 pixels fill too few tiles."
)
_TITLE = "Residual spectrum"


@dataclass(eq=False)
class _Average:
    """Mean power spectrum of tiles, each brought to the same energy."""

    power: Floats
    tiles: int = 0
    frames: int = 0

    def add(self, tiles: Floats) -> None:
        """Take in the (n,s,s) windowed tiles of one frame."""
        self.frames += 1
        power = np.abs(np.fft.fft2(tiles)) ** 2
        energy = power.mean((1, 2), keepdims=True)
        # Clipped or coded without any residual: such a tile says nothing.
        kept = energy[:, 0, 0] > 1e-8
        self.power += (power[kept] / energy[kept]).sum(0)
        self.tiles += int(kept.sum())

    @property
    def places(self) -> float:
        """Tiles of a frame, on average."""
        return self.tiles / max(self.frames, 1)

    def decibels(self) -> Floats:
        """Return (s,s) power in dB, frequency zero in the middle."""
        level = 10 * np.log10(self.power / max(self.tiles, 1) + 1e-9)
        return np.asarray(np.fft.fftshift(level), np.float32)


class SpectrumSignal:
    """Averages spectra of face and surroundings while the clip goes by."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._chosen = _spread(scene)
        self._face = _Average(np.zeros((_TILE, _TILE), np.float32))
        self._rest = _Average(np.zeros((_TILE, _TILE), np.float32))
        ramp_up = np.hanning(_TILE + 1)[:_TILE]
        self._window = np.outer(ramp_up, ramp_up)
        self._colors = ColorCount()

    def look(self, window: Window, frames: torch.Tensor) -> None:
        """Add the tiles of every so many frames."""
        self._colors.look(frames)
        rows = [i for i, frame in enumerate(window) if frame in self._chosen]
        for row in rows:
            points = self._scene.landmarks(window.start + row)
            if points is None:
                continue
            residual = _high_pass(luma_of(frames[row : row + 1])[0])
            size = (residual.shape[0], residual.shape[1])
            self._face.add(self._tiles(residual, fill_convex(points[FACE_OVAL, :2], size), True))
            self._rest.add(self._tiles(residual, _person(points, size), False))

    def read(self) -> SignalReading:
        """Find the peaks that the face has and its surroundings have not."""
        if self._scene.track is None:
            return _without(NO_FACE)
        if self._face.tiles < _LEAST:
            return _without(
                f"the face holds {self._face.tiles} tiles of {_TILE}x{_TILE} pixels, and at least "
                f"{_LEAST} are needed; it is too small or the clip too short"
            )
        if self._face.places < _PLACES:
            return _without(
                f"the face fills {self._face.places:.1f} tiles of {_TILE}x{_TILE} pixels in a "
                f"frame, and at least {_PLACES} are needed; it is too small"
            )
        coding = coding_of(self._scene.clip)
        if self._colors.few:
            coding = replace(coding, palette=True)
        enough = self._rest.tiles >= _LEAST and self._rest.places >= _PLACES
        return _judge(self._face, self._rest if enough else None, coding)

    def _tiles(self, residual: Floats, mask: Bools, inside: bool) -> Floats:
        """Cut (n,s,s) windowed tiles that lie wholly inside, or wholly outside, of a mask."""
        height, width = (side // _TILE * _TILE for side in residual.shape)
        covered = _blocks(mask[:height, :width].astype(np.float32)).mean((2, 3))
        chosen = covered >= 0.9 if inside else covered == 0
        tiles: Floats = _blocks(residual[:height, :width])[chosen] * self._window
        return tiles


def _spread(scene: Scene) -> frozenset[int]:
    """Choose frames among those that show the face: others must change nothing."""
    if scene.track is None:
        return frozenset()
    seen = np.flatnonzero(scene.track.observed)
    step = max(1, len(seen) // _FRAMES)
    return frozenset(int(row) + scene.track.start for row in seen[::step])


def _blocks(picture: Floats) -> Floats:
    """View (H,W) as (H/s,W/s,s,s)."""
    height, width = picture.shape
    cut = picture.reshape(height // _TILE, _TILE, width // _TILE, _TILE)
    return np.swapaxes(cut, 1, 2)


def _high_pass(luma: Floats) -> Floats:
    """Take off the mean of 3x3 pixels: a fixed linear filter, which moves no peak."""
    from scipy.ndimage import uniform_filter

    residual: Floats = luma - uniform_filter(luma, 3, mode="nearest")
    return residual


def _person(points: Floats, size: tuple[int, int]) -> Bools:
    from likeness.metrics.regions import head_zone

    zone: Bools = head_zone(points[None], size)[0]
    return zone


def peaks_of(decibels: Floats) -> Floats:
    """Measure by how much each bin stands out of its neighborhood.

    A peak must rise above the medians of its square, of its row and of its column: edges in the
    picture make ridges along the axes, which are no peaks.

    Args:
        decibels: (s,s) power spectrum with frequency zero in the middle.

    Returns:
        (s,s) decibels, 0 below `_LOW` cycles per pixel.
    """
    from scipy.ndimage import median_filter

    side, width = len(decibels), 2 * _NEAR + 1
    shapes = ((width, width), (1, width), (width, 1))
    around = [median_filter(decibels, shape, mode="wrap") for shape in shapes]
    rise = decibels - np.max(around, axis=0)
    frequency = (np.arange(side) - side // 2) / side
    rise[np.hypot(frequency[:, None], frequency[None]) < _LOW] = 0
    above: Floats = np.maximum(rise, 0)
    return above


def azimuthal_average(decibels: Floats) -> tuple[Floats, Floats]:
    """Average a spectrum over all directions.

    Returns:
        (n,) frequencies in cycles per pixel up to 0.5, and (n,) mean decibels.
    """
    side = len(decibels)
    y, x = np.indices(decibels.shape) - side // 2
    radius = np.hypot(y, x).round().astype(int).ravel()
    inside = radius <= side // 2
    total = np.bincount(radius[inside], decibels.ravel()[inside])
    count = np.bincount(radius[inside])
    frequency = np.arange(len(count)) / side
    return frequency[1:].astype(np.float32), (total / count)[1:].astype(np.float32)


def _judge(face: _Average, rest: _Average | None, coding: Coding) -> SignalReading:
    level = face.decibels()
    rise = peaks_of(level)
    elsewhere = peaks_of(rest.decibels()) if rest is not None else _codec_peaks(rise)
    excess = rise - elsewhere
    rough = _ROUGH * float(np.sqrt(sum(1 / one.places for one in (face, rest) if one is not None)))
    score, explained, (row, column) = _scored(excess, elsewhere, coding, rough)
    peak = float(excess[row, column])
    across, down = (abs(int(i) - _TILE // 2) / _TILE for i in (column, row))
    where = f"{across:.3f} cycles per pixel across and {down:.3f} down"
    against = "more than its surroundings" if rest else "(there is too little background)"
    said = f"The face's strongest regular trace stands out by {peak:.1f} dB {against}"
    frequency, profile = azimuthal_average(level)
    series = {"face": profile}
    if rest is not None:
        series["surroundings"] = azimuthal_average(rest.decibels())[1]
    return SignalReading(
        "spectrum",
        _TITLE,
        score,
        f"{said}, at {where}.{explained}" if score else f"{said}; nothing unusual.",
        _BLIND,
        {
            "peak_db": peak,
            "cycles_across": across,
            "cycles_down": down,
            "face_tiles": face.tiles,
            "surrounding_tiles": rest.tiles if rest else 0,
        },
        (
            Curve(
                "Power of the residual over all directions",
                frequency,
                series,
                ("cycles per pixel", "dB"),
            ),
        ),
        _map(excess),
        "What the face's spectrum has more than its surroundings: white is "
        f"{_FAR:.0f} dB, the middle is frequency zero, the border half a cycle per pixel.",
    )


def _scored(
    excess: Floats, elsewhere: Floats, coding: Coding, rough: float
) -> tuple[float, str, tuple[int, int]]:
    """Return the score, what explains it in words, and the bin that it stands on.

    A peak that the coding explains scores `MOST` at the most. Off its grid a block coder leaves
    lower ones, where it keeps a few waves of a texture and drops the rest: there more is asked for.
    So it is where peaks of chance stand out by `rough` decibels.
    """
    grid = on_grid(_TILE)
    # Whatever the file is coded as now, a grid all over the picture was left by a coder before.
    blocks = coding.blocks or float(elsewhere[grid].max()) >= _USUAL
    explained = np.ones_like(grid) if coding.palette else _leaking(excess, grid) & blocks
    free = np.where(explained, -np.inf, excess)
    weak = min(_above(float(excess.max()), _USUAL, _FAR, rough), MOST)
    ends = (_USUAL_CODED, _FAR_CODED) if blocks else (_USUAL, _FAR)
    full = _above(float(free.max()), *ends, rough)
    strongest = free if full > weak or not (blocks or coding.palette) else excess
    row, column = (int(i) for i in np.unravel_index(int(strongest.argmax()), excess.shape))
    if strongest is free:
        return full, "", (row, column)
    cause = "A palette and its dithering" if coding.palette else "The blocks of a coder"
    named = f" ({coding.name})" if coding.lossy else ""
    return weak, f" {cause}{named} may have left it.", (row, column)


def _above(decibels: float, usual: float, far: float, rough: float) -> float:
    """Score a peak: the ramp begins where chance ends."""
    later = max(0.0, rough - usual)
    return ramp(decibels, usual + later, far + later)


def _leaking(excess: Floats, grid: Bools) -> Bools:
    """Add to a grid's bins those beside them that are lower: a window spreads a peak over both."""
    from scipy.ndimage import maximum_filter

    peaks = maximum_filter(np.where(grid, excess, -np.inf), 3, mode="wrap")
    there: Bools = grid | (excess <= peaks)
    return there


def _codec_peaks(rise: Floats) -> Floats:
    """Without surroundings, whatever repeats every 8 pixels is put down to the codec."""
    blocks = np.zeros_like(rise)
    blocks[:: _TILE // 8, :: _TILE // 8] = rise[:: _TILE // 8, :: _TILE // 8]
    return blocks


def _map(excess: Floats) -> torch.Tensor:
    shown = torch.from_numpy(np.clip(excess / _FAR, 0, 1).astype(np.float32))
    return shown.repeat_interleave(6, 0).repeat_interleave(6, 1).expand(3, -1, -1)


def _without(reason: str) -> SignalReading:
    return SignalReading("spectrum", _TITLE, None, f"Not applicable: {reason}.", _BLIND)

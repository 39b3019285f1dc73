"""What the actor's skin and clothes look like: textures painted once per actor.

The head's texture lies on a cylinder around the skull (`Body.uv`); painting happens in millimetres
on that cylinder, so that strokes and spots have the same size on every actor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from likeness.actor.anatomy import OUTER_LIPS, Body
from likeness.actor.appearance import Appearance
from likeness.actor.surface import Reals

HEAD_TEXTURE = (640, 1024)
BODY_TEXTURE = (512, 512)

_BROWS = (
    ((70, 63, 105, 66, 107), (46, 53, 52, 65, 55)),
    ((300, 293, 334, 296, 336), (276, 283, 282, 295, 285)),
)
_FOLDS = (((129, 203, 206, 216), 1.0), ((358, 423, 426, 436), 1.0))
_UNDER_EYES = (((112, 232, 231, 230, 229), 0.6), ((341, 452, 451, 450, 449), 0.6))
_NOSTRILS = ((79, 238, 20, 60, 166), (309, 458, 250, 290, 392))


@dataclass(frozen=True, eq=False)
class Canvas:
    """A head texture being painted, with its millimetre frame."""

    color: Reals
    """(h,w,4) albedo and gloss."""
    x: Reals
    """(w,) millimetres from the face's middle."""
    y: Reals
    """(h,) head-space millimetres."""
    marks: Reals
    """(478 or fewer,2) landmarks in millimetres on the cylinder."""

    @property
    def size(self) -> tuple[int, int]:
        """(h, w)."""
        return len(self.y), len(self.x)

    def spot(self, at: Reals, radius: tuple[float, float]) -> Reals:
        """(h,w) Gaussian with the given radii (x, y) around a point."""
        dx = np.exp(-(((self.x - at[0]) / radius[0]) ** 2))
        dy = np.exp(-(((self.y - at[1]) / radius[1]) ** 2))
        return np.asarray(dy[:, None] * dx[None], np.float32)

    def spots(self, landmarks: tuple[int, ...], radius: tuple[float, float]) -> Reals:
        """(h,w) sum of `spot` over landmarks, at most 1."""
        total = sum(self.spot(self.marks[i], radius) for i in landmarks)
        return np.minimum(np.asarray(total, np.float32), 1.0)

    def strokes(self, points: Reals, width: float) -> Reals:
        """(h,w) coverage of many dots, (K,2) millimetres, blurred to `width`."""
        h, w = self.color.shape[:2]
        column = (points[:, 0] - self.x[0]) / (self.x[1] - self.x[0])
        row = (points[:, 1] - self.y[0]) / (self.y[1] - self.y[0])
        layer = np.zeros((h, w), np.float32)
        c0, r0 = np.floor(column).astype(int), np.floor(row).astype(int)
        for dc in (0, 1):
            for dr in (0, 1):
                share = np.abs(1 - dc - (column - c0)) * np.abs(1 - dr - (row - r0))
                c, r = np.clip(c0 + dc, 0, w - 1), np.clip(r0 + dr, 0, h - 1)
                np.add.at(layer, (r, c), share.astype(np.float32))
        sigma = width / float(self.y[1] - self.y[0]), width / float(self.x[1] - self.x[0])
        return np.asarray(gaussian_filter(layer, sigma), np.float32)

    def mix(self, mask: Reals, color: tuple[float, float, float] | Reals) -> None:
        """Blend a color in, in place, where `mask` (h,w) is 1."""
        rgb = self.color[..., :3]
        rgb += mask[..., None].clip(0, 1) * (np.asarray(color, np.float32) - rgb)

    def darken(self, mask: Reals, tint: tuple[float, float, float]) -> None:
        """Multiply by `tint` where `mask` is 1, in place."""
        self.color[..., :3] *= 1 - mask[..., None].clip(0, 1) * (1 - np.array(tint, np.float32))


def noise(rng: np.random.Generator, size: tuple[int, int], sigma: float) -> Reals:
    """Smooth noise of zero mean and unit deviation that wraps around."""
    field = gaussian_filter(rng.normal(size=size).astype(np.float32), sigma, mode="wrap")
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def paint_head(body: Body, look: Appearance, neutral: Reals, hairline: Reals | None) -> Reals:
    """Paint skin, brows, stubble and blemishes.

    Args:
        body: from `build_body`.
        look: traits.
        neutral: (F,3) face at rest.
        hairline: (C,2) azimuth and y of the hair's edge, or None for a bald head.

    Returns:
        (h,w,4) float32: RGB albedo and gloss (0 dull, 1 oily).
    """
    h, w = HEAD_TEXTURE
    around, top, bottom = body.scale
    x = ((np.arange(w) + 0.5) / w - 0.5) * around
    y = top + (np.arange(h) + 0.5) / h * (bottom - top)
    head_uv = body.uv[: len(neutral)]
    marks = np.stack([(head_uv[:, 0] - 0.5) * around, neutral[:, 1]], 1)
    canvas = Canvas(np.zeros((h, w, 4), np.float32), x, y, marks)
    rng = np.random.default_rng((look.seed, 11))
    _paint_skin(canvas, look, rng)
    _paint_lines(canvas, look)
    _paint_stubble(canvas, look, rng)
    _paint_brows(canvas, look, rng)
    if hairline is not None:
        _paint_scalp(canvas, look, hairline, rng)
    np.clip(canvas.color, 0, 1, out=canvas.color)
    return canvas.color


def _paint_skin(canvas: Canvas, look: Appearance, rng: np.random.Generator) -> None:
    size = canvas.size
    skin = np.array(look.skin, np.float32)
    mottle = 0.018 * noise(rng, size, 14) + 0.014 * noise(rng, size, 4)
    pores = 0.022 * noise(rng, size, 0.9)
    canvas.color[..., :3] = skin * (1 + mottle + pores)[..., None]
    warm = 0.02 * noise(rng, size, 9)
    canvas.color[..., 0] *= 1 + warm
    canvas.color[..., 2] *= 1 - warm
    red = skin * np.array([1.0, 0.72, 0.70], np.float32)
    cheeks = canvas.spots((205, 425), (20, 15)) * (0.25 + 0.5 * look.blush)
    tip = canvas.spots((4, 1), (9, 8)) * 0.40 + canvas.spots((129, 358), (6, 6)) * 0.35
    canvas.mix(np.minimum(cheeks + tip + 0.2 * canvas.spots((199,), (15, 10)), 0.8), red)
    around = canvas.x[-1] - canvas.x[0]
    ears = np.exp(-(((np.abs(canvas.x) - 0.25 * around) / 22) ** 2))[None] * np.ones((size[0], 1))
    canvas.mix((0.30 * ears).astype(np.float32), red)
    sockets = canvas.spots((159, 386, 157, 384), (15, 7)) * 0.30
    bags = canvas.spots((145, 374, 153, 380), (13, 5)) * (0.22 + 0.15 * look.age)
    inner = canvas.spots((133, 362, 243, 463), (5, 6)) * 0.35
    canvas.darken(np.minimum(sockets + bags + inner, 0.7), (0.70, 0.58, 0.58))
    if look.freckles > 0:
        dots = rng.normal(size=(int(420 * look.freckles), 2)) * [34, 13]
        dots += np.array([0.0, float(canvas.marks[5, 1])])
        canvas.darken(canvas.strokes(dots, 0.55) * 2.2, (0.72, 0.58, 0.50))
    moles = np.stack(
        [rng.uniform(-55, 55, 4), rng.uniform(canvas.marks[9, 1], canvas.marks[152, 1], 4)], 1
    )
    canvas.darken(canvas.strokes(moles, 0.7) * 4, (0.45, 0.36, 0.32))
    gloss = 0.35 + canvas.spots((9, 151, 4, 5, 195), (12, 14)) * 0.4
    gloss += canvas.spots((50, 280, 117, 346), (13, 9)) * 0.25 + 0.06 * noise(rng, size, 3)
    canvas.color[..., 3] = gloss.clip(0, 1)


def _paint_lines(canvas: Canvas, look: Appearance) -> None:
    """Nostrils, folds beside nose and mouth, creases under the eyes, forehead lines."""
    for ring in _NOSTRILS:
        middle = canvas.marks[list(ring)].mean(0)
        canvas.darken(canvas.spot(middle, (4.2, 2.6)) * 1.3, (0.16, 0.09, 0.08))
    for wing in (129, 358):
        side = np.sign(canvas.marks[wing, 0])
        fold = canvas.marks[wing] + np.array([1.5 * side, 1.0])
        canvas.darken(canvas.spot(fold, (2.2, 6.0)) * 0.45, (0.55, 0.42, 0.40))
    for path, strength in _FOLDS + _UNDER_EYES:
        line = _resample(canvas.marks[list(path)], 60)
        depth = strength * (0.15 + 0.55 * look.age)
        canvas.darken(canvas.strokes(line, 1.3) * 1.1 * depth, (0.60, 0.48, 0.46))
    center = canvas.marks[9]
    for k in range(3):
        rise = 14 + 9 * k
        bow = np.linspace(-1, 1, 80)
        line = np.stack([bow * 36, center[1] - rise - 3 * np.cos(bow * 2.2 + k)], 1)
        canvas.darken(canvas.strokes(line, 0.9) * 0.8 * look.age, (0.72, 0.62, 0.60))
    lip = canvas.marks[17] + np.array([0, 5.0])
    canvas.darken(canvas.spot(lip, (17, 3.5)) * 0.30, (0.62, 0.52, 0.50))
    canvas.darken(canvas.spot(canvas.marks[164], (3.0, 6.0)) * 0.22, (0.70, 0.60, 0.58))


def _paint_stubble(canvas: Canvas, look: Appearance, rng: np.random.Generator) -> None:
    if look.stubble <= 0:
        return
    size = canvas.size
    marks = canvas.marks
    path = np.array([marks[i] for i in (234, 50, 129, 2, 358, 280, 454)])
    lift = np.array([4, 26, 7, 3, 7, 26, 4], np.float64)
    edge = np.interp(canvas.x, path[:, 0], path[:, 1] + lift)
    below = np.clip((canvas.y[:, None] - edge[None]) / 6, 0, 1)
    fade = np.clip((float(marks[152, 1]) + 34 - canvas.y[:, None]) / 30, 0, 1)
    width = np.clip((float(np.abs(marks[454, 0])) + 6 - np.abs(canvas.x[None])) / 10, 0, 1)
    soul = 1 - 0.85 * canvas.spots((205, 425), (15, 12))
    # A bare margin keeps the lips' outline readable.
    ring = _resample(marks[[*OUTER_LIPS, OUTER_LIPS[0]]], 160)
    bare = np.clip(1.6 * canvas.strokes(ring, 1.6), 0, 0.85)
    mask = (below * fade * width * soul * (1 - bare)).astype(np.float32)
    grain = np.clip(0.55 + 0.45 * noise(rng, size, 0.8), 0, 1)
    cover = mask * (0.20 + 0.62 * grain * min(look.stubble, 1.0)) * (0.35 + 0.65 * look.stubble)
    canvas.mix(cover, np.array(look.hair, np.float32) * 0.8 + 0.02)
    canvas.color[..., 3] *= 1 - 0.7 * mask


def _paint_scalp(canvas: Canvas, look: Appearance, line: Reals, rng: np.random.Generator) -> None:
    """Roots of the hair, so that no bare skin shows between strands."""
    size = canvas.size
    around = float(canvas.x[-1] - canvas.x[0])
    edge = np.interp(canvas.x / around * 2 * np.pi, line[:, 0], line[:, 1])
    streaks = gaussian_filter(rng.normal(size=size), (7.0, 0.7), mode="wrap")
    ragged = edge[None] - canvas.y[:, None] + 4.0 * streaks / streaks.std()
    mask = np.clip((ragged + 3) / 14, 0, 1).astype(np.float32)
    canvas.mix(mask * 0.92, np.array(look.hair, np.float32) * 0.75)
    canvas.color[..., 3] *= 1 - 0.8 * mask


def _paint_brows(canvas: Canvas, look: Appearance, rng: np.random.Generator) -> None:
    """Hundreds of hairs between the brow's upper and lower landmarks, nose to temple."""
    hairs = int(230 * look.brow_weight)
    for upper, lower in _BROWS:
        top, base = (_resample(canvas.marks[list(ring)], 64)[::-1] for ring in (upper, lower))
        side = float(np.sign(top[-1, 0] - top[0, 0]))
        t = rng.beta(1.1, 1.2, hairs)
        s = np.clip(rng.normal(0.42, 0.22, hairs), 0, 1)
        narrow = 0.5 + (s - 0.5) * np.where(t > 0.55, 1 - 1.1 * (t - 0.55), 1.0)
        index = (t * 63).astype(int)
        root = base[index] + (top[index] - base[index]) * narrow[:, None]
        lean = np.deg2rad(rng.normal(62, 12, hairs) * np.clip(1 - 1.5 * t, -0.35, 1))
        length = rng.uniform(3.5, 6.5, hairs) * (1 - 0.35 * t)
        way = np.stack([side * np.cos(lean), -np.sin(lean)], 1)
        steps = np.linspace(0, 1, 22)[None, :, None]
        bend = np.array([0, 1.0]) * (steps**2) * 1.2
        dots = root[:, None] + way[:, None] * steps * length[:, None, None] + bend
        cover = canvas.strokes(dots.reshape(-1, 2), 0.24)
        under = gaussian_filter(cover, 4)
        mask = np.clip(cover * 0.21 + under * 0.13, 0, 0.86)
        canvas.mix(mask * min(look.brow_weight, 1.0) ** 0.5, look.brow)
        canvas.color[..., 3] *= 1 - 0.8 * mask


def _resample(path: Reals, count: int) -> Reals:
    """(count,2) points at equal steps along a polyline."""
    step = np.linalg.norm(np.diff(path, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(step)])
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, path[:, k]) for k in range(2)], 1)


def paint_torso(look: Appearance) -> Reals:
    """Paint clothes and the skin they leave bare.

    Returns:
        (h,w,4) float32: RGB albedo and gloss, in the torso's texture frame: x across 511 mm, y from
        40 mm above the neck's base down 420 mm.
    """
    h, w = BODY_TEXTURE
    rng = np.random.default_rng((look.seed, 13))
    x = (((np.arange(w) + 0.5) / w) - 0.5) * 511.0
    y = (np.arange(h) + 0.5) / h * 420.0 - 40.0
    x, y = np.meshgrid(x, y)
    cloth, accent = np.array(look.cloth, np.float32), np.array(look.accent, np.float32)
    color = np.broadcast_to(cloth, (h, w, 3)).copy()
    if look.garment == "stripes":
        color[np.mod(y + 0.02 * x**2 / 10, 26) < 12] = accent
    weave = 0.05 * noise(rng, (h, w), 0.8)
    if look.garment == "knit":
        weave = 0.10 * np.sin(x * 1.6) * np.sin(y * 1.1 + 0.8 * np.abs(np.sin(x * 0.8)))
    folds = 0.05 * noise(rng, (h, w), 18) + 0.03 * noise(rng, (h, w), 6)
    color *= (1 + weave + folds)[..., None]
    if look.garment == "vee":
        edge = np.abs(x) - (64 - 0.72 * (y + 8))
    elif look.garment == "collar":
        edge = np.abs(x) - (52 - 0.95 * (y + 4))
    else:
        edge = (np.hypot(x / 80, (y + 14) / (44 if look.garment == "knit" else 52)) - 1) * 50
    rim = np.clip(1 - np.abs(edge - 5) / 5, 0, 1)
    color *= (1 - 0.22 * np.clip(1 - np.abs(edge - 11) / 2, 0, 1))[..., None]
    color += (rim * 0.5)[..., None] * (np.minimum(cloth * 1.15, 1) - color)
    if look.garment == "collar":
        flap = (edge > 0) & (edge < 30) & (y < 62)
        color[flap] = np.minimum(cloth * 1.25 + 0.03, 1)
        color *= (1 - 0.45 * np.clip(1 - np.abs(edge - 30) / 3, 0, 1) * (y < 66))[..., None]
        for button in range(4):
            disc = np.hypot(x - 3, y - 70 - 55 * button) < 5
            color[disc] = accent
        color *= (1 - 0.25 * (np.abs(np.abs(x) - 14) < 1.2) * (y > 50))[..., None]
    skin = np.array(look.skin, np.float32) * (1 + 0.02 * noise(rng, (h, w), 6))[..., None]
    bare = np.clip(0.5 - edge, 0, 1)[..., None]
    shadow = 1 - 0.25 * np.clip(1 + edge / 8, 0, 1)[..., None]
    rgb = bare * skin * shadow + (1 - bare) * color
    gloss = 0.25 * bare
    painted: Reals = np.concatenate([rgb, gloss], -1).astype(np.float32).clip(0, 1)
    return painted

"""The still wall behind the actor, and the shadow that moves on it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter, zoom

from likeness.actor.appearance import Appearance
from likeness.actor.paint import noise
from likeness.actor.surface import Reals
from likeness.face3d.camera import pixels
from likeness.face3d.raster import rasterize
from likeness.types import Ints

_REFERENCE = 384
_SHADOW_STEP = 4
WALL = 330.0
"""Millimetres from the head's center to the wall."""


def paint_plate(look: Appearance, size: tuple[int, int]) -> Reals:
    """Paint the background.

    Args:
        look: `plate` names one of shelf, wall, bokeh, brick, window; colors follow the seed.
        size: (H, W).

    Returns:
        (H,W,3) RGB in [0,1], the same for every frame. Fine texture covers all of it, so that a
        generator that lets the background swim is found out.
    """
    shape = _REFERENCE, max(round(_REFERENCE * size[1] / size[0]), 8)
    rng = np.random.default_rng((look.seed, 17))
    painter = {
        "shelf": _shelf, "wall": _wall, "bokeh": _bokeh, "brick": _brick, "window": _window,
    }[look.plate]  # fmt: skip
    picture = painter(rng, shape, np.array(look.accent, np.float32))
    picture = gaussian_filter(picture, (0.7, 0.7, 0))
    picture *= (
        1 + 0.025 * noise(rng, shape, 0.8)[..., None] + 0.02 * noise(rng, shape, 2.5)[..., None]
    )
    x = np.linspace(-1, 1, shape[1])[None] * np.sign(look.key[0])
    y = np.linspace(-1, 1, shape[0])[:, None]
    picture *= (0.93 + 0.10 * x - 0.06 * y)[..., None]
    scale = size[0] / shape[0], size[1] / shape[1], 1
    resized = zoom(picture, scale, order=1, grid_mode=True, mode="nearest")
    return np.ascontiguousarray(resized.clip(0, 1), np.float32)


def _shelf(rng: np.random.Generator, shape: tuple[int, int], accent: Reals) -> Reals:
    h, w = shape
    picture = np.full((h, w, 3), 0.16, np.float32) * np.array([1.1, 0.95, 0.8], np.float32)
    board = int(h * 0.03)
    step = int(h * 0.31)
    for top in range(-int(rng.integers(0, step // 2)), h, step):
        floor = top + step - board
        x = int(rng.integers(-8, 2))
        while x < w:
            wide, tall = int(rng.integers(7, 20)), int(step * rng.uniform(0.58, 0.86))
            tone = rng.uniform(0.15, 0.75, 3) * 0.7 + accent * 0.25
            y0, y1, x0, x1 = max(floor - tall, 0), max(floor, 0), max(x, 0), min(x + wide - 1, w)
            if y1 > y0 and x1 > x0:
                round_spine = 0.75 + 0.25 * np.sin(np.linspace(0.3, np.pi - 0.3, x1 - x0))
                picture[y0:y1, x0:x1] = tone * round_spine[None, :, None]
                for share in rng.uniform(0.08, 0.9, 2):
                    band = y0 + int(share * (y1 - y0))
                    picture[band : band + 3, x0:x1] = np.clip(tone * 1.6 + 0.1, 0, 0.9)
            x += wide + (int(rng.integers(6, 22)) if rng.random() < 0.10 else 0)
        grain = 0.08 * noise(rng, (h, w), 3)[max(floor, 0) : max(floor + board, 0)]
        picture[max(floor, 0) : max(floor + board, 0)] = np.array([0.46, 0.31, 0.19], np.float32)
        picture[max(floor, 0) : max(floor + board, 0)] *= 1 + grain[..., None]
    return picture


def _wall(rng: np.random.Generator, shape: tuple[int, int], accent: Reals) -> Reals:
    h, w = shape
    tone = 0.55 + 0.25 * accent
    picture = np.broadcast_to(tone, (h, w, 3)).astype(np.float32).copy()
    stripe = np.mod(np.arange(w), 26) < 13
    picture[:, stripe] *= 0.90
    y, x = np.mgrid[:h, :w]
    flower = np.sin(x * 2 * np.pi / 26) * np.sin(y * 2 * np.pi / 34 + np.floor(x / 26) * np.pi)
    picture *= (1 - 0.16 * (flower > 0.72))[..., None]
    for _ in range(3):
        fh, fw = int(rng.integers(60, 120)), int(rng.integers(50, 100))
        r, c = int(rng.integers(-20, max(h // 2, 1))), int(rng.integers(-20, max(w - 30, 1)))
        box = slice(max(r, 0), max(r + fh, 0)), slice(max(c, 0), max(c + fw, 0))
        picture[box] = np.array([0.14, 0.11, 0.09], np.float32)
        core = slice(max(r + 7, 0), max(r + fh - 7, 0)), slice(max(c + 7, 0), max(c + fw - 7, 0))
        scene = 0.5 + 0.16 * noise(rng, shape, 9)[..., None] * np.array([1, 0.7, 0.4], np.float32)
        picture[core] = (scene * (0.6 + 0.6 * accent))[core]
    return picture


def _bokeh(rng: np.random.Generator, shape: tuple[int, int], accent: Reals) -> Reals:
    h, w = shape
    low = np.array([0.10, 0.12, 0.17], np.float32)
    ramp = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    picture: Reals = low + ramp * 0.25 * accent + np.zeros((h, w, 3), np.float32)
    picture += 0.05 * noise(rng, shape, 16)[..., None] * accent
    y, x = np.mgrid[:h, :w]
    for _ in range(46):
        r = rng.uniform(6, 24)
        d = np.hypot(x - rng.uniform(0, w), y - rng.uniform(0, h)) / r
        disc = np.clip((1 - d) * r / 1.6, 0, 1) * (0.72 + 0.28 * np.clip(d, 0, 1) ** 4)
        tone = np.clip(accent * 0.5 + rng.uniform(0.1, 0.8, 3), 0, 1) * rng.uniform(0.15, 0.42)
        picture += disc[..., None].astype(np.float32) * tone.astype(np.float32)
    return np.asarray(picture.clip(0, 0.92))


def _brick(rng: np.random.Generator, shape: tuple[int, int], accent: Reals) -> Reals:
    h, w = shape
    picture = np.broadcast_to(np.array([0.62, 0.59, 0.55], np.float32), (h, w, 3)).copy()
    tall, wide = 22, 56
    for row in range(h // tall + 1):
        for column in range(-1, w // wide + 2):
            x0 = column * wide + (row % 2) * wide // 2
            tone = np.array([0.50, 0.27, 0.20], np.float32) * rng.uniform(0.75, 1.2) + 0.05 * accent
            box = slice(row * tall + 2, (row + 1) * tall), slice(max(x0 + 2, 0), max(x0 + wide, 0))
            picture[box] = tone
    weathered: Reals = 1 + 0.07 * noise(rng, shape, 1.4) + 0.05 * noise(rng, shape, 6)
    return np.asarray(picture * weathered[..., None])


def _window(rng: np.random.Generator, shape: tuple[int, int], accent: Reals) -> Reals:
    h, w = shape
    green = np.array([0.42, 0.52, 0.36], np.float32)
    leaves = noise(rng, shape, 7)[..., None] * 0.12 + noise(rng, shape, 2.5)[..., None] * 0.07
    picture: Reals = green + leaves * np.array([0.9, 1.0, 0.7], np.float32)
    sky = np.clip(1 - np.linspace(0, 2.4, h, dtype=np.float32), 0, 1)[:, None, None]
    picture = picture * (1 - sky) + sky * np.array([0.74, 0.82, 0.90], np.float32)
    bar = max(int(0.035 * h), 3)
    for c in np.arange(int(0.12 * w), w, int(0.37 * h)):
        picture[:, c : c + bar] = 0.80
        picture[:, c + bar : c + bar + 2] = 0.45
    for r in (int(0.1 * h), int(0.62 * h)):
        picture[r : r + bar] = 0.78
        picture[r + bar : r + bar + 2] = 0.42
    x = np.arange(w)
    pleats = 0.75 + 0.2 * np.sin(x / 5.0 + np.sin(x / 17.0))
    for side in (x < 0.16 * w, x > 0.86 * w):
        picture[:, side] = (pleats[side, None] * (0.35 + 0.5 * accent))[None]
    return picture


def cast_shadow(
    camera: Reals, triangles: Ints, focal: float, size: tuple[int, int], key: Reals, wall: float
) -> Reals:
    """Throw the actor's shadow on the wall.

    Args:
        camera: (V,3) camera-space vertices of what casts (a coarse mesh is enough).
        triangles: (F,3).
        focal: pixels at `size`.
        size: (H, W).
        key: (3,) unit vector toward the light.
        wall: camera z of the wall.

    Returns:
        (H,W) in [0,1]: 1 fully lit; exactly 1 beyond the penumbra, so that the plate stays still.
    """
    far = np.maximum(wall - camera[:, 2], 1.0)
    # A large light seen from the wall: the shadow falls less far aside than the key's angle says.
    slide = -key[:2] / max(abs(float(key[2])), 0.3) * 0.62
    on_wall = np.concatenate([camera[:, :2] + far[:, None] * slide, 0 * far[:, None] + wall], 1)
    coarse = -(-size[0] // _SHADOW_STEP), -(-size[1] // _SHADOW_STEP)
    margin = coarse[0] // 4
    padded = coarse[0] + 2 * margin, coarse[1] + 2 * margin
    flat = pixels(on_wall.astype(np.float32), focal, size)
    flat[:, :2] = flat[:, :2] / _SHADOW_STEP + margin
    ids, _ = rasterize(flat, triangles, padded, perspective=False)
    dark = (ids >= 0).astype(np.float32)
    # Three box filters: nearly Gaussian, and zero beyond their reach.
    width = max(coarse[0] // 14, 1) | 1
    for _ in range(3):
        dark = uniform_filter(dark, width, mode="nearest")
    dark[dark < 1e-3] = 0.0
    inner = dark[margin : margin + coarse[0], margin : margin + coarse[1]]
    fine = zoom(inner, _SHADOW_STEP, order=1, grid_mode=True, mode="nearest")
    return np.asarray(1.0 - 0.52 * fine[: size[0], : size[1]], np.float32)

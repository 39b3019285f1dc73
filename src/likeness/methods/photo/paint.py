"""Painting one frame of an animated photo from its maps."""

from __future__ import annotations

import numpy as np

from likeness.methods.photo.layers import PhotoLayers
from likeness.types import Floats

_DARK = np.array([0.16, 0.07, 0.06], np.float32)
"""The inside of a mouth that nobody has seen, in units of the photo's own light."""


def paint(layers: PhotoLayers, maps: Floats, wrinkles: np.float32) -> Floats:
    """Paint one frame.

    I = a (W (1 - e - m) + e E + m M) exp(s r) + (1 - a) B, with W the warped person and a its
    coverage, E the eyeballs, M the mouth, e and m their shares, r the wrinkles, B the background.

    Args:
        layers: the photo.
        maps: (11,h,w) as `animate.MAP_NAMES`.
        wrinkles: strength s.

    Returns:
        (3,h,w) RGB in [0,1].
    """
    colors, share = paint_person(layers, maps, wrinkles)
    whole = colors + (1 - share) * layers.background
    return np.ascontiguousarray(np.clip(whole, 0, 1).transpose(2, 0, 1), np.float32)


def paint_person(layers: PhotoLayers, maps: Floats, wrinkles: np.float32) -> tuple[Floats, Floats]:
    """Paint one frame without what stands behind the person.

    Returns:
        (h,w,3) RGB times coverage, and coverage (h,w,1) in [0,1].
    """
    import cv2

    height, width = maps.shape[1:]
    xs = np.arange(width, dtype=np.float32)[None]
    ys = np.arange(height, dtype=np.float32)[:, None]
    person = cv2.remap(
        layers.person, maps[0] + xs, maps[1] + ys, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    colors = np.asarray(person[..., :3], np.float32)
    share = np.clip(person[..., 3:], 0, 1)
    _shut(colors, layers, maps)
    _fill(colors, layers.eyeballs, maps, maps[4])
    _fill_mouth(colors, layers, maps)
    box = _bounds(maps[9]) if wrinkles > 0 else None
    if box is not None:
        skin = 1 - np.clip(maps[4][box] + maps[5][box], 0, 1)
        colors[box] *= np.exp(wrinkles * maps[9][box] * skin)[..., None]
    return colors, share


def _bounds(mask: Floats) -> tuple[slice, slice] | None:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _inside(picture: Floats, maps: Floats, box: tuple[slice, slice]) -> Floats:
    """Read the photo where the skull stands."""
    import cv2

    x = maps[2][box] + np.arange(box[1].start, box[1].stop, dtype=np.float32)[None]
    y = maps[3][box] + np.arange(box[0].start, box[0].stop, dtype=np.float32)[:, None]
    read = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read, np.float32)


def _shut(colors: Floats, layers: PhotoLayers, maps: Floats) -> None:
    """Darken what a closing lid drags along of the eye, to the color of the lashes."""
    import cv2

    box = _bounds(maps[10])
    if box is None:
        return
    x = maps[0][box] + np.arange(box[1].start, box[1].stop, dtype=np.float32)[None]
    y = maps[1][box] + np.arange(box[0].start, box[0].stop, dtype=np.float32)[:, None]
    eye = cv2.remap(layers.openings, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = (eye * maps[10][box])[..., None]
    colors[box] += share * (np.minimum(colors[box], layers.lashes) - colors[box])


def _fill(colors: Floats, picture: Floats, maps: Floats, mask: Floats) -> None:
    """Paint the eyeballs into `colors` (h,w,3)."""
    box = _bounds(mask)
    if box is not None:
        share = mask[box][..., None]
        colors[box] += share * (_inside(picture, maps, box) - colors[box])


def _fill_mouth(colors: Floats, layers: PhotoLayers, maps: Floats) -> None:
    """Paint the mouth: the photo's own teeth where it shows them, else the driver's mouth."""
    box = _bounds(maps[5])
    if box is None:
        return
    own = _inside(layers.mouth, maps, box)
    theirs = maps[6:9][(slice(None), *box)].transpose(1, 2, 0)
    dark = _DARK * np.float32(layers.light)
    if layers.teeth.max() > 0:
        theirs = _toothless(theirs, maps[5][box], dark)
    hidden = np.where(theirs.sum(-1, keepdims=True) > 0, theirs, dark)
    known = own[..., 3:]
    made = known * own[..., :3] + (1 - known) * hidden
    share = maps[5][box][..., None]
    colors[box] += share * (made - colors[box])


def _toothless(mouth: Floats, share: Floats, dark: Floats) -> Floats:
    """Darken the upper teeth of a driver's mouth (h,w,3): the photo has its own.

    Teeth are what is bright and hardly colored; what is left is the tongue, in the depth.
    """
    import cv2

    bright = mouth.max(-1)
    tint = 1 - mouth.min(-1) / np.maximum(bright, 1e-3)
    level = max(float(bright.max()), 1e-3)
    tooth = np.clip((bright / level - 0.35) / 0.25, 0, 1) * np.clip((0.55 - tint) / 0.2, 0, 1)
    height = np.cumsum(share, 0) / np.maximum(share.sum(0), 1e-3)
    upper = np.clip((0.85 - height) / 0.15, 0, 1)
    weight = share * (1 - tooth * upper)
    # Blurred, so that no outline of a tooth is left hanging in the dark.
    spread = 0.06 * mouth.shape[1] + 0.5
    soft = cv2.GaussianBlur(np.dstack([mouth * weight[..., None], weight]), (0, 0), spread)
    known = soft[..., 3:]
    tongue = soft[..., :3] / np.maximum(known, 1e-3)
    depth = np.clip(height, 0, 1)[..., None]
    return np.asarray(dark + np.minimum(known * 2, 1) * depth * (tongue - dark), np.float32)

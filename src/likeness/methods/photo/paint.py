"""Painting one frame of an animated photo from its maps."""

from __future__ import annotations

import numpy as np

from likeness.composite.color import LUMA
from likeness.methods.photo.layers import PhotoLayers
from likeness.methods.photo.mouth import quarters, without_upper_teeth
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
        turns = quarters(maps, box)
        upright = np.rot90(theirs, turns), np.rot90(maps[5][box], turns)
        theirs = np.rot90(without_upper_teeth(*upright, dark), -turns)
        # No tooth of another is whiter than the photo's own beside it.
        lightest = float(np.percentile(theirs @ LUMA, 99))
        theirs = theirs * np.float32(min(1.0, layers.whitest / max(lightest, 1e-3)))
    hidden = np.where(theirs.sum(-1, keepdims=True) > 0, theirs, dark)
    known = own[..., 3:]
    made = known * own[..., :3] + (1 - known) * hidden
    if layers.tone is not None:
        made = layers.tone.on(made)
    share = maps[5][box][..., None]
    colors[box] += share * (made - colors[box])

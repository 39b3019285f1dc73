"""Head and background as two layers: the person as color and coverage, the plate behind.

A warp moves all pixels of a keyframe alike, also the wall beside the head. Taken as a layer with
coverage, only the person moves, and behind the outline stands a plate that is put together from all
keyframes: what the head hides in one is seen in another. What no frame shows is made up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from likeness.types import Bools, Floats, check

_CLEAR = 0.02
"""Coverage below this is background without doubt."""
_SAMPLES = 3
"""Keyframes that must show a place for it to be known."""
_DOUBT = 0.025
"""How far around the person nothing is taken for background, in sides of the crop: loose hair."""
_STIR = 0.10
"""Departure from the plate, in [0,1], that tells a background that moves from a noisy one."""
_UNSTEADY, _OFTEN = 0.8, 0.1
"""Below the first a place is not steady; hidden by a person in a larger share than the second of
the keyframes, it is near one."""
_MISSED = 0.5
"""A segmentation that covers less of the face than this has not found the person."""
_NOISE = 0.07
"""Departures from the plate up to this are no person."""
_SHARE = (0.15, 0.85)
"""Share of the departure beside it from which on a pixel of the outline is partly and wholly of the
person."""
_OTHER = (0.12, 0.25)
"""Differences from the plate that make a strand of hair beside the outline a part of the person."""
_STRAND = 0.03
"""How far from the outline strands are looked for, in sides of the crop."""


@dataclass(frozen=True, eq=False)
class Plate:
    """What stands behind the person."""

    picture: Floats
    """(h,w,3) RGB in [0,1], made up where no keyframe shows it."""
    steady: Floats
    """(h,w) in [0,1]: 1 where the background looks the same whenever it is seen, 0 where it
    moves. There, keyframes keep their own background."""


@dataclass(frozen=True, eq=False)
class Layers:
    """What separates keyframes into person and plate."""

    mattes: torch.Tensor
    """(G,h,w) uint8 coverage by the person."""
    plate: torch.Tensor
    """(3,h,w) RGB in [0,1]."""

    def shrunk(self, side: int) -> Layers:
        """Return the same at a smaller size."""
        size = (side, side)
        return Layers(
            torch.cat([_area(matte[None, None].float(), size) for matte in self.mattes])[:, 0]
            .add(0.5)
            .to(torch.uint8),
            _area(self.plate[None], size)[0],
        )


def separate(pictures: torch.Tensor, mattes: torch.Tensor, outlines: Floats) -> Layers:
    """Find person and plate in keyframes.

    Args:
        pictures: (G,3,h,w) uint8.
        mattes: (G,h,w) uint8: where a segmentation network sees a person.
        outlines: (G,P,2) the face's oval in crop pixels. A keyframe in which the network misses
            the face stays in one piece.
    """
    held = _with_faces(mattes, outlines)
    plate = complete_plate(pictures, held)
    refined = refine_mattes(pictures, held, plate)
    return Layers(refined, torch.from_numpy(plate.picture).permute(2, 0, 1).contiguous())


def complete_plate(pictures: torch.Tensor, mattes: torch.Tensor) -> Plate:
    """Put the background together from what each keyframe shows of it.

    Args:
        pictures: (G,3,h,w) uint8.
        mattes: (G,h,w) uint8 coverage by the person.

    Returns:
        The median over keyframes in which a place is clear of the person; holes are filled from
        what is known around them. Where all is hidden always, the median picture, not steady.
    """
    import cv2

    check(len(pictures) == len(mattes), f"{len(mattes)} mattes for {len(pictures)} pictures")
    h, w = mattes.shape[1:]
    kernel = _disk(_DOUBT * max(h, w))
    hidden = np.stack([cv2.dilate(matte, kernel) > 255 * _CLEAR for matte in mattes.numpy()])
    seen = (~hidden).sum(0)
    if not (seen > 0).any():
        middle = pictures.median(0).values.permute(1, 2, 0).numpy().astype(np.float32) / 255
        return Plate(middle, np.zeros((h, w), np.float32))
    picture, spread = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.float32)
    for line in range(h):
        # Line by line: all pictures as floats would take a gigabyte at the largest size.
        colors = pictures[:, :, line].numpy().astype(np.int16)
        middle = _quantile(colors, hidden[:, None, line], 0.5)
        picture[line] = middle.T / 255
        apart = np.abs(colors - middle).mean(1)
        spread[line] = _quantile(apart.astype(np.int16), hidden[:, line], 0.75) / 255
    steady = np.asarray(np.exp(-((cv2.blur(spread, (5, 5)) / _STIR) ** 2)), np.float32)
    # What changes close to a person is more likely loose hair than a wall that moves.
    hair = (steady < _UNSTEADY) & (hidden.mean(0) > _OFTEN)
    hair = cv2.dilate(hair.astype(np.uint8), kernel) > 0
    steady[hair] = 1
    known = ((seen >= min(_SAMPLES, len(pictures))) & ~hair).astype(np.float32)
    return Plate(fill_holes(picture, known), steady)


def refine_mattes(pictures: torch.Tensor, mattes: torch.Tensor, plate: Plate) -> torch.Tensor:
    """Move mattes to where pictures differ from the plate.

    A segmentation network knows where a person is to some pixels; at the outline a known plate
    knows better: what looks like it is background, what differs beside the outline is hair.

    Args:
        pictures: (G,3,h,w) uint8.
        mattes: (G,h,w) uint8 coverage.
        plate: the background; where it moves, mattes grow until they hold everything.

    Returns:
        (G,h,w) uint8 coverage.
    """
    import cv2

    side = max(mattes.shape[1:])
    kernel, core = _disk(_STRAND * side), _disk(_STRAND * side / 2)
    refined = torch.empty_like(mattes)
    for out, picture, matte in zip(refined, pictures, mattes.numpy(), strict=True):
        colors = picture.permute(1, 2, 0).numpy().astype(np.float32) / 255
        apart = cv2.GaussianBlur(np.abs(colors - plate.picture).max(2), (0, 0), 0.5)
        # Where half of the person shows, a picture departs by half of what it does further in.
        share = apart / np.maximum(cv2.dilate(apart, core), _NOISE)
        coverage = matte.astype(np.float32) / 255
        near, inner = cv2.dilate(coverage, kernel), cv2.erode(coverage, core)
        strands = np.minimum(near, _step(apart, *_OTHER))
        # Inside, skin may look like the wall; only the outline is asked.
        coverage = np.maximum(coverage * np.maximum(_step(share, *_SHARE), inner), strands)
        coverage = 1 - (1 - coverage) * plate.steady
        out[:] = torch.from_numpy((coverage * 255 + 0.5).astype(np.uint8))
    return refined


def layered(pictures: torch.Tensor, mattes: torch.Tensor, plate: torch.Tensor) -> torch.Tensor:
    """Separate pictures into layers: layer + (1 - coverage) plate is the picture again.

    Args:
        pictures: (N,3,h,w) in [0,1].
        mattes: (N,h,w) coverage in [0,1].
        plate: (3,h,w).

    Returns:
        (N,4,h,w): color times coverage, and coverage.
    """
    coverage = mattes[:, None]
    colors = (pictures - (1 - coverage) * plate).clamp_(min=0)
    return torch.cat([torch.minimum(colors, coverage), coverage], 1)


def fill_holes(picture: Floats, known: Floats) -> Floats:
    """Make up what is unknown from what is known around it, smoothly: push and pull.

    Colors are averaged over ever larger cells, counting known pixels only; each hole is filled from
    the finest level that knows something there (Gortler et al. 1996, section 3.6).

    Args:
        picture: (h,w,3).
        known: (h,w) weight in [0,1]; 0 is a hole.

    Returns:
        (h,w,3); the picture itself where known is 1.
    """
    import cv2

    weight = known[..., None]
    colors = picture * weight
    if min(picture.shape[:2]) <= 2 or float(known.min()) >= 1:
        total = float(known.sum())
        mean = colors.sum((0, 1)) / total if total > 0 else picture.mean((0, 1))
        return np.asarray(np.where(weight > 0, colors / np.maximum(weight, 1e-6), mean), np.float32)
    size = (picture.shape[1], picture.shape[0])
    half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
    sums = cv2.resize(np.concatenate([colors, weight], -1), half, interpolation=cv2.INTER_AREA)
    share = np.clip(sums[..., 3] * 2, 0, 1)
    mean = sums[..., :3] / np.maximum(sums[..., 3:], 1e-6)
    coarse = fill_holes(np.asarray(mean, np.float32), np.asarray(share, np.float32))
    behind = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(colors + (1 - weight) * behind, np.float32)


def _with_faces(mattes: torch.Tensor, outlines: Floats) -> torch.Tensor:
    """Add the face to each matte; cover everything where the matte misses most of the face."""
    import cv2

    held = mattes.clone()
    for matte, outline in zip(held.numpy(), outlines, strict=True):
        face = np.zeros(matte.shape, np.uint8)
        cv2.fillConvexPoly(face, cv2.convexHull(outline.round().astype(np.int32)), (255,))
        inside = matte[face > 0]
        if len(inside) == 0 or inside.mean() < 255 * _MISSED:
            matte[:] = 255
        np.maximum(matte, face, out=matte)
    return held


def _quantile(values: NDArray[np.int16], left_out: Bools, share: float) -> Floats:
    """Return the quantile of (G,...) values along the first axis; 0 where all are left out."""
    ordered = np.sort(np.where(left_out, np.int16(999), values), 0)
    counts = np.broadcast_to((~left_out).sum(0), values.shape[1:])
    at = ((counts - 1).clip(0) * share).astype(np.int64)
    found = np.take_along_axis(ordered, at[None], 0)[0]
    return np.where(counts > 0, found, 0).astype(np.float32)


def _disk(radius: float) -> NDArray[np.uint8]:
    import cv2

    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _area(picture: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(
        picture, size=size, mode="bilinear", align_corners=False, antialias=True
    )


def _step(values: Floats, low: float, high: float) -> Floats:
    ramp = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)

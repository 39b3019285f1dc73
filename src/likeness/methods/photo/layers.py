"""One photo, made ready to be moved: its person cut out, the wall behind, and eyes without lids.

Bringing Portraits to Life (Averbuch-Elor, Cohen-Or, Kopf, Cohen; ACM TOG 36(6), 2017) lets its warp
fade to nothing toward the border, so that the background stays still. Here the person is cut out
first: the warp fades over neck and shoulders, and the wall behind the head is never bent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from likeness.composite.color import LUMA, Tone, tone_of
from likeness.composite.mask import hull
from likeness.condition.matte import fill_holes
from likeness.face3d.model import FaceModel
from likeness.track.matte import person_matte
from likeness.types import FaceParams, FaceTrack, Floats

EYE_NAMES = ("right", "left")
IRIS_CENTERS = (468, 473)
_LASHES = 0.04
"""Thickness of the upper lashes in units of the eye's width: they belong to the lid."""
_CLOSED_LIPS = 0.045
"""Inner lips nearer than this, in units of the mouth's width, show nothing between them."""
_LIP_EDGE = 0.012
"""How far the inner lips of an open mouth are drawn outward, in mouth widths: the tracker's line
cuts through the teeth, and their slivers would stick to the lips."""
_MIRRORED = 0.92
"""The hidden top of an iris lies in the lid's shadow: brightness of its mirrored lower part."""


@dataclass(frozen=True, eq=False)
class PhotoLayers:
    """A photo at the output's size. Positions are its pixels, corner origin."""

    picture: Floats
    """(h,w,3) RGB in [0,1]."""
    person: Floats
    """(h,w,4) RGB times coverage, and coverage: what moves. At rest `person` over
    `background` is the picture again, exactly."""
    background: Floats
    """(h,w,3) what stands still, made up where the person hides it."""
    eyeballs: Floats
    """(h,w,3) the picture, with lids and lashes around the eyes replaced by more eye."""
    teeth: Floats
    """(h,w) 1 where the open mouth shows what is inside, soft toward the lips; else 0."""
    openings: Floats
    """(h,w) 1 between the lids, else 0."""
    lashes: Floats
    """(3,) color of the line where shut lids meet."""
    points: Floats
    """(478,2) landmarks: upper lids moved below the lashes, open lips off the teeth."""
    scale: float
    """Output pixels per pixel of the photo as it was tracked."""

    @cached_property
    def mouth(self) -> Floats:
        """(h,w,4) the picture, and its teeth."""
        return np.concatenate([self.picture, self.teeth[..., None]], -1)

    @cached_property
    def whitest(self) -> float:
        """Luma of the photo's own teeth, where it shows them; else 1."""
        lumas = (self.picture @ LUMA)[self.teeth > 0.5]
        return float(np.percentile(lumas, 90)) if len(lumas) else 1.0

    @cached_property
    def light(self) -> float:
        """Median luma of the picture."""
        return float(np.median(self.picture @ LUMA))

    @cached_property
    def tone(self) -> Tone | None:
        """The one color of a gray or tinted photo's face; None where it is in color."""
        size = (self.picture.shape[0], self.picture.shape[1])
        return tone_of(self.picture, hull(self.points, size, 0.05, 0.0))


def photo_layers(
    picture: torch.Tensor, track: FaceTrack, params: FaceParams, model: FaceModel, scale: float
) -> PhotoLayers:
    """Cut out the person, paint the wall behind, and uncover eyes and mouth.

    Args:
        picture: (3,h,w) RGB in [0,1] at the output's size.
        track: one frame, in pixels of the photo as it was tracked.
        params: what the face does in it.
        model: the face model of params.
        scale: output pixels per tracked pixel.
    """
    pixels = np.ascontiguousarray(picture.permute(1, 2, 0).numpy(), np.float32)
    tracked = (track.landmarks[0, :, :2] * scale).astype(np.float32)
    matte = person_matte((pixels * 255 + 0.5).astype(np.uint8))
    matte = matte * one_body(matte, tracked.mean(0))
    points = below_lashes(tracked, model)
    background = fill_holes(pixels, np.asarray(1 - np.clip(matte * 20, 0, 1), np.float32))
    keep = matte[..., None]
    colors = pixels - (1 - keep) * background
    return PhotoLayers(
        picture=pixels,
        person=np.concatenate([colors, keep], -1),
        background=background,
        eyeballs=uncover_eyes(pixels, points, model),
        teeth=inner_mouth(tracked, pixels.shape[:2], model),
        openings=eye_openings(tracked, pixels.shape[:2], model),
        lashes=lash_color(pixels, tracked, model),
        points=off_teeth(points, model),
        scale=scale,
    )


def one_body(matte: Floats, inside: Floats) -> Floats:
    """(h,w) soft mask of the connected part of a matte that holds the place `inside` (2,)."""
    import cv2

    count, labels = cv2.connectedComponents((matte > 0.5).astype(np.uint8))
    column, row = (int(v) for v in np.clip(inside, 0, np.array(matte.shape[::-1]) - 1))
    if count < 2 or labels[row, column] == 0:
        return np.ones_like(matte)
    radius = max(2, round(0.012 * max(matte.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    body = cv2.dilate((labels == labels[row, column]).astype(np.uint8), kernel)
    return np.asarray(cv2.GaussianBlur(body.astype(np.float32), (0, 0), radius / 2), np.float32)


def below_lashes(points: Floats, model: FaceModel) -> Floats:
    """Move the upper lids' landmarks (478,2) below the lashes, by a quarter of the gap at most."""
    moved = points.astype(np.float32).copy()
    for name in EYE_NAMES:
        upper, lower = model.regions[f"{name}_lid_upper"], model.regions[f"{name}_lid_lower"]
        corners = points[model.regions[f"{name}_eye_corners"]]
        width = float(np.linalg.norm(corners[1] - corners[0]))
        gap = points[lower] - points[upper]
        length = np.linalg.norm(gap, axis=1, keepdims=True)
        step = np.minimum(_LASHES * width, length / 4) / np.maximum(length, 1e-6)
        moved[upper] = points[upper] + step * gap
    return moved


def off_teeth(points: Floats, model: FaceModel) -> Floats:
    """Draw the inner lips of an open mouth outward, off the teeth, in landmarks (478,2)."""
    gap, width = _mouth(points, model)
    length = np.linalg.norm(gap, axis=1, keepdims=True)
    if length.max() < _CLOSED_LIPS * width:
        return points
    moved = points.copy()
    step = max(0.7, _LIP_EDGE * width) * gap / np.maximum(length, 1e-3)
    moved[model.regions["lip_upper_inner"]] -= step
    moved[model.regions["lip_lower_inner"]] += step
    return moved


def _mouth(points: Floats, model: FaceModel) -> tuple[Floats, float]:
    """(K,2) ways from upper to lower inner lip, and the mouth's width."""
    corners = points[model.regions["mouth_corners"]]
    gap = points[model.regions["lip_lower_inner"]] - points[model.regions["lip_upper_inner"]]
    return np.asarray(gap, np.float32), float(np.linalg.norm(corners[1] - corners[0]))


def lash_color(picture: Floats, points: Floats, model: FaceModel) -> Floats:
    """(3,) color of the upper lashes: the darker part of what lies along the upper lids."""
    upper = np.concatenate([model.regions[f"{name}_lid_upper"] for name in EYE_NAMES])
    column = np.floor(points[upper, 0]).astype(int).clip(0, picture.shape[1] - 1)
    row = np.floor(points[upper, 1]).astype(int).clip(0, picture.shape[0] - 1)
    return np.asarray(np.percentile(picture[row, column], 40, axis=0), np.float32)


def eye_openings(points: Floats, size: tuple[int, ...], model: FaceModel) -> Floats:
    """(h,w) coverage by what is seen between the lids."""
    import cv2

    shown = np.zeros(size[:2], np.float32)
    for name in EYE_NAMES:
        opening = polygon(points[model.regions[f"{name}_eye"]], (size[0], size[1]))
        shown = np.maximum(shown, np.asarray(cv2.GaussianBlur(opening, (0, 0), 0.6), np.float32))
    return shown


def uncover_eyes(picture: Floats, points: Floats, model: FaceModel) -> Floats:
    """Replace what covers the eyeballs, (h,w,3).

    The hidden top of the iris is mirrored from its lower part, the rest continues the white.

    Args:
        picture: (h,w,3).
        points: (478,2) from `below_lashes`.
        model: names the lids.
    """
    bare = picture.copy()
    for eye, name in enumerate(EYE_NAMES):
        contour = points[model.regions[f"{name}_eye"]]
        center = points[IRIS_CENTERS[eye]]
        rim = points[IRIS_CENTERS[eye] + 1 : IRIS_CENTERS[eye] + 5]
        radius = float(np.linalg.norm(rim - center, axis=1).mean())
        low = np.floor(contour.min(0) - 1.2 * radius).astype(int).clip(0)
        high = np.ceil(contour.max(0) + 1.2 * radius).astype(int)
        box = (slice(low[1], high[1]), slice(low[0], high[0]))
        part = np.ascontiguousarray(picture[box])
        if min(part.shape[:2]) < 3:
            continue
        bare[box] = _uncover(part, contour - low, center - low, radius)
    return bare


def _uncover(part: Floats, contour: Floats, center: Floats, radius: float) -> Floats:
    import cv2

    height, width = part.shape[:2]
    seen = polygon(contour, (height, width))
    inner = np.asarray(cv2.erode((seen > 0.99).astype(np.uint8), np.ones((3, 3))), np.float32)
    # In a small photo the eye's rim is most of the eye: keep what is more eye than lid.
    seen = inner if inner.sum() > 0.4 * seen.sum() else (seen > 0.5).astype(np.float32)
    ys, xs = np.mgrid[:height, :width].astype(np.float32) + 0.5
    distance = np.hypot(xs - center[0], ys - center[1])
    iris = (distance < 1.08 * radius).astype(np.float32)
    # The white must not bleed into the iris, nor the iris into the white.
    white = fill_holes(part, seen * (1 - (distance < 1.25 * radius)))
    x = np.asarray(xs - 0.5, np.float32)
    y = np.asarray(2 * center[1] - ys - 0.5, np.float32)
    mirrored = cv2.remap(part, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    there = cv2.remap(seen, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT) * iris
    known = np.maximum(seen * iris, there * (1 - seen))
    colors = np.where(seen[..., None] > 0, part, mirrored * _MIRRORED)
    inner = fill_holes(np.asarray(colors, np.float32), known)
    soft = np.clip((1.08 * radius - distance) / max(1.0, 0.16 * radius) + 0.5, 0, 1)[..., None]
    made = soft * inner + (1 - soft) * white
    keep = cv2.GaussianBlur(seen, (0, 0), 0.7)[..., None] * seen[..., None]
    return np.asarray(keep * part + (1 - keep) * made, np.float32)


def inner_mouth(points: Floats, size: tuple[int, ...], model: FaceModel) -> Floats:
    """Return (h,w): where the photo shows the inside of an open mouth, soft toward the lips."""
    import cv2

    gap, width = _mouth(points, model)
    if np.linalg.norm(gap, axis=1).max() < _CLOSED_LIPS * width:
        return np.zeros(size[:2], np.float32)
    # The line along the lower lip cuts through its flesh, which must not hang under the teeth.
    raised = points.copy()
    length = np.maximum(np.linalg.norm(gap, axis=1, keepdims=True), 1e-3)
    raised[model.regions["lip_lower_inner"]] -= gap * np.minimum(0.4, 0.03 * width / length)
    inside = polygon(raised[model.regions["lips_inner"]], (size[0], size[1]))
    spread = max(0.7, 0.015 * width)
    soft = np.asarray(cv2.GaussianBlur(inside, (0, 0), spread), np.float32)
    return np.asarray(np.clip(2 * soft - 1, 0, 1) ** 0.5, np.float32)


def polygon(corners: Floats, size: tuple[int, int]) -> Floats:
    """Fill a polygon (P,2) given in pixels, antialiased: (h,w) coverage in [0,1]."""
    import cv2

    mask = np.zeros(size, np.uint8)
    # OpenCV puts pixel centers on whole numbers; four bits are left for fractions.
    cornered = np.round((corners - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(mask, [cornered.reshape(-1, 1, 2)], (255,), cv2.LINE_AA, 4)
    return np.asarray(mask, np.float32) / 255

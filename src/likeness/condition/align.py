"""How recognizers and swaps want a face laid: templates of a few points, and the crops to them.

Every published network was trained on faces that one similarity brings onto a template of its own.
The table is the one place for them; a network's file says which row it wants.

Convention:
    Points are (x, y) in pixels of the crop, origin at the corner, image left first where a point
    has a twin. The similarity is the one of least squares (Umeyama, Least-Squares Estimation of
    Transformation Parameters Between Two Point Patterns, PAMI 1991, eq. 34-43). Landmarks are the
    tracker's 478; a template's point is the mean of those that it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness import geometry
from likeness.types import Crop, Floats, check

Landmarks = tuple[tuple[int, ...], ...]
Doubles = NDArray[np.float64]
Points = Floats | Doubles

EYES_NOSE_MOUTH: Landmarks = (
    (33, 133, 159, 145),
    (362, 263, 386, 374),
    (1,),
    (61,),
    (291,),
)
"""Middle of both eyes' lids and corners (still when gaze turns), tip of the nose, mouth corners."""
CORNERS_NOSE: Landmarks = ((263,), (362,), (33,), (133,), (2,))
"""dlib's five points: outer and inner corner of the eye on image right, outer and inner corner of
the eye on image left, and where the nose meets the lip."""


@dataclass(frozen=True)
class Template:
    """Where the points of a face lie in a crop, and how its pixels are given to the network."""

    size: int
    """Side of the square crop in pixels."""
    points: tuple[tuple[float, float], ...]
    """(P,2) x, y in the crop."""
    landmarks: Landmarks = EYES_NOSE_MOUTH
    """Which of the 478 landmarks make each point."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """What published networks take off red, green and blue in [0,1]; 0 where they differ."""
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """What they divide by afterward. Our networks do both inside, for RGB in [0,1]."""
    dlib: bool = False
    """Whether crops are dlib's chips: errors are counted in the frame instead of the crop, corner
    pixels lie on corner pixels, and `condition.chip` samples."""


def _opencv(*points: tuple[float, float], size: float = 1) -> tuple[tuple[float, float], ...]:
    """Move points that count from the center of the first pixel, as OpenCV does, to its corner."""
    return tuple((x * size + 0.5, y * size + 0.5) for x, y in points)


def _padded(
    size: int, padding: float, *points: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    """Place points of dlib's mean face, with `padding` of its size around it."""
    share = 1 + 2 * padding
    return tuple(((x + padding) / share * size, (y + padding) / share * size) for x, y in points)


_HALF = (0.5, 0.5, 0.5)
_FRONTAL_112 = (
    (39.730, 51.138),
    (72.270, 51.138),
    (56.000, 68.493),
    (42.463, 87.010),
    (69.537, 87.010),
)
_TURNED_112: Mapping[str, tuple[tuple[float, float], ...]] = {
    "left_profile": (
        (51.642, 50.115),
        (57.617, 49.990),
        (35.740, 69.007),
        (51.157, 89.050),
        (57.025, 89.702),
    ),
    "left": (
        (45.031, 50.118),
        (65.568, 50.872),
        (39.677, 68.111),
        (45.177, 86.190),
        (64.246, 86.758),
    ),
    "right": (
        (46.845, 50.872),
        (67.382, 50.118),
        (72.737, 68.111),
        (48.167, 86.758),
        (67.236, 86.190),
    ),
    "right_profile": (
        (54.796, 49.990),
        (60.771, 50.115),
        (76.673, 69.007),
        (55.388, 89.702),
        (61.257, 89.050),
    ),
}
"""SimSwap's templates of faces that are turned to the image's left and right."""
_ARCFACE_112 = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
_FFHQ_512 = (
    (192.98138, 239.94708),
    (318.90277, 240.1936),
    (256.63416, 314.01935),
    (201.26117, 371.41043),
    (313.08905, 371.15118),
)
TEMPLATES: Mapping[str, Template] = {
    "dlib_150": Template(
        150,
        _padded(
            150,
            0.25,
            (0.8595674595992, 0.2134981538014),
            (0.6460604764104, 0.2289674387677),
            (0.1205750620789, 0.2137274526848),
            (0.3340850613712, 0.2290642403242),
            (0.4901123135679, 0.6277975316475),
        ),
        CORNERS_NOSE,
        mean=(122.782 / 255, 117.001 / 255, 104.298 / 255),
        scale=(256 / 255, 256 / 255, 256 / 255),
        dlib=True,
    ),
    "arcface_112": Template(112, _opencv(*_ARCFACE_112), mean=_HALF, scale=_HALF),
    "arcface_128": Template(128, _opencv(*((x + 8, y) for x, y in _ARCFACE_112))),
    "simswap_224": Template(224, _opencv(*_FRONTAL_112, size=2)),
    "ffhq_512": Template(512, _opencv(*_FFHQ_512)),
    "mtcnn_512": Template(
        512,
        _opencv(
            (0.36563, 0.46734),
            (0.63305, 0.46586),
            (0.50019, 0.61943),
            (0.39033, 0.77599),
            (0.61179, 0.77476),
            size=512,
        ),
    ),
    "whole_face": Template(
        224,
        _opencv(
            (0.35342, 0.39286),
            (0.62798, 0.39286),
            (0.48661, 0.54018),
            (0.38839, 0.68750),
            (0.59821, 0.68750),
            size=224,
        ),
    ),
}
"""Every template by name. All but dlib's are published for OpenCV, which counts half a pixel less.

dlib_150: dlib's recognizer (`nets.identity_dlib`): its mean face with a quarter of its size around.
arcface_112: InsightFace's recognizers; SimSwap's takes `simswap_224` made smaller. arcface_128:
inswapper and its relatives. simswap_224: SimSwap's frontal template at 224 pixels. ffhq_512: five
points that stand for FFHQ's alignment, as SimSwap at 512 pixels and BlendSwap use them; FFHQ's own
recipe turns and sizes a square by eyes and mouth. mtcnn_512: networks trained on MTCNN's points,
such as HifiFace ports. whole_face: five points that stand for DeepFaceLab's whole face, whose own
recipe fits a mean face of 68 points.
"""


TURNED: Mapping[str, Template] = {
    f"simswap_{name}_224": Template(224, _opencv(*points, size=2))
    for name, points in _TURNED_112.items()
}
"""SimSwap's templates of turned faces, beside `simswap_224`: `aligned_to_best` takes what fits."""


def points_of(landmarks: Floats, template: Template) -> Floats:
    """Return (N,P,2) positions of a template's points from (N,478,>=2) landmarks."""
    xy = landmarks[..., :2]
    means = [xy[:, list(several)].mean(1) for several in template.landmarks]
    return np.asarray(np.stack(means, 1), np.float32)


def aligned_crop(landmarks: Floats, template: Template) -> Crop:
    """Lay the faces of N frames onto a template, each by itself.

    Args:
        landmarks: (N,478,>=2) x, y in pixels of the frame, as `FaceTrack.landmarks`.
        template: a row of `TEMPLATES`.

    Returns:
        N similarities in a Crop of the template's size.

    Raises:
        ContractError: the points of a frame are all in one place, or are no numbers.
    """
    found, wanted = points_of(landmarks, template), np.asarray(template.points, np.float64)
    if template.dlib:
        matrices = _inverse(_as_dlib(similarity(wanted, found), template.size))
    else:
        matrices = similarity(found, wanted)
    return Crop((template.size, template.size), matrices.astype(np.float32))


def aligned_to_best(landmarks: Floats, templates: Sequence[Template]) -> Crop:
    """Lay the faces of N frames onto that of several templates which each fits best.

    Args:
        landmarks: as `aligned_crop`.
        templates: of one size, none of them dlib's; the least squared error in the crop wins.

    Raises:
        ContractError: as `aligned_crop`.
    """
    errors, crops = [], []
    for template in templates:
        crop = aligned_crop(landmarks, template)
        laid = geometry.apply(crop.crop_from_frame, points_of(landmarks, template))
        errors.append(np.square(laid - np.asarray(template.points)).sum((1, 2)))
        crops.append(crop.crop_from_frame)
    best = np.argmin(errors, 0)
    return Crop(crop.size, np.stack(crops)[best, np.arange(len(best))])


def similarity(from_points: Points, to_points: Points) -> Doubles:
    """Return the similarities b_from_a (N,2,3), float64, of the least squared error.

    Args:
        from_points: (P,2) or (N,P,2) positions in a.
        to_points: (P,2) or (N,P,2) positions in b, where errors are counted: the way back is
            another similarity than the inverse.

    Raises:
        ContractError: the points of a row are all in one place, or are no numbers.
    """
    both = (np.asarray(points, np.float64) for points in (from_points, to_points))
    a, b = np.broadcast_arrays(*(points[None] if points.ndim == 2 else points for points in both))
    center_a, center_b = a.mean(1, keepdims=True), b.mean(1, keepdims=True)
    # In the plane a rotation and a scale are one complex factor, and Umeyama's solution is the
    # regression of b on a.
    u, v = (a - center_a) @ (1, 1j), (b - center_b) @ (1, 1j)
    spread = (np.abs(u) ** 2).sum(1)
    factor = (np.conj(u) * v).sum(1) / np.maximum(spread, 1e-12)
    check(
        bool((np.isfinite(factor) & (np.abs(factor) > 0)).all()),
        "the points to align are all in one place or no numbers; expected a face",
    )
    linear = np.stack([factor.real, -factor.imag, factor.imag, factor.real], -1).reshape(-1, 2, 2)
    offset = center_b[:, 0, :, None] - linear @ center_a[:, 0, :, None]
    return np.concatenate([linear, offset], -1)


def _inverse(matrices: Doubles) -> Doubles:
    """Invert (N,2,3) in double precision, in which pixels of a chip don't move."""
    last = np.broadcast_to([[0.0, 0.0, 1.0]], (len(matrices), 1, 3))
    found: Doubles = np.linalg.inv(np.concatenate([matrices, last], 1))[:, :2]
    return found


def _as_dlib(frame_from_crop: Doubles, size: int) -> Doubles:
    """Scale crops about their middle as dlib does.

    It lays the centers of a crop's corner pixels onto the corner pixels of a square in the frame
    that is `size * s` pixels wide, s being pixels of the frame per pixel of the crop: from center
    to center these are `size * s - 1`, where `(size - 1) * s` would have kept the scale.
    """
    s = np.sqrt(np.linalg.det(frame_from_crop[:, :, :2]))
    ratio = (np.maximum(size * s - 1, 1) / ((size - 1) * s))[:, None, None]
    linear = frame_from_crop[:, :, :2]
    middle = np.full((2, 1), size / 2)
    offset = frame_from_crop[:, :, 2:] + linear @ middle * (1 - ratio)
    return np.concatenate([linear * ratio, offset], -1)

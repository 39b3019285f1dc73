"""Faces that are laid over others by this project's own finish: donors that no method drew.

Imported by `forensics.py`. A donor is the same face, changed (as in `forensics_blend`), or somebody
else's, bent until its landmarks lie on the target's (Li et al., Face X-ray, CVPR 2020, section 3.2,
lay such faces; here thin plates bend them). What comes after is what every swap of this project
goes through: mask, color, sharpness, grain, blend (`likeness.composite.finish`), with settings
drawn at random. So the seams, the borrowed light and the matched grain are those of methods, while
the drawing of the face is that of none.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from forensics_blend import processed
from scipy.interpolate import RBFInterpolator

from likeness.composite.finish import FinishConfig, finish
from likeness.metrics.regions import FACE_OVAL, OUTER_LIPS

Picture = np.ndarray
"""(h,w,3) float32 RGB in [0,1]."""
_COLORS = ("low-pass", "low-pass", "rct", "lct", "mkl", "none")
_INNER = (33, 133, 159, 145, 362, 263, 386, 374, 70, 105, 107, 300, 334, 336, 168, 6, 1, 4, 98, 327,
          2, 50, 280, 205, 425, 0, 17, 13, 14, 61, 291, 199, 152)  # fmt: skip
_GRID = 20


def laid(
    target: Picture,
    landmarks: np.ndarray,
    donor: Picture,
    donor_landmarks: np.ndarray,
    rng: np.random.Generator,
    usual: float = 0.4,
) -> tuple[Picture, np.ndarray]:
    """Lay a donor's face over a target's.

    Args:
        target: (h,w,3) in [0,1].
        landmarks: (478,2) pixels of it.
        donor: (k,l,3) in [0,1].
        donor_landmarks: (478,2) pixels of it.
        rng: of all choices.
        usual: how often the finish is the usual one.

    Returns:
        (h,w,3) what comes of it, and (h,w) in [0,1] where it was changed.
    """
    face, alpha = _bent(target.shape[:2], landmarks, donor, donor_landmarks, rng)
    config = FinishConfig() if rng.random() < usual else some_finish(rng)
    rgb, layer = finish(_planes(face), torch.from_numpy(alpha)[None, None], _planes(target),
                        landmarks[None].astype(np.float32), config)  # fmt: skip
    shown, where = rgb[0].permute(1, 2, 0).numpy(), layer[0, 0].numpy()
    made = target + where[..., None] * (shown - target)
    return np.clip(made, 0, 1).astype(np.float32), where


def changed_self(picture: Picture, rng: np.random.Generator) -> Picture:
    """Draw a face anew: one to three of the things that happen to a layer."""
    return processed(picture, rng, int(rng.integers(1, 4)))


def moved(
    picture: Picture, landmarks: np.ndarray, rng: np.random.Generator
) -> tuple[Picture, np.ndarray]:
    """Move parts of a face, or the head, within its own picture, and shade it.

    Nothing is blended: what is left is that pixels were fetched from between others (after Wang et
    al., Detecting Photoshopped Faces by Scripting Photoshop, ICCV 2019, who move parts by hand).

    Args:
        picture: (h,w,3) in [0,1].
        landmarks: (478,2) pixels of it.
        rng: of all choices.

    Returns:
        (h,w,3) what comes of it, and (h,w) in [0,1] where it was changed.
    """
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    face = float(np.ptp(landmarks[FACE_OVAL, 0]))
    way = np.zeros((*picture.shape[:2], 2), np.float32)
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 5))):
            point = landmarks[int(rng.choice(_INNER))]
            away = np.stack([x - point[0], y - point[1]], -1)
            near = np.exp(-(away**2).sum(-1) / (2 * (face * rng.uniform(0.05, 0.18)) ** 2))
            push = rng.normal(0, 0.025, 2) * face + away * rng.normal(0, 0.12)
            way += near[..., None] * push.astype(np.float32)
    else:
        center = landmarks[FACE_OVAL].mean(0)
        away = np.stack([x - center[0], y - center[1]], -1)
        far = np.sqrt((away**2).sum(-1)) / face
        near = np.clip((rng.uniform(0.75, 1.2) - far) / rng.uniform(0.2, 0.6), 0, 1)
        near = near * near * (3 - 2 * near)
        turn = np.float32([[1, 0], [0, 1]]) * rng.normal(0, 0.02)
        turn += np.float32([[0, 1], [-1, 0]]) * rng.normal(0, 0.04)
        push = away @ turn + (rng.normal(0, 0.03, 2) * face).astype(np.float32)
        yaw = np.exp(-(away[..., 0] ** 2) / (0.3 * face**2)) * rng.normal(0, 0.03) * face
        push[..., 0] += yaw
        way = near[..., None] * push.astype(np.float32)
    how = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    made = cv2.remap(
        picture, x + way[..., 0], y + way[..., 1], how, borderMode=cv2.BORDER_REPLICATE
    )
    where = (np.abs(way).max(-1) > 0.1).astype(np.float32)
    if rng.random() < 0.3:
        soft = cv2.GaussianBlur(made, (0, 0), rng.uniform(0.6, 1.5))
        made = made + where[..., None] * rng.uniform(0.1, 0.5) * (made - soft)
    if rng.random() < 0.4:
        made, shaded = _shaded(made, landmarks, face, rng)
        where = np.maximum(where, shaded)
    return np.clip(made, 0, 1).astype(np.float32), where


def _shaded(
    picture: Picture, landmarks: np.ndarray, face: float, rng: np.random.Generator
) -> tuple[Picture, np.ndarray]:
    """Draw a few soft lines and patches on the skin, darker or lighter: folds, light, shade."""
    field = np.zeros(picture.shape[:2], np.float32)
    for _ in range(int(rng.integers(1, 9))):
        start = landmarks[int(rng.integers(468))]
        stop = start + rng.normal(0, 0.15, 2) * face
        middle = (start + stop) / 2 + rng.normal(0, 0.04, 2) * face
        line = np.round(np.stack([start, middle, stop])).astype(np.int32)[:, None]
        one = np.zeros_like(field)
        cv2.polylines(one, [line], False, 1.0, int(rng.integers(1, 4)), cv2.LINE_AA)
        one = cv2.GaussianBlur(one, (0, 0), float(rng.uniform(0.5, 0.04 * face)))
        field += one * np.float32(rng.normal(0, 0.2) / (one.max() + 1e-6))
    oval = np.zeros_like(field)
    hull = cv2.convexHull(landmarks[FACE_OVAL].astype(np.float32)).astype(np.int32)
    cv2.fillConvexPoly(oval, hull, 1.0)
    field *= cv2.GaussianBlur(oval, (0, 0), 0.03 * face)
    return picture * np.exp(field)[..., None], (np.abs(field) > 0.01).astype(np.float32)


def some_finish(rng: np.random.Generator) -> FinishConfig:
    """Draw settings of a finish."""
    return FinishConfig(
        color=str(rng.choice(_COLORS)),  # type: ignore[arg-type]
        grow=float(rng.uniform(-0.08, 0.03)),
        feather=float(rng.uniform(0.02, 0.12)),
        blend=str(rng.choice(["alpha", "multiband", "poisson"])),  # type: ignore[arg-type]
        kept_bands=int(rng.integers(0, 3)),
        grain=float(rng.choice([0, 0.5, 1.0])),
        sharpen=float(rng.choice([0, 0, 0.3, 0.8])),
    )


def _bent(
    size: tuple[int, int],
    landmarks: np.ndarray,
    donor: Picture,
    donor_landmarks: np.ndarray,
    rng: np.random.Generator,
) -> tuple[Picture, np.ndarray]:
    """Bend a donor onto a target's landmarks: (h,w,3), and (h,w) where it has something to show."""
    chosen = np.unique([*_INNER, *FACE_OVAL[::2]])
    some = rng.choice(len(chosen), int(rng.integers(12, len(chosen) + 1)), replace=False)
    here, there = landmarks[chosen[some]], donor_landmarks[chosen[some]]
    # Nothing says that a face is met exactly; some are bent little, by what a few points ask for.
    bend = RBFInterpolator(here, there, kernel="thin_plate_spline",
                           smoothing=float(rng.choice([1, 10, 1e3, 1e6])))  # fmt: skip
    rows, columns = (np.linspace(0, length - 1, _GRID) for length in size)
    at = np.stack(np.meshgrid(columns, rows), -1).reshape(-1, 2)
    coarse = bend(at).reshape(_GRID, _GRID, 2).astype(np.float32)
    fetch = _enlarged(coarse, size)
    how = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    face = cv2.remap(donor, fetch[..., 0], fetch[..., 1], how, borderMode=cv2.BORDER_REPLICATE)
    reach = rng.uniform(0.97, 1.12)
    hull = landmarks[FACE_OVAL]
    hull = hull.mean(0) + reach * (hull - hull.mean(0))
    alpha = np.zeros(size, np.float32)
    cv2.fillConvexPoly(alpha, cv2.convexHull(hull.astype(np.float32)).astype(np.int32), 1.0)
    if rng.random() < 0.1:
        lips = landmarks[OUTER_LIPS]
        lips = lips.mean(0) + rng.uniform(1.5, 2.5) * (lips - lips.mean(0))
        alpha[:] = 0
        cv2.fillConvexPoly(alpha, cv2.convexHull(lips.astype(np.float32)).astype(np.int32), 1.0)
    inside = np.ones(donor.shape[:2], np.float32)
    alpha *= cv2.remap(inside, fetch[..., 0], fetch[..., 1], cv2.INTER_LINEAR)
    return np.clip(face, 0, 1), alpha


def _enlarged(coarse: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a grid whose outer points lie on the outer pixels to (h,w,2)."""
    y, x = (np.linspace(0, _GRID - 1, length, dtype=np.float32) for length in size)
    at = np.meshgrid(x, y)
    return cv2.remap(coarse, *at, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _planes(picture: Picture) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].float()

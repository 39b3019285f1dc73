"""Self-blended faces of many kinds: what the detector learns from.

Imported by `forensics.py`. After Shiohara and Yamasaki, Detecting Deepfakes with Self-Blended
Images (CVPR 2022), section 3, from the paper's description: a face is laid over itself after a
change. Theirs are of color, sharpness and place. Here a copy went through one to three of the
things that happen to a layer that a program draws: bent as methods bend photos, drawn by a small
network and enlarged, averaged over several looks, smoothed and given grain again, coded before,
sharpened, painted with soft patches; softer than its surroundings or sharper or neither. All of it
at the picture's own pixel density. In two pairs of five the same was done to all of the picture
before, in the untouched one too, because that alone is no forgery.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from forensics_wear import coded, jpeg

from likeness.metrics.regions import FACE_OVAL, OUTER_LIPS

Picture = np.ndarray
"""(h,w,3) float32 RGB in [0,1]."""
REGIONS = {"face": 0.42, "inner": 0.20, "mouth": 0.14, "eyes": 0.06, "head": 0.18}
_EYES = (33, 133, 362, 263, 70, 300, 105, 334, 116, 345)
_UP = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


def blend(
    picture: Picture, landmarks: np.ndarray, rng: np.random.Generator
) -> tuple[Picture, Picture, np.ndarray, str]:
    """Make a pair of a face: untouched, and laid over itself.

    Args:
        picture: (h,w,3).
        landmarks: (478,2) pixels of it.
        rng: of all choices.

    Returns:
        The untouched and the changed picture, (h,w) where it was changed in [0,1], and the region.
    """
    region = str(rng.choice(list(REGIONS), p=list(REGIONS.values())))
    ground = _ground(picture, rng)
    copy = processed(ground, rng, int(rng.integers(1, 4)))
    if rng.random() < 0.6:
        copy = _colored(copy, rng)
    mask = _mask(landmarks, region, picture.shape[:2], rng)
    face = float(np.ptp(landmarks[FACE_OVAL, 0]))
    if rng.random() < 0.85:
        copy = _placed(copy, landmarks, rng, face)
    mask = _soft(mask, rng, face) * rng.choice([0.6, 0.8, 1, 1, 1, 1])
    whole = ground if rng.random() < 0.6 else _ground(picture, rng)
    changed = ground + mask[..., None] * (copy - ground)
    return whole, np.clip(changed, 0, 1), mask.astype(np.float32), region


def _ground(picture: Picture, rng: np.random.Generator) -> Picture:
    """Leave a picture alone, or do the same to all of it: real ones and made ones alike."""
    return picture if rng.random() < 0.6 else processed(picture, rng, int(rng.integers(1, 3)))


def processed(picture: Picture, rng: np.random.Generator, times: int) -> Picture:
    """Do some of the things to a picture that programs do to a layer."""
    kinds = list(_PROCESSES)
    chances = np.array([_PROCESSES[kind] for kind in kinds])
    for k in rng.choice(len(kinds), times, replace=False, p=chances / chances.sum()):
        picture = np.clip(kinds[k](picture, rng), 0, 1).astype(np.float32)
    return picture


def _resampled(picture: Picture, rng: np.random.Generator) -> Picture:
    """Bend by up to a few pixels, and back half of the time."""
    side = max(picture.shape[:2])
    most = rng.uniform(0.3, 0.02 * side)
    fetch = _bent(picture.shape[:2], rng, most)
    how = int(rng.choice(_UP))
    out = cv2.remap(picture, *fetch, how, borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 0.4:
        y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
        back = (2 * x - fetch[0], 2 * y - fetch[1])
        out = cv2.remap(out, *back, how, borderMode=cv2.BORDER_REPLICATE)
    return out


def _redrawn(picture: Picture, rng: np.random.Generator) -> Picture:
    """Shrink and enlarge, as a network of a fixed size does; sharpen it again half of the time."""
    h, w = picture.shape[:2]
    factor = np.exp(rng.uniform(np.log(1.05), np.log(4.0)))
    down = int(rng.choice([cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_NEAREST], p=[0.5, 0.4, 0.1]))
    low = cv2.resize(picture, (max(8, round(w / factor)), max(8, round(h / factor))),
                     interpolation=down)  # fmt: skip
    if rng.random() < 0.3:
        low = cv2.bilateralFilter(low, 5, rng.uniform(0.02, 0.1), 3)
    out = cv2.resize(low, (w, h), interpolation=int(rng.choice(_UP)))
    return _sharpened(out, rng) if rng.random() < 0.5 else out


def _averaged(picture: Picture, rng: np.random.Generator) -> Picture:
    """Take the mean or median of several looks that do not lie quite over each other."""
    looks = [_resampled(picture, rng) for _ in range(3)]
    return np.median(looks, 0) if rng.random() < 0.5 else np.mean(looks, 0)


def _smoothed(picture: Picture, rng: np.random.Generator) -> Picture:
    if rng.random() < 0.5:
        return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6))
    return cv2.bilateralFilter(picture, 7, rng.uniform(0.02, 0.12), rng.uniform(2, 5))


def _grained(picture: Picture, rng: np.random.Generator) -> Picture:
    """Add grain, white or soft, colored or gray."""
    colored = rng.random() < 0.5 and float(np.ptp(picture, -1).mean()) > 0.01
    shape = (*picture.shape[:2], 3 if colored else 1)
    noise = rng.standard_normal(shape).astype(np.float32)
    if rng.random() < 0.6:
        noise = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.4, 1.0)).reshape(shape)
        noise /= noise.std()
    return picture + noise * np.float32(np.exp(rng.uniform(np.log(0.002), np.log(0.025))))


def _sharpened(picture: Picture, rng: np.random.Generator) -> Picture:
    soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.6, 2.0))
    return picture + rng.uniform(0.2, 1.4) * (picture - soft)


def _coded(picture: Picture, rng: np.random.Generator) -> Picture:
    """Code the copy alone, on a grid that lies anywhere."""
    top, left = rng.integers(0, 8, 2)
    padded = cv2.copyMakeBorder(picture, top, 8, left, 8, cv2.BORDER_REPLICATE)
    h, w = picture.shape[:2]
    if rng.random() < 0.6:
        return jpeg(padded, int(rng.integers(35, 96)))[top : top + h, left : left + w]
    even = padded[: padded.shape[0] // 2 * 2, : padded.shape[1] // 2 * 2]
    return coded([even], int(rng.integers(16, 36)))[0][top : top + h, left : left + w]


def _painted(picture: Picture, rng: np.random.Generator) -> Picture:
    """Draw soft light and shade, as edits of age and light do; detail is amplified with it."""
    h, w = picture.shape[:2]
    grid = rng.normal(0, rng.uniform(0.02, 0.12), (int(rng.integers(3, 14)),) * 2)
    field = cv2.resize(grid.astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC)[..., None]
    if rng.random() < 0.5:
        return picture * np.exp(field)
    soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(1, 4))
    return soft + (picture - soft) * np.exp(4 * field)


_PROCESSES: dict[Callable[[Picture, np.random.Generator], Picture], float] = {
    _resampled: 0.26, _redrawn: 0.28, _averaged: 0.06, _smoothed: 0.12, _grained: 0.14,
    _sharpened: 0.12, _coded: 0.10, _painted: 0.10,
}  # fmt: skip


def _colored(picture: Picture, rng: np.random.Generator) -> Picture:
    shift = rng.uniform(-0.05, 0.05, 3).astype(np.float32)
    # A colored face in a gray picture would be too easy to find.
    colored = float(np.ptp(picture, -1).mean()) > 0.01
    out = picture + (shift if colored else shift[:1])
    gray = out.mean(-1, keepdims=True)
    out = gray + (out - gray) * rng.uniform(0.75, 1.25)
    return np.clip((out - 0.5) * rng.uniform(0.9, 1.1) + 0.5, 0, 1).astype(np.float32)


def _placed(copy: Picture, points: np.ndarray, rng: np.random.Generator, face: float) -> Picture:
    """Turn, scale and shift a copy a little about the face, with one resampling."""
    center = points[FACE_OVAL].mean(0) - 0.5
    matrix = cv2.getRotationMatrix2D(
        tuple(map(float, center)), rng.normal(0, 1.5), rng.uniform(0.95, 1.05)
    )
    matrix[:, 2] += rng.normal(0, 0.012, 2) * face
    return cv2.warpAffine(copy, matrix, copy.shape[1::-1], flags=int(rng.choice(_UP)),
                          borderMode=cv2.BORDER_REPLICATE)  # fmt: skip


def _mask(
    points: np.ndarray, region: str, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """(h,w) in {0,1}: a hull of landmarks, bent at random."""
    oval = points[FACE_OVAL]
    if region in {"mouth", "eyes"}:
        hull = points[OUTER_LIPS if region == "mouth" else list(_EYES)]
        grown = rng.uniform(1.2, 2.4) if region == "mouth" else rng.uniform(1.0, 1.4)
    else:
        hull = oval
        grown = {"inner": rng.uniform(0.55, 0.88), "face": rng.uniform(0.88, 1.06)}.get(
            region, rng.uniform(1.15, 1.6)
        )
    hull = hull.mean(0) + (hull - hull.mean(0)) * grown
    if region == "head":
        hull[hull[:, 1] < oval[:, 1].mean()] -= [0, 0.12 * np.ptp(oval[:, 1])]
    mask = np.zeros(size, np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(hull.astype(np.float32)).astype(np.int32), 1.0)
    return cv2.remap(mask, *_bent(size, rng, 0.04 * np.ptp(oval[:, 0])), cv2.INTER_LINEAR)


def _bent(
    size: tuple[int, int], rng: np.random.Generator, most: float
) -> tuple[np.ndarray, np.ndarray]:
    """Places to fetch pixels from, off by up to `most` pixels, smoothly."""
    count = int(rng.integers(4, 9))
    coarse = rng.uniform(-most, most, (2, count, count)).astype(np.float32)
    offset = [cv2.resize(plane, size[::-1], interpolation=cv2.INTER_CUBIC) for plane in coarse]
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return x + offset[0], y + offset[1]


def _soft(mask: np.ndarray, rng: np.random.Generator, face: float) -> np.ndarray:
    """Draw the edge inward and make it soft, from a pixel to an eighth of the face."""
    sigma = rng.uniform(0.8, 0.05 * face)
    inner = (cv2.GaussianBlur(mask, (0, 0), sigma) > rng.uniform(0.5, 0.8)).astype(np.float32)
    return cv2.GaussianBlur(inner, (0, 0), np.exp(rng.uniform(np.log(0.6), np.log(0.06 * face))))

"""Self-blended faces, and what happens to pictures on their way: the detector's food.

Imported by `forensics.py`. After Shiohara and Yamasaki, Detecting Deepfakes with Self-Blended
Images (CVPR 2022), section 3, from the paper's description: a face is laid over itself after a
small change of color, sharpness and place. Differs: regions also are the mouth, the inner face and
the whole head, and the copy may be bent, as methods that move photos bend them; both pictures of a
pair then go through the same coding, scaling, noise and plain editing.
"""

from __future__ import annotations

import io
from fractions import Fraction

import av
import cv2
import numpy as np

from likeness.metrics.regions import FACE_OVAL, OUTER_LIPS
from likeness.nets.forensic import MAP
from likeness.nets.forensic import SIDE as CROP

Picture = np.ndarray
"""(h,w,3) float32 RGB in [0,1]."""
REGIONS = ("face", "inner", "mouth", "head")
_CHANCES = (0.5, 0.18, 0.16, 0.16)


def blend(
    picture: Picture, landmarks: np.ndarray, rng: np.random.Generator
) -> tuple[Picture, Picture, np.ndarray, str]:
    """Make a pair of a face: untouched, and laid over itself.

    Args:
        picture: (s,s,3).
        landmarks: (478,2) pixels of it.
        rng: of all choices.

    Returns:
        The untouched and the changed picture, (s,s) where it was changed in [0,1], and the region.
    """
    region = str(rng.choice(REGIONS, p=_CHANCES))
    changed = _retouched(picture, rng)
    copy, ground = (changed, picture) if rng.random() < 0.5 else (picture, changed)
    mask = _mask(landmarks, region, picture.shape[0], rng)
    copy, mask = _moved(copy, mask, rng)
    mask = _soft(mask, rng) * rng.choice([0.4, 0.6, 0.8, 1, 1, 1])
    return ground, ground + mask[..., None] * (copy - ground), mask.astype(np.float32), region


def view(size: int, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """Choose a similarity (2,3) from the kept picture to the crop, and whether it is mirrored."""
    inner = size / 1.3
    scale = CROP / inner * rng.uniform(0.9, 1.12)
    turn = np.deg2rad(rng.normal(0, 3))
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = CROP / 2 + rng.uniform(-0.04, 0.04, 2) * CROP
    return np.c_[linear, middle - linear @ [size / 2, size / 2]], bool(rng.random() < 0.5)


def seen(picture: Picture, place: tuple[np.ndarray, bool]) -> Picture:
    """Cut the crop that a `view` means."""
    matrix, mirrored = place
    shown = cv2.warpAffine(picture, _centers(matrix), (CROP, CROP), flags=cv2.INTER_LINEAR,
                           borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    return np.ascontiguousarray(shown[:, ::-1]) if mirrored else shown


def small_map(mask: np.ndarray) -> np.ndarray:
    """(MAP,MAP) in {0,1}: where a crop's mask covers at least a quarter."""
    small = cv2.resize(mask, (MAP, MAP), interpolation=cv2.INTER_AREA)
    return (small > 0.25).astype(np.float32)


class Wear:
    """What happens to a picture after it was taken or made; the same for both of a pair."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.scale = float(rng.uniform(0.4, 1)) if rng.random() < 0.5 else 1.0
        self.blur = float(rng.uniform(0.4, 1.2)) if rng.random() < 0.2 else 0.0
        self.noise = float(rng.uniform(0.002, 0.02)) if rng.random() < 0.4 else 0.0
        self.sharp = float(rng.uniform(0.2, 0.8)) if rng.random() < 0.15 else 0.0
        self.beauty = rng.random() < 0.08
        self.gain = rng.uniform(0.85, 1.15, 3) if rng.random() < 0.4 else np.ones(3)
        self.gamma = float(rng.uniform(0.75, 1.3)) if rng.random() < 0.4 else 1.0
        self.jpeg = int(rng.integers(40, 96)) if rng.random() < 0.35 else 0
        self.gray = rng.random() < 0.08
        self.seed = int(rng.integers(2**31))

    def __call__(self, picture: Picture) -> Picture:
        """Wear a picture down."""
        worn = np.clip(picture, 0, 1) ** self.gamma * self.gain.astype(np.float32)
        if self.beauty:
            worn = cv2.bilateralFilter(worn.astype(np.float32), 7, 0.08, 4)
        if self.scale < 1:
            side = max(24, round(self.scale * picture.shape[0]))
            low = cv2.resize(worn, (side, side), interpolation=cv2.INTER_AREA)
            worn = cv2.resize(low, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        if self.blur:
            worn = cv2.GaussianBlur(worn, (0, 0), self.blur)
        if self.sharp:
            worn = worn + self.sharp * (worn - cv2.GaussianBlur(worn, (0, 0), 1.0))
        if self.noise:
            noise = np.random.default_rng(self.seed).normal(0, self.noise, worn.shape)
            worn = worn + noise.astype(np.float32)
        if self.gray:
            worn = np.repeat(worn.mean(-1, keepdims=True), 3, -1)
        worn = np.clip(worn, 0, 1).astype(np.float32)
        return _jpeg(worn, self.jpeg) if self.jpeg else worn


def coded(pictures: list[Picture], crf: int, codec: str = "libx264", gop: int = 1) -> list[Picture]:
    """Send pictures of one size through a video coder; with a gop above 1 each predicts the next.

    A still is coded as a group of `gop` frames that drift by half a pixel; the last one is kept.
    """
    if not pictures:
        return []
    height, width = (side // 2 * 2 for side in pictures[0].shape[:2])
    buffer = io.BytesIO()
    options = {"crf": str(crf), "preset": "veryfast", "g": str(gop), "bf": "0"}
    if codec == "libx265":
        options["x265-params"] = f"log-level=none:keyint={gop}:bframes=0:pools=1:frame-threads=1"
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        time = 0
        for picture in pictures:
            for step in range(gop):
                drift = np.float32([[1, 0, 0.5 * (gop - 1 - step)], [0, 1, 0]])
                shown = (
                    picture
                    if step == gop - 1
                    else cv2.warpAffine(
                        picture, drift, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE
                    )
                )
                array = (np.clip(shown[:height, :width], 0, 1) * 255 + 0.5).astype(np.uint8)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
                frame.pts, frame.time_base = time, Fraction(1, 25)
                time += 1
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [array.astype(np.float32) / 255 for array in decoded[gop - 1 :: gop]]


def coded_anyhow(pictures: list[Picture], rng: np.random.Generator) -> list[Picture]:
    """Code a few pictures in one random way, or not at all."""
    if rng.random() < 0.3:
        return pictures
    codec = "libx265" if rng.random() < 0.25 else "libx264"
    return coded(pictures, int(rng.integers(18, 39)), codec, int(rng.choice([1, 1, 3])))


def _retouched(picture: Picture, rng: np.random.Generator) -> Picture:
    """Change color, light and sharpness a little."""
    out = picture + rng.uniform(-0.08, 0.08, 3).astype(np.float32) * (rng.random() < 0.5)
    gray = out.mean(-1, keepdims=True)
    out = gray + (out - gray) * rng.uniform(0.7, 1.3)
    out = (out - 0.5) * rng.uniform(0.9, 1.1) + 0.5 + rng.uniform(-0.08, 0.08)
    out = np.clip(out, 0, 1).astype(np.float32)
    choice = rng.random()
    if choice < 0.4:
        factor = rng.uniform(1.5, 4)
        side = round(picture.shape[0] / factor)
        how = int(rng.choice([cv2.INTER_NEAREST, cv2.INTER_AREA, cv2.INTER_LINEAR]))
        low = cv2.resize(out, (side, side), interpolation=how)
        out = cv2.resize(low, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    elif choice < 0.65:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 1.6))
    elif choice < 0.85:
        out = out + rng.uniform(0.3, 1.2) * (out - cv2.GaussianBlur(out, (0, 0), 1.2))
    return np.clip(out, 0, 1).astype(np.float32)


def _mask(points: np.ndarray, region: str, side: int, rng: np.random.Generator) -> np.ndarray:
    """(side,side) in {0,1}: a hull of landmarks, bent at random."""
    if region == "mouth":
        hull = points[OUTER_LIPS]
        hull = hull.mean(0) + (hull - hull.mean(0)) * rng.uniform(1.2, 2.2)
    else:
        oval = points[FACE_OVAL]
        grown = {"inner": rng.uniform(0.6, 0.85), "face": rng.uniform(0.88, 1.05)}.get(
            region, rng.uniform(1.2, 1.5)
        )
        hull = oval.mean(0) + (oval - oval.mean(0)) * grown
        if region == "head":
            hull[hull[:, 1] < oval[:, 1].mean()] -= [0, 0.12 * np.ptp(oval[:, 1])]
    mask = np.zeros((side, side), np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(hull.astype(np.float32)).astype(np.int32), 1.0)
    return cv2.remap(mask, *_bent(side, rng, 0.03 * side), cv2.INTER_LINEAR)


def _moved(copy: Picture, mask: np.ndarray, rng: np.random.Generator) -> tuple[Picture, np.ndarray]:
    """Shift and scale a copy with its mask; half of the copies are bent, too."""
    side = copy.shape[0]
    if rng.random() < 0.5:
        copy = cv2.remap(copy, *_bent(side, rng, rng.uniform(0.004, 0.02) * side), cv2.INTER_LINEAR,
                         borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    scale = rng.uniform(0.95, 1.05)
    shift = rng.uniform(-1, 1, 2) * [0.03 * side, 0.015 * side] + (1 - scale) * side / 2
    matrix = np.float32([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return (
        cv2.warpAffine(copy, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE),
        cv2.warpAffine(mask, matrix, (side, side)),
    )


def _bent(side: int, rng: np.random.Generator, most: float) -> tuple[np.ndarray, np.ndarray]:
    """Places to fetch pixels from, off by up to `most` pixels, smoothly."""
    coarse = rng.uniform(-most, most, (2, 6, 6)).astype(np.float32)
    offset = [cv2.resize(plane, (side, side), interpolation=cv2.INTER_CUBIC) for plane in coarse]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    return x + offset[0], y + offset[1]


def _soft(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the edge inward and make it soft, anywhere from two pixels to a seventh of the side."""
    sigma = rng.uniform(0.8, 0.05 * mask.shape[0])
    inner = (cv2.GaussianBlur(mask, (0, 0), sigma) > rng.uniform(0.5, 0.9)).astype(np.float32)
    return cv2.GaussianBlur(inner, (0, 0), rng.uniform(0.6, 0.035 * mask.shape[0]))


def _centers(matrix: np.ndarray) -> np.ndarray:
    """OpenCV counts from the center of the first pixel, we from its corner."""
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return moved


def _jpeg(picture: Picture, quality: int) -> Picture:
    array = (picture[..., ::-1] * 255 + 0.5).astype(np.uint8)
    _, data = cv2.imencode(".jpg", array, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255

"""What happens to pictures on their way: coders, scales, noise and plain edits.

Imported by `forensics.py` and its parts. Real and made pictures go through the same.
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

RATE = 25
Picture = np.ndarray
"""(h,w,3) float32 RGB in [0,1]."""


class Wear:
    """A random way in which a picture is worn; the same for both of a pair."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.scale = float(rng.uniform(0.5, 1.3)) if rng.random() < 0.3 else 1.0
        self.blur = float(rng.uniform(0.3, 0.9)) if rng.random() < 0.12 else 0.0
        self.noise = float(rng.uniform(0.002, 0.02)) if rng.random() < 0.2 else 0.0
        self.sharp = float(rng.uniform(0.2, 0.8)) if rng.random() < 0.15 else 0.0
        self.beauty = rng.random() < 0.08
        self.gain = rng.uniform(0.85, 1.15, 3) if rng.random() < 0.3 else np.ones(3)
        self.gamma = float(rng.uniform(0.75, 1.3)) if rng.random() < 0.3 else 1.0
        self.jpeg = int(rng.integers(50, 97)) if rng.random() < 0.2 else 0
        self.gray = rng.random() < 0.08
        self.seed = int(rng.integers(2**31))

    def __call__(self, picture: Picture) -> Picture:
        """Wear a picture down; its size follows the scale."""
        worn = np.clip(picture, 0, 1) ** self.gamma * self.gain.astype(np.float32)
        worn = worn.astype(np.float32)
        if self.beauty:
            worn = cv2.bilateralFilter(worn, 7, 0.08, 4)
        if self.scale != 1:
            how = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_CUBIC
            worn = cv2.resize(worn, None, fx=self.scale, fy=self.scale, interpolation=how)
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
        return jpeg(worn, self.jpeg) if self.jpeg else worn


def coded(pictures: list[Picture], crf: int, codec: str = "libx264", gop: int = 1) -> list[Picture]:
    """Send pictures of one size through a video coder; with a gop above 1 each predicts the next.

    A still is coded as a group of `gop` frames that drift by half a pixel; the last one is kept.
    """
    drifted = [_drifted(one, 0.5 * (gop - 1 - k)) for one in pictures for k in range(gop)]
    return filmed(drifted, crf, codec, gop, preset="veryfast")[gop - 1 :: gop]


def filmed(
    pictures: list[Picture],
    crf: int,
    codec: str = "libx264",
    gop: int = 250,
    preset: str = "medium",
    kept: Path | None = None,
) -> list[Picture]:
    """Send the frames of a clip through a video coder, and keep the file if a path is given.

    Odd sides lose their last row or column on the way and get a copy of its neighbor.
    """
    if not pictures:
        return []
    height, width = pictures[0].shape[:2]
    buffer = io.BytesIO()
    options = {"crf": str(crf), "preset": preset, "g": str(gop)}
    if gop == 1:
        options["bf"] = "0"
    if codec == "libx265":
        options["x265-params"] = f"log-level=none:keyint={gop}:bframes=0:pools=1:frame-threads=1"
    with av.open(buffer, "w", format="matroska" if kept is None else "mp4") as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = width // 2 * 2, height // 2 * 2, "yuv420p"
        stream.thread_count = 1
        for time, picture in enumerate(pictures):
            frame = _frame(picture)
            frame.pts, frame.time_base = time, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if kept is not None:
        kept.write_bytes(buffer.getvalue())
    buffer.seek(0)
    with av.open(buffer) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    edge = ((0, height % 2), (0, width % 2), (0, 0))
    return [np.pad(array, edge, "edge").astype(np.float32) / 255 for array in decoded]


def _drifted(picture: Picture, right: float) -> Picture:
    if not right:
        return picture
    drift = np.float32([[1, 0, right], [0, 1, 0]])
    return cv2.warpAffine(picture, drift, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


def _frame(picture: Picture) -> av.VideoFrame:
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    array = (np.clip(picture[:height, :width], 0, 1) * 255 + 0.5).astype(np.uint8)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")


def coded_anyhow(pictures: list[Picture], rng: np.random.Generator) -> list[Picture]:
    """Code a few pictures in one random way, or not at all."""
    if rng.random() < 0.12:
        return pictures
    codec = "libx265" if rng.random() < 0.2 else "libx264"
    crf = int(np.clip(rng.normal(24, 6), 15, 39))
    return coded(pictures, crf, codec, int(rng.choice([1, 1, 1, 3])))


def jpeg(picture: Picture, quality: int) -> Picture:
    """Send a picture through JPEG."""
    array = (np.clip(picture[..., ::-1], 0, 1) * 255 + 0.5).astype(np.uint8)
    _, data = cv2.imencode(".jpg", array, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255

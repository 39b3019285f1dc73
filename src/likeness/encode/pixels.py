"""Float RGB to the pictures that encoders take, by the output's own matrix and range."""

from __future__ import annotations

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from likeness.color import linear_from_srgb, yuv_from_rgb
from likeness.types import ColorTags

_FLAGS = Interpolation.BICUBIC | Interpolation.ACCURATE_RND
_PLANES_OF_RGB = (2, 0, 1)


def _fill(frame: VideoFrame, index: int, values: NDArray[np.generic]) -> None:
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), values.dtype)
    rows = rows.reshape(-1, plane.line_size // values.itemsize)
    rows[: plane.height, : plane.width] = values


def codes_of(rgb: torch.Tensor, top: int) -> NDArray[np.generic]:
    """Round (3,H,W) values in [0,1] to integers up to `top`."""
    scaled = rgb.clamp(0, 1).mul_(top).add_(0.5)
    if top <= 255:
        return scaled.to(torch.uint8).numpy()
    return scaled.numpy().astype(np.uint16)


def planar_rgb(rgb: torch.Tensor) -> VideoFrame:
    """Return an 8-bit planar RGB picture of (3,H,W) values in [0,1]."""
    frame = VideoFrame(rgb.shape[2], rgb.shape[1], "gbrp")
    codes = codes_of(rgb, 255)
    for channel, plane in enumerate(_PLANES_OF_RGB):
        _fill(frame, plane, codes[channel])
    frame.colorspace, frame.color_range = 0, ColorRange.JPEG
    return frame


def packed_rgb16(rgb: torch.Tensor, name: str) -> VideoFrame:
    """Return a 16-bit interleaved picture, `name` being rgb48le or rgb48be."""
    codes = np.ascontiguousarray(codes_of(rgb, 65535).transpose(1, 2, 0), np.uint16)
    return VideoFrame.from_ndarray(codes, format=name)


def linear_float(rgb: torch.Tensor) -> VideoFrame:
    """Return a float picture in linear light, as EXR holds it."""
    frame = VideoFrame(rgb.shape[2], rgb.shape[1], "gbrpf32le")
    values = linear_from_srgb(rgb.clamp(0, 1)).numpy()
    for channel, plane in enumerate(_PLANES_OF_RGB):
        _fill(frame, plane, values[channel])
    return frame


class PixelWriter:
    """Turns float RGB into luma and chroma; keeps swscale's context between frames."""

    def __init__(self, tags: ColorTags, name: str) -> None:
        """Take specified `tags` and the pixel format's `name`: yuv420p, yuv444p10le, ..."""
        self._tags = tags
        self._name = name
        self._range = ColorRange.JPEG if tags.full_range else ColorRange.MPEG
        self._scaler = VideoReformatter()

    def picture(self, rgb: torch.Tensor) -> VideoFrame:
        """Return the picture of (3,H,W) float32 RGB in [0,1]."""
        if self._name.endswith("10le"):
            picture = self._deep(rgb)
        else:
            # swscale counts both BT.601 matrices as 5.
            matrix = 5 if self._tags.matrix == 6 else self._tags.matrix
            picture = self._scaler.reformat(
                planar_rgb(rgb),
                format=self._name,
                interpolation=_FLAGS,
                dst_colorspace=matrix,
                dst_color_range=self._range,
                threads=1,
            )
        picture.colorspace = self._tags.matrix
        picture.color_range = self._range
        picture.color_primaries = self._tags.primaries
        picture.color_trc = self._tags.transfer
        return picture

    def _deep(self, rgb: torch.Tensor) -> VideoFrame:
        """Swscale would go through 8 bit; only the chroma is left to it."""
        yuv = yuv_from_rgb(rgb.clamp(0, 1), self._tags, 10)
        codes = yuv.add_(0.5).clamp_(0, 1023).numpy().astype(np.uint16)
        frame = VideoFrame(rgb.shape[2], rgb.shape[1], "yuv444p10le")
        for index in range(3):
            _fill(frame, index, codes[index])
        frame.colorspace, frame.color_range = self._tags.matrix, self._range
        return self._scaler.reformat(
            frame, format=self._name, interpolation=_FLAGS, dst_color_range=self._range, threads=1
        )

"""Float RGB to the pictures that encoders take, by the output's own matrix and range."""

from __future__ import annotations

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from likeness.color import halve, linear_from_srgb, luma_from_rgb, yuv_from_rgb
from likeness.types import ColorTags

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
    """Turns float RGB into luma and chroma in float32, rounded once.

    Swscale is not used here: it would place chroma between columns, where H.264 and its successors
    expect it on the left one, half a pixel off, and would bring 10 bit down to 8 on the way.
    """

    def __init__(self, tags: ColorTags, name: str, left: bool = True) -> None:
        """Prepare for a pixel format.

        Args:
            tags: With a specified matrix.
            name: yuv420p, yuv444p, or one of them with 10le.
            left: Where 4:2:0 chroma lies; see `halve`.
        """
        self._tags = tags
        self._name = name
        self._left = left
        self._bits = 10 if name.endswith("10le") else 8
        self._type: type[np.generic] = np.uint16 if self._bits > 8 else np.uint8

    def _codes(self, values: torch.Tensor) -> NDArray[np.generic]:
        rounded = values.add_(0.5).clamp_(0, (1 << self._bits) - 1)
        return rounded.numpy().astype(self._type)

    def picture(self, rgb: torch.Tensor) -> VideoFrame:
        """Return the picture of (3,H,W) float32 RGB; values outside [0,1] are clipped."""
        rgb = rgb.clamp(0, 1)
        frame = VideoFrame(rgb.shape[2], rgb.shape[1], self._name)
        if "420" in self._name:
            luma = luma_from_rgb(rgb, self._tags, self._bits)
            chroma = yuv_from_rgb(halve(rgb, self._left), self._tags, self._bits)[1:]
        else:
            yuv = yuv_from_rgb(rgb, self._tags, self._bits)
            luma, chroma = yuv[0], yuv[1:]
        _fill(frame, 0, self._codes(luma))
        for index, codes in enumerate(self._codes(chroma)):
            _fill(frame, index + 1, codes)
        frame.colorspace = self._tags.matrix
        frame.color_range = ColorRange.JPEG if self._tags.full_range else ColorRange.MPEG
        frame.color_primaries = self._tags.primaries
        frame.color_trc = self._tags.transfer
        return frame

"""Decoded pictures to float RGB, with the clip's own matrix and range.

Convention:
    8 bit goes through swscale to planar RGB (rounded to nearest, off by less than 0.51/255 from
    the exact sum); deeper video is only brought to full chroma resolution by swscale, which would
    drop it to 8 bit, and converted here in float32.

Transparency:
    What lies behind transparent pixels is not meant to be seen and is often garbage, so pictures
    with an alpha channel are laid over plain `BACKGROUND`, in the values that are shown and not in
    linear light, as browsers do; EXR, whose color is multiplied by alpha already, in linear light.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from likeness.color import (
    LINEAR_TRANSFER,
    RGB_MATRIX,
    SRGB_TRANSFER,
    UNSPECIFIED,
    coded_tags,
    rgb_from_yuv,
    srgb_from_linear,
)
from likeness.decode.shown import Shown
from likeness.errors import MediaError
from likeness.types import ColorTags

log = logging.getLogger(__name__)

BACKGROUND = 1.0
"""White: what viewers lay behind a cut-out, and what it becomes when it is saved as JPEG."""
_FLAGS = Interpolation.BICUBIC | Interpolation.ACCURATE_RND
_STEP = np.float32(1 / 255)
_BAND = 1 << 20
"""Pixels that are turned into RGB at once where it takes several steps."""
_PLANES_OF_RGB = (2, 0, 1)
"""Where red, green and blue lie in planar RGB, which is stored green, blue, red."""


def depth_of(frame: VideoFrame) -> int:
    """Return bits per component; 8 for palettes, 16 for half and 32 for float pictures."""
    if frame.format.has_palette:
        return 8
    return max(component.bits for component in frame.format.components)


def _is_rgb(frame: VideoFrame) -> bool:
    return frame.format.is_rgb or frame.format.has_palette


def _is_gray(frame: VideoFrame) -> bool:
    return frame.format.name.startswith(("gray", "ya", "mono"))


def _is_float(frame: VideoFrame) -> bool:
    return "f32" in frame.format.name or "f16" in frame.format.name


def tags_of(frame: VideoFrame) -> ColorTags:
    """Read color tags; linear pictures are reported as sRGB, since that is how they are decoded."""
    rgb = _is_rgb(frame) or _is_gray(frame)
    # Code points 0 and 3 of primaries and transfer are reserved: nothing was said.
    primaries = UNSPECIFIED if frame.color_primaries in (0, 3) else int(frame.color_primaries)
    transfer = UNSPECIFIED if frame.color_trc in (0, 3) else int(frame.color_trc)
    if transfer == LINEAR_TRANSFER or _is_float(frame):
        transfer = SRGB_TRANSFER
    full = rgb or frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return ColorTags(primaries, transfer, RGB_MATRIX if rgb else int(frame.colorspace), full)


def _has_split_chroma(frame: VideoFrame) -> bool:
    """Tell whether the last chroma sample covers less than a whole step of pixels."""
    if not frame.format.name.startswith("yuv") or len(frame.planes) < 3:
        return False
    if frame.format.is_big_endian and depth_of(frame) > 8:
        return False
    chroma = frame.planes[1]
    across, down = round(frame.width / chroma.width), round(frame.height / chroma.height)
    return bool(frame.width % across or frame.height % down)


def plane_of(frame: VideoFrame, index: int, dtype: type[np.generic]) -> NDArray[np.generic]:
    """Return (H,W) view of one plane without its padding."""
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), dtype).reshape(
        -1, plane.line_size // np.dtype(dtype).itemsize
    )
    view: NDArray[np.generic] = rows[: plane.height, : plane.width]
    return view


def has_alpha(frame: VideoFrame) -> bool:
    """Tell whether a picture can have transparent pixels; a palette always can."""
    return frame.format.has_palette or any(c.is_alpha for c in frame.format.components)


class PixelReader:
    """Turns pictures of one clip into upright float RGB; keeps swscale's context between frames."""

    def __init__(self, color: ColorTags, name: str = "a picture") -> None:
        """Read for a clip with these tags; `name` is for messages."""
        self._color = color
        self._name = name
        self._shown: Shown | None = None
        self._scaler = VideoReformatter()
        self._coded: ColorTags | None = None
        self._told = False

    def read(self, frame: VideoFrame, out: torch.Tensor, shown: Shown) -> None:
        """Write a frame into a tensor.

        Args:
            frame: As decoded.
            out: (3,H,W) float32, filled with RGB in [0,1].
            shown: What is cropped, mirrored, turned and stretched.

        Raises:
            MediaError: The frame is not of the size that `shown` speaks of, or `out` not of the
                size that it leads to.
        """
        self._shown = shown
        if (frame.height, frame.width) != shown.coded or shown.size != tuple(out.shape[1:]):
            raise MediaError(
                f"a frame of {frame.width}x{frame.height} pixels was found, expected "
                f"{shown.coded[1]}x{shown.coded[0]}; split the clip where its size changes"
            )
        upright = torch.empty((3, *shown.upright)) if shown.is_stretched else out
        if _is_float(frame):
            self._read_float(frame, upright)
        elif _has_split_chroma(frame):
            self._read_split_chroma(frame, upright, shown)
        elif depth_of(frame) > 8:
            self._read_deep(frame, upright, shown)
        else:
            self._read_bytes(frame, upright)
        if shown.is_stretched:
            out.copy_(_stretched(upright, shown.size))

    def _upright(self, picture: torch.Tensor) -> torch.Tensor:
        """Crop, mirror and turn (..., h, w); a view where that is possible."""
        shown = self._shown
        if shown is None:
            return picture
        left, top, width, height = shown.crop
        picture = picture[..., top : top + height, left : left + width]
        if shown.mirrored:
            picture = picture.flip(-1)
        if shown.degrees:
            picture = torch.rot90(picture, -(shown.degrees // 90), (-2, -1))
        return picture

    def _bands(
        self, out: torch.Tensor, shown: Shown
    ) -> Iterator[tuple[tuple[slice, slice], NDArray[np.float32]]]:
        """Yield parts of a coded picture and where each of them lies in the upright one."""
        there = np.rot90(out.numpy(), shown.degrees // 90, (-2, -1))
        there = there[..., ::-1] if shown.mirrored else there
        left, top, width, height = shown.crop
        step = max(1, _BAND // width)
        for row in range(0, height, step):
            stop = min(row + step, height)
            part = slice(top + row, top + stop), slice(left, left + width)
            yield part, there[:, row:stop]

    def _lay_over(self, out: torch.Tensor, alpha: torch.Tensor) -> None:
        """Composite straight color over the background; `alpha` is coded (h,w) in [0,1]."""
        opaque = self._upright(alpha)
        if bool((opaque == 1).all()):
            return
        self._tell()
        out.sub_(BACKGROUND).mul_(opaque).add_(BACKGROUND)

    def _tell(self) -> None:
        if not self._told:
            log.warning(
                "%s has transparent parts; they are shown on plain white, and what lies behind "
                "them is not used",
                self._name,
            )
        self._told = True

    def _tag(self, frame: VideoFrame) -> ColorTags:
        if self._coded is None:
            self._coded = coded_tags(self._color, frame.height)
        frame.colorspace = self._coded.matrix
        frame.color_range = ColorRange.JPEG if self._coded.full_range else ColorRange.MPEG
        return self._coded

    def _planar(self, frame: VideoFrame, name: str) -> VideoFrame:
        return self._scaler.reformat(
            frame,
            format=name,
            interpolation=_FLAGS,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )

    def _read_bytes(self, frame: VideoFrame, out: torch.Tensor) -> None:
        if _is_rgb(frame) or _is_gray(frame):
            frame.color_range = ColorRange.JPEG
        else:
            self._tag(frame)
        transparent = has_alpha(frame)
        planar = self._planar(frame, "gbrap" if transparent else "gbrp")
        for channel, plane in enumerate(_PLANES_OF_RGB):
            codes = self._upright(torch.from_numpy(plane_of(planar, plane, np.uint8)))
            # One pass on this core: starting others for a plane costs more than it saves.
            np.multiply(codes.numpy(), _STEP, out=out[channel].numpy())
        if transparent:
            alpha = plane_of(planar, 3, np.uint8).astype(np.float32)
            self._lay_over(out, torch.from_numpy(alpha / np.float32(255)))

    def _read_deep(self, frame: VideoFrame, out: torch.Tensor, shown: Shown) -> None:
        transparent = has_alpha(frame)
        if _is_rgb(frame) or _is_gray(frame):
            frame.color_range = ColorRange.JPEG
            planar = self._planar(frame, "gbrap16le" if transparent else "gbrp16le")
            for channel, plane in enumerate(_PLANES_OF_RGB):
                codes = plane_of(planar, plane, np.uint16).astype(np.float32)
                out[channel].copy_(self._upright(torch.from_numpy(codes)))
            out.mul_(1 / 65535)
            if transparent:
                self._lay_over(out, _opacity(planar, 16))
            return
        tags = self._tag(frame)
        bits = depth_of(frame)
        full_chroma = self._scaler.reformat(
            frame,
            format=f"{'yuva' if transparent else 'yuv'}444p{bits}le",
            interpolation=_FLAGS,
            threads=1,
        )
        planes = [plane_of(full_chroma, index, np.uint16) for index in range(3)]
        # By bands: whole pictures of each step would take six times the frame, 2 GB at 8K.
        for rows, there in self._bands(out, shown):
            codes = np.stack([plane[rows] for plane in planes])
            rgb = rgb_from_yuv(torch.from_numpy(codes.astype(np.float32)), tags, bits)
            np.copyto(there, rgb.numpy())
        if transparent:
            self._lay_over(out, _opacity(full_chroma, bits))

    def _read_split_chroma(self, frame: VideoFrame, out: torch.Tensor, shown: Shown) -> None:
        """Odd sizes: swscale would stretch chroma to the odd size instead of doubling it.

        Only JPEG, VP9 and AV1 hold odd sizes with halved chroma; it lies in the middle there.
        """
        tags = self._tag(frame)
        bits = depth_of(frame)
        dtype = np.uint16 if bits > 8 else np.uint8
        planes = [
            torch.from_numpy(plane_of(frame, index, dtype).astype(np.float32)) for index in range(3)
        ]
        height, width = planes[0].shape
        halved = torch.stack(planes[1:])[None]
        steps = (round(height / halved.shape[2]), round(width / halved.shape[3]))
        size = (halved.shape[2] * steps[0], halved.shape[3] * steps[1])
        chroma = torch.nn.functional.interpolate(halved, size, mode="bilinear", align_corners=False)
        # By bands, like deep pictures.
        for rows, there in self._bands(out, shown):
            yuv = torch.cat([planes[0][rows][None], chroma[0][:, *rows]])
            np.copyto(there, rgb_from_yuv(yuv, tags, bits).numpy())
        if has_alpha(frame):
            self._lay_over(out, _opacity(frame, bits))

    def _read_float(self, frame: VideoFrame, out: torch.Tensor) -> None:
        transparent = has_alpha(frame)
        names = ("gbrpf32le", "gbrapf32le")
        planar = frame
        if frame.format.name not in names:
            planar = self._planar(frame, names[transparent])
        for channel, plane in enumerate(_PLANES_OF_RGB):
            values = torch.from_numpy(plane_of(planar, plane, np.float32).copy())
            out[channel].copy_(self._upright(values))
        out.nan_to_num_(0)
        if transparent:
            values = torch.from_numpy(plane_of(planar, 3, np.float32).copy())
            clear = 1 - self._upright(values).nan_to_num(0).clamp(0, 1)
            if bool((clear != 0).any()):
                self._tell()
                out.add_(clear, alpha=BACKGROUND)
        # EXR holds linear light; the rest of the program sees what a screen would be sent.
        out.copy_(srgb_from_linear(out.clamp_(0, 1)))


def _opacity(frame: VideoFrame, bits: int) -> torch.Tensor:
    """Return the alpha plane of a planar picture, (h,w) in [0,1]; alpha is always full range."""
    codes = plane_of(frame, 3, np.uint16 if bits > 8 else np.uint8).astype(np.float32)
    return torch.from_numpy(codes / np.float32((1 << bits) - 1))


def _stretched(picture: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Enlarge (3,h,w) along one axis, so that pixels become square."""
    larger = torch.nn.functional.interpolate(
        picture[None], size=size, mode="bicubic", align_corners=False
    )
    return larger[0].clamp_(0, 1)

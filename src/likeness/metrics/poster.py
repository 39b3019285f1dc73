"""The picture that stands for a video until it plays."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from likeness.decode import Decoder, open_clip
from likeness.errors import MediaError
from likeness.types import Window

log = logging.getLogger(__name__)

_MOMENTS = (0.5, 0.35, 0.65, 0.2, 0.8, 0.05, 0.95)
"""Shares of the clip, tried in this order: clips of one length show the same moment."""

_LEAST_CONTRAST = 0.04
"""Deviation of brightness under which a frame is blank: a fade, a black or a white screen."""

_LONGEST = 1280
"""Longest side in pixels."""


@dataclass(frozen=True)
class Poster:
    """One frame of a video, as it is shown."""

    jpeg: bytes
    size: tuple[int, int]
    """(h, w) in which the video plays, with square pixels."""


def poster_of(path: Path) -> Poster | None:
    """Choose a frame of a video that isn't blank and encode it as JPEG.

    Returns:
        The poster, or None where the video cannot be decoded here: browsers know other codecs.
    """
    try:
        clip = open_clip(path)
        with Decoder(clip) as decoder:
            best, most = torch.empty(0), -1.0
            for moment in _MOMENTS:
                index = round(moment * (len(clip) - 1))
                frame = decoder.read(Window(index, index + 1))
                contrast = float(frame.mean(1).std())
                if contrast > most:
                    best, most = frame, contrast
                if most >= _LEAST_CONTRAST:
                    break
    except MediaError as error:
        log.warning("%s gets no poster: %s", path.name, error)
        return None
    height, width = clip.size
    shown = (height, max(1, round(width * clip.pixel_aspect)))
    return Poster(_jpeg(best, shown), shown)


def _jpeg(frame: Tensor, shown: tuple[int, int]) -> bytes:
    from PIL import Image

    factor = min(1.0, _LONGEST / max(shown))
    size = (max(1, round(shown[0] * factor)), max(1, round(shown[1] * factor)))
    if size != tuple(frame.shape[2:]):
        frame = functional.interpolate(
            frame, size=size, mode="bicubic", align_corners=False, antialias=True
        )
    levels = (frame[0].clamp(0, 1) * 255).round().to(torch.uint8)
    buffer = io.BytesIO()
    Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy()).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()

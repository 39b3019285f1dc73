"""A user's mask over a swap: a picture, pictures or a video, read as the output goes on."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import torch

from likeness.condition.crop import cut
from likeness.decode import Decoder, open_clip
from likeness.errors import ConfigError
from likeness.methods.swap.view import TargetView
from likeness.types import Clip, Window

_CODED = 2 / 255
"""Deviation from black and white that coding leaves."""


@dataclass(frozen=True, eq=False)
class UserMask:
    """Where a swapped face may lie, by a clip of the target's size."""

    clip: Clip
    _decoder: Decoder
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @staticmethod
    def of(path: Path, target: Clip) -> UserMask:
        """Open a mask for a target.

        Args:
            path: a picture, which holds throughout, or as many pictures or frames as the target
                has, in its own order.
            target: the clip that is changed.

        Raises:
            MediaError: it cannot be read.
            ConfigError: its size or length is not the target's.
        """
        clip = open_clip(path)
        if clip.size != target.size or len(clip) not in (1, len(target)):
            (h, w), (height, width) = clip.size, target.size
            raise ConfigError(
                f"mask_file {path} has {len(clip)} frames of {w}x{h}, and the target has "
                f"{len(target)} of {width}x{height}; expected the target's size, and one picture "
                "or as many as the target has"
            )
        return UserMask(clip, Decoder(clip))

    def allowed(self, view: TargetView) -> torch.Tensor:
        """Return (N,1,h,w) in [0,1] in the crops of a window."""
        window = view.window if len(self.clip) > 1 else Window(0, 1)
        with self._lock:
            read = self._decoder.read(window)
        gray = read.mean(1, keepdim=True).expand(len(view), -1, -1, -1)
        level = ((gray - _CODED) / (1 - 2 * _CODED)).clamp_(0, 1)
        # Filters of the cut may ring beyond black.
        return cut(level, view.crop).clamp_(0, 1)

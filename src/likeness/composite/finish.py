"""The finish of a swap: what is drawn becomes part of the picture, mask, color, blend in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from likeness.composite.color import low_pass
from likeness.composite.mask import face_hull
from likeness.composite.pyramid import pyramid_blend
from likeness.errors import ConfigError
from likeness.types import Floats

OnMiss = Literal["hold", "blur", "blank", "original"]


@dataclass(frozen=True)
class FinishConfig:
    """How a swapped face is laid into the target's frames."""

    color: Literal["none", "low-pass"] = "low-pass"
    """How its color is brought to the target's."""
    mask: Literal["hull", "full"] = "hull"
    """Where it may lie: the hull of the target's face, or wherever the method draws."""
    blend: Literal["alpha", "multiband"] = "multiband"
    """How it is mixed with what lies under it."""
    feather: float = 0.08
    """Width of the mask's soft edge in units of the face's width."""
    on_miss: OnMiss = "hold"
    """What happens in frames in which the target's face is not seen: hold draws through gaps that
    are as short as a blink and leaves longer ones as they were decoded; blur and blank hide the
    face where it was last seen; original leaves every such frame as it was."""

    def __post_init__(self) -> None:
        if not 0 < self.feather <= 0.5:
            raise ConfigError(f"feather is {self.feather}; expected above 0, at most 0.5")


def finish(
    rgb: torch.Tensor,
    alpha: torch.Tensor,
    pixels: torch.Tensor,
    landmarks: Floats,
    config: FinishConfig,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make a drawn face part of the target's picture.

    Args:
        rgb: (N,3,h,w) in [0,1]: the face as a method drew it.
        alpha: (N,1,h,w) in [0,1]: where the method has something to show.
        pixels: (N,3,h,w) in [0,1]: the target's crops.
        landmarks: (N,478,>=2) of the target's face in crop pixels.
        config: settings.

    Returns:
        rgb (N,3,h,w) and alpha (N,1,h,w) of a layer over the crops.
    """
    if config.mask == "hull":
        alpha = alpha * face_hull(landmarks, (rgb.shape[2], rgb.shape[3]), config.feather)
    if config.color == "low-pass":
        rgb = low_pass(rgb, pixels, alpha)
    # Where nothing was drawn, no band may carry its darkness into the face.
    filled = torch.lerp(pixels, rgb, (alpha > 0).to(rgb))
    if config.blend == "multiband":
        reach = (torch.nn.functional.max_pool2d(alpha, 17, 1, 8) > 0).to(rgb)
        return pyramid_blend(pixels, filled, alpha), reach
    return filled, alpha


def hidden(
    pixels: torch.Tensor, landmarks: Floats, how: Literal["blur", "blank"]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hide a face that cannot be swapped: rgb (N,3,h,w) and alpha (N,1,h,w)."""
    size = (pixels.shape[2], pixels.shape[3])
    mask = face_hull(landmarks, size, 0.1, grown=0.15)
    if how == "blank":
        return torch.full_like(pixels, 0.5), mask
    small = torch.nn.functional.adaptive_avg_pool2d(pixels, 8)
    soft = torch.nn.functional.interpolate(small, size=size, mode="bilinear")
    return soft, mask

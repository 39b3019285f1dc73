"""The finish of a swap: what is drawn becomes part of the picture.

In this order: where it may lie and how far the head is turned, its color, its sharpness, the motion
while the shutter was open, the target's grain, the blend. Each step sees one frame alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch

from likeness.composite import mask as masks
from likeness.composite.color import bring_color
from likeness.composite.filters import ramp
from likeness.composite.finish_settings import FinishConfig, FinishRanges, OnMiss
from likeness.composite.loops import toward
from likeness.composite.mask import face_hull
from likeness.composite.multiband import blend_bands, reach
from likeness.composite.poisson import blend_poisson
from likeness.composite.texture import grained, moved_while_exposed, sharpened
from likeness.types import Floats, Ints

__all__ = ["FinishConfig", "FinishRanges", "FrameFacts", "OnMiss", "finish", "hidden", "prepared"]


@dataclass(frozen=True, eq=False)
class FrameFacts:
    """What is known of N frames of a target besides their pixels."""

    numbers: Ints
    """(N,) numbers of the frames: where their grain starts."""
    motion: Floats
    """(N,2,3) similarities in crop pixels: where places of each frame lie in the next."""
    degrees: Floats
    """(N,) between the face and the camera."""
    visible: torch.Tensor | None = None
    """(N,1,h,w) in [0,1]: one where the target's face is seen, zero where something is in front."""
    allowed: torch.Tensor | None = None
    """(N,1,h,w) in [0,1]: the user's mask."""

    def at(self, n: int) -> tuple[int, Floats, float]:
        """Return number, motion and angle of a frame."""
        return int(self.numbers[n]), self.motion[n], float(self.degrees[n])

    def cut(self, run: slice) -> FrameFacts:
        """Return the facts of some of the frames."""
        return FrameFacts(
            self.numbers[run],
            self.motion[run],
            self.degrees[run],
            None if self.visible is None else self.visible[run],
            None if self.allowed is None else self.allowed[run],
        )

    @staticmethod
    def none(count: int) -> FrameFacts:
        """Return facts of which nothing follows."""
        still = np.repeat(np.eye(2, 3, dtype=np.float32)[None], count, 0)
        return FrameFacts(np.arange(count), still, np.zeros(count, np.float32))


@dataclass(frozen=True, eq=False)
class Patch:
    """One drawn face before it is blended."""

    rgb: Floats
    """(h,w,3) in [0,1]; the target's own pixels where nothing was drawn."""
    matte: Floats
    """(h,w) in [0,1]: where it lies, whatever is in front of it."""
    front: Floats | None
    """(h,w) in [0,1]: zero where something of the target stays in front; None is one everywhere."""

    @property
    def whole(self) -> Floats:
        """(h,w): where it is seen."""
        return self.matte if self.front is None else self.matte * self.front


def finish(
    rgb: torch.Tensor,
    alpha: torch.Tensor,
    pixels: torch.Tensor,
    landmarks: Floats,
    config: FinishConfig,
    facts: FrameFacts | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make a drawn face part of the target's picture.

    Args:
        rgb: (N,3,h,w) in [0,1]: the face as a method drew it.
        alpha: (N,1,h,w) in [0,1]: where the method has something to show.
        pixels: (N,3,h,w) in [0,1]: the target's crops.
        landmarks: (N,478,>=2) of the target's face in crop pixels.
        config: settings.
        facts: what else is known of the frames.

    Returns:
        rgb (N,3,h,w) and alpha (N,1,h,w) of a layer over the crops.
    """
    facts = facts or FrameFacts.none(len(rgb))
    pictures, alphas = torch.empty_like(pixels), torch.empty_like(alpha)
    for n in range(len(rgb)):
        under = _picture(pixels[n])
        patch = _prepared(n, (rgb, alpha), under, landmarks[n], config, facts)
        blended, layer = _blended(patch, under, config)
        _keep(pictures[n], blended)
        alphas[n, 0] = torch.from_numpy(
            layer * masks.clear_of_border(layer.shape[0], layer.shape[1])
        )
    return pictures, alphas


def prepared(
    rgb: torch.Tensor,
    alpha: torch.Tensor,
    pixels: torch.Tensor,
    landmarks: Floats,
    config: FinishConfig,
    facts: FrameFacts | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return patch (N,3,h,w) and matte (N,1,h,w): all of `finish` but the blend, for hand-off."""
    facts = facts or FrameFacts.none(len(rgb))
    pictures, alphas = torch.empty_like(pixels), torch.empty_like(alpha)
    for n in range(len(rgb)):
        patch = _prepared(n, (rgb, alpha), _picture(pixels[n]), landmarks[n], config, facts)
        _keep(pictures[n], patch.rgb)
        alphas[n, 0] = torch.from_numpy(patch.whole)
    return pictures, alphas


def _picture(planes: torch.Tensor) -> Floats:
    return np.asarray(cv2.merge(list(np.ascontiguousarray(planes.numpy()))), np.float32)


def _keep(planes: torch.Tensor, picture: Floats) -> None:
    for plane, channel in zip(planes, cv2.split(picture), strict=True):
        plane.copy_(torch.from_numpy(channel))


def _prepared(
    n: int,
    drawn: tuple[torch.Tensor, torch.Tensor],
    under: Floats,
    face: Floats,
    config: FinishConfig,
    facts: FrameFacts,
) -> Patch:
    number, motion, degrees = facts.at(n)
    picture, alpha = _picture(drawn[0][n]), np.ascontiguousarray(drawn[1][n, 0].numpy())
    front = _front(facts, n)
    matte = _mask(alpha, under, face, config) * _fading(degrees, config)
    if not matte.any():
        return Patch(under, np.zeros_like(alpha), front)
    seen = matte if front is None else matte * front
    known = (alpha > 0).astype(np.float32)
    picture = bring_color(config.color, picture, under, seen * known)
    if config.sharpen > 0:
        picture = sharpened(picture, config.sharpen)
    if config.motion_blur > 0:
        # What was not drawn must not be smeared into what was.
        whole = _filled(under, picture, known)
        picture, matte = moved_while_exposed(whole, matte, motion, config.motion_blur)
    if config.grain > 0:
        picture = grained(picture, under, face, seen, number, config.grain)
    return Patch(_filled(under, picture, known), matte * known, front)


def _filled(under: Floats, picture: Floats, known: Floats) -> Floats:
    """Let the target stand where nothing was drawn, so that no band carries darkness inward."""
    if known.all():
        return picture
    return np.asarray(cv2.copyTo(picture, known.astype(np.uint8), under.copy()), np.float32)


def _front(facts: FrameFacts, n: int) -> Floats | None:
    found = [one[n, 0].numpy() for one in (facts.visible, facts.allowed) if one is not None]
    if not found:
        return None
    return np.asarray(found[0] if len(found) == 1 else found[0] * found[1], np.float32)


def _mask(alpha: Floats, under: Floats, face: Floats, config: FinishConfig) -> Floats:
    """Where a face may lie, by the settings: (h,w) in [0,1]."""
    size = (alpha.shape[0], alpha.shape[1])
    if config.mask == "learned":
        return alpha
    if config.mask == "full":
        drawn = cv2.copyMakeBorder((alpha > 0).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        deep = cv2.distanceTransform(drawn, cv2.DIST_L2, 5)[1:-1, 1:-1]
        width = max(1.0, config.feather * masks.face_width(face))
        return ramp((deep - 0.5) / width)
    if config.mask == "region":
        alpha = alpha * masks.regions(face, config.regions, size, config.feather)
    if config.forehead:
        return alpha * masks.to_hairline(face, under, config.feather, config.grow)
    return alpha * masks.hull(face, size, config.feather, config.grow)


def _fading(degrees: float, config: FinishConfig) -> float:
    begins, ends = config.fade
    share = min(1.0, max(0.0, (ends - degrees) / (ends - begins)))
    return share * share * (3 - 2 * share)


def _blended(patch: Patch, under: Floats, config: FinishConfig) -> tuple[Floats, Floats]:
    """Picture and alpha of the layer."""
    if not patch.matte.any():
        return under, patch.matte
    if config.blend == "alpha":
        return patch.rgb, patch.whole
    if config.blend == "poisson":
        return blend_poisson(under, patch.rgb, patch.matte), patch.whole
    # What is in front differs from the face by what it is: no band of that may reach the face.
    over = patch.rgb
    if patch.front is not None:
        over = toward(under, over, patch.front)
    blended = blend_bands(
        under, over, patch.matte, config.bands, config.kept_bands, config.contrast
    )
    reached = reach(patch.matte, config.bands)
    return blended, reached if patch.front is None else reached * patch.front


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

"""The foreground of a crop: what of it is the person's head.

Stitch it in Time asks a face parser and takes all but background, clothes and hat. Where a bundle
holds one (`models import bisenet`), so is it done here. Without one, the head is what MediaPipe's
segmentation says is a person, down to below the jaw, joined with the hull of the face.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import BackendError, ConfigError
from likeness.metrics.regions import FACE_OVAL, fill_convex
from likeness.nets.regions import REGIONS
from likeness.track.matte import person_likelihoods
from likeness.types import Floats

_PARSED, _SEEN = 512, 256
"""Sides at which the parser and MediaPipe's segmentation look."""
_OUTSIDE = tuple(REGIONS.index(name) for name in ("background", "cloth", "hat"))
_HULL, _JAW = 0.04, 0.06
"""Growth of the hull, and how far below the jaw the head ends, in sides of the crop."""


@dataclass(frozen=True)
class MaskConfig:
    """What is edited."""

    what: Literal["auto", "regions", "head", "face"] = "auto"
    """regions: what the parser says; head: head with hair, by segmentation and landmarks; face: the
    hull of the face alone, for drawn faces that no segmentation knows. auto takes regions where the
    bundle has a parser, else head."""

    def chosen(self, parser: nn.Module | None) -> str:
        """Return what will be asked.

        Raises:
            ConfigError: regions are wanted and there is no parser.
        """
        if self.what == "regions" and parser is None:
            raise ConfigError(
                "mask regions needs a face parser in the bundle, and there is none; import one "
                "with `likeness models import bisenet`, or use mask head"
            )
        return ("regions" if parser is not None else "head") if self.what == "auto" else self.what


@dataclass(frozen=True, eq=False)
class Masks:
    """Finds the foreground of crops."""

    what: str
    parser: nn.Module | None = None
    _lock: Lock = field(default_factory=Lock)

    def find(self, pixels: NDArray[np.uint8], landmarks: Floats) -> Tensor:
        """Return masks (N,1,S,S) of 0 and 1.

        Args:
            pixels: (N,3,S,S) crops.
            landmarks: (N,478,>=2) in pixels of the crops.
        """
        if self.what == "regions" and self.parser is not None:
            return self._parsed(pixels)
        side = pixels.shape[2]
        hulls = np.stack([_grown_hull(points, side) for points in landmarks[..., :2]])
        found = hulls if self.what == "face" else hulls | self._heads(pixels, landmarks)
        return torch.from_numpy(found.astype(np.float32))[:, None]

    def _parsed(self, pixels: NDArray[np.uint8]) -> Tensor:
        answers = []
        for picture in pixels:
            rgb = torch.from_numpy(np.array(picture))[None].float() / 255
            seen = functional.interpolate(rgb, size=(_PARSED, _PARSED), mode="bilinear")
            with torch.inference_mode():
                regions = self.parser(seen).argmax(1, keepdim=True)  # type: ignore[misc]
            outside = torch.isin(regions, torch.tensor(_OUTSIDE)).float()
            small = functional.adaptive_avg_pool2d(1 - outside, picture.shape[1])
            answers.append((small > 0.5).float())
        return torch.cat(answers)

    def _heads(self, pixels: NDArray[np.uint8], landmarks: Floats) -> NDArray[np.bool_]:
        side = pixels.shape[2]
        large = functional.interpolate(
            torch.from_numpy(np.array(pixels)).float(),
            size=(_SEEN, _SEEN),
            mode="bilinear",
            align_corners=False,
        )
        images = large.clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
        try:
            # One network at a time: it keeps a state of its own.
            with self._lock:
                likely = np.stack(list(person_likelihoods(images)))
        except BackendError:
            return np.zeros((len(pixels), side, side), np.bool_)
        small = functional.adaptive_avg_pool2d(torch.from_numpy(likely)[:, None], side)[:, 0]
        person = small.numpy() > 0.5
        rows = np.arange(side) + 0.5
        jaw = landmarks[:, FACE_OVAL, 1].max(1) + _JAW * side
        return np.asarray(person & (rows[None, :, None] < jaw[:, None, None]))


def _grown_hull(points: Floats, side: int) -> NDArray[np.bool_]:
    oval = points[FACE_OVAL].astype(np.float64)
    middle = oval.mean(0)
    away = oval - middle
    length = np.linalg.norm(away, axis=1, keepdims=True) + 1e-9
    grown = middle + away * (1 + _HULL * side / length)
    return fill_convex(grown.astype(np.float32), (side, side))

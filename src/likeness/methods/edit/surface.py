"""The surface engine: edits made once on the fitted face, drawn into the clip's own pixels.

There is no generator. Each direction says by how much a pixel of the face is lit or darkened, and
where the skin moves; the frame's own pixels are multiplied and moved. So detail is the clip's,
what no direction touches stays bit for bit, and an edit is as steady as the track it stands on.
docs/methods/edit.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from likeness import config as settings
from likeness.errors import BundleError, ConfigError
from likeness.methods.edit.surface_age import Age
from likeness.methods.edit.surface_direction import Direction
from likeness.methods.edit.surface_face import EditedFace
from likeness.methods.edit.surface_view import FrameView
from likeness.plan.plan import Plan
from likeness.store import load_face_model
from likeness.types import Bundle, Crop, Floats, Ints, Layer, Shot, Window

METHOD = "edit.surface"
_LEAST = 1e-4
"""Changes of a pixel's logarithm below this are none."""


@dataclass(frozen=True)
class SurfaceConfig:
    """Settings of the surface engine."""

    seed: int = 0
    """Of the small departures that make no two lines and spots alike."""


DIRECTIONS: Mapping[str, str] = {
    "age": "older above 0, younger below",
}
"""What the engine can do, by name."""


@dataclass(frozen=True, eq=False)
class SurfaceChange:
    """What happens to N crops."""

    pixels: torch.Tensor
    """(N,3,h,w) RGB in [0,1]: the frames' own."""
    crop: Crop
    gain: torch.Tensor
    """(N,3,h,w) logarithm of the factor on each pixel."""


@dataclass(frozen=True, eq=False)
class SurfaceEdit:
    """The engine in the pipeline's slots."""

    face: EditedFace
    rows: Ints
    """(M,) row of the track for each frame, the nearest where it has none."""
    strengths: Mapping[str, Floats]
    """(M,) per direction."""
    directions: Mapping[str, Direction]

    def condition(self, window: Window, frames: torch.Tensor) -> SurfaceChange:
        """Say what every direction does to the frames of a window."""
        rows = self.rows[window.start : window.stop]
        crop = Crop(self.face.crop.size, self.face.crop.crop_from_frame[rows])
        height, width = crop.size
        cut = []
        for frame, to in zip(frames, crop.crop_from_frame, strict=True):
            x, y = (-to[:, 2]).astype(int).tolist()
            cut.append(frame[:, y : y + height, x : x + width])
        pixels = torch.stack(cut)
        gains = [self._gain(*one) for one in zip(window, rows.tolist(), pixels, strict=True)]
        return SurfaceChange(pixels, crop, torch.stack(gains))

    def synthesize(self, told: SurfaceChange) -> Layer:
        """Multiply the frames' own pixels."""
        changed = (told.gain.abs() > _LEAST).any(1, keepdim=True)
        rgb = (told.pixels * told.gain.exp()).clamp(0, 1)
        return Layer(told.crop, rgb, changed.to(rgb))

    def _gain(self, index: int, row: int, pixels: torch.Tensor) -> torch.Tensor:
        """(3,h,w) of one frame."""
        active = {name: float(strength[index]) for name, strength in self.strengths.items()}
        if not any(active.values()):
            return torch.zeros_like(pixels)
        view = FrameView(self.face.pose(row), _drawn(pixels, self.face.size))
        total = np.zeros((*self.face.size, 3), np.float32)
        for name, strength in active.items():
            shade = self.directions[name].shade(view, strength) if strength else None
            if shade is not None:
                total += shade
        return _enlarged(total, self.face.crop.size)


def surface_bundle(
    shot: Shot, config: SurfaceConfig, people: Sequence[Mapping[str, Any]] = ()
) -> Bundle:
    """Make a bundle of what the engine needs: a shot and settings; nothing is learned.

    Args:
        shot: the person that is edited.
        config: settings.
        people: who is shown, and on which consent.
    """
    return Bundle(
        method=METHOD,
        networks={},
        input={"surface": settings.to_json(config)},
        training={},
        license="of the person shown; see people",
        people=tuple(people),
        shot=shot,
    )


def surface_directions(bundle: Bundle) -> tuple[str, ...]:
    """Return what the engine can be asked for."""
    return tuple(DIRECTIONS)


def open_surface(bundle: Bundle, plan: Plan, device: torch.device) -> SurfaceEdit:
    """Make the engine ready for a plan; it runs on the CPU.

    Raises:
        BundleError: the bundle is of another engine.
        ConfigError: a direction of the plan is unknown here.
    """
    if "surface" not in bundle.input:
        raise BundleError(f"the bundle of {bundle.method!r} holds no settings of {METHOD}")
    config = settings.resolve(SurfaceConfig, bundle.input["surface"])
    face = EditedFace.of(plan.shot, load_face_model(plan.shot.params.model))
    frames = np.arange(len(plan)) if plan.shown is None else np.asarray(plan.shown)
    rows = (frames - plan.shot.track.start).clip(0, len(plan.shot.track) - 1)
    directions = {name: _made(name, face, config) for name in plan.strengths}
    return SurfaceEdit(face, rows, plan.strengths, directions)


def _made(name: str, face: EditedFace, config: SurfaceConfig) -> Direction:
    if name == "age":
        return Age.of(face, config.seed)
    raise ConfigError(f"there is no direction {name!r}; expected one of {', '.join(DIRECTIONS)}")


def _drawn(pixels: torch.Tensor, size: tuple[int, int]) -> Floats:
    """(h,w,3) at the drawn density of a crop (3,H,W)."""
    import cv2

    picture = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy(), np.float32)
    if picture.shape[:2] == size:
        return picture
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA), np.float32)


def _enlarged(gain: Floats, size: tuple[int, int]) -> torch.Tensor:
    import cv2

    if gain.shape[:2] != size:
        gain = np.asarray(cv2.resize(gain, size[::-1]), np.float32)
    return torch.from_numpy(np.ascontiguousarray(gain.transpose(2, 0, 1)))

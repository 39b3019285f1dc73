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
from likeness.composite.color import LUMA, tone_of
from likeness.errors import BundleError, ConfigError
from likeness.methods.edit.occluders import Occluders
from likeness.methods.edit.surface_directions import DIRECTIONS, Direction, Material
from likeness.methods.edit.surface_face import EditedFace
from likeness.methods.edit.surface_view import FrameView, boxed, drawn
from likeness.methods.edit.surface_warp import around, backward_flow, warped
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


@dataclass(frozen=True, eq=False)
class SurfaceChange:
    """What happens to N crops."""

    pixels: torch.Tensor
    """(N,3,h,w) RGB in [0,1]: the frames' own."""
    crop: Crop
    gains: tuple[Floats | None, ...]
    """N times (h,w,3): logarithm of the factor on each pixel; None where it is zero."""
    flows: tuple[Floats | None, ...]
    """N times (h,w,2): where each pixel then comes from, as a way in pixels; None for none."""


@dataclass(frozen=True, eq=False)
class SurfaceEdit:
    """The engine in the pipeline's slots."""

    face: EditedFace
    rows: Ints
    """(M,) row of the track for each frame, the nearest where it has none."""
    strengths: Mapping[str, Floats]
    """(M,) per direction."""
    directions: Mapping[str, Direction]
    occluders: Occluders | None = None
    """What finds things in front of the face; None where nobody asked or nothing is known."""

    def condition(self, window: Window, frames: torch.Tensor) -> SurfaceChange:
        """Say what every direction does to the frames of a window."""
        rows = self.rows[window.start : window.stop]
        crop = Crop(self.face.crop.size, self.face.crop.crop_from_frame[rows])
        cut = [self.face.cut(row, frame) for row, frame in zip(rows.tolist(), frames, strict=True)]
        pixels = torch.stack(cut)
        seen = self._visible(window, frames, crop)
        every = zip(window, rows.tolist(), pixels, seen, strict=True)
        found = [self._change(*one) for one in every]
        gains, flows = zip(*found, strict=True)
        return SurfaceChange(pixels, crop, gains, flows)

    def synthesize(self, told: SurfaceChange) -> Layer:
        """Multiply and move the frames' own pixels."""
        drawn = []
        for pixels, gain, flow in zip(told.pixels, told.gains, told.flows, strict=True):
            if gain is None and flow is None:
                drawn.append(pixels)
                continue
            picture = np.array(pixels.permute(1, 2, 0).numpy(), np.float32, order="C")
            if gain is not None:
                near = boxed(gain != 0)
                picture[near] *= np.exp(gain[near])
            if flow is not None:
                picture = warped(picture, flow)
            clipped = np.clip(picture, 0, 1).transpose(2, 0, 1)
            drawn.append(torch.from_numpy(np.ascontiguousarray(clipped)))
        rgb = torch.stack(drawn)
        apart = (rgb != told.pixels).unbind(1)
        return Layer(told.crop, rgb, (apart[0] | apart[1] | apart[2])[:, None].to(rgb))

    def _active(self, index: int) -> dict[str, float]:
        """The directions that do something in a frame, and how strongly."""
        asked = {name: float(strength[index]) for name, strength in self.strengths.items()}
        return {name: strength for name, strength in asked.items() if strength}

    def _visible(self, window: Window, frames: torch.Tensor, crop: Crop) -> Sequence[Floats | None]:
        """N times (h,w) of what is drawn: where the face is seen; None where it is everywhere."""
        if self.occluders is None or not any(self._active(index) for index in window):
            return [None] * len(window)
        at = np.asarray(crop.crop_from_frame * np.float32(self.face.density), np.float32)
        seen = self.occluders.visible(window, frames, Crop(self.face.size, at))
        return [None if bool((one == 1).all()) else one[0].numpy() for one in seen]

    def _change(
        self, index: int, row: int, pixels: torch.Tensor, visible: Floats | None
    ) -> tuple[Floats | None, Floats | None]:
        """Gain and flow of one frame."""
        active = self._active(index)
        if not active:
            return None, None
        view = FrameView(self.face.pose(row), drawn(pixels, self.face.size), visible)
        gain, moved = None, None
        for name, strength in active.items():
            shade = self.directions[name].shade(view, strength)
            if shade is not None:
                gain = shade if gain is None else gain + shade
            way = self.directions[name].move(view, strength)
            if way is not None:
                moved = way if moved is None else moved + way
        tone = None if gain is None else tone_of(view.pixels, view.skin)
        if gain is not None and tone is not None:
            # A gray or tinted clip gets lighter and darker, and no color that it does not have.
            gain += np.float32(tone.share) * ((gain @ LUMA)[..., None] - gain)
        flow = None if moved is None else backward_flow(view.posed, moved)
        if visible is not None:
            gain = None if gain is None else gain * visible[..., None]
            flow = None if flow is None else around(flow, visible)
        size = self.face.crop.size
        if gain is not None:
            gain = _enlarged(np.where(np.abs(gain) < _LEAST, np.float32(0), gain), size)
        return gain, None if flow is None else _enlarged(flow, size) / self.face.density


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
    unknown = [name for name in plan.strengths if name not in DIRECTIONS]
    if unknown:
        raise ConfigError(
            f"there is no direction {unknown[0]!r}; expected one of {', '.join(DIRECTIONS)}"
        )
    material = Material.of(face, config.seed)
    directions = {name: DIRECTIONS[name].make(material) for name in plan.strengths}
    return SurfaceEdit(face, rows, plan.strengths, directions, Occluders.of(plan))


def _enlarged(maps: Floats, size: tuple[int, int]) -> Floats:
    import cv2

    return maps if maps.shape[:2] == size else np.asarray(cv2.resize(maps, size[::-1]), np.float32)

"""One portrait's conditioner: FaceParams in, everything that its generator is told out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from likeness import geometry
from likeness.condition.body import Bodies, bodies, choose_body_keyframes
from likeness.condition.gallery import (
    KEYFRAMES,
    Features,
    Gallery,
    choose_keyframes,
    compensated,
    distances,
    features,
    levels,
    turned,
)
from likeness.condition.lift import lifted
from likeness.condition.matte import Layers
from likeness.condition.mesh import PortraitMesh
from likeness.condition.paint import GUIDE_NAMES, lit_colors, paint
from likeness.condition.warp import displacements, facing
from likeness.types import Bools, Crop, FaceParams, Floats, Ints

_CODE_LIMIT = 4.0
"""Codes beyond this many units say nothing that training has seen."""
_KEPT_AT_ONCE = 16
"""Pictures that are described together."""


@dataclass(frozen=True, eq=False)
class KeyframeCondition:
    """What the fast generator is told about N frames."""

    maps: torch.Tensor
    """(N,9+3K,h/2,w/2): guide images, then per keyframe flow x, flow y and validity."""
    keyframes: torch.Tensor
    """(N,K,4,h,w) uint8: layers of the target's frames to draw from."""
    code: torch.Tensor
    """(N,D) expression, pose and gaze."""

    def to(self, device: torch.device) -> KeyframeCondition:
        """Return the condition on another device."""
        return KeyframeCondition(
            self.maps.to(device), self.keyframes.to(device), self.code.to(device)
        )


@dataclass(frozen=True, eq=False)
class GuideStack:
    """What the space-time generator is told about N frames."""

    maps: torch.Tensor
    """(N,C*length,h,w): the guide images of a run of frames, oldest first."""

    def to(self, device: torch.device) -> GuideStack:
        """Return the condition on another device."""
        return GuideStack(self.maps.to(device))


@dataclass(frozen=True, eq=False)
class Underlay:
    """N frames of the target that are painted over: no keyframe has a better body."""

    pictures: torch.Tensor
    """(N,3,h,w) RGB in [0,1]: their crops."""
    params: FaceParams
    """What the face does in them."""


@dataclass(frozen=True, eq=False)
class PortraitConditioner:
    """What stays the same over a portrait: the person, the crop and the target's light."""

    mesh: PortraitMesh
    albedo: Floats
    """(A,)."""
    light: Floats
    """(9,3): the target's mean light; a generator has seen no other."""
    crop_from_frame: Floats
    """(2,3): one square for the whole clip."""
    frame_size: tuple[int, int]
    """(H, W) of the target's frames."""
    side: int
    """Crop pixels."""

    @cached_property
    def skin(self) -> Floats:
        """(V,3) albedo of the model's vertices."""
        return self.mesh.model.colors(self.albedo)

    def crop(self, count: int) -> Crop:
        """The fixed crop, for `count` frames."""
        repeated = np.repeat(self.crop_from_frame[None], count, 0)
        return Crop((self.side, self.side), repeated)

    def describe(self, params: FaceParams) -> Features:
        """Describe N faces for comparison with keyframes."""
        return features(self.mesh.model, params, self.crop_from_frame, self.frame_size, self.side)

    def code(self, params: FaceParams) -> Floats:
        """(N, E + 10): expression weights, pose and gaze, each about one unit wide."""
        described = self.describe(params)
        gaze = params.gaze.reshape(len(params), 4) / np.deg2rad(10)
        code = np.concatenate([2 * params.expression, described.pose / 3, gaze], 1)
        return np.asarray(np.clip(code, -_CODE_LIMIT, _CODE_LIMIT), np.float32)

    def gallery(
        self,
        params: FaceParams,
        pictures: torch.Tensor,
        times: Ints,
        layers: Layers | None = None,
    ) -> Gallery:
        """Keep frames as keyframes.

        Args:
            params: what the target does in the G frames.
            pictures: (G,3,h,w) uint8 crops, as they rest on disk.
            times: (G,) their indices in the clip.
            layers: what separates them; without, each keyframe is one layer that covers all.
        """
        posed = self.mesh.pose(params, self.crop_from_frame, self.frame_size)
        described = self.describe(params)
        around = []
        # A few at a time: as floats, the pictures of a large portrait would take a gigabyte.
        for begin in range(0, len(pictures), _KEPT_AT_ONCE):
            some = np.arange(begin, min(begin + _KEPT_AT_ONCE, len(pictures)))
            shown = pictures[begin : begin + len(some)].float() / 255
            around.append(self.bodies(select(params, some), shown))
        return Gallery(
            lifted(pictures, layers),
            np.ascontiguousarray(posed.vertices[..., :2]),
            facing(self.mesh, posed),
            described.pose,
            described.mouth,
            described.eyes,
            Bodies.joined(around),
            times,
        )

    def outlines(self, params: FaceParams) -> Floats:
        """(N,P,2) the face's oval in crop pixels."""
        posed = self.mesh.pose(params, self.crop_from_frame, self.frame_size)
        return posed.vertices[:, self.mesh.model.regions["face_oval"], :2]

    def bodies(self, params: FaceParams, pictures: torch.Tensor) -> Bodies:
        """Describe what (N,3,h,w) frames in [0,1] show around the heads that `params` tell of."""
        posed = self.mesh.pose(params, self.crop_from_frame, self.frame_size)
        return bodies(pictures, posed.vertices[:, self.mesh.head, :2])

    def choose_body_keyframes(self, gallery: Gallery, params: FaceParams) -> Ints:
        """(N,) keyframes that lend the body over a whole performance."""
        unlike = distances(self.describe(params).pose, gallery.pose)
        return choose_body_keyframes(unlike, gallery.bodies.apart(gallery.bodies))

    def from_keyframes(
        self,
        gallery: Gallery,
        params: FaceParams,
        body_keyframes: Ints | Underlay,
        banned: Bools | None = None,
        turns: Floats | None = None,
    ) -> KeyframeCondition:
        """Tell the fast generator about N frames: guides, flow to keyframes, keyframes, code.

        Args:
            gallery: the target's kept frames.
            params: what the face shall do.
            body_keyframes: (N,) keyframes that lend the body, or the frames that are painted over.
            banned: as in `choose_keyframes`.
            turns: (N,K,2,3) similarities that move the keyframes before they are used.
        """
        half = self.side // 2
        posed = self.mesh.pose(params, self.crop_from_frame, self.frame_size)
        colors = lit_colors(self.mesh, posed, self.skin, self.light)
        guides, coverages = paint(self.mesh, posed, colors, self.side, half)
        kept = None if isinstance(body_keyframes, Underlay) else body_keyframes
        chosen = choose_keyframes(gallery, self.describe(params), kept, banned)
        pictures = gallery.layers(chosen)
        vertices, visibility = gallery.vertices[chosen], gallery.visibility[chosen]
        if isinstance(body_keyframes, Underlay):
            below = self.mesh.pose(body_keyframes.params, self.crop_from_frame, self.frame_size)
            # Nobody has cut the person out of these frames, nor need they move far.
            pictures[:, -1, :3] = levels(compensated(body_keyframes.pictures))
            pictures[:, -1, 3] = 255
            vertices[:, -1] = below.vertices[..., :2]
            visibility[:, -1] = facing(self.mesh, below)
        if turns is not None:
            moved = turned(pictures.flatten(0, 1).float() / 255, turns.reshape(-1, 2, 3))
            pictures = levels(moved).view(pictures.shape)
            vertices = geometry.apply(turns, vertices)
        motion = np.empty((len(params), 3 * KEYFRAMES, half, half), np.float32)
        for n, coverage in enumerate(coverages):
            flow, valid = displacements(
                self.mesh,
                coverage,
                posed.vertices[n, :, :2],
                vertices[n],
                visibility[n],
                self.side,
            )
            motion[n] = np.concatenate([flow, valid], 1).reshape(-1, half, half)
        return KeyframeCondition(
            maps=torch.from_numpy(np.concatenate([guides, motion], 1)),
            keyframes=pictures,
            code=torch.from_numpy(self.code(params)),
        )

    def from_window(
        self, params: FaceParams, length: int, channels: int = len(GUIDE_NAMES)
    ) -> GuideStack:
        """Tell the space-time generator about N frames (Deep Video Portraits, section 5.2).

        Args:
            params: N + length - 1 frames; the first `length - 1` only lead in.
            length: guide frames per answer, the current one last.
            channels: guide channels per frame, the first so many of GUIDE_NAMES.

        Returns:
            Maps (N, channels*length, side, side), oldest frame first.
        """
        posed = self.mesh.pose(params, self.crop_from_frame, self.frame_size)
        colors = lit_colors(self.mesh, posed, self.skin, self.light)
        guides, _ = paint(self.mesh, posed, colors, self.side, self.side)
        frames = torch.from_numpy(guides[:, :channels])
        count = len(params) - length + 1
        stacked = torch.cat([frames[age : age + count] for age in range(length)], 1)
        return GuideStack(stacked)


def select(params: FaceParams, frames: Ints) -> FaceParams:
    """Return the params of the given frames, in that order; frames may repeat."""
    return replace(
        params,
        expression=params.expression[frames],
        rotation=params.rotation[frames],
        translation=params.translation[frames],
        light=params.light[frames],
        gaze=params.gaze[frames],
    )

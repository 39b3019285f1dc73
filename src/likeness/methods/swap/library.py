"""From a folder of faces the one that fits best, relit and laid over the target's.

Paper: Face Swapping: Automatically Replacing Faces in Photographs (Bitouk, Kumar, Dhillon,
Belhumeur, Nayar; SIGGRAPH 2008). A candidate has to look the same way, in a similar light, with
similar colors along the seam; what is left of the light is made up by the ratio of two shadings. In
a clip one stand-in takes the whole of it, so that who is seen does not change, and the person who
was filmed is not seen. docs/methods/swap.md has the equations and what differs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from likeness import config as settings
from likeness import geometry
from likeness.condition.align import similarity
from likeness.condition.conditioner import select
from likeness.errors import BundleError, ConfigError
from likeness.face3d.light import irradiance
from likeness.methods.photo.animation import Photo
from likeness.methods.swap.match import (
    DARKEST,
    Candidate,
    MatchConfig,
    candidate,
    costs,
    gain,
    look_at,
    mirrored_light,
    steadiest,
)
from likeness.methods.swap.method import Swapped, swapped
from likeness.methods.swap.photo_views import (
    SourceView,
    faded,
    filling,
    flipped,
    source_view,
    target_width,
)
from likeness.methods.swap.source import photos_of
from likeness.methods.swap.surface import FaceSurface, SeenFace
from likeness.methods.swap.view import SwapFace, TargetView
from likeness.methods.swap.warp import bend, soft_mask
from likeness.plan.plan import Plan
from likeness.store import load_face_model
from likeness.types import Bools, Bundle, Floats, Ints


@dataclass(frozen=True)
class LibraryConfig:
    """Settings of the library of faces."""

    choose: Literal["clip", "frame"] = "clip"
    """One stand-in for the whole clip, or the best for each frame."""
    rank: int = 0
    """Which of the best stand-ins is taken, from 0 on; for the whole clip alone."""
    follow: Literal["mesh", "rigid"] = "mesh"
    """Whether the face follows the target's mesh, with the target's eyes and inner mouth, or is
    laid on as a whole, as in the paper, with eyes and mouth of its own."""
    relight: bool = True
    """Bring the face to the target's light."""
    mirror: bool = True
    """Let mirror images stand in, too."""
    match: MatchConfig = field(default_factory=MatchConfig)

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise ConfigError(f"rank is {self.rank}; expected 0 or more")


@dataclass(frozen=True, eq=False)
class LibrarySwapper:
    """The chosen faces of a library, ready for one target."""

    surface: FaceSurface
    views: tuple[SourceView, ...]
    """Each face, followed by its mirror image, which fills in."""
    lights: tuple[Floats, ...]
    """(9,3) per view, as if skin were white."""
    shares: Floats
    """(rows of the target's track, K)."""
    target_lights: Floats
    """(rows of the target's track, 9, 3), likewise."""
    chosen: tuple[Candidate, ...]
    """Who stands in, in the order of `views`."""
    config: LibraryConfig

    def draw(self, view: TargetView) -> SwapFace:
        """Lay the chosen face over the target's in N frames."""
        rgb, alpha = view.pixels.clone(), torch.zeros_like(view.pixels[:, :1])
        size = (view.frames.shape[2], view.frames.shape[3])
        for n in range(len(view)):
            params = select(view.params, np.array([n]))
            target = self.surface.seen(
                view.landmarks[n], params, size, view.crop.crop_from_frame[n]
            )
            counts = self.shares[view.rows[n]]
            face = target
            if self.config.follow == "rigid":
                counts = _first_alone(counts)
                face = laid_on(self.views[int(counts.argmax())].face, target)
            cover = self.surface.cover(face, view.crop.size)
            if cover is None:
                continue
            gains = None
            if self.config.relight:
                gains = self._gains(self.target_lights[view.rows[n]], face, counts)
            drawn, known = bend(self.surface, self.views, counts, cover, face, gains)
            mask, soft = soft_mask(cover, known, whole=self.config.follow == "rigid")
            part = rgb[n][:, *cover.box].permute(1, 2, 0).numpy()
            rgb[n][:, *cover.box] = torch.from_numpy(
                np.where(mask[..., None], drawn, part)
            ).permute(2, 0, 1)
            alpha[n, 0][cover.box] = torch.from_numpy(soft)
        return SwapFace(rgb.clamp_(0, 1), alpha)

    def _gains(self, light: Floats, face: SeenFace, counts: Floats) -> list[Floats]:
        """Per view that counts (F,3): the target's shading over that of the photo."""
        wanted = np.maximum(irradiance(face.normals, light), DARKEST)
        gains = []
        for view, own, count in zip(self.views, self.lights, counts, strict=True):
            if count > 0:
                seen = np.maximum(irradiance(view.face.normals, own), DARKEST)
                gains.append(gain(wanted, seen))
        return gains


def laid_on(face: SeenFace, target: SeenFace) -> SeenFace:
    """Lay a photo's face over the target's by the similarity of the least squared error."""
    matrix = similarity(face.places, target.places)[0].astype(np.float32)
    return SeenFace(geometry.apply(matrix, face.places), face.depth, target.normals)


def open_library(bundle: Bundle, plan: Plan, device: torch.device) -> Swapped:
    """Choose stand-ins for a plan's target from a bundle of photos; it runs on the CPU.

    Raises:
        BundleError: the bundle holds no photos, fewer than `rank` asks for, or such that were
            fitted with another face model than the target.
    """
    config = settings.resolve(LibraryConfig, bundle.training.get("settings", {}))
    shot, photos = plan.shot, photos_of(bundle)
    surface = FaceSurface.of(load_face_model(shot.params.model))
    width = target_width(shot)
    found = _described(photos, surface, width, config.mirror)
    look = look_at(shot, surface.model)
    cost = costs(found, shot, look, surface.model, config.match)
    rows = _decided(cost, config, shot.track.observed)
    used = np.unique(rows)
    views: list[SourceView] = []
    lights: list[Floats] = []
    for index in used.tolist():
        view = source_view(photos[found[index].photo], surface, width)
        if found[index].mirrored:
            view = flipped(view, surface)
        views += [view, filling(view, surface)]
        lights += [found[index].light, mirrored_light(found[index].light)]
    counts = (rows[:, None] == np.repeat(used, 2)[None]).astype(np.float32)
    plain = np.arange(len(views)) % 2 == 0
    return swapped(
        LibrarySwapper(
            surface,
            tuple(views),
            tuple(lights),
            faded(counts, plain, shot.track.observed),
            look.lights(len(shot.track)),
            tuple(found[index] for index in used.tolist()),
            config,
        ),
        plan,
    )


def _described(
    photos: tuple[Photo, ...], surface: FaceSurface, width: float, mirror: bool
) -> list[Candidate]:
    """Look at each photo once; their pixels are let go again."""
    found = []
    for index, photo in enumerate(photos):
        box = photo.track.boxes[0]
        view = source_view(photo, surface, width)
        one = candidate(index, view, photo.params, surface.model, float(box[2] - box[0]))
        found += [one, one.flipped(surface.model)] if mirror else [one]
    return found


def _decided(cost: Floats, config: LibraryConfig, observed: Bools) -> Ints:
    """(N,): which candidate stands in in each frame."""
    if config.choose == "frame":
        return steadiest(np.where(observed[:, None], cost, 0), config.match.change)
    seen = cost[observed] if observed.any() else cost
    order = np.argsort(seen.mean(0), kind="stable")
    # A face and its mirror image are one stand-in.
    people = list(dict.fromkeys((order // 2).tolist())) if config.mirror else order.tolist()
    if config.rank >= len(people):
        raise BundleError(
            f"rank {config.rank} was asked for, the library holds {len(people)} faces; expected at "
            f"most {len(people) - 1}"
        )
    person = people[config.rank]
    best = next(k for k in order.tolist() if (k // 2 if config.mirror else k) == person)
    return np.full(len(cost), best, np.int64)


def _first_alone(counts: Floats) -> Floats:
    """(K,): the one that counts most, alone: two faces laid on rigidly would be seen as two."""
    alone = np.zeros_like(counts)
    alone[int(counts[::2].argmax()) * 2] = 1
    return alone

"""Landmark mesh warp: the source's photos bent onto the target's face, frame by frame.

The oldest swap by machine that still runs everywhere: triangles between landmarks are carried from
the photo to the frame, the rest is color and blending. Here the mesh has 478 points and is drawn
with depth, so that a nose hides the cheek behind it; photos count where they show the skin; what
lies between lids and lips stays the target's own. docs/methods/swap.md has the equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from likeness import config as settings
from likeness.condition.conditioner import select
from likeness.condition.mesh import SKIN
from likeness.methods.photo.animation import Photo
from likeness.methods.swap.method import Swapped, swapped
from likeness.methods.swap.photo_views import SourceView, shares, source_views, target_width
from likeness.methods.swap.source import photos_of
from likeness.methods.swap.surface import Cover, FaceSurface, SeenFace, read
from likeness.methods.swap.view import SwapFace, TargetView
from likeness.plan.plan import Plan
from likeness.store import load_face_model
from likeness.types import Bools, Bundle, Floats, Shot

_KNOWN = 0.12
"""Trust in all photos together from which on skin is shown wholly."""


_FAINT = 0.02
"""Share below which a photo is not read at all."""


@dataclass(frozen=True)
class WarpConfig:
    """Settings of the warp."""

    mirror: bool = True
    """Show a cheek that no photo shows as the mirror image of the other."""


@dataclass(frozen=True, eq=False)
class WarpSwapper:
    """A source's photos, ready for one target."""

    surface: FaceSurface
    views: tuple[SourceView, ...]
    shares: Floats
    """(rows of the target's track, K) how much each photo counts."""

    def draw(self, view: TargetView) -> SwapFace:
        """Bend the photos onto the target's face in N frames."""
        rgb, alpha = view.pixels.clone(), torch.zeros_like(view.pixels[:, :1])
        size = (view.frames.shape[2], view.frames.shape[3])
        for n in range(len(view)):
            params = select(view.params, np.array([n]))
            face = self.surface.seen(view.landmarks[n], params, size, view.crop.crop_from_frame[n])
            counts = self.shares[view.rows[n]]
            cover = self.surface.cover(face, view.crop.size)
            if cover is None:
                continue
            drawn, shown = bend(self.surface, self.views, counts, cover, face)
            mask, soft = soft_mask(cover, shown)
            part = rgb[n][:, *cover.box].permute(1, 2, 0).numpy()
            mixed = np.where(mask[..., None], drawn, part)
            rgb[n][:, *cover.box] = torch.from_numpy(mixed).permute(2, 0, 1)
            alpha[n, 0][cover.box] = torch.from_numpy(soft)
        return SwapFace(rgb.clamp_(0, 1), alpha)


def bend(
    surface: FaceSurface,
    views: Sequence[SourceView],
    counts: Floats,
    cover: Cover,
    face: SeenFace,
    gains: Sequence[Floats] | None = None,
) -> tuple[Floats, Floats]:
    """Draw photos on a face.

    Args:
        surface: of both.
        views: K photos and mirror images.
        counts: (K,) how much each counts; only those above 0 are drawn from.
        cover: where the face lies.
        face: the target's, which is drawn.
        gains: (F,3) factors on the colors of those that count, in their order.

    Returns:
        (h,w,3) colors of the box, and (h,w) in [0,1] how much of it is known.
    """
    used = [(view, count) for view, count in zip(views, counts, strict=True) if count > 0]
    trusts = [view.trust * count for view, count in used]
    columns = np.concatenate([np.stack(trusts, 1), *(gains or ()), surface.edge(face)[:, None]], 1)
    places = np.concatenate([view.face.places for view, _ in used], 1)
    carried = surface.carry(cover, np.concatenate([places, surface.spread(columns, 1)], 1))
    k = len(used)
    weights = carried[..., 2 * k : 3 * k]
    faint = _FAINT * np.maximum(weights.sum(-1), 1e-3)
    drawn = np.zeros((*cover.ids.shape, 4), np.float32)
    for index, (view, _) in enumerate(used):
        weight = weights[..., index]
        if (weight < faint).all():
            continue
        seen = read(view.picture, carried[..., 2 * index : 2 * index + 2], cubic=True)
        if gains is not None:
            first = 3 * k + 3 * index
            seen[..., :3] *= carried[..., first : first + 3]
        share = weight * np.clip(seen[..., 3], 0, 1) + np.float32(1e-4)
        seen[..., 3] = 1
        drawn += share[..., None] * seen
    total = drawn[..., 3]
    colors = drawn[..., :3] / np.maximum(total, 1e-6)[..., None]
    return colors, np.clip(total / _KNOWN, 0, 1) * carried[..., -1]


def soft_mask(cover: Cover, shown: Floats, whole: bool = False) -> tuple[Bools, Floats]:
    """Where skin is drawn, (h,w) booleans, and its coverage (h,w), soft by a pixel.

    Args:
        cover: of a box.
        shown: (h,w) in [0,1]: how much of it is known.
        whole: whether what is seen between lids and lips is drawn, too.
    """
    import cv2

    drawn = np.asarray(cover.kinds >= 0 if whole else cover.kinds == SKIN, bool)
    solid = drawn.astype(np.float32) * shown
    soft = np.asarray(cv2.GaussianBlur(solid, (0, 0), 0.8), np.float32)
    return drawn, np.minimum(soft, 1)


def open_warp(bundle: Bundle, plan: Plan, device: torch.device) -> Swapped:
    """Make a bundle of photos ready for a plan's target; it runs on the CPU.

    Raises:
        BundleError: the bundle holds no photos, or of another face model than the target's.
    """
    config = settings.resolve(WarpConfig, bundle.training.get("settings", {}))
    return swapped(warp_swapper(photos_of(bundle), plan.shot, config), plan)


def warp_swapper(photos: Sequence[Photo], target: Shot, config: WarpConfig) -> WarpSwapper:
    """Make photos of one person ready for a target."""
    surface = FaceSurface.of(load_face_model(target.params.model))
    views = source_views(photos, surface, target_width(target), config.mirror)
    return WarpSwapper(surface, views, shares(views, target.params, target.track.observed))

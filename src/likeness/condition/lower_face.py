"""Where a new mouth may be painted: lips, chin and jaw of both the old and the new face.

AudioDVP (Wen et al., TVCG 2020) blends its lower face by an eroded and blurred mask of the mouth's
mesh; here the mask is a convex hull around what either face shows there, fading outward, so that
nothing above the nose's base and nothing beside the head is touched.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import ConvexHull

from likeness.condition.conditioner import PortraitConditioner
from likeness.types import FaceParams, Floats, Ints, check

_JAW = np.array(
    [361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132]
)
"""Tracker landmarks along the jaw, from ear lobe to ear lobe."""
_NOSE = np.array([98, 2, 327])
"""Its base."""
_EYES = np.array([33, 263])
_MARGIN, _FADE = 0.05, 0.22
"""Growth of the hull and width of its fading edge, in distances between the outer eye corners."""


def lower_face(conditioner: PortraitConditioner, old: FaceParams, new: FaceParams) -> torch.Tensor:
    """Return (N,1,h,w) in [0,1] of where the faces of two performances differ below the nose.

    Args:
        conditioner: the portrait.
        old: N frames of what the decoded frames show.
        new: N frames of what shall be painted there.
    """
    check(len(old) == len(new), f"{len(old)} old and {len(new)} new frames, expected as many")
    vertices = conditioner.mesh.model.landmark_vertices
    around = np.concatenate(
        [vertices[_JAW], vertices[_NOSE], conditioner.mesh.model.regions["lips"]]
    )
    posed = [
        conditioner.mesh.pose(params, conditioner.crop_from_frame, conditioner.frame_size).vertices[
            ..., :2
        ]
        for params in (old, new)
    ]
    masks = np.empty((len(old), 1, conditioner.side, conditioner.side), np.float32)
    for mask, before, after in zip(masks, *posed, strict=True):
        unit = float(np.linalg.norm(np.subtract(*before[vertices[_EYES]])))
        points = np.concatenate([before[around], after[around]])
        mask[0] = _inside(points, conditioner.side, unit)
    return torch.from_numpy(masks)


def _inside(points: Floats, side: int, unit: float) -> Floats:
    """(side,side): 1 inside the grown hull of (P,2) points, smoothly falling to 0 outside."""
    sides: Ints | Floats = ConvexHull(points).equations.astype(np.float32)
    centers = np.arange(side, dtype=np.float32) + 0.5
    beyond = np.full((side, side), -np.inf, np.float32)
    for a, b, c in sides:
        np.maximum(beyond, a * centers[None, :] + b * centers[:, None] + c, out=beyond)
    share = np.clip(1 - (beyond - _MARGIN * unit) / (_FADE * unit), 0, 1)
    smooth: Floats = share * share * (3 - 2 * share)
    return smooth

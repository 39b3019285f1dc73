"""Keyframes: which frames of the target are kept, and which of them a wanted face is made from.

A face is described by three groups of numbers in comparable units (about one per visible step):
pose, mouth and eyes. The gallery is picked by farthest-point search, so that rare states are in it;
per frame a few keyframes are chosen, each slot weighing the groups in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from likeness import geometry
from likeness.face3d.camera import camera_points, pixels
from likeness.face3d.model import FaceModel
from likeness.types import FaceParams, Floats, Ints

SLOTS = (
    # weight of pose, mouth, eyes
    (1.0, 1.0, 1.0),
    (1.0, 1.0, 1.0),
    (0.4, 1.5, 0.1),
    (0.4, 0.1, 1.5),
)
"""One row per keyframe that a generator is given: two near in all, one by mouth, one by eyes."""

_POSE_WIDTH = 6


@dataclass(frozen=True, eq=False)
class Gallery:
    """The target's kept frames, with what the face does in them."""

    pictures: torch.Tensor
    """(G,3,h,w) uint8, as they rest on disk: a quarter of the memory of floats."""
    vertices: Floats
    """(G,V,2) portrait mesh in crop pixels."""
    seen: Floats
    """(G,V) how well the camera saw each vertex."""
    pose: Floats
    """(G,6)."""
    mouth: Floats
    """(G,Dm)."""
    eyes: Floats
    """(G,De)."""
    times: Ints
    """(G,) frame of the clip that each was taken from."""

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, eq=False)
class Features:
    """What N faces do, in units of visible steps."""

    pose: Floats
    """(N,6)."""
    mouth: Floats
    """(N,Dm)."""
    eyes: Floats
    """(N,De)."""

    def __len__(self) -> int:
        return len(self.pose)

    def joined(self) -> Floats:
        """(N,6+Dm+De)."""
        return np.concatenate([self.pose, self.mouth, self.eyes], 1)


def features(
    model: FaceModel, params: FaceParams, crop: Floats, size: tuple[int, int], side: int
) -> Features:
    """Describe N faces for comparison.

    Args:
        model: the face model of params.
        params: N frames.
        crop: (2,3) crop_from_frame.
        size: (H, W) of the frames.
        side: side of the crop in pixels; places are measured relative to it.

    Returns:
        One unit is about 6 degrees of rotation, a tenth of the crop of shift, 8 % of size,
        1.3 mm of the lips, 0.5 mm of the lids or 5 degrees of gaze.
    """
    rotation = geometry.rotation_matrix(params.rotation)
    yaw, pitch, roll = geometry.euler_from_rotation(rotation)
    origin = np.zeros((len(params), 1, 3), np.float32)
    place = pixels(camera_points(origin, params.rotation, params.translation), params.focal, size)[
        ..., :2
    ]
    place = geometry.apply(crop, place)[:, 0] * (10 / side)
    depth = np.log(params.translation[:, 2:] / 500) / 0.08
    angles = np.stack([yaw, pitch, roll], 1) / np.deg2rad(6)
    mouth = _moved(model, params, "lips") / 1.3
    eyes = np.concatenate([_moved(model, params, f"{side}_eye") for side in ("right", "left")], 1)
    eyes = eyes / 0.5 / np.sqrt(2)
    gaze = params.gaze.reshape(len(params), 4) / np.deg2rad(5)
    return Features(
        np.concatenate([angles, place, depth], 1).astype(np.float32),
        mouth.astype(np.float32),
        np.concatenate([eyes, gaze / np.sqrt(2)], 1).astype(np.float32),
    )


def _moved(model: FaceModel, params: FaceParams, region: str) -> Floats:
    """(N,2P) how far expression moves a region, millimetres, scaled so that the norm is an RMS."""
    chosen = model.regions[region]
    modes = model.expression[:, chosen, :2].reshape(len(model.expression), -1)
    moved: Floats = params.expression @ modes / np.sqrt(len(chosen))
    return moved


def pick_keyframes(described: Features, count: int) -> Ints:
    """Pick `count` frames that cover what the clip shows, by farthest-point search.

    Starts at the frame nearest to the mean; each next frame is the one farthest from all picked.

    Returns:
        (min(count, N),) indices in order of picking.
    """
    points = described.joined()
    picked = [int(np.argmin(np.square(points - points.mean(0)).sum(1)))]
    distance = np.full(len(points), np.inf)
    while len(picked) < min(count, len(points)):
        distance = np.minimum(distance, np.square(points - points[picked[-1]]).sum(1))
        picked.append(int(distance.argmax()))
    return np.array(picked, np.int64)


def choose_keyframes(gallery: Gallery, described: Features, banned: Ints | None = None) -> Ints:
    """Choose a keyframe per slot for each of N faces.

    Args:
        gallery: the target's kept frames.
        described: N wanted faces.
        banned: (N,2) first and last frame of the clip that may not be used, as training does with
            the neighborhood of the frame that is to be drawn; without it copying would be learned.

    Returns:
        (N,K) indices into the gallery; the slots of one face differ unless the gallery is smaller.
    """
    groups = [
        (gallery.pose, described.pose),
        (gallery.mouth, described.mouth),
        (gallery.eyes, described.eyes),
    ]
    squares = [np.square(b).sum(1)[:, None] + np.square(a).sum(1) - 2 * b @ a.T for a, b in groups]
    used = np.zeros(squares[0].shape, bool)
    if banned is not None:
        used = (gallery.times >= banned[:, :1]) & (gallery.times <= banned[:, 1:])
    chosen = np.zeros((len(described), len(SLOTS)), np.int64)
    rows = np.arange(len(described))
    for slot, weights in enumerate(SLOTS):
        total = sum(w * s for w, s in zip(weights, squares, strict=True))
        # Used keyframes come last, not never: a tiny gallery still fills every slot.
        chosen[:, slot] = np.where(used, total + 1e9, total).argmin(1)
        used[rows, chosen[:, slot]] = True
    return chosen

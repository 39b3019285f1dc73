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
from likeness.condition.body import Bodies
from likeness.face3d.camera import camera_points, pixels
from likeness.face3d.model import FaceModel
from likeness.types import Bools, FaceParams, Floats, Ints

SLOTS = (
    # weight of pose, mouth, eyes; squared distance at which eyes are simply different
    (1.0, 1.0, 1.0, 40.0),
    (1.0, 1.0, 1.0, np.inf),
    (0.4, 1.5, 0.1, np.inf),
    (0.4, 0.1, 1.5, np.inf),
)
"""One row per keyframe chosen for the face: two near in all, one by mouth, one by eyes. In the
first a blink must not outweigh a wrong mouth, because the fourth brings the eyes."""
KEYFRAMES = len(SLOTS) + 1
"""Keyframes that a generator is given: the last lends the body."""

TAPS = np.array([-0.24, 1.48, -0.24], np.float32)
"""0.18 would be exact for the finest wave; blending several keyframes takes some more."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """The target's kept frames, with what the face does in them."""

    pictures: torch.Tensor
    """(G,4,h,w) uint8 layers (`matte.layered`): color times coverage, sharpened as `compensated`
    does, and coverage; the four numbers of a pixel lie together, as they are read."""
    vertices: Floats
    """(G,V,2) portrait mesh in crop pixels."""
    visibility: Floats
    """(G,V) how well the camera saw each vertex."""
    pose: Floats
    """(G,6)."""
    mouth: Floats
    """(G,Dm)."""
    eyes: Floats
    """(G,De)."""
    bodies: Bodies
    """What the G frames show around the head."""
    times: Ints
    """(G,) frame of the clip that each was taken from."""

    def __len__(self) -> int:
        return len(self.times)

    def layers(self, chosen: Ints) -> torch.Tensor:
        """(N,K,4,h,w) uint8: the layers of (N,K) keyframes, a pixel's numbers together."""
        # numpy copies whole pictures where torch looks each byte up.
        kept = self.pictures.permute(0, 2, 3, 1).numpy()[chosen]
        return torch.from_numpy(kept).permute(0, 1, 4, 2, 3)


def compensated(pictures: torch.Tensor) -> torch.Tensor:
    """Sharpen pictures (N,C,h,w) in [0,1] by what sampling them between pixels will take away.

    A bilinear sample at a random place between pixels passes sqrt(1 - (1 - cos w)/3) of a wave with
    w radians per pixel, on average along each axis. The filter [-a, 1 + 2a, -a] gives it back.
    """
    import cv2

    sharp = np.empty(pictures.shape, np.float32)
    edge = cv2.BORDER_REPLICATE
    planes = pictures.flatten(0, 1).numpy()
    for plane, out in zip(planes, sharp.reshape(planes.shape), strict=True):
        cv2.sepFilter2D(plane, -1, TAPS, TAPS, out, borderType=edge)
    return torch.from_numpy(sharp.clip(0, 1, sharp))


def levels(pictures: torch.Tensor) -> torch.Tensor:
    """Round pictures in [0,1] to levels of uint8."""
    return (pictures * 255 + 0.5).to(torch.uint8)


def turned(pictures: torch.Tensor, turns: Floats) -> torch.Tensor:
    """Move pictures (M,C,h,w) by similarities (M,2,3) in pixels; edges repeat."""
    import cv2

    moved = torch.empty_like(pictures)
    for out, picture, turn in zip(moved, pictures, turns, strict=True):
        # OpenCV counts from the first pixel's center, positions from the corner.
        centered = turn.astype(np.float64)
        centered[:, 2] += centered[:, :2].sum(1) * 0.5 - 0.5
        shown = cv2.warpAffine(
            np.ascontiguousarray(picture.permute(1, 2, 0).numpy()),
            centered,
            picture.shape[:0:-1],
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        shown = shown.clip(0, 1).reshape(*picture.shape[1:], -1)
        out[:] = torch.from_numpy(shown).permute(2, 0, 1)
    return moved


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


def pick_keyframes(described: Features, count: int, around: Bodies | None = None) -> Ints:
    """Pick `count` of N frames that cover what the clip shows, by farthest-point search.

    Starts at the frame nearest to the mean; each next frame is the one farthest from all picked, in
    what face and body do.

    Returns:
        (min(count, N),) indices in order of picking.
    """
    points = described.joined()
    if around is not None:
        points = np.concatenate([points, around.steadily()], 1)
    picked = [int(np.argmin(np.square(points - points.mean(0)).sum(1)))]
    distance = np.full(len(points), np.inf)
    while len(picked) < min(count, len(points)):
        distance = np.minimum(distance, np.square(points - points[picked[-1]]).sum(1))
        picked.append(int(distance.argmax()))
    return np.array(picked, np.int64)


def choose_keyframes(
    gallery: Gallery, described: Features, bodies: Ints | None, banned: Bools | None = None
) -> Ints:
    """Choose a keyframe per slot for each of N faces.

    Args:
        gallery: the target's kept frames.
        described: N wanted faces.
        bodies: (N,) keyframes that lend the body; None leaves that slot at 0, for another picture.
        banned: (N,G) keyframes that may not be used.

    Returns:
        (N,K) indices into the gallery, the body last; the slots of one face differ unless the
        gallery is smaller.
    """
    groups = [
        (gallery.pose, described.pose),
        (gallery.mouth, described.mouth),
        (gallery.eyes, described.eyes),
    ]
    pose, mouth, eyes = (distances(wanted, kept) for kept, wanted in groups)
    used = np.zeros(pose.shape, bool) if banned is None else banned.copy()
    rows = np.arange(len(described))
    chosen = np.zeros((len(described), KEYFRAMES), np.int64)
    if bodies is not None:
        used[rows, bodies] = True
        chosen[:, -1] = bodies
    for slot, (of_pose, of_mouth, of_eyes, other) in enumerate(SLOTS):
        bounded = other * (1 - np.exp(-eyes / other)) if np.isfinite(other) else eyes
        total = of_pose * pose + of_mouth * mouth + of_eyes * bounded
        # Used keyframes come last, not never: a tiny gallery still fills every slot.
        chosen[:, slot] = np.where(used, total + 1e9, total).argmin(1)
        used[rows, chosen[:, slot]] = True
    return chosen


def distances(a: Floats, b: Floats) -> Floats:
    """(N,M) squared distances between rows of (N,D) and (M,D)."""
    squares: Floats = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    return squares.clip(0)

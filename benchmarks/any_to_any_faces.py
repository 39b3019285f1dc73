"""What faces in small pictures do, where actors have theirs, and what one photo makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from torch import Tensor
from torch.nn import functional

from likeness.actor import Actor, Motion, RenderConfig, truth
from likeness.actor_clip import write_actor_clip
from likeness.condition.align import Template, aligned_crop
from likeness.decode import Decoder
from likeness.fit import FitConfig
from likeness.fit.causal import calibrate
from likeness.geometry import axis_angle, rotation_matrix
from likeness.methods.swap.compact.actors import MOTION, ROOM
from likeness.methods.swap.compact.pseudo import swapped_by
from likeness.methods.swap.photo import PhotoSwapConfig, photo_swapper
from likeness.methods.swap.photos import photos_in
from likeness.methods.swap.survey.faced import laid_points
from likeness.methods.swap.view import Swapper
from likeness.methods.swap.warp import WarpConfig, warp_swapper
from likeness.metrics.motion import gaze_error_deg
from likeness.store import load_face_model
from likeness.track import TrackConfig
from likeness.track.readers import open_reader
from likeness.types import Crop, FaceTrack, Floats, Shot, Window

LARGE, MARGIN = 320, 48
"""Side at which faces are read, and what is mirrored around it: crops cut chin and forehead off."""
CROP = 128
_POINTS = 478


@dataclass(frozen=True, eq=False)
class Read:
    """Faces of N pictures; NaN where none was found."""

    landmarks: Floats
    """(N,478,3) in pixels of a crop of 128."""
    rotation: Floats
    """(N,3,3)."""
    expression: Floats
    """(N,V,3) what the expression adds to the mean head, in millimetres."""
    gaze: Floats
    """(N,2,2)."""

    def apart(self, other: Read) -> tuple[Floats, Floats, Floats, Floats]:
        """(N,) degrees of pose, millimetres of expression, degrees of gaze, pixels of landmarks."""
        turned = np.swapaxes(other.rotation, -1, -2) @ self.rotation
        seen = np.isfinite(turned[:, 0, 0])
        whole = np.where(seen[:, None, None], turned, np.eye(3))
        pose = np.degrees(np.linalg.norm(axis_angle(whole), axis=-1))
        points = np.linalg.norm((self.landmarks - other.landmarks)[..., :2], axis=-1).mean(-1)
        moved = np.linalg.norm(self.expression - other.expression, axis=-1).mean(-1)
        gaze = gaze_error_deg(self.gaze, other.gaze)
        return np.where(seen, pose, np.nan), moved, np.asarray(gaze), points


def read_faces(pictures: Tensor) -> Read:
    """Read and fit the face in each of (N,3,S,S) RGB in [0,1]."""
    reader, model = open_reader(TrackConfig()), load_face_model()
    side = LARGE + 2 * MARGIN
    none = np.full((_POINTS, 3), np.nan, np.float32)
    points, rotations, moved, gazes = [], [], [], []
    for picture in pictures:
        large = functional.interpolate(picture[None], size=(LARGE, LARGE), mode="bicubic")
        padded = functional.pad(large, (MARGIN,) * 4, mode="reflect").clamp(0, 1)[0]
        image = np.ascontiguousarray((padded * 255 + 0.5).byte().permute(1, 2, 0).numpy())
        faces = reader.read(image)
        if not faces:
            points.append(none)
            rotations.append(np.full((3, 3), np.nan))
            moved.append(np.full((len(model.mean), 3), np.nan))
            gazes.append(np.full((2, 2), np.nan))
            continue
        face = max(faces, key=lambda one: float(one.box[2] - one.box[0]))
        found = FaceTrack(
            0, face.box[None], face.landmarks[None], np.ones(1, np.float32), np.ones(1, bool)
        )
        params = calibrate(found, model, (side, side), FitConfig())
        points.append((face.landmarks - [MARGIN, MARGIN, 0]) * (CROP / LARGE))
        rotations.append(rotation_matrix(params.rotation)[0])
        moved.append(np.einsum("e,evc->vc", params.expression[0], model.expression))
        gazes.append(params.gaze[0])
    reader.close()
    parts = (np.asarray(part, np.float32) for part in (points, rotations, moved, gazes))
    return Read(*parts)


def points_of_actors(seeds: Sequence[int], moments: int, template: Template) -> Floats:
    """(A,moments,478,3) landmarks of actors in sides of their crops, as `compact.actors` films."""
    side, found = round(ROOM * template.size), []
    for seed in seeds:
        known = truth(
            Actor.from_seed(seed), _motion(seed, moments), RenderConfig(size=(side, side))
        )
        crop = aligned_crop(known.landmarks, template)
        found.append(laid_points(known.landmarks, crop))
    return np.stack(found)


def swaps_of_actors(method: str, seeds: Sequence[int], moments: int, template: Template) -> Floats:
    """Let the method `photo` or `warp` give every actor the face of the next, from one photo.

    Returns:
        (A,moments,3,S,S), cut as the films of `compact.actors`.
    """
    side = round(ROOM * template.size)
    config, shots = RenderConfig(size=(side, side)), []
    with TemporaryDirectory() as folder:
        for seed in seeds:
            actor, motion = Actor.from_seed(seed), _motion(seed, moments)
            clip = write_actor_clip(actor, motion, Path(folder) / f"{seed}.mp4", config)
            known = truth(actor, motion, config)
            flat = known.landmarks[..., :2]
            boxes = np.concatenate([flat.min(1), flat.max(1)], 1).astype(np.float32)
            seen = np.ones(len(clip), bool)
            track = FaceTrack(0, boxes, known.landmarks, seen.astype(np.float32), seen)
            shots.append(Shot(clip, track, known.params))
        photos = [photos_in(shot, 1)[0] for shot in shots]
        answer = []
        for number, shot in enumerate(shots):
            crop = aligned_crop(shot.track.landmarks, template)
            with Decoder(shot.clip) as decoder:
                frames = decoder.read(Window(0, moments))
            photo = photos[(number + 1) % len(photos)]
            swapper: Swapper = (
                warp_swapper((photo,), shot, WarpConfig())
                if method == "warp"
                else photo_swapper((photo,), shot, PhotoSwapConfig())
            )
            for at in range(moments):
                one = Crop(crop.size, crop.crop_from_frame[at : at + 1])
                drawn, _ = swapped_by(swapper, frames[at : at + 1], shot, at, one)
                answer.append(drawn[0].numpy())
    whole = np.stack(answer)
    return whole.reshape(len(seeds), moments, *whole.shape[1:])


def _motion(seed: int, moments: int) -> Motion:
    return Motion.from_seed(seed * MOTION, float(moments), 1.0, "expressive")

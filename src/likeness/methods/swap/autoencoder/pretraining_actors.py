"""Procedural actors from whom a one-to-one network learns to draw faces before it sees real ones.

Actors come in groups that do the same things: whatever one of them does, it is known how another
would look doing it. So the code can be taught to carry what a face does and not whose it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness import geometry
from likeness.actor import Actor, Motion, RenderConfig
from likeness.actor.motion import EXPRESSIONS
from likeness.actor.render import Film
from likeness.condition.crop import cut
from likeness.condition.face_types import FaceType, face_crop, sixty_eight
from likeness.files import replaced
from likeness.methods.swap.autoencoder.data import WIDEN, stored_side
from likeness.store import load_face_model
from likeness.track.measure import IRIS_CENTERS
from likeness.training.cast import cast_look
from likeness.types import Crop, Floats, Progress, Window, silent

_REVISION = "swap actors 1"
_LIVELY: tuple[tuple[tuple[str, ...], float, float, float], ...] = (
    (("jawOpen",), 0.4, 0.2, 0.95),
    (("eyeBlinkLeft", "eyeBlinkRight"), 0.2, 0.3, 1.0),
    (("mouthSmileLeft", "mouthSmileRight"), 0.3, 0.2, 1.0),
    (("mouthPucker",), 0.15, 0.2, 0.9),
    (("mouthFunnel",), 0.15, 0.2, 0.9),
    (("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), 0.25, 0.2, 1.0),
    (("browDownLeft", "browDownRight"), 0.2, 0.2, 1.0),
    (("mouthLeft",), 0.1, 0.2, 0.8),
    (("mouthRight",), 0.1, 0.2, 0.8),
    (("jawLeft",), 0.08, 0.2, 0.8),
    (("jawRight",), 0.08, 0.2, 0.8),
    (("mouthUpperUpLeft", "mouthUpperUpRight"), 0.15, 0.2, 0.8),
    (("mouthLowerDownLeft", "mouthLowerDownRight"), 0.15, 0.2, 0.8),
    (("mouthFrownLeft", "mouthFrownRight"), 0.15, 0.2, 0.8),
    (("tongueOut",), 0.05, 0.2, 0.8),
)
"""What is added to an expressive performance: expressions, share of pictures, how strong."""
_LOOK = np.deg2rad([28.0, 16.0])
"""How far eyes wander in half of the pictures, yaw and pitch."""


@dataclass(frozen=True)
class ActorsConfig:
    """Who is filmed, and how often."""

    actors: int = 28
    poses: int = 32
    """Pictures of each."""
    group: int = 4
    """Actors who do the same things."""
    first: int = 6000
    """Seed of the first actor; those of tests and demonstrations are smaller."""
    frame: int = 256
    """Side in pixels of the frames that faces are cut from."""


@dataclass(frozen=True, eq=False)
class ActorFaces:
    """A actors in P poses each, cut as `data.Person` stores faces."""

    pixels: NDArray[np.uint8]
    """(A,P,3,s,s)."""
    points: Floats
    """(A,P,70,2) in pixels of the crops: the 68 points, and the irises."""
    config: ActorsConfig


def film_actors(
    config: ActorsConfig, face_type: FaceType, size: int, path: Path, progress: Progress = silent
) -> ActorFaces:
    """Render all pictures, or read what an earlier call has rendered.

    Args:
        config: who.
        face_type: how faces are cut.
        size: side of the network's pictures.
        path: NAME.npz to write; one of the same actors is read.
        progress: called as ("film", done, total) in actors.
    """
    side, asked = stored_side(size), f"{_REVISION} {config} {face_type} {size}"
    if path.exists():
        with np.load(path) as kept:
            if str(kept["asked"]) == asked:
                return ActorFaces(kept["pixels"], kept["points"], config)
    pixels = np.empty((config.actors, config.poses, 3, side, side), np.uint8)
    points = np.empty((config.actors, config.poses, 70, 2), np.float32)
    for index in range(config.actors):
        film = _film(config, index)
        crop, points[index] = _cut(film, face_type, side)
        for pose in range(config.poses):
            one = replace(crop, crop_from_frame=crop.crop_from_frame[pose : pose + 1])
            found = cut(film.shoot(pose).image[None], one)[0]
            pixels[index, pose] = (found * 255 + 0.5).byte().numpy()
        progress("film", index + 1, config.actors)
    with replaced(path) as partial, partial.open("wb") as file:
        np.savez(file, pixels=pixels, points=points, asked=asked)
    return ActorFaces(pixels, points, config)


def performance(config: ActorsConfig, index: int) -> Motion:
    """What the actor of an index does: frames far apart, the same for the whole group."""
    group = (config.first + index) // config.group
    motion = Motion.from_seed(group, float(config.poses), 1.0, "expressive")
    random = np.random.default_rng((group, 95))
    weights, count = motion.expression.copy(), len(motion)
    for names, share, low, high in _LIVELY:
        strength = random.uniform(low, high, count) * (random.random(count) < share)
        for name in names:
            column = EXPRESSIONS.index(name)
            weights[:, column] = np.maximum(weights[:, column], strength)
    gaze = motion.gaze.copy()
    wandering = random.random(count) < 0.5
    gaze[wandering] = (random.uniform(-1, 1, (count, 1, 2)) * _LOOK)[wandering]
    return replace(motion, expression=weights, gaze=gaze.astype(np.float32))


def _film(config: ActorsConfig, index: int) -> Film:
    model = load_face_model()
    look, _ = cast_look(config.first + index, len(model.identity))
    frame = RenderConfig((config.frame, config.frame))
    return Film(Actor.from_look(look, model), performance(config, index), frame)


def _cut(film: Film, face_type: FaceType, side: int) -> tuple[Crop, Floats]:
    """Return P crops and (P,70,2) points in them."""
    landmarks = film.landmarks(Window(0, len(film.motion)))
    points = sixty_eight(landmarks)
    crop = face_crop(points, face_type, side, WIDEN)
    both = np.concatenate([points, landmarks[:, IRIS_CENTERS, :2]], 1)
    return crop, geometry.apply(crop.crop_from_frame, both).astype(np.float32)

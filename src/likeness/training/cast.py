"""Pictures of many procedural actors, each with its labels: what a face generator can learn from.

Nobody has to agree to anything, and what is in a picture is known without looking: how much its
actor smiles, where the head is turned, how old and how gray the actor is, skin, glasses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from likeness.actor import Actor, Motion, RenderConfig
from likeness.actor.appearance import Appearance, Color, look_from_seed
from likeness.actor.glasses import Glasses, wear
from likeness.actor.motion import EXPRESSIONS
from likeness.actor.render import Film
from likeness.condition.crop import cut
from likeness.condition.ffhq import squares_of
from likeness.store import load_face_model
from likeness.training.bank_file import BankFile
from likeness.types import Floats, Progress, Window, silent

LABELS = ("smile", "yaw", "age", "gray", "skin", "glasses")
"""smile: weight in [0,1]; yaw: degrees, positive toward image right; age: depth of lines in [0,1];
gray: share of gray in the hair; skin: luma of the albedo; glasses: 0 or 1."""

_GRAY = (0.66, 0.65, 0.64)
_LUMA = (0.299, 0.587, 0.114)
_REVISION = b"cast 1"
_SMILE = ("mouthSmileLeft", "mouthSmileRight")
_CHEEKS = ("cheekSquintLeft", "cheekSquintRight")


@dataclass(frozen=True)
class CastConfig:
    """Which actors are drawn, and how often."""

    actors: int = 300
    poses: int = 16
    """Pictures of each actor."""
    first: int = 1000
    """Seed of the first actor; those of tests and demonstrations are smaller."""
    glasses: float = 0.25
    """Share of the pictures in which glasses are worn."""
    defocus: float = 0.05
    """Blur of what stands behind the actor, in sides of the picture: a small generator shall learn
    faces, not bookshelves."""

    def __len__(self) -> int:
        return self.actors * self.poses


@dataclass(frozen=True, eq=False)
class Cast:
    """M aligned pictures with labels."""

    pixels: NDArray[np.uint8]
    """(M,3,S,S), mapped from a file."""
    labels: Mapping[str, Floats]
    """(M,) by the names in `LABELS`."""


def cast_look(seed: int, modes: int) -> tuple[Appearance, float]:
    """Draw an actor's traits, some of them old and gray; return them and the share of gray."""
    rng = np.random.default_rng((seed, 91))
    look = look_from_seed(seed, modes)
    age = float(rng.uniform(0, 1))
    gray = float(rng.uniform(0.4, 1.0)) if rng.random() < age**1.5 * 0.9 else 0.0
    hair = np.array(look.hair) * (1 - gray) + np.array(_GRAY) * gray
    brow = np.array(look.brow) * (1 - 0.7 * gray) + np.array(_GRAY) * 0.7 * gray
    return replace(look, age=age, hair=_color(hair), brow=_color(brow)), gray


def _color(values: NDArray[np.float64]) -> Color:
    r, g, b = values.tolist()
    return r, g, b


def draw_cast(config: CastConfig, size: int, path: Path, progress: Progress = silent) -> Cast:
    """Render the pictures into a flat file and map it, or map what an earlier call has rendered.

    Args:
        config: which actors.
        size: S, side of the aligned pictures.
        path: file to write; an interrupted one is continued with the next actor.
        progress: called as ("film", done, total) in pictures.

    Raises:
        MediaError: the disk has no room.
    """
    count = len(config)
    file = BankFile(path, (count, 3, size, size), _digest(config, size))
    if not file.whole():
        with file.writing():
            for index in range(file.chunks, config.actors):
                file.put(index * config.poses, np.stack(list(_pictures(config, index, size))))
                file.note(index + 1)
                progress("film", (index + 1) * config.poses, count)
    table = np.concatenate([_labels(config, index) for index in range(config.actors)])
    labels = {name: table[:, column] for column, name in enumerate(LABELS)}
    return Cast(file.read(), labels)


def _digest(config: CastConfig, size: int) -> bytes:
    return hashlib.sha256(_REVISION + f"{config} {size}".encode()).digest()


def _motion(seed: int, poses: int) -> Motion:
    """Frames far apart of an expressive performance, half of them with a smile added."""
    motion = Motion.from_seed(seed, float(poses), 1.0, "expressive")
    rng = np.random.default_rng((seed, 92))
    smile = rng.uniform(0.25, 1.0, poses) * (rng.random(poses) < 0.5)
    weights = motion.expression.copy()
    for name in _SMILE:
        column = EXPRESSIONS.index(name)
        weights[:, column] = np.maximum(weights[:, column], smile)
    for name in _CHEEKS:
        column = EXPRESSIONS.index(name)
        weights[:, column] = np.maximum(weights[:, column], 0.5 * smile)
    return replace(motion, expression=weights.astype(np.float32))


def _worn(config: CastConfig, seed: int) -> NDArray[np.bool_]:
    rng = np.random.default_rng((seed, 93))
    return np.asarray(rng.random(config.poses) < config.glasses)


def _labels(config: CastConfig, index: int) -> Floats:
    """(poses,6) in the order of `LABELS`."""
    seed = config.first + index
    look, gray = cast_look(seed, len(load_face_model().identity))
    motion = _motion(seed, config.poses)
    smile = np.mean([motion.column(name) for name in _SMILE], 0)
    rest = np.array([look.age, gray, float(np.dot(look.skin, _LUMA))], np.float32)
    columns = [
        smile,
        np.rad2deg(motion.angles[:, 0]),
        *(np.full(config.poses, value) for value in rest),
        _worn(config, seed),
    ]
    return np.asarray(np.stack(columns, 1), np.float32)


def _pictures(config: CastConfig, index: int, size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the aligned pictures (3,S,S) of one actor."""
    seed, model = config.first + index, load_face_model()
    actor = Actor.from_look(cast_look(seed, len(model.identity))[0], model)
    motion, worn = _motion(seed, config.poses), _worn(config, seed)
    # An aligned square is 0.72 of the frame's side: hardly a pixel of it is invented.
    side = 2 * size
    film = Film(actor, motion, RenderConfig((side, side)))
    blur = config.defocus * side
    film.plate = gaussian_filter(film.plate, (blur, blur, 0), mode="nearest")
    crop = squares_of(film.landmarks(Window(0, config.poses))).crop(size)
    for pose in range(config.poses):
        picture = film.shoot(pose).image
        if worn[pose]:
            pair = Glasses.from_seed(seed * config.poses + pose)
            drawn = wear(picture.permute(1, 2, 0).numpy(), pair, actor, motion, pose)
            picture = torch.from_numpy(drawn).permute(2, 0, 1)
        one = replace(crop, crop_from_frame=crop.crop_from_frame[pose : pose + 1])
        aligned = cut(picture[None], one)[0]
        yield (aligned * 255 + 0.5).to(torch.uint8).numpy()

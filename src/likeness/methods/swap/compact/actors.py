"""Exact answers from procedural actors: what a perfect swap of two of them looks like.

Actors stand in a row, and each is given the face of the next. Both perform one motion, so that
every picture of the actor has its true swap, pixel by pixel (`actor.with_face_of`). Read backward,
the pair is what pseudo-targets are for real people: a made picture goes in, and what a camera saw
is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from likeness.actor import Actor, Film, Motion, RenderConfig, with_face_of
from likeness.condition.align import Template, aligned_crop
from likeness.condition.crop import cut
from likeness.methods.swap.simswap.people import lies
from likeness.types import Floats, Progress, Window, check, silent

ROOM = 1.5
"""Side of the frame in sides of the crop: the actor's face is then drawn at about its size."""
MOTION = 7919
"""Multiplied with the seed, so that neighbors move differently."""


@dataclass(frozen=True, eq=False)
class ActorFaces:
    """One actor in F moments, as filmed and with the next actor's face."""

    seed: int
    face: int
    """Seed of the next actor."""
    filmed: NDArray[np.uint8]
    """(F,3,S,S) RGB."""
    swapped: NDArray[np.uint8]
    """(F,3,S,S) RGB, cut as `filmed` is."""
    cover: NDArray[np.uint8]
    """(F,1,S,S) 255 where either face is."""
    filmed_theta: Floats
    """(F,2,3) where a recognizer's crop of the actor's face lies, both from -1 to 1."""
    swapped_theta: Floats
    """(F,2,3) likewise, of the other face."""


def film_actors(
    seeds: Sequence[int],
    moments: int,
    template: Template,
    chip: Template,
    progress: Progress = silent,
) -> Iterator[ActorFaces]:
    """Film actors, one after the other; the last gets the face of the first.

    Args:
        seeds: of the actors, two or more.
        moments: F, pictures of each, one second apart.
        template: how the crops lie.
        chip: how the recognizer's crops lie.
        progress: called as ("actors", done, total).
    """
    check(len(seeds) > 1, f"{len(seeds)} actor, expected two or more")
    first = after = Actor.from_seed(seeds[0])
    for number, seed in enumerate(seeds):
        actor = after
        last = number + 1 == len(seeds)
        after = first if last else Actor.from_seed(seeds[number + 1])
        motion = Motion.from_seed(seed * MOTION, float(moments), 1.0, "expressive")
        yield _film(seed, (actor, after), motion, (template, chip))
        progress("actors", number + 1, len(seeds))


def _film(
    seed: int, people: tuple[Actor, Actor], motion: Motion, templates: tuple[Template, Template]
) -> ActorFaces:
    actor, other = people
    template, chip = templates
    side = round(ROOM * template.size)
    config, window = RenderConfig(size=(side, side)), Window(0, len(motion))
    films = (Film(actor, motion, config), Film(with_face_of(actor, other), motion, config))
    landmarks = [film.landmarks(window) for film in films]
    crop = aligned_crop(landmarks[0], template)
    shots = [[film.shoot(index) for index in range(len(motion))] for film in films]
    pictures = [cut(torch.stack([one.image for one in shot]), crop) for shot in shots]
    faces = [cut(torch.stack([one.face for one in shot]), crop) for shot in shots]
    thetas = [lies(crop, aligned_crop(points, chip)) for points in landmarks]
    return ActorFaces(
        seed,
        other.seed,
        _bytes(pictures[0]),
        _bytes(pictures[1]),
        _bytes(torch.maximum(*faces)),
        filmed_theta=thetas[0],
        swapped_theta=thetas[1],
    )


def _bytes(pictures: torch.Tensor) -> NDArray[np.uint8]:
    return (pictures.clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy()

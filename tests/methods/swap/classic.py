"""Actors for swaps without training: photos of one, a clip of another, and what is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch

from likeness import geometry
from likeness.actor import Actor, Film, Motion, RenderConfig, truth
from likeness.condition.align import similarity
from likeness.condition.conditioner import select
from likeness.decode import Decoder
from likeness.methods.photo.animation import Photo
from likeness.methods.swap.method import Swapped
from likeness.methods.swap.view import TargetView, moved
from likeness.types import Crop, FaceTrack, Shot, Window
from tests.stage import SIDE, actor


def photo_of(shot: Shot, row: int) -> Photo:
    """One frame of a shot as a photo."""
    one = slice(row, row + 1)
    track = shot.track
    found = FaceTrack(
        0, track.boxes[one], track.landmarks[one], track.scores[one], track.observed[one]
    )
    return Photo(frames_of(shot, [row])[0], found, select(shot.params, np.array([row])))


def frames_of(shot: Shot, rows: Sequence[int]) -> torch.Tensor:
    """Decoded frames (n,3,H,W)."""
    with Decoder(shot.clip) as decoder:
        return torch.cat([decoder.read(Window(row, row + 1)) for row in rows])


def seen(method: Swapped, frames: torch.Tensor, first: int) -> TargetView:
    """What a method is shown of consecutive frames."""
    return method.condition(Window(first, first + len(frames)), frames)


@lru_cache(maxsize=2)
def with_face_of(source: int, target: int) -> Actor:
    """The target's actor with the source's face: shape, brows, lips and beard; skin, hair and
    light are the target's."""
    ours, theirs = actor(source).look, actor(target).look
    look = replace(
        theirs,
        seed=ours.seed,
        shape=ours.shape,
        brow=ours.brow,
        brow_weight=ours.brow_weight,
        lips=ours.lips,
        stubble=ours.stubble,
        freckles=ours.freckles,
        blush=ours.blush,
        age=ours.age,
        lashes=ours.lashes,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("likeness.actor.actor.look_from_seed", lambda seed, modes: look)
        return Actor.from_seed(source)


def right_answer(
    made: Actor, target: Shot, motion: Motion, rows: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a perfect swap shows, (n,3,H,W), and where the face is, (n,1,H,W).

    The actor does what the target does, and is moved to where the target's face stands by the
    similarity between the two meshes.
    """
    config = RenderConfig(size=(SIDE, SIDE))
    film, regions = Film(made, motion, config), made.model.regions
    shot = [film.shoot(row) for row in rows]
    chosen = np.unique(np.concatenate([regions["rigid"], regions["face_oval"]]))
    own = truth(made, motion, config).landmarks[rows][:, chosen, :2]
    there = similarity(own, target.track.landmarks[rows][:, chosen, :2]).astype(np.float32)
    plain = np.repeat(np.array([[[1, 0, 0], [0, 1, 0]]], np.float32), len(rows), 0)
    into = Crop((SIDE, SIDE), plain)
    source = Crop((SIDE, SIDE), geometry.invert(there))
    images = moved(torch.stack([one.image for one in shot]), source, into)
    return images, moved(torch.stack([one.face for one in shot]), source, into)


def decibels(a: torch.Tensor, b: torch.Tensor, where: torch.Tensor) -> float:
    """PSNR of (n,3,h,w) pictures where (n,1,h,w) is 1."""
    error = ((a - b).square() * where).sum() / (3 * where.sum())
    return float(-10 * torch.log10(error))

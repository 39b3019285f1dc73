"""Two toy people for one-to-one networks: colored faces whose mouths open, held in memory."""

from __future__ import annotations

import numpy as np

from likeness.condition.face_types import FITTED, MEAN_FACE
from likeness.methods.swap.autoencoder.data import FacesConfig, Person, stored_side
from likeness.methods.swap.autoencoder.marks import marks_of
from likeness.training.bank import CropBank
from likeness.types import Crop

SIDE = 32
COUNT = 8
COLORS = {"anna": (200, 90, 60), "ben": (70, 110, 190), "carl": (120, 180, 80)}
"""Skin, which tells people apart."""


def points_in(side: int) -> np.ndarray:
    """(68,2) a face in the middle of a picture."""
    points = np.zeros((68, 2), np.float32)
    points[list(FITTED)] = (MEAN_FACE - [0.5, 0.43]) * side * 0.36 + side / 2
    angle = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([np.cos(angle) * 0.2, 0.05 + np.sin(angle) * 0.25], 1) * side + side / 2
    around = np.linspace(np.pi, 3 * np.pi, 12, endpoint=False)
    mouth = np.stack([np.cos(around) * 0.09, 0.13 + np.sin(around) * 0.03], 1) * side + side / 2
    points[48:60] = mouth
    points[60:] = mouth[[0, 2, 3, 4, 6, 8, 9, 10]]
    return points


def pictures_of(name: str, side: int, opened: np.ndarray) -> np.ndarray:
    """(N,3,side,side) uint8: a face of one color whose mouth is open by `opened` in [0,1]."""
    y, x = (np.mgrid[0:side, 0:side] + 0.5) / side - 0.5
    face = (x / 0.22) ** 2 + (y / 0.32) ** 2 < 1
    found = np.full((len(opened), 3, side, side), 30, np.uint8)
    for picture, share in zip(found, opened, strict=True):
        picture[:, face] = np.array(COLORS[name], np.uint8)[:, None]
        for eye in (-0.09, 0.09):
            picture[:, ((x - eye) / 0.04) ** 2 + ((y + 0.1) / 0.03) ** 2 < 1] = 240
        picture[:, (np.abs(x) < 0.1) & (np.abs(y - 0.13) < 0.01 + 0.07 * share)] = 10
    return found


def person(name: str, side: int = SIDE, people: tuple[str, ...] = ("anna", "ben")) -> Person:
    """One toy person, in a bank of their own."""
    stored = stored_side(side)
    pixels = pictures_of(name, stored, np.linspace(0, 1, COUNT))
    bank = CropBank(
        pixels=pixels,
        times=np.arange(COUNT),
        crop=Crop((stored, stored), np.repeat(np.eye(2, 3, dtype=np.float32)[None], COUNT, 0)),
        clips=(),
        clip_indices=np.zeros(COUNT, np.int64),
        people=people,
        person_indices=np.full(COUNT, people.index(name)),
    )
    config = FacesConfig(side, "full", 100, 1.0, False)
    points = np.repeat(points_in(stored)[None], COUNT, 0)
    points[:, 64:68, 1] += np.linspace(0, 0.07, COUNT)[:, None] * stored
    marks = marks_of(points, np.full((COUNT, 2, 2), np.nan, np.float32), stored)
    return Person(bank, np.arange(COUNT), points, np.full(COUNT, 1 / COUNT), config, marks)

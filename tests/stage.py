"""A procedural actor on stage: a shot whose params are known, made without tracking."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from likeness.actor import Actor, Motion, RenderConfig, truth
from likeness.actor_clip import write_actor_clip
from likeness.types import FaceTrack, Shot

SIDE = 128


@lru_cache(maxsize=4)
def actor(seed: int) -> Actor:
    """Actors take a second to cast; keep them."""
    return Actor.from_seed(seed)


def film(folder: Path, seed: int = 3, motion: int = 5, count: int = 48) -> Shot:
    """Film `count` frames of 128x128 and return them with true track and params."""
    performance = Motion.from_seed(motion, count / 25, style="expressive")
    config = RenderConfig(size=(SIDE, SIDE))
    path = folder / f"actor{seed}_{motion}.mp4"
    clip = write_actor_clip(actor(seed), performance, path, config)
    known = truth(actor(seed), performance, config)
    landmarks = known.landmarks
    xy = landmarks[..., :2]
    boxes = np.concatenate([xy.min(1), xy.max(1)], 1).astype(np.float32)
    n = len(clip)
    track = FaceTrack(0, boxes, landmarks, np.ones(n, np.float32), np.ones(n, bool))
    return Shot(clip, track, known.params)

"""Collecting what a portrait is learned from: the square, the frames, the scene behind."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch

from likeness.condition import portrait_crop
from likeness.condition.conditioner import PortraitConditioner
from likeness.decode import Decoder
from likeness.errors import TrackError
from likeness.fit.seen_range import seen_rows
from likeness.methods.portrait.model import conditioner_of
from likeness.training.bank import fill_bank
from likeness.training.footage import Budget, Footage
from likeness.types import Clip, Ints, Shot, Weights, Window

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FootageConfig:
    """Which frames and which square of them a portrait is learned from."""

    size: int
    """Side of the portrait in pixels."""
    scale: float
    """Side of the crop in units of the face's range of motion."""
    stop: int
    """Frames of the shot before this one may be learned from."""
    max_frames: int
    """Most frames to learn from; more are thinned out evenly."""


def collect(shot: Shot, config: FootageConfig, budget: Budget) -> Footage:
    """Cut the frames of a shot that a method may learn from.

    Args:
        shot: the target.
        config: which frames, which square.
        budget: where crops are kept until the training is over.

    Raises:
        TrackError: fewer than 16 frames show the face.
        MediaError: the clip cannot be read, or the disk has no room.
    """
    train_frames = np.arange(config.stop)
    rows = _usable(shot, config)
    crop = portrait_crop(shot.track, shot.clip.size, config.size, config.scale)
    conditioner = conditioner_of(shot, train_frames, crop.crop_from_frame[0], config.size)
    _warn_of_few_pixels(conditioner, shot.clip)
    path = budget.folder / f"{budget.digest[:16]}.crops"
    bank = fill_bank(shot.clip, conditioner.crop(1), rows + shot.track.start, path, budget.progress)
    return Footage(shot, train_frames, rows, conditioner, bank, budget)


def plate_of(footage: Footage, count: int = 24) -> Weights:
    """Keep the scene behind the motion: (3,H,W) uint8, median over frames spread over the clip.

    Frames in which the face was not seen show what was before it, and count nothing.
    """
    rows, track = footage.train_frames, footage.shot.track
    times = rows[seen_rows(len(rows), track.observed[rows])] + track.start
    chosen = times[np.linspace(0, len(times) - 1, min(count, len(times))).astype(np.int64)]
    with Decoder(footage.shot.clip) as decoder:
        pictures = [
            (decoder.read(Window(int(i), int(i) + 1))[0] * 255 + 0.5).to(torch.uint8)
            for i in chosen
        ]
    return Weights("plate", {}, {"picture": torch.stack(pictures).median(0).values})


def _usable(shot: Shot, config: FootageConfig) -> Ints:
    rows = np.flatnonzero(shot.track.observed[: config.stop])
    if len(rows) < 16:
        raise TrackError(
            f"{len(rows)} frames of {shot.clip.path.name} show the face, expected at least 16; "
            "use a longer clip, or one in which the face is larger"
        )
    if len(rows) <= config.max_frames:
        return rows
    return rows[np.linspace(0, len(rows) - 1, config.max_frames).round().astype(np.int64)]


def _warn_of_few_pixels(conditioner: PortraitConditioner, clip: Clip) -> None:
    scale = float(conditioner.crop_from_frame[0, 0])
    if scale > 1:
        log.warning(
            "the portrait has %d pixels a side, the square around the head in %s only %d: it is "
            "enlarged and can't get sharper than it is; a smaller --size trains faster",
            *(conditioner.side, clip.path.name, round(conditioner.side / scale)),
        )

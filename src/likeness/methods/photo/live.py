"""The one-photo animation, moment by moment."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np
import torch

from likeness import config as settings
from likeness.condition.conditioner import select
from likeness.decode.camera import NOWHERE
from likeness.errors import BundleError
from likeness.fit.transfer import rest_frame
from likeness.methods.photo.animation import AnimateConfig, Animation, Photo
from likeness.plan.live import Acquaintance, Meeting, Moment
from likeness.types import Bundle, Clip, FaceParams, FaceTrack, Ints, Layer, Shot

_FIRST = 50
"""Frames of the beginning by which rest and range of the driver are known."""
_LAST = 7
"""Frames up to now over which the residual is smoothed."""
_NAMES = ("expression", "rotation", "translation", "light", "gaze")


class Remembered:
    """What is kept of a driver: some of the first frames, of which the first is the rest, and the
    last ones."""

    def __init__(self, known: Acquaintance) -> None:
        """Choose among the first frames."""
        shot = known.shot
        rest = rest_frame(shot.params, shot.track.observed)
        spread = np.linspace(0, len(shot.track) - 1, min(_FIRST, len(shot.track))).round()
        self.first = _rows(shot, np.concatenate([[rest], spread.astype(np.int64)]))
        self._recent: list[Moment] = []

    def add(self, moment: Moment) -> Shot:
        """Remember a moment; return all that is kept as one shot that ends with it."""
        self._recent = [*self._recent, moment][-_LAST:]
        first, recent = self.first, self._recent
        landmarks = np.stack([moment.landmarks for moment in recent]).astype(np.float32)
        xy = landmarks[..., :2]
        seen = np.array([moment.seen for moment in recent])
        track = first.track
        joined = FaceTrack(
            start=0,
            boxes=np.concatenate([track.boxes, np.concatenate([xy.min(1), xy.max(1)], 1)]),
            landmarks=np.concatenate([track.landmarks, landmarks]),
            scores=np.concatenate([track.scores, seen.astype(np.float32)]),
            observed=np.concatenate([track.observed, seen]),
        )
        params = _stacked([first.params, *(moment.params for moment in recent)])
        return Shot(first.clip, joined, params)


class LivePhoto:
    """A photo that follows whoever is before the camera; see `LiveMethod`."""

    def __init__(self, ready: Animation, known: Acquaintance) -> None:
        """Begin from what is known of the driver.

        Args:
            ready: the photo, moved by anybody.
            known: who moves it from now on.
        """
        self._driver = Remembered(known)
        self._animation = ready.moved_by(self._driver.first, rest=0)
        self._animation.match(known.picture, known.shot, len(known.shot.track) - 1)

    def condition(self, moment: Moment) -> torch.Tensor:
        """Find where every pixel comes from, (1,11,h,w)."""
        driver = self._driver.add(moment)
        animation = self._animation.moved_by(driver, rest=0)
        self._animation = animation
        return animation.condition([len(driver.track) - 1], moment.frame)

    def synthesize(self, told: torch.Tensor) -> Layer:
        """Paint the whole picture."""
        drawn = self._animation.draw(told)
        return Layer(self._animation.crop(len(drawn)), drawn, torch.ones_like(drawn[:, :1]))


def follow_photo(bundle: Bundle, device: torch.device) -> Meeting:
    """Make a photo ready for whoever comes before the camera; it runs on the CPU.

    Raises:
        BundleError: the bundle shows nobody.
    """
    if bundle.shot is None:
        raise BundleError("the photo shows nobody; give a photo of a face")
    kept = bundle.networks["photo"]
    photo = Photo(kept.tensors["picture"], bundle.shot.track, bundle.shot.params)
    ready = unmoved(photo, settings.resolve(AnimateConfig, kept.config))
    ready.draw(ready.condition([0], None))
    return partial(LivePhoto, ready)


def unmoved(photo: Photo, config: AnimateConfig) -> Animation:
    """Make a photo ready that nobody moves yet.

    Wrinkles are left out: they need the driver's own pixels at rest, from a clip that can be read
    again.
    """
    height, width = photo.picture.shape[1:]
    nowhere = Clip(NOWHERE, "", (height, width), np.zeros(1, np.int64), Fraction(1), 1)
    own = Shot(nowhere, replace(photo.track, start=0), photo.params)
    return Animation(photo, own, replace(config, wrinkles=0.0))


def _rows(shot: Shot, rows: Ints) -> Shot:
    track = shot.track
    chosen = FaceTrack(
        0, track.boxes[rows], track.landmarks[rows], track.scores[rows], track.observed[rows]
    )
    return Shot(shot.clip, chosen, select(shot.params, rows))


def _stacked(parts: list[FaceParams]) -> FaceParams:
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _NAMES}
    return replace(parts[0], **joined)

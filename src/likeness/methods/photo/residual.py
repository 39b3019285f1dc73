"""What a driver's landmarks do that the fitted face does not say.

A linear face has no mode for every asymmetry of a mouth. What is left between the tracked landmarks
and the fitted face, less what is left at rest, is motion that the photo can take over like the
paper takes over all of it: d(f) = p(f) - p(0). Tracked landmarks tremble, and near the fitted face
they are the worse measurement: small residuals are left out, large ones kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.condition.conditioner import select
from likeness.face3d.camera import camera_points
from likeness.face3d.model import FaceModel
from likeness.geometry import rotation_matrix
from likeness.methods.photo.motion import Head
from likeness.types import Floats, Ints, Shot

_SPREAD = 2.0
"""Frames of the Gaussian over time, one deviation."""
_NOISE = 0.7
"""Millimetres of a residual that says nothing: on a man speaking in dim light and on the actor,
less blurs the face with the landmarks' errors and more keeps less of what helps."""


@dataclass(frozen=True, eq=False)
class Residual:
    """Reads the driver's residual, in millimetres of head space."""

    driver: Shot
    head: Head
    """The driver at rest, lifted: it projects onto the landmarks of that frame."""
    rest: int
    known: Ints
    """(K,) landmarks that are vertices of the face model."""

    @staticmethod
    def of(driver: Shot, model: FaceModel, rest: int) -> Residual:
        """Measure from the driver's frame `rest`, where the residual is zero."""
        still = select(driver.params, np.array([rest]))
        places = driver.track.landmarks[rest, :, :2]
        head = Head.lifted(model, still, driver.clip.size, places, 1.0)
        return Residual(driver, head, rest, np.flatnonzero(model.landmark_vertices[:468] >= 0))

    def read(self, index: int) -> Floats:
        """Return (V,3) displacements at frame `index` of the track; 0 where no landmark is.

        With m the mean over the frames around and n the noise, max(0, 1 - n^2 / |m|^2) m is kept
        (spectral subtraction's gain): nothing below the noise, all of what is far above it.
        """
        reach = int(3 * _SPREAD)
        near = np.arange(max(0, index - reach), min(len(self.driver.track), index + reach + 1))
        weights = np.exp(-0.5 * np.square((near - index) / _SPREAD))
        weights = weights * self.driver.track.observed[near]
        found = np.zeros((len(self.head.vertices), 3), np.float32)
        if weights.sum() <= 0:
            return found
        mean = np.tensordot(weights / weights.sum(), self._measure(near), 1)
        power = np.square(mean).sum(1, keepdims=True)
        kept = mean * np.maximum(0, 1 - _NOISE**2 / np.maximum(power, 1e-9))
        found[self.head.model.landmark_vertices[self.known]] = kept
        return found

    def _measure(self, frames: Ints) -> Floats:
        """(n,K,3) residuals of some frames, turned back into head space."""
        params, model = self.driver.params, self.head.model
        chosen = model.landmark_vertices[self.known]
        change = params.expression[frames] - params.expression[self.rest]
        moved = self.head.vertices[chosen] + np.tensordot(change, model.expression[:, chosen], 1)
        turn, place = params.rotation[frames], params.translation[frames]
        camera = camera_points(moved.astype(np.float32), turn, place)
        height, width = self.driver.clip.size
        seen = self.driver.track.landmarks[frames][:, self.known, :2]
        ray = (seen - np.array([width / 2, height / 2])) / params.focal
        aside = ray * camera[..., 2:] - camera[..., :2]
        flat = np.concatenate([aside, np.zeros_like(aside[..., :1])], -1)
        return np.asarray(flat @ rotation_matrix(turn), np.float32)

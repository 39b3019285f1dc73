"""The fit of one frame after the other: a known identity, and no look ahead.

Identity and focal length are taken from the first frames. From then on each frame is a few
Gauss-Newton steps that begin where the last frame ended. There is no pass over pixels: albedo and
light are of no use to whoever follows a motion, and a steadier pose would come too late.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from likeness.causal import OneEuro
from likeness.controls import controls_of, with_controls
from likeness.errors import FitError
from likeness.face3d.model import FaceModel
from likeness.fit.config import FitConfig
from likeness.fit.denoise import jitter_of
from likeness.fit.gaze import eye_openness, gaze_angles, is_shut, solve_gaze
from likeness.fit.landmarks import fit_landmarks, set_up
from likeness.fit.solve import Problem, State, solve_frames, start
from likeness.geometry import axis_angle
from likeness.types import FaceParams, FaceTrack, Floats

_ROUNDS = 2
"""Steps from where the last frame ended; the first frame takes as many as any fit."""


def calibrate(
    track: FaceTrack, model: FaceModel, size: tuple[int, int], config: FitConfig
) -> FaceParams:
    """Find identity, focal length and motion from the landmarks of some first frames.

    Args:
        track: N frames.
        model: the face model.
        size: (H, W) of the frames.
        config: settings.

    Returns:
        Params of N frames, with neither albedo nor light.

    Raises:
        FitError: the face was never seen, or the model has too few landmark vertices.
    """
    if not track.observed.any():
        raise FitError("no face was seen in the first frames; expected one that looks ahead")
    params = _params(fit_landmarks(track, model, size, config), model)
    return replace(params, gaze=solve_gaze(track.landmarks, params, model, size, track.observed))


class CausalFit:
    """Fits frames as they come."""

    def __init__(
        self, known: FaceParams, model: FaceModel, size: tuple[int, int], config: FitConfig
    ) -> None:
        """Prepare to follow a person.

        Args:
            known: whose shape and focal length are taken, from `calibrate`.
            model: the face model.
            size: (H, W) of the frames.
            config: settings.
        """
        self._known, self._model, self._size = known, model, size
        # What is smoothed in time is smoothed afterward, and causally.
        self._config = replace(config, known=known, time_weight=0.0)
        self._used = np.flatnonzero(model.landmark_vertices[:468] >= 0)
        self._state: State | None = None
        self._gaze = np.zeros((1, 2, 2), np.float32)
        self._filter = OneEuro(jitter_of(known))
        self._problem: Problem | None = None

    def __call__(self, landmarks: Floats, seconds: float) -> FaceParams:
        """Return params of one frame.

        Args:
            landmarks: (478,3) tracked, pixels.
            seconds: when it was taken.
        """
        problem = self._put(landmarks)
        if self._state is None:
            begin = start(problem, self._known.shape, self._known.focal)
            self._state = solve_frames(problem, begin, self._config, self._config.frame_rounds)
        else:
            self._state = solve_frames(problem, self._state, self._config, _ROUNDS)
        params = _params(self._state, self._model)
        if self._model.eye_centers is not None:
            gaze = gaze_angles(landmarks[None], params, self._model, self._size)
            # Under a closed lid an iris is guessed: the eye looks where it looked.
            shut = is_shut(eye_openness(landmarks[None]))
            self._gaze = np.where(shut[..., None], self._gaze, gaze).astype(np.float32)
        params = replace(params, gaze=self._gaze)
        smooth = self._filter(controls_of(params)[0], seconds)
        return with_controls(params, smooth[None])

    def forget(self) -> None:
        """Begin anew after a gap."""
        self._state = None
        self._filter.forget()

    def _put(self, landmarks: Floats) -> Problem:
        track = one_frame(landmarks)
        if self._problem is None:
            self._problem = set_up(track, self._model, self._size, self._config)
        x0, y0, x1, y1 = track.boxes[0]
        extent = np.sqrt(max((x1 - x0) * (y1 - y0), 1.0))
        return replace(
            self._problem,
            landmarks=np.ascontiguousarray(track.landmarks[:, self._used]),
            spread=np.array([self._config.landmark_spread * extent], np.float32),
        )


def one_frame(landmarks: Floats) -> FaceTrack:
    """Return a track of one frame in which (478,3) landmarks were seen."""
    xy = landmarks[:, :2]
    boxes = np.concatenate([xy.min(0), xy.max(0)])[None].astype(np.float32)
    seen = np.ones(1, bool)
    return FaceTrack(0, boxes, landmarks[None].astype(np.float32), seen.astype(np.float32), seen)


def _params(state: State, model: FaceModel) -> FaceParams:
    count = len(state.rotation)
    return FaceParams(
        model=model.name,
        shape=state.shape,
        albedo=np.zeros(len(model.albedo), np.float32),
        expression=state.expression,
        expression_names=model.expression_names,
        rotation=axis_angle(state.rotation),
        translation=state.translation,
        light=np.zeros((count, 9, 3), np.float32),
        gaze=np.zeros((count, 2, 2), np.float32),
        focal=float(state.focal),
    )

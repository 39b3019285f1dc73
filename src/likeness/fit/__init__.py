"""What a face is and does: analysis by synthesis with a linear model."""

from __future__ import annotations

import numpy as np

from likeness.errors import FitError
from likeness.face3d.model import FaceModel
from likeness.fit.config import FitConfig
from likeness.fit.gaze import solve_gaze
from likeness.fit.landmarks import fit_landmarks
from likeness.fit.reproject import landmark_rms, reproject
from likeness.geometry import axis_angle
from likeness.types import Clip, FaceParams, FaceTrack, Progress, silent

__all__ = ["FitConfig", "fit", "landmark_rms", "reproject"]

_DEFAULT = FitConfig()


def fit(
    clip: Clip,
    track: FaceTrack,
    model: FaceModel,
    config: FitConfig = _DEFAULT,
    progress: Progress = silent,
) -> FaceParams:
    size = clip.size
    progress("fit", 0, len(track))
    state = fit_landmarks(track, model, size, config)
    n = len(track)
    params = FaceParams(
        model=model.name,
        shape=state.shape,
        albedo=np.zeros(len(model.albedo), np.float32),
        expression=state.expression,
        expression_names=model.expression_names,
        rotation=axis_angle(state.rotation),
        translation=state.translation,
        light=np.zeros((n, 9, 3), np.float32),
        gaze=np.zeros((n, 2, 2), np.float32),
        focal=float(state.focal),
    )
    from dataclasses import replace

    return replace(params, gaze=solve_gaze(track.landmarks, params, model, size))

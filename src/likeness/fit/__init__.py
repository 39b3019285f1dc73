"""What a face is and does: analysis by synthesis with a linear model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from likeness.errors import FitError
from likeness.face3d.model import FaceModel
from likeness.fit.alignment import align
from likeness.fit.appearance import read_surface, refine_pose, solve_albedo, solve_light
from likeness.fit.bridge import bridged
from likeness.fit.config import FitConfig
from likeness.fit.gaze import eye_openness, solve_gaze
from likeness.fit.landmarks import fit_landmarks
from likeness.fit.looks import Looks
from likeness.fit.reproject import landmark_rms, reproject
from likeness.geometry import axis_angle
from likeness.types import Clip, FaceParams, FaceTrack, Progress, silent

__all__ = ["FitConfig", "eye_openness", "fit", "landmark_rms", "reproject"]

_DEFAULT = FitConfig()


def fit(
    clip: Clip,
    track: FaceTrack,
    model: FaceModel,
    config: FitConfig = _DEFAULT,
    progress: Progress = silent,
) -> FaceParams:
    """Bring the face model onto a track: who it is, and what it does in every frame.

    First landmarks alone (identity, focal length, pose, expression, gaze), then one pass over the
    clip's pixels for albedo, light and a steadier pose (Kim et al. 2018, section 4; Thies et al.
    2016, section 4), and one in which frames are laid onto each other.

    Args:
        clip: the clip that was tracked.
        track: N frames of one person.
        model: the face model.
        config: settings; `known` fixes shape, albedo and focal length.
        progress: called as (stage, done, total) with stages "fit", "light" and "align".

    Returns:
        Params of N frames. Lengths are millimetres as far as the model's mean face is of average
        size: one camera can't tell a small near head from a large far one.

    Raises:
        FitError: fewer than one frame was observed, `known` belongs to another model, or the model
            has too few landmark vertices.
    """
    _check(track, model, config)
    # Frames are shared out among threads; matrix products with threads of their own would wait for
    # each other.
    with threadpool_limits(1, "blas"):
        return _fit(clip, track, model, config, progress)


def _fit(
    clip: Clip, track: FaceTrack, model: FaceModel, config: FitConfig, progress: Progress
) -> FaceParams:
    count, known = len(track), config.known
    progress("fit", 0, count)
    state = fit_landmarks(track, model, clip.size, config)
    progress("fit", count, count)
    params = FaceParams(
        model=model.name,
        shape=state.shape,
        albedo=known.albedo if known else np.zeros(len(model.albedo), np.float32),
        expression=state.expression,
        expression_names=model.expression_names,
        rotation=axis_angle(state.rotation),
        translation=state.translation,
        light=np.zeros((count, 9, 3), np.float32),
        gaze=np.zeros((count, 2, 2), np.float32),
        focal=float(state.focal),
    )
    looks = Looks(model, clip.size, params)
    keep = looks.keep if config.align_rounds else None
    surface = read_surface(clip, track, params, model, config, progress, keep)
    seen = track.observed
    albedo = known.albedo if known else solve_albedo(surface, model, seen)
    light = solve_light(surface, model, albedo, observed=seen)
    params = replace(params, albedo=albedo, light=light)
    params = refine_pose(surface, params, model, track, config.photometric_weight)
    del surface  # the largest thing held, and of no more use
    params = bridged(align(clip, track, params, model, config, progress, looks), seen)
    gaze = solve_gaze(track.landmarks, params, model, clip.size, seen)
    return replace(params, gaze=gaze)


def _check(track: FaceTrack, model: FaceModel, config: FitConfig) -> None:
    seen = int(track.observed.sum())
    if seen < config.min_observed:
        raise FitError(
            f"the track has {seen} observed frames of {len(track)}; expected at least"
            f" {config.min_observed}. Use a clip in which the face is seen longer"
        )
    if config.known is not None and config.known.model != model.name:
        raise FitError(
            f"the known identity belongs to face model {config.known.model!r}, not to"
            f" {model.name!r}; load that model, or fit without a known identity"
        )

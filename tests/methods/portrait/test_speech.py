"""Closures across frame rates, rest after speech, and what is learned from an actor's voice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.actor import Motion, params_of
from likeness.actor.voice import speak
from likeness.errors import ConfigError, MediaError
from likeness.fit.resample import positions, resample
from likeness.fit.transfer import rest_frame
from likeness.methods.portrait.speech import (
    SpeechTask,
    SpeechTraining,
    mouth_columns,
    prepare,
    spoken,
)
from likeness.nets.speech_features import frame_seconds, speech_features
from likeness.plan.mouth_timing import keep_closures, lip_gap, resting_after
from likeness.store import load_face_model
from likeness.training.loop import LoopConfig, train
from likeness.types import FaceParams, Shot
from tests.stage import actor

MODEL = load_face_model()


def performed(seed: int, seconds: float, fps: float = 25.0) -> FaceParams:
    return params_of(actor(3), Motion.from_seed(seed, seconds, fps), (128, 128))


@pytest.mark.parametrize(("theirs", "ours"), [(30, 25), (24, 25), (50, 25), (25, 25)])
def test_lip_closures_survive_another_frame_rate(theirs: int, ours: int) -> None:
    blunted, kept = [], []
    for seed in range(4):
        driver = performed(seed, 10.0, theirs)
        gap = lip_gap(driver, MODEL)
        closed = [
            i
            for i in range(2, len(gap) - 2)
            if gap[i] == gap[i - 2 : i + 3].min() and gap[i - 2 : i + 3].max() - gap[i] > 2
        ]
        shown = np.arange(10 * ours) / ours
        at = positions(np.arange(len(driver)) / theirs, shown, "hold")
        for samples, errors in ((at, blunted), (keep_closures(at, gap), kept)):
            result = lip_gap(resample(driver, samples), MODEL)
            for frame in closed:
                near = np.abs(shown - frame / theirs) < 0.75 / ours
                errors.append(float(result[near].min() - gap[frame]))
    assert len(kept) > 40
    assert np.percentile(kept, 90) < 0.15
    assert np.mean(kept) <= np.mean(blunted) + 1e-6


@given(st.integers(0, 50), st.floats(0.4, 2.5))
def test_moments_never_run_backward_and_hardly_move(seed: int, rate: float) -> None:
    gap = np.random.default_rng(seed).normal(0, 4, 60).astype(np.float32)
    at = np.arange(0, 59, rate)
    moved = keep_closures(at, gap)
    assert (np.diff(moved) >= 0).all()
    assert np.abs(moved - at).max() <= rate / 2 + 1e-9
    assert moved.min() >= 0
    assert moved.max() <= 59


def test_the_mouth_rests_after_the_speech_and_nothing_else_does() -> None:
    params = performed(1, 4.0)
    seconds = np.arange(100) / 25
    rested, count = resting_after(params, seconds, 2.0, params)
    columns = mouth_columns(params)
    others = np.setdiff1d(np.arange(params.expression.shape[1]), columns)
    assert count == 50
    assert np.array_equal(rested.expression[:50], params.expression[:50])
    assert np.array_equal(rested.expression[:, others], params.expression[:, others])
    wanted = params.expression[rest_frame(params), columns]
    np.testing.assert_allclose(
        rested.expression[60:, columns], np.broadcast_to(wanted, (40, len(columns))), atol=1e-6
    )
    untouched, none = resting_after(params, seconds, 9.0, params)
    assert none == 0
    assert np.array_equal(untouched.expression, params.expression)


def test_modes_hold_the_lips_and_stand_for_coefficients(actor_shot: Shot) -> None:
    params = performed(3, 20.0)
    shot = replace(actor_shot, params=replace(actor_shot.params))
    seconds = np.arange(len(params)) / 25
    fine = np.stack([np.interp(np.arange(2000) / 100, seconds, c) for c in params.expression.T], 1)
    features = np.random.default_rng(0).normal(0, 1, (2000, 28)).astype(np.float32)
    network, modes = prepare(features, fine.astype(np.float32), shot, MODEL, SpeechTraining())
    columns = mouth_columns(params)
    back = network.rest.numpy() + modes @ network.basis.numpy()
    lips = MODEL.expression[columns][:, MODEL.regions["lips"]].reshape(len(columns), -1)
    error = np.square((back - fine[:, columns]) @ lips).sum()
    motion = np.square((fine[:, columns] - fine[:, columns].mean(0)) @ lips).sum()
    assert network.config.modes <= 20
    assert error / motion < 0.03
    assert network.config.coefficients[0] == np.array(params.expression_names)[columns][0]
    with pytest.raises(MediaError, match="expected at least 1.2"):
        prepare(features[:100], fine[:100].astype(np.float32), shot, MODEL, SpeechTraining())


def test_an_actors_voice_is_learned(actor_shot: Shot, tmp_path: Path) -> None:
    motion = Motion.from_seed(5, 30.0)
    params = params_of(actor(3), motion, (128, 128))
    features = speech_features(speak(motion))
    moments = frame_seconds(len(features))
    middles = (np.arange(len(params)) + 0.5) / 25
    expression = np.stack([np.interp(moments, middles, c) for c in params.expression.T], 1)
    how = SpeechTraining(steps=150, batch=16, sequence=60, hidden=48, noise=0.5, learning_rate=1e-2)
    learned = 2000
    network, modes = prepare(
        features[:learned], expression[:learned].astype(np.float32), actor_shot, MODEL, how
    )
    task = SpeechTask(features[:learned], modes, network, how)
    loop = LoopConfig(steps=how.steps, learning_rate=how.learning_rate, average=0.9)
    outcome = train(task, loop, tmp_path / "resume", "test")
    network.load_state_dict(dict(outcome.weights))
    # On ten seconds that were not learned from, at the frames' own moments.
    late = middles[middles > 20.5]
    mouths = spoken(network, speak(motion), late)
    jaw = list(network.config.coefficients).index("jawOpen")
    true = params.column("jawOpen")[middles > 20.5]
    assert np.corrcoef(mouths[:, jaw], true)[0, 1] > 0.65
    # In step: no shift of a frame fits better.
    fits = [np.corrcoef(np.roll(mouths[:, jaw], k)[2:-2], true[2:-2])[0, 1] for k in (-1, 0, 1)]
    assert int(np.argmax(fits)) == 1


def test_training_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="sequence"):
        SpeechTraining(sequence=2)

"""What dubbing rests on, measured on the actor: closures, a voice that is learned, and the offset.

    python benchmarks/dub.py [--minutes 1 | --steps 400] [--seconds 5 20 120]

Prints one JSON object. Nothing is rendered: performances and voices are exact params and samples.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from likeness.actor import Actor, Motion, params_of
from likeness.actor.voice import speak
from likeness.fit.resample import positions, resample
from likeness.methods.portrait.speech import (
    SpeechTask,
    SpeechTraining,
    mouth_columns,
    prepare,
    spoken,
)
from likeness.metrics.sound import at_rate, envelope, sync_offset
from likeness.nets.speech_features import frame_seconds, speech_features
from likeness.plan.mouth_timing import keep_closures, lip_gap
from likeness.store import load_face_model
from likeness.training.loop import LoopConfig, train
from likeness.types import Clip, FaceParams, FaceTrack, Floats, Shot

MODEL = load_face_model()
ACTOR = Actor.from_seed(3)
SIZE = (128, 128)


def performed(motion: Motion) -> FaceParams:
    """True params of the actor."""
    return params_of(ACTOR, motion, SIZE)


def closures() -> dict[str, dict[str, float]]:
    """How far open, in mm, lips stay where the driver's close; 90th percentile over closures."""
    table = {}
    for theirs in (24, 30, 50):
        errors: dict[str, list[float]] = {"interpolated": [], "kept": []}
        for seed in range(8):
            driver = performed(Motion.from_seed(seed, 20.0, theirs))
            gap, shown = lip_gap(driver, MODEL), np.arange(500) / 25
            at = positions(np.arange(len(driver)) / theirs, shown, "hold")
            for name, moments in (("interpolated", at), ("kept", keep_closures(at, gap))):
                result = lip_gap(resample(driver, moments), MODEL)
                for i in range(2, len(gap) - 2):
                    around = gap[i - 2 : i + 3]
                    if gap[i] == around.min() and around.max() - gap[i] > 2:
                        near = np.abs(shown - i / theirs) < 0.03
                        errors[name].append(float(result[near].min() - gap[i]))
        table[f"{theirs} to 25"] = {k: float(np.percentile(v, 90)) for k, v in errors.items()}
    return table


def at_moments(params: FaceParams, seconds: Floats) -> Floats:
    """Expression at moments between frames."""
    middles = (np.arange(len(params)) + 0.5) / 25
    columns = [np.interp(seconds, middles, column) for column in params.expression.T]
    return np.stack(columns, 1).astype(np.float32)


def as_shot(params: FaceParams) -> Shot:
    """A shot without a file: only its params are looked at."""
    n = len(params)
    track = FaceTrack(
        0,
        np.zeros((n, 4), np.float32),
        np.zeros((n, 478, 3), np.float32),
        np.ones(n, np.float32),
        np.ones(n, np.bool_),
    )
    return Shot(Clip(Path("actor"), "", SIZE, np.arange(n), Fraction(1, 25), 1), track, params)


def voice(seconds: float, minutes: float, steps: int | None) -> dict[str, float]:
    """Learn from some seconds of the actor; judge on 20 s of the same and of another voice."""
    motion = Motion.from_seed(5, seconds)
    features = speech_features(speak(motion))
    how = SpeechTraining(minutes=minutes)
    shot = as_shot(performed(motion))
    expression = at_moments(shot.params, frame_seconds(len(features)))
    network, modes = prepare(features, expression, shot, MODEL, how)
    loop = LoopConfig(minutes, steps, how.learning_rate, average=0.99, save_minutes=1e9)
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(SpeechTask(features, modes, network, how), loop, Path(folder), "bench")
    network.load_state_dict(dict(outcome.weights))
    other = Motion.from_seed(77, 20.0)
    wanted = performed(other).expression[:, mouth_columns(shot.params)]
    jaw = list(network.config.coefficients).index("jawOpen")
    middles = (np.arange(500) + 0.5) / 25
    found = {"steps": float(outcome.steps)}
    # The actor's pitch comes from the motion's seed.
    for name, samples in (
        ("same voice", speak(replace(other, seed=5))),
        ("another voice", speak(other)),
    ):
        mouths = spoken(network, samples, middles)
        found[name] = float(np.corrcoef(mouths[:, jaw], wanted[:, jaw])[0, 1])
    return found


def offsets() -> dict[str, float]:
    """Largest error in ms with which shifts of up to 200 ms are told, and the least confidence."""
    errors, confidences = [], []
    for seed in range(6):
        motion = Motion.from_seed(seed, 6.0)
        samples = speak(motion)
        lips = at_rate((np.arange(len(motion)) + 0.5) / 25, motion.column("jawOpen"))
        for shift in range(-200, 201, 40):
            late = shift * 16
            moved = np.concatenate([np.zeros(max(0, late)), samples[max(0, -late) :]])
            found = sync_offset(lips, envelope(moved, 16000))
            errors.append(abs(found.ms - shift) if found else np.inf)
            confidences.append(found.confidence if found else 0.0)
    return {"largest_error_ms": max(errors), "least_confidence": min(confidences)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--steps", type=int, help="in place of minutes, for a busy machine")
    parser.add_argument("--seconds", type=float, nargs="*", default=[5.0, 20.0, 120.0])
    chosen = parser.parse_args()
    found = {
        "closures_mm": closures(),
        "offset": offsets(),
        "voice": {f"{s:g} s": voice(s, chosen.minutes, chosen.steps) for s in chosen.seconds},
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

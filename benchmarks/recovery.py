"""Measure how well tracker and landmark fit recover the procedural actor's known parameters.

Run: python benchmarks/recovery.py [--plain] [SEED ...]; --plain leaves out the mirror.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from likeness.actor import Actor, Motion, RenderConfig, frames, truth
from likeness.fit import FitConfig, landmark_rms
from likeness.fit.gaze import eye_openness, solve_gaze
from likeness.fit.landmarks import fit_landmarks
from likeness.geometry import axis_angle, gaze_direction, rotation_matrix
from likeness.store import load_face_model
from likeness.track import TrackConfig, smooth_track
from likeness.track.link import Linker
from likeness.track.readers import open_reader
from likeness.types import FaceTrack, Floats

_SIZE = (256, 256)


def follow(actor: Actor, motion: Motion, plain: bool) -> FaceTrack:
    """Track a rendered performance without writing a file."""
    config = TrackConfig(even=not plain)
    reader, linker, index = open_reader(config), Linker(config), 0
    for piece in frames(actor, motion, RenderConfig(size=_SIZE)):
        for image in (piece.permute(0, 2, 3, 1).numpy() * 255 + 0.5).clip(0, 255).astype(np.uint8):
            linker.add(index, reader.read(np.ascontiguousarray(image)))
            index += 1
    reader.close()
    return smooth_track(linker.finish(index)[0])


def measure(seed: int, plain: bool) -> None:
    """Print one line for one actor."""
    model = load_face_model()
    actor, motion = Actor.from_seed(seed), Motion.from_seed(seed, 6.0)
    known = truth(actor, motion, RenderConfig(size=_SIZE))
    face = follow(actor, motion, plain)
    seen, exact = face.window, known.params
    state = fit_landmarks(face, model, _SIZE, FitConfig())
    some = slice(seen.start, seen.stop)
    params = replace(
        exact,
        shape=state.shape,
        expression=state.expression,
        rotation=axis_angle(state.rotation),
        translation=state.translation,
        light=exact.light[some],
        gaze=exact.gaze[some],
        focal=float(state.focal),
    )
    gaze = solve_gaze(face.landmarks, params, model, _SIZE)
    cosine = (gaze_direction(gaze) * gaze_direction(exact.gaze[some])).sum(-1)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))[eye_openness(face.landmarks) > 0.14]
    turn = state.rotation @ np.swapaxes(rotation_matrix(exact.rotation[some]), 1, 2)
    error = np.degrees(axis_angle(turn))
    steady = np.linalg.norm(error - error.mean(0), axis=-1).mean()
    apart = (face.landmarks[:, :468, :2] - known.landmarks[some, :468, :2]) ** 2
    print(f"actor {seed}: {len(face)} of {len(motion)} frames", end="; ")
    print(f"rotation {np.linalg.norm(error, axis=-1).mean():.2f} deg", end=", ")
    print(f"{steady:.2f} deg about its constant part; gaze {angle.mean():.2f} deg", end="; ")
    print(f"model to tracker {landmark_rms(face, params, model, _SIZE):.2f} px", end=", ")
    print(f"tracker to truth {np.sqrt(apart.sum(-1).mean()):.2f} px", end=";")
    for name in ("eyeBlinkRight", "eyeBlinkLeft", "jawOpen"):
        value = np.corrcoef(params.column(name), exact.column(name)[some])[0, 1]
        print(f" {name} {value:.3f}", end="")
    print(f"; focal {state.focal / exact.focal:.2f} of the true one")
    control(
        replace(face, landmarks=known.landmarks[some]),
        exact.rotation[some],
        exact.column("jawOpen")[some],
    )


def control(face: FaceTrack, rotation: Floats, jaw: Floats) -> None:
    """Print what the fit alone adds: the same measurements on the true landmarks."""
    model = load_face_model()
    state = fit_landmarks(face, model, _SIZE, FitConfig())
    turn = state.rotation @ np.swapaxes(rotation_matrix(rotation), 1, 2)
    error = np.degrees(np.linalg.norm(axis_angle(turn), axis=-1)).mean()
    column = state.expression[:, model.expression_names.index("jawOpen")]
    print(f"  on true landmarks: rotation {error:.2f} deg", end=", ")
    print(f"jawOpen {np.corrcoef(column, jaw)[0, 1]:.3f}")


if __name__ == "__main__":
    seeds = [int(argument) for argument in sys.argv[1:] if argument != "--plain"]
    for one in seeds or [2, 5]:
        measure(one, "--plain" in sys.argv)

"""Measure tracking and fitting on a clip: speed, steadiness, distance of model and points.

Run: python benchmarks/tracking.py CLIP
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from likeness.decode import open_clip
from likeness.fit import FitConfig, fit, landmark_rms, reproject
from likeness.store import load_face_model
from likeness.track import TrackConfig, eye_openness, mouth_openness, smooth_track, track
from likeness.types import Floats


def high_frequency(values: Floats) -> float:
    """Root mean square second difference over time."""
    return float(np.sqrt((np.diff(values, 2, axis=0) ** 2).mean()))


def main() -> None:
    """Print one line per measurement."""
    clip = open_clip(Path(sys.argv[1]))
    model = load_face_model()
    start = time.perf_counter()
    raw = track(clip, TrackConfig(smooth=0))
    tracked = time.perf_counter()
    faces = [smooth_track(one) for one in raw]
    print(f"faces {len(faces)}, frames {len(clip)}, size {clip.size}")
    print(f"track {1000 * (tracked - start) / len(clip):.1f} ms a frame")
    before, face = raw[0], faces[0]
    start = time.perf_counter()
    params = fit(clip, face, model, FitConfig())
    print(f"fit {1000 * (time.perf_counter() - start) / len(face):.1f} ms a frame")
    extent = float(np.sqrt((face.boxes[:, 2:] - face.boxes[:, :2]).prod(1)).mean())
    rms = landmark_rms(face, params, model, clip.size)
    print(f"landmark rms {rms:.2f} px, {160 * rms / extent:.2f} px where the face is 160 px")
    points = reproject(params, model, clip.size)[:, :468, :2]
    jitter = [high_frequency(x[:, :468, :2]) for x in (before.landmarks, face.landmarks)]
    print(f"second differences: raw {jitter[0]:.3f}, smoothed {jitter[1]:.3f}", end=", ")
    print(f"model {high_frequency(points):.3f} px")
    openness = eye_openness(face.landmarks)
    for eye, name in enumerate(("eyeBlinkRight", "eyeBlinkLeft")):
        likeness = np.corrcoef(params.column(name), openness[:, eye])[0, 1]
        print(f"{name} against eye openness {likeness:.3f}")
    jaw = np.corrcoef(params.column("jawOpen"), mouth_openness(face.landmarks))[0, 1]
    print(f"jawOpen against mouth openness {jaw:.3f}")
    print(f"focal {params.focal / max(clip.size):.2f} frame sizes")


if __name__ == "__main__":
    main()

"""Measure how the landmark tracker reads nods: of still actors, and of photographs bent by a turn.

Run: python benchmarks/nods.py actors [SEED ...]
     python benchmarks/nods.py portraits FOLDER

`actors`: by how much a nod is misread, by true pitch, and how far parts of the face are read from
their place. `portraits`: the pitch at which the fit sees people who face the camera, and how much
of a turn is left when each picture is bent as the fitted face would move (8 degrees of pitch, 10 of
yaw, both ways) and tracked anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.interpolate import RBFInterpolator

from likeness.actor import EXPRESSIONS, Actor, Film, Motion, RenderConfig
from likeness.face3d.camera import pixel_jacobian, pixels
from likeness.fit import FitConfig
from likeness.fit.landmarks import fit_landmarks
from likeness.geometry import rotation_from_euler
from likeness.store import load_face_model
from likeness.track import TrackConfig
from likeness.track.landmarks import Reader
from likeness.track.readers import open_reader
from likeness.types import FaceTrack, Floats, Window

Pixels = NDArray[np.uint8]
_SIZE = (256, 256)
_PITCH = (-10, -5, 0, 5, 10)
_TURNS = ((0, 8), (0, -8), (10, 0), (-10, 0))
_PARTS = {
    "nose tip": (1, 4), "nostrils": (79, 309, 60, 290), "lids": (159, 145, 386, 374),
    "mouth corners": (61, 291), "chin": (152, 148, 377), "ears": (234, 454), "brow": (9, 151),
}  # fmt: skip


def read(reader: Reader, image: Pixels) -> Floats | None:
    """Landmarks (468,2) in pixels, after the reader has settled on the picture."""
    reader.reset()
    for _ in range(3):
        faces = reader.read(np.ascontiguousarray(image))
    return faces[0].landmarks[:468, :2] if faces else None


def misread(camera: Floats, focal: float, error: Floats) -> Floats:
    """Turn in degrees (3,), about x, y and z, that moves points (468,3) as `error` (468,2) does."""
    by_point = pixel_jacobian(camera, focal)
    arm = (camera - camera.mean(0))[:, None]
    # A small turn w moves a point by w x arm, and g . (w x arm) = w . (arm x g).
    rows = np.concatenate([np.cross(arm, by_point), by_point], -1).reshape(-1, 6)
    answer = np.linalg.lstsq(rows.astype(np.float64), error.reshape(-1), rcond=None)[0]
    return np.asarray(np.degrees(answer[:3]), np.float32)


def actors(seeds: list[int]) -> None:
    """Print one line for each actor and the parts' mean displacement."""
    reader, shifts = open_reader(TrackConfig()), []
    angles = np.array([[0, np.radians(pitch), 0] for pitch in _PITCH], np.float32)
    n = len(angles)
    motion = Motion(
        25.0,
        np.zeros((n, len(EXPRESSIONS)), np.float32),
        angles,
        np.zeros((n, 3), np.float32),
        np.zeros((n, 2, 2), np.float32),
    )
    for seed in seeds:
        film = Film(Actor.from_seed(seed), motion, RenderConfig(size=_SIZE))
        found = []
        for index in range(n):
            image = (film.shoot(index).image.permute(1, 2, 0).numpy() * 255).round()
            seen = read(reader, image.astype(np.uint8))
            assert seen is not None, f"actor {seed} was not found"
            place = film.landmarks(Window(index, index + 1))[0, :468]
            depth = float(film.staging.translation[index, 2])
            z = place[:, 2:] * depth / film.focal + depth
            camera = np.concatenate([(place[:, :2] - 128) * z / film.focal, z], 1)
            found.append(misread(camera, film.focal, seen - place[:, :2]))
            shifts.append((seen - place[:, :2])[:, 1] * depth / film.focal)
        pitch = np.array(found)[:, 0]
        print(f"actor {seed}: pitch misread by {pitch.mean():.1f} degrees", end="; ")
        print(", ".join(f"{p:+d}: {e:.1f}" for p, e in zip(_PITCH, pitch, strict=True)))
    reader.close()
    mean = np.mean(shifts, 0)
    parts = (f"{name} {mean[list(rows)].mean():+.1f}" for name, rows in _PARTS.items())
    print("read lower by, mm: " + ", ".join(parts))


def portraits(folder: Path) -> None:
    """Print the pitch of people who face the camera, and the share of a turn that is read."""
    model, reader = load_face_model(), open_reader(TrackConfig())
    nods, left = [], []
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".png")):
        image = _square(reader, np.asarray(Image.open(path).convert("RGB")))
        seen = None if image is None else read(reader, image)
        if image is None or seen is None:
            continue
        points = np.zeros((1, 478, 3), np.float32)
        points[0, :468, :2] = seen
        box = np.concatenate([seen.min(0), seen.max(0)])[None]
        track = FaceTrack(0, box, points, np.ones(1, np.float32), np.ones(1, bool))
        state = fit_landmarks(track, model, _SIZE, FitConfig())
        turned = model.vertices(state.shape, state.expression)[0] @ state.rotation[0].T
        camera = (turned + state.translation[0]).astype(np.float32)
        nods.append(np.degrees(np.arctan2(*state.rotation[0, 2, 1:])))
        # Heads turn about a point behind and below the eyes.
        pivot = state.rotation[0] @ np.array([0, 20, 60], np.float32) + state.translation[0]
        for yaw, pitch in _TURNS:
            turn = rotation_from_euler(*np.radians([[yaw], [pitch], [0]]).astype(np.float32))[0]
            moved = ((camera - pivot) @ turn.T + pivot).astype(np.float32)
            shift = (
                pixels(moved, state.focal, _SIZE)[:, :2] - pixels(camera, state.focal, _SIZE)[:, :2]
            )
            again = read(reader, _bend(image, seen, shift))
            if again is None:
                continue
            error = again - seen - shift
            axis, size = (0, pitch) if pitch else (1, -yaw)
            left.append((axis, 1 + misread(moved, state.focal, error)[axis] / size))
    reader.close()
    print(f"{len(nods)} people: fitted pitch {np.mean(nods):.1f} degrees", end=", ")
    print(f"deviation {np.std(nods):.1f}")
    for axis, name in enumerate(("pitch", "yaw")):
        share = float(np.mean([value for about, value in left if about == axis]))
        print(f"share of a turn that is read, {name}: {share:.2f}")


def _square(reader: Reader, image: Pixels) -> Pixels | None:
    """Cut twice the face's extent and scale it to the working size."""
    seen = read(reader, image)
    if seen is None:
        return None
    low, high = seen.min(0), seen.max(0)
    scale = _SIZE[0] / (2 * float((high - low).max()))
    x, y = np.array([128, 128]) - scale * (low + high) / 2
    cut = np.array([[scale, 0, x], [0, scale, y]])
    flags, border = cv2.INTER_AREA, cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(image, cut, _SIZE, flags=flags, borderMode=border), np.uint8)


def _bend(image: Pixels, points: Floats, shift: Floats) -> Pixels:
    """Move points of a picture by `shift` (P,2), smoothly, with a frame around it held."""
    edge = np.linspace(-40, 296, 8)
    ring = [(x, y) for x in edge for y in edge if -40 in (x, y) or 296 in (x, y)]
    held = np.concatenate([points + shift, ring])
    back = np.concatenate([-shift, np.zeros((len(ring), 2))])
    field = RBFInterpolator(held, back, kernel="thin_plate_spline", smoothing=0.5)
    y, x = np.mgrid[0:256:8, 0:256:8]
    coarse = field(np.stack([x.ravel(), y.ravel()], 1)).reshape(32, 32, 2).astype(np.float32)
    rows, columns = np.mgrid[0:256, 0:256].astype(np.float32)
    offset = cv2.remap(coarse, columns / 8, rows / 8, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    return np.asarray(
        cv2.remap(
            image, columns + offset[..., 0], rows + offset[..., 1], cv2.INTER_LINEAR, None,
            cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["portraits"] and len(sys.argv) == 3:
        portraits(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["actors"]:
        actors([int(a) for a in sys.argv[2:]] or list(range(10)))
    else:
        raise SystemExit("usage: python benchmarks/nods.py actors [SEED ...] | portraits FOLDER")

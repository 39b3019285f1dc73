"""How well one photo is animated, and how fast.

    python benchmarks/animate.py [--clip CLIP ...] [--size 512] [--every 2]

Quality: one frame of a clip stands for the photo, the same clip drives it, so the right answer is
the clip itself; the photo's own frame is left out. Compared with the unmoved photo and with a plain
piecewise affine warp of the photo's landmarks onto the driver's (which knows the answer's
landmarks). The actor's clip is made here; further clips are given with --clip. Speed: the actor's
frame and clip at --size, everything from opening the photo to the signed file. Prints tables in
Markdown; keep the machine free.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from likeness.actor import Actor, Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.decode import Decoder, open_clip
from likeness.methods.photo.animation import Animation, fitted_picture
from likeness.methods.photo.find import find_photo
from likeness.methods.photo.plain import plain_warp
from likeness.metrics.image import psnr, sharpness
from likeness.metrics.regions import eye_mask, face_hull, mouth_mask
from likeness.pipeline import analyze
from likeness.track import TrackConfig
from likeness.track.readers import open_reader
from likeness.types import Floats, Shot, Window
from likeness.verbs.animate import animate

COLUMNS = ("psnr_face", "psnr_eyes", "psnr_mouth", "sharpness_face", "landmark_error_px")


def film(folder: Path, seed: int, size: int, seconds: float) -> Path:
    """Film an actor in conversation."""
    path = folder / f"actor{seed}_{size}.mp4"
    motion = Motion.from_seed(seed, seconds, style="expressive")
    write_actor_clip(Actor.from_seed(seed), motion, path, RenderConfig((size, size)))
    return path


def landmarks_of(frames: torch.Tensor) -> Floats:
    """(n,478,2) tracked in each frame alone; NaN where no face is seen."""
    found = np.full((len(frames), 478, 2), np.nan, np.float32)
    reader = open_reader(TrackConfig())
    for row, frame in zip(found, frames, strict=True):
        reader.reset()
        image = (frame * 255 + 0.5).byte().permute(1, 2, 0).contiguous().numpy()
        faces = reader.read(image)
        if faces:
            row[:] = max(faces, key=lambda face: np.ptp(face.box)).landmarks[:, :2]
    reader.close()
    return found


def judge(result: torch.Tensor, real: torch.Tensor, points: Floats) -> list[float]:
    """Mean of each of COLUMNS over frames (n,3,h,w)."""
    size = (real.shape[2], real.shape[3])
    hull = face_hull(points, size)
    masks = (hull, eye_mask(points, size), mouth_mask(points, size))
    numbers = [float(np.nanmean(psnr(result, real, mask))) for mask in masks]
    apart = np.linalg.norm(landmarks_of(result)[:, :468] - points[:, :468], axis=-1)
    sharp = float(np.nanmean(sharpness(result, real, hull)))
    return [*numbers, sharp, float(np.nanmean(apart))]


def quality(shot: Shot, every: int) -> dict[str, list[float]]:
    """Animate a clip's rest frame by the clip and judge it beside the baselines."""
    from likeness.fit.transfer import rest_frame

    rest = rest_frame(shot.params)
    photo = find_photo(shot.clip, shot.track.start + rest)
    animation = Animation(photo, shot)
    still, _ = fitted_picture(photo.picture, max(shot.clip.size))
    kept: dict[str, list[torch.Tensor]] = {"unmoved photo": [], "plain warp": [], "animate": []}
    real, points = [], []
    with Decoder(shot.clip) as decoder:
        for index in range(0, len(shot.track), every):
            if index == rest:
                # The photo itself: a warp that does nothing would be worth 100 dB.
                continue
            frame = decoder.read(Window(shot.track.start + index, shot.track.start + index + 1))
            real.append(frame[:, :, : still.shape[1], : still.shape[2]])
            kept["unmoved photo"].append(still[None])
            place = shot.track.landmarks[index, :468, :2]
            origin = photo.track.landmarks[0, :468, :2]
            kept["plain warp"].append(plain_warp(still, origin, place)[None])
            kept["animate"].append(animation.draw(animation.condition(Window(index, index + 1))))
            points.append(shot.track.landmarks[index, :, :2])
    animation.close()
    truth, seen = torch.cat(real), np.stack(points)
    return {name: judge(torch.cat(drawn), truth, seen) for name, drawn in kept.items()}


def speed(folder: Path, size: int) -> dict[str, float]:
    """Seconds and frames a second, first with the driver untracked, then from its kept shot."""
    photo, driver = film(folder, 3, size, 0.2), film(folder, 5, size, 6.0)
    find_photo(open_clip(photo))
    began = time.perf_counter()
    face = find_photo(open_clip(photo))
    found = time.perf_counter() - began
    count = len(open_clip(driver))
    whole = animate(photo, driver, folder / "a.mp4").seconds
    again = animate(photo, driver, folder / "b.mp4").seconds
    shot = analyze(driver)[0]
    began = time.perf_counter()
    animation = Animation(face, shot)
    ready = time.perf_counter() - began
    began = time.perf_counter()
    for _ in animation.frames():
        pass
    drawn = time.perf_counter() - began
    animation.close()
    return {
        "find the face in the photo, s": found,
        "make the photo ready, s": ready,
        "draw, frames a second on one core": len(shot.track) / drawn,
        "all, driver not tracked before, frames a second": count / whole,
        "all, driver tracked before, frames a second": count / again,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, nargs="*", default=[])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--every", type=int, default=2)
    parser.add_argument("--no-speed", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [film(folder, 3, 256, 4.0), *chosen.clip]
        print("| clip | method |", " | ".join(COLUMNS), "|")
        print("|---" * (2 + len(COLUMNS)) + "|")
        for clip in clips:
            shot = analyze(clip)[0]
            every = max(chosen.every, len(shot.track) // 100)
            for method, numbers in quality(shot, every).items():
                cells = " | ".join(f"{number:.2f}" for number in numbers)
                print(f"| {clip.stem} | {method} | {cells} |", flush=True)
        if not chosen.no_speed:
            print("\n| speed |", f"{chosen.size} px |\n|---|---|")
            for name_of, number in speed(folder, chosen.size).items():
                print(f"| {name_of} | {number:.2f} |", flush=True)


if __name__ == "__main__":
    main()

"""Measure what each forensic signal of `likeness verify` says of known alterations of a clip.

Run: python benchmarks/alterations.py CLIP [FRAMES]

The clip is examined as it is, coded anew without a change, and with one alteration at a time:

pasted      the inner face of the frame with the most different pose, laid over every frame's own
enlarged    the face at half its size, enlarged by repeating pixels
frozen      a box around the head, the person left out, stands still as in the first frame
staring     frames with closed eyes are replaced by the last one before

All of them are written by the program itself, at its usual quality, into a temporary folder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from likeness.decode import Decoder, open_clip, stream
from likeness.encode import encode
from likeness.metrics.regions import FACE_OVAL, face_hull, fill_convex, head_zone
from likeness.provenance import Manifest
from likeness.track import eye_openness, track
from likeness.types import Clip, FaceTrack, Floats, Timeline, Window
from likeness.verify import verify_file

Change = Callable[[int, torch.Tensor], torch.Tensor]


def main() -> None:
    """Print a line per alteration and signal."""
    clip = open_clip(Path(sys.argv[1]))
    count = min(len(clip), int(sys.argv[2]) if len(sys.argv) > 2 else len(clip))
    face = max(track(clip), key=len)
    if face.start or len(face) < count:
        sys.exit("the face must be seen from the first frame on, in one shot")
    report("as it is", clip.path)
    with TemporaryDirectory() as folder:
        for name, change in changes(clip, face):
            path = Path(folder) / f"{name.replace(' ', '_')}.mp4"
            write(clip, path, count, change)
            report(name, path)


def changes(clip: Clip, face: FaceTrack) -> Iterator[tuple[str, Change]]:
    """Yield names and functions of frame number and (3,H,W) frame."""
    yield "coded anew", lambda _, frame: frame
    yield "pasted", pasted(clip, face)
    yield "enlarged", lambda i, frame: enlarged(frame, face.landmarks[i])
    with Decoder(clip) as decoder:
        first = decoder.read(Window(0, 1))[0]
    yield "frozen", lambda i, frame: frozen(frame, first, face.landmarks[i])
    yield "staring", staring(clip, face)


def pasted(clip: Clip, face: FaceTrack) -> Change:
    """Lay the inner face of one frame over that of all others, brought into place by a similarity.

    The nose tip's place between the eyes tells the pose; the frame that lies farthest from the
    median is the one that is pasted.
    """
    eyes = face.landmarks[:, [33, 263], :2]
    middle, across = eyes.mean(1), eyes[:, 1] - eyes[:, 0]
    nose = face.landmarks[:, 1, :2] - middle
    turned = (nose * across).sum(-1) / (across**2).sum(-1)
    chosen = int(np.abs(turned - np.median(turned)).argmax())
    with Decoder(clip) as decoder:
        source = decoder.read(Window(chosen, chosen + 1))
    place = [33, 263, 61, 291]
    there = face.landmarks[chosen, place, :2]

    def change(index: int, frame: torch.Tensor) -> torch.Tensor:
        here = face.landmarks[index, place, :2]
        grid = sampling(similarity(here, there), frame.shape[1:], source.shape[2:])
        moved = torch.nn.functional.grid_sample(source, grid, align_corners=False)[0]
        inner = (face.landmarks[index, FACE_OVAL, :2] - here.mean(0)) * 0.72 + here.mean(0)
        soft = gaussian_filter(
            fill_convex(inner, tuple(frame.shape[1:])).astype(np.float32), clip.size[0] / 100
        )
        alpha = torch.from_numpy(soft)
        return alpha * moved + (1 - alpha) * frame

    return change


def similarity(here: Floats, there: Floats) -> Floats:
    """Return (2,3) there_from_here that brings (P,2) points together (Umeyama 1991)."""
    a, b = here - here.mean(0), there - there.mean(0)
    turn = complex((a * b).sum(), (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / (a**2).sum()
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.c_[linear, there.mean(0) - linear @ here.mean(0)].astype(np.float32)


def sampling(there_from_here: Floats, size: torch.Size, source: torch.Size) -> torch.Tensor:
    """Return the (1,H,W,2) grid that reads a source of (H,W) at the mapped pixel centers."""
    y, x = np.indices(tuple(size)) + 0.5
    points = np.stack([x, y], -1) @ there_from_here[:, :2].T + there_from_here[:, 2]
    grid = 2 * points / np.array([source[1], source[0]]) - 1
    return torch.from_numpy(grid.astype(np.float32))[None]


def enlarged(frame: torch.Tensor, points: Floats) -> torch.Tensor:
    """Halve the face and double it again by repeating pixels."""
    hull = torch.from_numpy(face_hull(points[None], tuple(frame.shape[1:]))[0])
    height, width = (side // 2 * 2 for side in frame.shape[1:])
    small = torch.nn.functional.avg_pool2d(frame[None, :, :height, :width], 2)
    changed = frame.clone()
    changed[:, :height, :width] = small.repeat_interleave(2, -1).repeat_interleave(2, -2)[0]
    return torch.where(hull, changed, frame)


def frozen(frame: torch.Tensor, first: torch.Tensor, points: Floats) -> torch.Tensor:
    """Keep the first frame in a ring around the head."""
    size = tuple(frame.shape[1:])
    width = float(np.ptp(points[FACE_OVAL, 0]))
    person = head_zone(points[None], size)[0]
    grown = points.copy()
    middle = points[:, :2].mean(0)
    grown[:, :2] = (points[:, :2] - middle) * (1 + 0.4) + middle
    ring = torch.from_numpy(head_zone(grown[None], size)[0] & ~person)
    return torch.where(ring, first, frame) if width > 0 else frame


def staring(clip: Clip, face: FaceTrack) -> Change:
    """Hold the last frame with open eyes wherever they close."""
    open_eyes = eye_openness(face.landmarks).mean(1)
    shut = open_eyes < 0.75 * np.median(open_eyes)
    held = [np.zeros((3, *clip.size), np.float32)]

    def change(index: int, frame: torch.Tensor) -> torch.Tensor:
        if index == 0 or not shut[index]:
            held[0] = frame.numpy().copy()
        return torch.from_numpy(held[0])

    return change


def write(clip: Clip, path: Path, count: int, change: Change) -> None:
    """Write the first `count` frames, each changed, marked as everything that leaves."""
    timeline = Timeline(clip.pts[:count], clip.time_base, clip.last_duration, None)
    manifest = Manifest(title=path.name, action="edit")
    with encode(path, clip, manifest, timeline) as video:
        for window, frames in stream(clip, 8, Window(0, count)):
            changed = [change(i, frame) for i, frame in zip(window, frames, strict=True)]
            video.append(torch.stack(changed))


def report(name: str, path: Path) -> None:
    """Print what the signals say of a file."""
    found = verify_file(path)
    for signal in found.signals:
        score = "  - " if signal.score is None else f"{signal.score:.2f}"
        print(f"{name:10} {signal.name:10} {score}  {signal.finding}", flush=True)


if __name__ == "__main__":
    main()

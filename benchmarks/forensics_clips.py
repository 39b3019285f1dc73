"""Real and made clips of two seconds, for false alarms and for all signals beside each other.

Imported by `forensics.py`. Frames are coded as a clip is coded, each after the last. The detector's
number for a clip is the mean over its faces, as `likeness verify` takes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
from forensics_faces import CLIPS, photos_in, split_of
from forensics_wear import RATE, filmed

from likeness.composite.finish import FinishConfig
from likeness.decode import Decoder, open_clip, stream
from likeness.methods.edit.surface import SurfaceConfig, surface_bundle
from likeness.methods.photo.find import find_photo
from likeness.methods.protocol import Method
from likeness.methods.swap.source import photos_bundle
from likeness.methods.table import METHODS
from likeness.painting import paint
from likeness.people import find_people
from likeness.plan.edit import plan_edit
from likeness.plan.swap import plan_swap
from likeness.track.mirror import twins
from likeness.types import Clip, FaceTrack, Shot, Window
from likeness.verify import verify_file
from likeness.verify.learned import LearnedSignal
from likeness.verify.signal import Scene, SignalReading
from likeness.verify.signals import SIGNALS

HELD = tuple(name for name, split in CLIPS.items() if split != "train")
SECONDS = 2
MOST = 8
"""Pieces of a clip, spread over it."""
VIEWS = ("CRF 18", "CRF 28", "CRF 38", "edited", "laundered")
METHODS_SHOWN = ("edit.surface", "swap.photo", "swap.warp", "swap.mesh")


@dataclass(frozen=True, eq=False)
class Piece:
    """Two seconds of a clip."""

    clip: Clip
    track: FaceTrack
    frames: list[np.ndarray]
    """(h,w,3) float32 RGB in [0,1]."""


def measure_clips(data: Path, work: Path) -> None:
    """Print false alarms on pieces of real clips, and what all signals say of made ones."""
    work.mkdir(parents=True, exist_ok=True)
    real_clips(data, work)
    all_signals(data, work)


def real_clips(data: Path, work: Path) -> None:
    """Print false alarms on pieces of clips of people whom training never saw."""
    print("\n| real clip | way | pieces | alarms | cannot tell | greatest probability |")
    print("|---|---|---|---|---|---|")
    for name in HELD:
        shots = [_shot(path) for path in _pieces(data, name, work)]
        for view in VIEWS:
            told = [read(_seen(shot, _frames(shot), view), (LearnedSignal,))[0] for shot in shots]
            chances = [one.numbers.get("probability", 0.0) or 0.0 for one in told]
            alarms = sum(one.score is not None and one.score > 0 for one in told)
            unclear = sum(one.score is None for one in told)
            print(f"| {name}, {CLIPS[name]} | {view} | {len(told)} | {alarms} | {unclear} | "
                  f"{max(chances):.2f} |", flush=True)  # fmt: skip


def read(piece: Piece, signals: Sequence[type]) -> list[SignalReading]:
    """Show a piece to some signals."""
    scene = Scene(piece.clip, piece.track)
    watching = [signal(scene) for signal in signals]
    for start in range(0, len(piece.frames), 8):
        part = np.stack(piece.frames[start : start + 8]).transpose(0, 3, 1, 2)
        frames = torch.from_numpy(np.ascontiguousarray(part))
        for signal in watching:
            signal.look(Window(start, start + len(part)), frames)
    return [signal.read() for signal in watching]


def report_files(files: Sequence[Path]) -> None:
    """Print a row per file with what every signal says."""
    for number, path in enumerate(files):
        readings = verify_file(path).signals
        if not number:
            _heading("file", readings)
        _row(path.name, readings)


def all_signals(data: Path, work: Path) -> None:
    """Print what all signals say of a real piece and of what methods make of it."""
    first = True
    for name in HELD:
        shot = _shot(next(iter(_pieces(data, name, work))))
        for method in ("real", *METHODS_SHOWN):
            made = _frames(shot) if method == "real" else _made(method, shot, data, name)
            for view in ("CRF 18", "CRF 28", "laundered"):
                readings = read(_seen(shot, made, view), SIGNALS)  # type: ignore[arg-type]
                if first:
                    _heading("clip", readings)
                    first = False
                _row(f"{name}, {method}, {view}", readings)


def _heading(first: str, readings: Sequence[SignalReading]) -> None:
    names = [reading.name for reading in readings]
    print(f"\n| {first} | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")


def _row(first: str, readings: Sequence[SignalReading]) -> None:
    cells = []
    for reading in readings:
        chance = reading.numbers.get("probability")
        score = "-" if reading.score is None else f"{reading.score:.2f}"
        cells.append(f"{score} ({chance:.2f})" if chance is not None else score)
    print(f"| {first} | {' | '.join(cells)} |", flush=True)


def _pieces(data: Path, name: str, work: Path) -> list[Path]:
    """Cut a clip into files of two seconds, nearly without loss."""
    clip = open_clip(data / "clips" / f"{name}.mp4")
    length = SECONDS * RATE
    count = len(clip) // length
    paths = []
    for number in np.linspace(0, count - 1, min(MOST, count)).round().astype(int):
        path = work / f"{name}_{number:03d}.mp4"
        if not path.is_file():
            with Decoder(clip) as decoder:
                start = int(number) * length
                frames = decoder.read(Window(start, start + length))
            filmed(list(frames.permute(0, 2, 3, 1).numpy()), 8, kept=path)
        paths.append(path)
    return paths


def _shot(path: Path) -> Shot:
    return max(find_people(path), key=lambda one: float(np.ptp(one.track.boxes[0, ::2])))


def _frames(shot: Shot) -> list[np.ndarray]:
    parts = [frames for _, frames in stream(shot.clip, 8)]
    return list(torch.cat(parts).permute(0, 2, 3, 1).numpy())


def _seen(shot: Shot, frames: list[np.ndarray], view: str) -> Piece:
    """Code a piece in one way; what is laundered is halved, mirrored and has 30 frames a second."""
    points, observed = shot.track.landmarks.copy(), shot.track.observed
    rate, crf = RATE, {"edited": 18, "laundered": 33}.get(view) or int(view.split()[1])
    if view == "edited":
        frames = [_edited(frame) for frame in frames]
    if view == "laundered":
        order = np.floor(np.arange(len(frames) * 6 // 5) * 5 / 6).astype(int)
        width = frames[0].shape[1]
        frames = [cv2.resize(frames[i][:, ::-1], None, fx=0.5, fy=0.5,
                             interpolation=cv2.INTER_AREA) for i in order]  # fmt: skip
        points, observed, rate = points[order], observed[order], 30
        points[..., 0] = width - points[..., 0]
        points = points[:, twins()] / 2
    sent = filmed(frames, crf)
    boxes = np.concatenate([points[..., :2].min(1), points[..., :2].max(1)], 1)
    clip = Clip(
        Path("piece.mp4"), "", sent[0].shape[:2], np.arange(len(sent)), Fraction(1, rate), 1
    )
    track = FaceTrack(0, boxes, points.astype(np.float32), np.ones(len(sent), np.float32), observed)
    return Piece(clip, track, sent)


def _edited(frame: np.ndarray) -> np.ndarray:
    soft = cv2.bilateralFilter(frame, 7, 0.08, 4)
    sharp = soft + 0.4 * (soft - cv2.GaussianBlur(soft, (0, 0), 1.0))
    return np.clip(sharp * np.float32([1.06, 1, 0.94]), 0, 1).astype(np.float32)


def _made(method: str, shot: Shot, data: Path, name: str) -> list[np.ndarray]:
    """Change the person of a piece; the source of a swap is somebody of the same part."""
    device = torch.device("cpu")
    drawing: Method
    if method == "edit.surface":
        plan = plan_edit(shot, {"age": np.full(len(shot.clip), 1.0)}, {})
        drawing = METHODS[method].open(surface_bundle(shot, SurfaceConfig()), plan, device)
    else:
        path = next(path for person, path in photos_in(data) if split_of(person) == CLIPS[name])
        bundle = photos_bundle(method, (find_photo(open_clip(path), face="largest"),))
        plan = plan_swap(shot, (), FinishConfig(), sound=False)
        drawing = METHODS[method].open(bundle, plan, device)
    return [frame for part in _painted(shot, drawing) for frame in part]


def _painted(shot: Shot, drawing: Method) -> Iterator[np.ndarray]:
    for window, frames in stream(shot.clip, 4):
        yield paint(frames, [drawing], window).permute(0, 2, 3, 1).numpy()

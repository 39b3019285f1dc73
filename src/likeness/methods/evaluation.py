"""Judging portraits: on frames that training never saw, and any two aligned videos."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from likeness import geometry
from likeness.condition.crop import cut
from likeness.decode import open_clip, stream
from likeness.errors import BundleError, ConfigError, MediaError
from likeness.methods.reenact import CPU, PortraitBundle, open_portrait
from likeness.metrics.motion import nearest_frames
from likeness.metrics.pair import PairEvaluation, PairReport
from likeness.metrics.self_reenactment import SelfEvaluation, SelfReport
from likeness.store import load_bundle
from likeness.track.config import TrackConfig
from likeness.track.landmarks import Reader, open_reader
from likeness.training.data import FrameBank, fill_bank
from likeness.types import Clip, Floats, Progress, Window, silent

_WINDOW = 8


def evaluate_self(
    bundle: Path, clip: Path, progress: Progress = silent, device: torch.device = CPU
) -> SelfReport:
    """Let a portrait repeat the frames of its own clip that training never saw.

    Each held-out frame is drawn from its own fitted params and compared with the real crop; both
    are tracked anew, so that landmarks, blinks and gaze are what is seen, not what was asked for.

    Args:
        bundle: NAME.bundle, trained with a holdout.
        clip: the clip that it was trained on.
        progress: called as ("frames" | "evaluate", done, total).
        device: where the generator runs.

    Raises:
        BundleError: the bundle is no portrait or belongs to another clip.
        ConfigError: it was trained without a holdout.
    """
    portrait = open_portrait(load_bundle(bundle), device)
    found = open_clip(clip)
    shot = portrait.shot
    if found.digest != shot.clip.digest:
        raise BundleError(
            f"{clip.name} is not the clip that {bundle.name} was trained on "
            f"(digest {found.digest[:12]}, expected {shot.clip.digest[:12]}); give that clip"
        )
    held = Window(len(portrait.seen), len(shot.track))
    if len(held) == 0:
        raise ConfigError(
            f"{bundle.name} was trained on the whole clip; expected held-out frames: train it with "
            "--holdout last-third"
        )
    with tempfile.TemporaryDirectory(prefix="likeness-") as folder:
        bank = fill_bank(
            found,
            portrait.guide.crop(len(shot.track)),
            portrait.seen + shot.track.start,
            Path(folder) / "training.crops",
            progress,
        )
        return _judge(portrait, found, held, bank, progress)


def _judge(
    portrait: PortraitBundle, clip: Clip, held: Window, bank: FrameBank, progress: Progress
) -> SelfReport:
    shot = portrait.shot
    landmarks = _in_crop(shot.track.landmarks, portrait.guide.crop_from_frame)
    nearest = nearest_frames(landmarks[portrait.seen], landmarks[held.start : held.stop])
    evaluation = SelfEvaluation()
    seconds: list[float] = []
    config = TrackConfig(max_faces=1)
    readers = (open_reader(config), open_reader(config))
    span = Window(held.start + shot.track.start, held.stop + shot.track.start)
    try:
        for window, frames in stream(clip, _WINDOW, span):
            rows = Window(window.start - shot.track.start, window.stop - shot.track.start)
            real = cut(frames, portrait.guide.crop(len(rows)))
            began = time.perf_counter()
            result = portrait.draw(portrait.condition(shot.params, rows))
            seconds.append((time.perf_counter() - began) / len(rows))
            evaluation.add(
                real,
                result,
                _read(readers[0], real),
                _read(readers[1], result),
                bank.crops(nearest[rows.start - held.start : rows.stop - held.start]),
            )
            progress("evaluate", rows.stop - held.start, len(held))
    finally:
        for reader in readers:
            reader.close()
    return evaluation.result(float(np.median(seconds)))


def evaluate_pair(output: Path, reference: Path, progress: Progress = silent) -> PairReport:
    """Compare two aligned videos frame by frame.

    Args:
        output: the video to judge.
        reference: what it should look like: as many frames of the same size.
        progress: called as ("evaluate", done, total).

    Raises:
        MediaError: the videos differ in size or number of frames.
    """
    result, real = open_clip(output), open_clip(reference)
    if result.size != real.size or len(result) != len(real):
        raise MediaError(
            f"{output.name} has {len(result)} frames of {result.size[1]}x{result.size[0]}, "
            f"{reference.name} {len(real)} of {real.size[1]}x{real.size[0]}; expected equal ones"
        )
    evaluation = PairEvaluation()
    config = TrackConfig(max_faces=1)
    readers = (open_reader(config), open_reader(config))
    try:
        pairs: Iterator[tuple[tuple[Window, torch.Tensor], tuple[Window, torch.Tensor]]] = zip(
            stream(real, _WINDOW), stream(result, _WINDOW), strict=True
        )
        for (window, expected), (_, drawn) in pairs:
            evaluation.add(expected, drawn, _read(readers[0], expected), _read(readers[1], drawn))
            progress("evaluate", window.stop, len(real))
    finally:
        for reader in readers:
            reader.close()
    return evaluation.result()


def _read(reader: Reader, frames: torch.Tensor) -> Floats:
    """(n,478,3) landmarks of the first face per frame, NaN where there is none."""
    landmarks = np.full((len(frames), 478, 3), np.nan, np.float32)
    images = (frames.permute(0, 2, 3, 1) * 255 + 0.5).to(torch.uint8).numpy()
    for n, image in enumerate(images):
        faces = reader.read(np.ascontiguousarray(image))
        if faces:
            landmarks[n] = faces[0].landmarks
    return landmarks


def _in_crop(landmarks: Floats, crop_from_frame: Floats) -> Floats:
    xy = geometry.apply(crop_from_frame, landmarks[..., :2])
    depth = landmarks[..., 2:] * np.sqrt(np.linalg.det(crop_from_frame[:, :2]))
    mapped: Floats = np.concatenate([xy, depth], -1).astype(np.float32)
    return mapped

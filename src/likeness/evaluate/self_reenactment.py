"""Judging a method on frames of its own clip that training never saw."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from likeness.condition.crop import cut
from likeness.decode import open_clip, stream
from likeness.errors import BundleError, ConfigError
from likeness.evaluate.evaluation import Evaluation
from likeness.evaluate.faces import FaceReaders, GazeReader, IdentityReader, mapped
from likeness.evaluate.subject import Subject, subject_of
from likeness.methods.portrait.model import CPU
from likeness.metrics.exhibits import Exhibits
from likeness.metrics.motion import nearest_frames
from likeness.metrics.self_reenactment import SelfEvaluation, SelfReport
from likeness.store import load_bundle
from likeness.training.bank import CropBank, fill_bank
from likeness.types import Clip, Ints, Progress, Window, silent

_WINDOW = 8


def evaluate_self(
    bundle: Path, clip: Path, progress: Progress = silent, device: torch.device = CPU
) -> Evaluation[SelfReport]:
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
    # The clip first: a portrait takes seconds to load.
    found, subject = open_clip(clip), subject_of(load_bundle(bundle), device)
    shot = subject.shot
    if found.digest != shot.clip.digest:
        raise BundleError(
            f"{clip.name} is not the clip that {bundle.name} was trained on "
            f"(digest {found.digest[:12]}, expected {shot.clip.digest[:12]}); give that clip"
        )
    if len(subject.train_frames) == len(shot.track):
        raise ConfigError(
            f"{bundle.name} was trained on the whole clip; expected held-out frames: train it with "
            "--holdout last-third"
        )
    return evaluate_subject(subject, found, progress)


def evaluate_subject(
    subject: Subject, clip: Clip, progress: Progress = silent
) -> Evaluation[SelfReport]:
    """Judge any method by the frames of its own clip that it never saw.

    Args:
        subject: the method.
        clip: the clip of its shot.
        progress: called as ("frames" | "evaluate", done, total).
    """
    shot, held = subject.shot, Window(len(subject.train_frames), len(subject.shot.track))
    landmarks = mapped(shot.track.landmarks, subject.crop(1).crop_from_frame)
    nearest = nearest_frames(landmarks[subject.train_frames], landmarks[held.start : held.stop])
    needed, rows = np.unique(nearest, return_inverse=True)
    with tempfile.TemporaryDirectory(prefix="likeness-") as folder:
        path = Path(folder) / "nearest.crops"
        times = subject.train_frames[needed] + shot.track.start
        bank = fill_bank(clip, subject.crop(1), times, path, progress)
        return _compare(subject, clip, bank, rows, progress)


def _compare(
    subject: Subject, clip: Clip, bank: CropBank, nearest: Ints, progress: Progress
) -> Evaluation[SelfReport]:
    """Judge, with row `nearest[i]` of the bank as the baseline of held-out frame i."""
    shot, held = subject.shot, Window(len(subject.train_frames), len(subject.shot.track))
    crop_from_frame = subject.crop(1).crop_from_frame
    evaluation, exhibits = SelfEvaluation(), Exhibits(len(held))
    gazes = GazeReader(shot.params, crop_from_frame, clip.size)
    identities, seconds = IdentityReader(), list[float]()
    first = shot.track.start
    with FaceReaders() as read:
        for window, frames in stream(clip, _WINDOW, Window(held.start + first, held.stop + first)):
            rows = Window(window.start - first, window.stop - first)
            real = cut(frames, subject.crop(len(rows)))
            began = time.perf_counter()
            result = subject.repeat(rows, frames)
            seconds.append((time.perf_counter() - began) / len(rows))
            seen = read(real, result)
            nearby = bank.crops(nearest[rows.start - held.start : rows.stop - held.start])
            alike = identities(real, result, seen)
            evaluation.add(real, result, *seen, nearby, gazes=gazes(seen, rows), identity=alike)
            scores = evaluation.latest("psnr_face")
            exhibits.add([f"frame {i}" for i in window], real, result, seen[0], scores)
            progress("evaluate", rows.stop - held.start, len(held))
    report = evaluation.result(float(np.median(seconds)))
    return Evaluation(report, evaluation.series(), exhibits)

"""Judging portraits: on frames that training never saw, and any two videos of one performance."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from likeness import geometry
from likeness.condition.conditioner import select
from likeness.condition.crop import cut
from likeness.decode import open_clip, stream
from likeness.errors import BundleError, ConfigError
from likeness.fit.gaze import gaze_angles
from likeness.methods.reenact import CPU, open_portrait
from likeness.methods.subject import PortraitSubject, Subject
from likeness.metrics.aligned import common_size, match_frames, stream_pairs
from likeness.metrics.exhibits import Exhibits
from likeness.metrics.lips import heard, middles
from likeness.metrics.motion import nearest_frames
from likeness.metrics.pair import PairEvaluation, PairReport
from likeness.metrics.self_reenactment import SelfEvaluation, SelfReport
from likeness.store import load_bundle, load_face_model
from likeness.track.config import TrackConfig
from likeness.track.landmarks import read_largest
from likeness.track.readers import open_reader
from likeness.training.bank import CropBank, fill_bank
from likeness.types import Clip, FaceParams, Floats, Ints, Progress, Window, silent

log = logging.getLogger(__name__)

_WINDOW = 8


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an evaluation found, and what it looked at."""

    report: SelfReport | PairReport
    series: Mapping[str, Floats]
    """Numbers per frame by name."""
    exhibits: Exhibits


def evaluate_self(
    bundle: Path, clip: Path, progress: Progress = silent, device: torch.device = CPU
) -> SelfReport:
    """Return the report of `judge_self`."""
    report = judge_self(bundle, clip, progress, device).report
    assert isinstance(report, SelfReport)  # noqa: S101 - what judge_self makes
    return report


def evaluate_pair(output: Path, reference: Path, progress: Progress = silent) -> PairReport:
    """Return the report of `judge_pair`."""
    report = judge_pair(output, reference, progress).report
    assert isinstance(report, PairReport)  # noqa: S101 - what judge_pair makes
    return report


def judge_self(
    bundle: Path, clip: Path, progress: Progress = silent, device: torch.device = CPU
) -> Evaluation:
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
    judged = PortraitSubject(open_portrait(load_bundle(bundle), device))
    found, shot = open_clip(clip), judged.shot
    if found.digest != shot.clip.digest:
        raise BundleError(
            f"{clip.name} is not the clip that {bundle.name} was trained on "
            f"(digest {found.digest[:12]}, expected {shot.clip.digest[:12]}); give that clip"
        )
    if len(judged.train_frames) == len(shot.track):
        raise ConfigError(
            f"{bundle.name} was trained on the whole clip; expected held-out frames: train it with "
            "--holdout last-third"
        )
    return judge(judged, found, progress)


def judge(judged: Subject, clip: Clip, progress: Progress = silent) -> Evaluation:
    """Judge any method by the frames of its own clip that it never saw.

    Args:
        judged: the method.
        clip: the clip of its shot.
        progress: called as ("frames" | "evaluate", done, total).
    """
    shot, held = judged.shot, Window(len(judged.train_frames), len(judged.shot.track))
    landmarks = _mapped(shot.track.landmarks, judged.crop(1).crop_from_frame)
    nearest = nearest_frames(landmarks[judged.train_frames], landmarks[held.start : held.stop])
    needed, rows = np.unique(nearest, return_inverse=True)
    with tempfile.TemporaryDirectory(prefix="likeness-") as folder:
        path = Path(folder) / "nearest.crops"
        times = judged.train_frames[needed] + shot.track.start
        bank = fill_bank(clip, judged.crop(1), times, path, progress)
        return _judge(judged, clip, bank, rows, progress)


def _judge(
    judged: Subject, clip: Clip, bank: CropBank, nearest: Ints, progress: Progress
) -> Evaluation:
    """Judge, with row `nearest[i]` of the bank as the baseline of held-out frame i."""
    shot, held = judged.shot, Window(len(judged.train_frames), len(judged.shot.track))
    crop_from_frame = judged.crop(1).crop_from_frame
    evaluation, exhibits = SelfEvaluation(), Exhibits(len(held))
    look = _Look(shot.params, crop_from_frame, clip.size)
    seconds: list[float] = []
    first = shot.track.start
    with _Readers() as read:
        for window, frames in stream(clip, _WINDOW, Window(held.start + first, held.stop + first)):
            rows = Window(window.start - first, window.stop - first)
            real = cut(frames, judged.crop(len(rows)))
            began = time.perf_counter()
            result = judged.repeat(rows, frames)
            seconds.append((time.perf_counter() - began) / len(rows))
            seen = read(real, result)
            nearby = bank.crops(nearest[rows.start - held.start : rows.stop - held.start])
            evaluation.add(real, result, *seen, nearby, gazes=look(seen, rows))
            scores = evaluation.latest("psnr_face")
            exhibits.add([f"frame {i}" for i in window], real, result, seen[0], scores)
            progress("evaluate", rows.stop - held.start, len(held))
    report = evaluation.result(float(np.median(seconds)))
    return Evaluation(report, evaluation.series(), exhibits)


def judge_pair(output: Path, reference: Path, progress: Progress = silent) -> Evaluation:
    """Compare two videos of one performance.

    They start together; frames are paired by their time stamps over the time that both last
    (`metrics.aligned.match_frames`), the larger pictures shrunk to the size of the smaller.

    Args:
        output: the video to judge.
        reference: what it should look like.
        progress: called as ("evaluate", done, total).

    Raises:
        MediaError: a video cannot be read, or they show pictures of different shape.
    """
    result, real = open_clip(output), open_clip(reference)
    frames = match_frames(result, real)
    total = len(frames[0])
    left_out = {
        "output": len(result) - len(np.unique(frames[0])),
        "reference": len(real) - len(np.unique(frames[1])),
    }
    if any(left_out.values()):
        log.warning(
            "%s and %s differ in length or rate: %d pairs of frames are compared, %d and %d frames "
            "are left out",
            *(output.name, reference.name, total, left_out["output"], left_out["reference"]),
        )
    if result.size != real.size:
        log.warning("compared at %dx%d, the smaller size", *reversed(common_size(result, real)))
    evaluation, exhibits, done = PairEvaluation(), Exhibits(total), 0
    with _Readers() as read:
        for drawn, expected in stream_pairs((result, real), frames, _WINDOW):
            seen = read(expected, drawn)
            evaluation.add(expected, drawn, *seen)
            scores = evaluation.latest("psnr_face")
            names = [f"frame {i}" for i in frames[0][done : done + len(drawn)]]
            exhibits.add(names, expected, drawn, seen[0], scores)
            done += len(drawn)
            progress("evaluate", done, total)
    report = evaluation.result(middles(result)[frames[0]], heard(result), heard(real), left_out)
    return Evaluation(report, evaluation.series(), exhibits)


class _Readers:
    """Two trackers side by side, each following its own video; a context manager."""

    def __enter__(self) -> _Readers:
        # Both are read alike: the side that the network favors is no difference between them.
        config = TrackConfig(max_faces=1, even=False)
        self._readers = (open_reader(config), open_reader(config))
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._readers:
            reader.close()

    def __call__(self, real: torch.Tensor, result: torch.Tensor) -> tuple[Floats, Floats]:
        """Return (n,478,3) landmarks of the first face per frame, NaN where there is none."""
        return read_largest(self._readers[0], real), read_largest(self._readers[1], result)


class _Look:
    """Gaze by the fit's own eyeballs, from landmarks in a crop."""

    def __init__(self, params: FaceParams, crop_from_frame: Floats, size: tuple[int, int]) -> None:
        self._params, self._size = params, size
        self._model = load_face_model(params.model)
        self._frame_from_crop = geometry.invert(crop_from_frame)

    def __call__(
        self, landmarks: tuple[Floats, Floats], rows: Window
    ) -> tuple[Floats, Floats] | None:
        """Return (n,2,2) angles of both pairs of eyes in the fitted head; NaN without a face."""
        if self._model.eye_centers is None:
            return None
        params = select(self._params, np.arange(rows.start, rows.stop))
        real, result = (
            gaze_angles(_mapped(seen, self._frame_from_crop), params, self._model, self._size)
            for seen in landmarks
        )
        return real, result


def _mapped(landmarks: Floats, to_from: Floats) -> Floats:
    xy = geometry.apply(to_from, landmarks[..., :2])
    depth = landmarks[..., 2:] * np.sqrt(np.linalg.det(to_from[:, :2, :2]))
    mapped: Floats = np.concatenate([xy, depth], -1).astype(np.float32)
    return mapped

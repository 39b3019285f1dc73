"""Judging whole videos and bundles, and showing what was judged."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.condition import portrait_crop
from likeness.decode import open_clip
from likeness.errors import MediaError
from likeness.evaluate.evaluation import Evaluation
from likeness.evaluate.page import (
    pair_manifest,
    self_manifest,
    write_page,
    write_sheet,
)
from likeness.evaluate.pair import evaluate_pair
from likeness.evaluate.self_reenactment import evaluate_self, evaluate_subject
from likeness.evaluate.subject import Subject
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.portrait.tasks import FastConfig
from likeness.metrics.self_reenactment import SelfReport
from likeness.provenance import Manifest, read_manifest, trust_anchors
from likeness.provenance.permission import permit_synthesis
from likeness.types import Crop, Layer, Shot, Window
from likeness.verbs.train import train_portrait

SMALL = FastConfig(batch=2, keyframes=8, apart=2, widths=(8, 8, 8, 8, 8))


class Blot:
    """A method that paints a gray square over the middle of its crop, and nothing else."""

    def __init__(self, crop: Crop) -> None:
        self.square = crop

    def condition(self, window: Window, frames: torch.Tensor) -> Crop:
        return Crop(self.square.size, np.repeat(self.square.crop_from_frame[:1], len(window), 0))

    def synthesize(self, told: Crop) -> Layer:
        n, (h, w) = len(told), told.size
        alpha = torch.zeros(n, 1, h, w)
        alpha[..., h // 2 - 6 : h // 2 + 6, w // 2 - 6 : w // 2 + 6] = 1
        return Layer(told, torch.full((n, 3, h, w), 0.5), alpha)


@pytest.fixture(scope="module")
def square(actor_shot: Shot) -> Crop:
    whole = portrait_crop(actor_shot.track, actor_shot.clip.size, 64)
    return Crop(whole.size, whole.crop_from_frame[:1])


@pytest.fixture(scope="module")
def blotted(actor_shot: Shot, square: Crop) -> Evaluation[SelfReport]:
    subject = Subject(Blot(square), actor_shot, np.arange(32), square)
    return evaluate_subject(subject, actor_shot.clip)


def test_any_method_of_the_pipeline_is_judged_as_painted(blotted: Evaluation[SelfReport]) -> None:
    report = blotted.report
    assert report.frames == 16
    assert report.psnr is not None
    assert report.psnr_face is not None
    # The blot lies in the face; elsewhere the frames come back as they were, but for resampling.
    assert report.psnr_face < report.psnr - 2
    assert report.background_steadiness == pytest.approx(1, abs=0.02)
    assert blotted.series["psnr_face"].shape == (16,)


def test_the_sheet_is_signed_like_every_picture(
    blotted: Evaluation[SelfReport], actor_shot: Shot, tmp_path: Path
) -> None:
    sheet, page = tmp_path / "sheet.png", tmp_path / "page.html"
    manifest = Manifest("sheet.png", "evaluate")
    write_sheet(blotted, sheet, actor_shot.clip, manifest)
    assert read_manifest(sheet, trust_anchors()).trusted
    height, width = open_clip(sheet).size
    assert (height, width) == tuple(blotted.exhibits.sheet().shape[1:])
    write_page(blotted, page, actor_shot.clip, manifest)
    text = page.read_text(encoding="utf-8")
    assert "psnr_mouth" in text
    assert "background_steadiness" in text
    assert text.count("data:image/png") >= 4
    with pytest.raises(MediaError, match="expected NAME.png"):
        write_sheet(blotted, tmp_path / "sheet.mp4", actor_shot.clip, manifest)


def test_a_bundle_says_who_is_on_the_sheet(actor_shot: Shot, tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    bundle = train_portrait(actor_shot, path, ReenactTraining(size=64, steps=2, method=SMALL))
    evaluation = evaluate_self(path, actor_shot.clip.path)
    told = self_manifest(
        tmp_path / "s.png", path, actor_shot.clip, permit_synthesis(bundle.people, "reenact")
    )
    assert [ingredient.role for ingredient in told.ingredients] == ["bundle", "target"]
    assert told.people[0]["actor"] == 3
    keys = evaluation.report.json()
    assert {"sharpness_eyes", "sharpness_mouth", "psnr_eyes", "psnr_mouth"} <= keys.keys()
    assert keys["intervals"]["psnr_eyes"][0] < keys["psnr_eyes"] < keys["intervals"]["psnr_eyes"][1]
    assert keys["gaze_error_deg"] is None or 0 <= keys["gaze_error_deg"] < 60


def test_pairs_of_other_length_and_size_are_compared_over_what_they_share(
    make_clip, frames, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = frames(16, (64, 96))
    whole = make_clip(tmp_path / "whole.mp4", pictures)
    part = make_clip(tmp_path / "part.mp4", pictures[:10, ::2, ::2])
    report = evaluate_pair(part, whole).report
    assert report.frames == 10
    assert dict(report.left_out) == {"output": 0, "reference": 6}
    assert report.psnr is not None
    assert report.psnr > 20
    assert report.landmark_error_px is report.av_offset_ms is report.psnr_face is None
    assert "10 pairs of frames are compared" in caplog.text
    assert "compared at 48x32" in caplog.text
    assert evaluate_pair(whole, whole).report.json()["left_out"] == {"output": 0, "reference": 0}
    tall = make_clip(tmp_path / "tall.mp4", frames(4, (96, 64)))
    with pytest.raises(MediaError, match="one shape"):
        evaluate_pair(tall, whole)


def test_pairs_without_a_face_are_shown_whole(make_clip, frames, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames(6, (64, 96)))
    evaluation = evaluate_pair(clip, clip)
    opened = open_clip(clip)
    manifest = pair_manifest(tmp_path / "s.png", opened, replace(opened))
    write_sheet(evaluation, tmp_path / "s.png", opened, manifest)
    assert read_manifest(tmp_path / "s.png", trust_anchors()).trusted

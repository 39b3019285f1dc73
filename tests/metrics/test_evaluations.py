"""The collectors behind `evaluate self` and `evaluate pair`."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.errors import ContractError
from likeness.metrics.pair import PairEvaluation
from likeness.metrics.self_reenactment import SelfEvaluation

KEYS = {
    *("frames", "psnr", "ssim", "psnr_face", "psnr_eyes", "psnr_mouth", "sharpness_face"),
    *("landmark_error_px", "gaze_error_deg", "blink_correlation", "temporal_error"),
    *("baseline_nearest_psnr", "baseline_nearest_psnr_face", "seconds_per_frame"),
    *("detail_face", "detail_eyes", "detail_mouth"),
    *("sharpness_eyes", "sharpness_mouth", "background_steadiness", "faces_lost", "intervals"),
}


@pytest.fixture(scope="module")
def clip(face):
    """24 frames of 128x128 that tremble a little, blink once and look around."""
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(1, 3, 33, 33, generator=generator)
    wide = functional.interpolate(small, size=(132, 132), mode="bicubic")[0].clamp(0.05, 0.95)
    frames = torch.stack([wide[:, 2:130, t % 3 : t % 3 + 128] for t in range(24)])
    landmarks = np.stack(
        [
            face(
                openness=0.03 if 10 <= t < 13 else 0.3,
                gaze=(0.3 * np.sin(t / 4), 0),
                mouth=0.1 + 0.05 * np.sin(t / 3),
            )
            for t in range(24)
        ]
    )
    return frames, landmarks


def evaluate(clip, result, landmarks, nearest=None, length=7):
    frames, real = clip
    evaluation = SelfEvaluation()
    for start in range(0, len(frames), length):
        part = slice(start, start + length)
        evaluation.add(
            frames[part],
            result[part],
            real[part],
            None if landmarks is None else landmarks[part],
            None if nearest is None else nearest[part],
        )
    return evaluation


def test_a_perfect_copy_is_perfect(clip):
    frames, landmarks = clip
    report = evaluate(clip, frames, landmarks, frames).result(seconds_per_frame=0.04)
    assert report.frames == 24
    assert report.psnr == report.psnr_face == report.baseline_nearest_psnr == 100
    assert report.ssim == pytest.approx(1)
    assert report.sharpness_face == 1
    assert report.landmark_error_px == report.gaze_error_deg == report.temporal_error == 0
    assert report.blink_correlation == pytest.approx(1)
    assert report.mouth_correlation == pytest.approx(1)
    assert report.faces_lost == 0
    assert report.seconds_per_frame == 0.04


def test_report_is_json_with_the_promised_keys(clip):
    frames, landmarks = clip
    noisy = frames + 0.05 * torch.randn(frames.shape, generator=torch.Generator().manual_seed(1))
    found = evaluate(clip, noisy, landmarks, frames).result(0.1).json()
    assert set(found) >= KEYS
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text) == found
    assert found["psnr"] == pytest.approx(26.02, abs=0.1)
    low, high = found["intervals"]["psnr"]
    assert low <= found["psnr"] <= high


def test_regions_look_where_they_should(clip):
    frames, landmarks = clip
    result = frames.clone()
    # Spoil the mouth alone, then the eyes alone: rows of the drawn face.
    result[:, :, 80:100] += 0.1
    mouth = evaluate(clip, result, landmarks).result()
    assert mouth.psnr_mouth < 22 < 99 < mouth.psnr_eyes
    result = frames.clone()
    result[:, :, 44:60] += 0.1
    eyes = evaluate(clip, result, landmarks).result()
    assert eyes.psnr_eyes < 22 < 99 < eyes.psnr_mouth
    assert 20 < eyes.psnr_face < eyes.psnr < 100
    result = frames.clone()
    result[:, :, :10] += 0.1
    assert evaluate(clip, result, landmarks).result().psnr_face == 100


def test_windows_make_no_difference(clip):
    frames, landmarks = clip
    blurred = functional.avg_pool2d(frames, 3, 1, 1)
    moved = landmarks + 1
    whole = evaluate(clip, blurred, moved, length=24)
    parts = evaluate(clip, blurred, moved, length=1)
    a, b = whole.result().json(), parts.result().json()
    assert a.pop("intervals").keys() == b.pop("intervals").keys()
    assert a == pytest.approx(b, abs=1e-6)
    assert whole.series()["temporal_error"].shape == (24,)
    assert np.isnan(whole.series()["temporal_error"][0])
    assert whole.result().sharpness_face < 0.9
    assert whole.result().landmark_error_px == pytest.approx(np.sqrt(2), abs=1e-4)


def test_sharpness_is_told_of_eyes_and_mouth_apart(clip):
    frames, landmarks = clip
    blurred = functional.avg_pool2d(frames, 5, 1, 2, count_include_pad=False)
    result = frames.clone()
    result[:, :, 80:104] = blurred[:, :, 80:104]
    report = evaluate(clip, result, landmarks).result()
    assert report.sharpness_mouth < 0.6 < 0.999 < report.sharpness_eyes
    assert report.sharpness_mouth < report.sharpness_face < 1
    low, high = report.intervals["sharpness_mouth"]
    assert low <= report.sharpness_mouth <= high
    # Of a pure blur, the same in every frame, nothing is left to chance.
    assert high - low < 0.1


def test_a_printed_grid_is_sharp_and_no_detail(clip):
    frames, landmarks = clip
    blurred = functional.avg_pool2d(frames, 5, 1, 2, count_include_pad=False)
    board = (torch.arange(128)[:, None] + torch.arange(128)) % 2 * 2 - 1
    amount = 0.012
    report = evaluate(clip, blurred + amount * board, landmarks).result()
    plain = evaluate(clip, blurred, landmarks).result()
    assert plain.sharpness_face < 0.5 < 0.9 < report.sharpness_face
    assert report.detail_face < 0.5 < 0.7 < plain.detail_face
    low, high = report.intervals["detail_face"]
    assert low <= report.detail_face <= high


def test_gaze_may_come_from_the_fit(clip):
    frames, landmarks = clip
    real = np.zeros((24, 2, 2), np.float32)
    result = real + np.float32([np.radians(3), 0])
    evaluation = SelfEvaluation()
    evaluation.add(frames, frames, landmarks, landmarks, gazes=(real, result))
    assert evaluation.result().gaze_error_deg == pytest.approx(3, abs=1e-3)


def test_every_interval_holds_its_number(clip):
    frames, landmarks = clip
    generator = torch.Generator().manual_seed(2)
    noisy = frames + 0.05 * torch.randn(frames.shape, generator=generator)
    moved = landmarks + np.random.default_rng(0).normal(0, 0.5, landmarks.shape).astype(np.float32)
    found = evaluate(clip, noisy, moved, frames).result().json()
    told = set(found["intervals"])
    assert {"gaze_error_deg", "blink_correlation", "temporal_error", "sharpness_face"} <= told
    for name, (low, high) in found["intervals"].items():
        assert low <= found[name] <= high, name


def test_untracked_and_lost_faces_leave_their_numbers_out(clip):
    frames, landmarks = clip
    report = evaluate(clip, frames, None).result()
    assert report.landmark_error_px is None
    assert report.gaze_error_deg is None
    assert report.blink_correlation is None
    assert report.faces_lost == 24
    assert report.psnr_face == 100
    assert report.baseline_nearest_psnr is None
    lost = landmarks.copy()
    lost[5:8] = np.nan
    report = evaluate(clip, frames, lost).result()
    assert report.faces_lost == 3
    assert report.landmark_error_px == 0
    assert report.blink_correlation == pytest.approx(1)


def test_gaze_is_not_judged_behind_shut_lids(clip, face):
    frames, landmarks = clip
    result = landmarks.copy()
    result[10:13, 468:, 0] += 6
    assert evaluate(clip, frames, result).result().gaze_error_deg == pytest.approx(0, abs=1e-3)
    result[:, 468:, 0] = landmarks[:, 468:, 0] + 2
    assert evaluate(clip, frames, result).result().gaze_error_deg > 10


def test_nothing_in_nothing_out(clip):
    with pytest.raises(ContractError, match="nothing was added"):
        SelfEvaluation().result()
    with pytest.raises(ContractError, match="nothing was added"):
        PairEvaluation().result()
    frames, landmarks = clip
    with pytest.raises(ContractError, match="landmarks of the real"):
        SelfEvaluation().add(frames, frames, landmarks[:3])


def test_pair_report(clip):
    frames, landmarks = clip
    evaluation = PairEvaluation()
    for start in range(0, 24, 5):
        part = slice(start, start + 5)
        evaluation.add(frames[part], frames[part] + 0.1, landmarks[part], landmarks[part] + 3)
    found = evaluation.result().json()
    assert found["frames"] == 24
    assert found["psnr"] == pytest.approx(20, abs=1e-3)
    assert 0.5 < found["ssim"] < 1
    assert found["landmark_error_px"] == pytest.approx(3 * np.sqrt(2), abs=1e-3)
    assert found["temporal_error"] == pytest.approx(0, abs=1e-5)
    assert found["av_offset_ms"] is None
    json.dumps(found, allow_nan=False)


def test_pair_report_hears_the_sound(face):
    generator = np.random.default_rng(0)
    times = np.arange(150) / 25
    steps = np.interp(times, np.arange(40) * 0.16, generator.random(40))
    track = np.stack([face(mouth=0.3 * v) for v in steps])
    late = np.stack([face(mouth=0.3 * v) for v in np.interp(times - 0.08, times, steps)])
    fine = np.interp((np.arange(1200) + 0.5) / 200, times, steps)
    frames = torch.rand(1, 3, 16, 16).expand(150, -1, -1, -1)
    evaluation = PairEvaluation()
    evaluation.add(frames, frames, track, late)
    assert evaluation.result(times, fine, fine).av_offset_ms == pytest.approx(-80, abs=6)
    assert evaluation.result(times, fine).av_offset_ms == pytest.approx(-80, abs=6)
    assert evaluation.result(times).av_offset_ms is None
    with pytest.raises(ContractError, match="3 times for 150"):
        evaluation.result(times[:3], fine)

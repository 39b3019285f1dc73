"""What is measured of a swap: seams, flicker, what changed far from the face."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.decode import stream
from likeness.errors import ContractError
from likeness.metrics.outside import changed_far, changed_outside
from likeness.metrics.regions import FACE_OVAL, face_hull
from likeness.metrics.seam import seam
from likeness.metrics.swap import GIVEN, SIDE, Apart, SwapEvaluation, face_square
from likeness.types import Shot

KEYS = {
    *("frames", "identity_source", "identity_target", "nearer_to_source", "pose_error_deg"),
    *("expression_error", "gaze_error_deg", "mouth_correlation", "blink_correlation"),
    *("temporal_error", "seam", "outside_changed"),
}


@pytest.fixture(scope="module")
def target(actor_shot: Shot) -> tuple[torch.Tensor, np.ndarray]:
    """12 frames of 128x128 of an actor, and the true landmarks."""
    frames = next(iter(stream(actor_shot.clip, 12)))[1]
    return frames, actor_shot.track.landmarks[:12]


def tinted(target, sigma: float, by: float = 0.12) -> torch.Tensor:
    """Brighten the face inside its hull, with an edge of `sigma` pixels."""
    frames, landmarks = target
    mask = torch.from_numpy(face_hull(landmarks, (128, 128)))[:, None].float()
    if sigma:
        reach = np.arange(-round(3 * sigma), round(3 * sigma) + 1)
        kernel = np.exp(-0.5 * (reach / sigma) ** 2)
        kernel = torch.from_numpy(kernel / kernel.sum()).float()
        pad = len(reach) // 2
        mask = functional.conv2d(mask, kernel[None, None, :, None], padding=(pad, 0))
        mask = functional.conv2d(mask, kernel[None, None, None], padding=(0, pad))
    return (frames + by * mask).clamp(0, 1)


def judge(target, result: torch.Tensor, length: int = 5, given=None):
    frames, landmarks = target
    evaluation = SwapEvaluation()
    for start in range(0, len(frames), length):
        part = slice(start, start + length)
        told = {name: values[part] for name, values in (given or {}).items()}
        evaluation.add(frames[part], result[part], landmarks[part], landmarks[part], told)
    return evaluation


def test_the_target_itself_shows_no_trace_of_a_swap(target) -> None:
    report = judge(target, target[0]).result()
    assert report.frames == 12
    assert report.faces_lost == 0
    assert report.seam == report.temporal_error == report.outside_changed == 0
    assert report.mouth_correlation == pytest.approx(1)
    assert report.identity_source is report.nearer_to_source is None


def test_report_is_json_with_the_promised_keys(target) -> None:
    given = {name: np.linspace(0.2, 0.8, 12, dtype=np.float32) for name in GIVEN}
    given["identity_target"] = np.full(12, 0.5, np.float32)
    found = judge(target, tinted(target, 1), given=given).result(apart=Apart(0.7, 0.1)).json()
    assert set(found) >= KEYS
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["nearer_to_source"] == 0.5
    assert found["identity_source"] == pytest.approx(0.5)
    assert found["identity_apart"] == 0.7
    low, high = found["intervals"]["identity_source"]
    assert low < 0.5 < high


def test_a_hard_edge_is_a_seam_and_a_soft_one_is_none(target) -> None:
    hard, soft = (judge(target, tinted(target, sigma)).result() for sigma in (0, 6))
    assert hard.seam is not None
    assert soft.seam is not None
    # The mask steps by 0.12; a step is spread over a few of the square's pixels.
    assert 0.02 < hard.seam < 0.12
    assert soft.seam < hard.seam / 4
    assert abs(hard.temporal_error) < 0.004
    assert hard.outside_changed == soft.outside_changed == 0


def test_an_edge_that_the_target_has_itself_is_no_seam() -> None:
    picture = torch.full((1, 3, SIDE, SIDE), 0.3)
    picture[..., 64:192, 64:192] = 0.7
    brighter = picture.clone()
    brighter[..., 64:192, 64:192] = 0.6
    assert seam(picture, brighter)[0] < 0.002
    beyond = picture.clone()
    beyond[..., 90:166, 90:166] = 0.9
    assert seam(picture, beyond)[0] > 0.05
    assert np.isnan(seam(picture, picture + 0.1)[0])


def test_flicker_beyond_the_targets_own_is_told(target) -> None:
    steady, restless = tinted(target, 6), tinted(target, 6)
    flicker = 0.04 * (-1.0) ** torch.arange(12)
    shaken = restless + flicker[:, None, None, None] * (restless - target[0]) / 0.12
    calm, moved = (judge(target, result).result() for result in (steady, shaken.clamp(0, 1)))
    # The face fills a quarter of the square, and differs by 0.08 from frame to frame.
    assert moved.temporal_error > calm.temporal_error + 0.015
    assert moved.seam == pytest.approx(calm.seam, abs=0.004)
    assert moved.outside_changed == calm.outside_changed == 0


def test_windows_make_no_difference(target) -> None:
    result = tinted(target, 2)
    whole, parts = (judge(target, result, length).result().json() for length in (12, 1))
    assert whole.pop("intervals").keys() == parts.pop("intervals").keys()
    assert whole.pop("left_out") == parts.pop("left_out")
    assert whole == pytest.approx(parts, abs=1e-6)


def test_what_lies_under_no_layer_must_be_the_targets_bit_for_bit() -> None:
    frames = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    alpha = torch.zeros(2, 1, 16, 16)
    alpha[:, :, 4:8, 4:8] = 0.1
    result = torch.where(alpha > 0, 1 - frames, frames)
    assert (changed_outside(frames, result, alpha) == 0).all()
    result[1, :, 0, 0] += 1e-6
    assert changed_outside(frames, result, alpha)[1] == pytest.approx(1 / 240)
    assert np.isnan(changed_outside(frames, result, torch.ones_like(alpha))).all()


def test_far_changes_are_told_from_the_noise_of_coding(target) -> None:
    frames, landmarks = target
    noise = 0.02 * torch.randn(frames.shape, generator=torch.Generator().manual_seed(1))
    share, level = changed_far(frames, frames + noise, (landmarks, landmarks))
    assert (share == 0).all()
    assert (level > 0).all()
    spoiled = frames + noise
    spoiled[..., :24, :24] += 0.05
    share, _ = changed_far(frames, spoiled, (landmarks, landmarks))
    assert (share > 0.015).all()
    near = frames + noise
    near[..., 56:72, 56:72] += 0.2
    assert (changed_far(frames, near, (landmarks, landmarks))[0] == 0).all()


def test_squares_follow_the_face(target) -> None:
    _, landmarks = target
    squares = face_square(landmarks)
    scale = squares.crop_from_frame[:, 0, 0]
    oval = landmarks[:, FACE_OVAL, :2]
    middle = (oval.min(1) + oval.max(1)) / 2
    placed = middle * scale[:, None] + squares.crop_from_frame[:, :, 2]
    assert placed == pytest.approx(np.full((12, 2), SIDE / 2), abs=1e-3)


def test_lengths_and_names_are_checked(target) -> None:
    frames, landmarks = target
    with pytest.raises(ContractError, match="expected"):
        SwapEvaluation().add(frames, frames, landmarks, landmarks, {"pose": np.zeros(12)})
    with pytest.raises(ContractError, match="has 3, not 12"):
        SwapEvaluation().add(frames, frames, landmarks, landmarks, {"gaze": np.zeros(3)})
    with pytest.raises(ContractError, match="nothing was added"):
        SwapEvaluation().result()

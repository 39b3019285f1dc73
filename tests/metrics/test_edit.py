"""What an edit changed, and whether it is steady."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.metrics.consistency import tg_id, tl_id
from likeness.metrics.edit import EditEvaluation, EditReport
from likeness.metrics.regions import FACE_OVAL

SIDE = 96
NOBODY = np.zeros((0, 4), np.float32)


def codes(angles: list[float]) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def test_consistency_is_the_ratio_of_similarities() -> None:
    original, edited = codes([0.0, 0.2, 0.4]), codes([0.0, 0.3, 0.6])
    frames = np.arange(3)
    assert tl_id(original, original, frames) == pytest.approx(1)
    assert tl_id(edited, original, frames) == pytest.approx(np.cos(0.3) / np.cos(0.2), rel=1e-5)
    pairs = [np.cos(0.3) / np.cos(0.2)] * 2 + [np.cos(0.6) / np.cos(0.4)]
    assert tg_id(edited, original) == pytest.approx(np.mean(pairs), rel=1e-5)
    assert tl_id(edited, original, np.array([0, 5, 9])) is None
    assert tg_id(edited[:1], original[:1]) is None


def landmarks(count: int) -> np.ndarray:
    points = np.full((count, 478, 2), SIDE / 2, np.float32)
    turn = np.arange(len(FACE_OVAL)) / len(FACE_OVAL) * 2 * np.pi
    points[:, FACE_OVAL] = SIDE / 2 + 24 * np.stack([np.cos(turn), np.sin(turn)], 1)
    return points


def clip(count: int = 5) -> torch.Tensor:
    rng = np.random.default_rng(0)
    picture = torch.from_numpy(rng.random((1, 3, SIDE, SIDE)).astype(np.float32)) * 0.4 + 0.3
    noise = torch.from_numpy(rng.normal(0, 0.01, (count, 3, SIDE, SIDE)).astype(np.float32))
    return (picture + noise).clamp(0, 1)


def judged(original: torch.Tensor, result: torch.Tensor) -> EditReport:
    evaluation = EditEvaluation()
    evaluation.add(original, result, landmarks(len(original)))
    nothing = np.zeros(0, np.float32)
    return evaluation.result(NOBODY, NOBODY, nothing.astype(np.int64), nothing)


def disc(radius: float) -> torch.Tensor:
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    inside = np.hypot(x - SIDE / 2, y - SIDE / 2) < radius
    return torch.from_numpy(inside.astype(np.float32))


def test_a_pasted_disc_has_a_seam_of_its_height_and_a_soft_one_has_none() -> None:
    original = clip()
    hard = judged(original, original - 0.1 * disc(24))
    assert hard.seam == pytest.approx(0.1, abs=0.03)
    assert hard.flicker == pytest.approx(0, abs=0.05)
    assert hard.face_changed == pytest.approx(0.1, abs=0.01)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    hill = np.exp(-0.5 * (np.hypot(x - SIDE / 2, y - SIDE / 2) / 10) ** 2)
    soft = judged(original, original - 0.1 * torch.from_numpy(hill.astype(np.float32)))
    assert soft.seam is not None
    assert soft.seam < 0.02
    assert soft.outside_changed == 0


def test_an_edit_that_trembles_flickers() -> None:
    original = clip()
    swing = torch.tensor([0.0, 0.1, 0.0, 0.1, 0.0])[:, None, None, None]
    found = judged(original, (original - swing * disc(24)).clamp(0, 1))
    assert found.flicker is not None
    assert found.flicker > 2


def test_changes_beside_the_head_are_counted() -> None:
    original = clip()
    result = original.clone()
    result[:, :, :8, :8] = 0
    found = judged(original, result)
    assert found.outside_changed is not None
    assert 0.005 < found.outside_changed < 0.05
    assert judged(original, original).outside_changed == 0
    assert found.frames == 5
    assert found.tl_id is None


def test_grain_that_moves_with_the_skin_leaves_the_result_as_steady_as_the_clip() -> None:
    original = clip()
    moved = original.clone()
    moved[..., 30:66, 30:66] = original[..., 30:66, 33:69]
    judged_moved, flashing = judged(original, moved), original.clone()
    flashing[::2, :, 30:66, 30:66] += 0.05
    assert judged_moved.flicker is not None
    assert judged_moved.flicker_result is not None
    assert judged_moved.flicker > 0.5
    assert judged_moved.flicker_result < 1.15
    told = judged(original, flashing).flicker_result
    assert told is not None
    assert told > 1.5

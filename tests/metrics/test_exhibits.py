"""What a contact sheet shows."""

import numpy as np
import pytest
import torch

from likeness.errors import ContractError
from likeness.metrics.exhibits import Exhibits

SIDE = 64


def shown(exhibits: Exhibits) -> tuple[list[int], list[int]]:
    """Frames that are kept: spread ones, worst ones by increasing score."""
    worst = sorted(exhibits._worst, key=lambda at: exhibits._worst[at].score)
    return list(exhibits._even), worst


def fill(scores, face, length=7, **options):
    exhibits = Exhibits(len(scores), side=SIDE, **options)
    pictures = torch.linspace(0, 1, len(scores)).view(-1, 1, 1, 1).expand(-1, 3, 128, 128)
    landmarks = np.stack([face()] * len(scores))
    for start in range(0, len(scores), length):
        part = slice(start, start + length)
        real = pictures[part]
        names = [f"frame {start + i}" for i in range(len(real))]
        exhibits.add(names, real, 1 - real, landmarks[part], np.array(scores[part], np.float32))
    return exhibits


def test_spread_frames_and_the_worst_apart_are_kept(face):
    scores = [30.0] * 100
    # Two neighbors, of which the worse stays; a lone one; one unknown.
    scores[20], scores[21], scores[70], scores[50] = 12, 10, 11, float("nan")
    exhibits = fill(scores, face, spread=3, worst=2)
    even, worst = shown(exhibits)
    assert even == [0, 50, 99]
    assert worst == [21, 70]


def test_windows_make_no_difference(face):
    scores = list(np.random.default_rng(0).normal(25, 3, 60))
    whole, parts = fill(scores, face, 60), fill(scores, face, 1)
    assert shown(whole) == shown(parts)
    assert torch.equal(whole.sheet(), parts.sheet())


def test_the_sheet_holds_real_above_result_and_enlarged_parts(face):
    sheet = fill([30.0, 20.0], face, spread=2, worst=1).sheet()
    eyes, mouth = round(SIDE * 0.63 / 1.5), round(SIDE * 0.84 / 1.2)
    assert sheet.shape[1] == 18 + 2 * (SIDE + eyes + mouth) + 7 * 4
    right = sheet.shape[2] - 2 * (SIDE + 4) + SIDE // 2
    # Column of frame 1: real is white, the result black.
    assert sheet[:, 18 + 4 + SIDE // 2, right].min() > 0.98
    assert sheet[:, 18 + 8 + SIDE + SIDE // 2, right].max() < 0.02


def test_wide_frames_are_cut_to_the_head(face):
    exhibits = Exhibits(1, side=SIDE)
    real = torch.zeros(1, 3, 128, 512)
    real[..., 300:] = 1
    landmarks = face(place=(420.0, 64.0), scale=0.5)[None]
    exhibits.add(["frame 0"], real, real, landmarks, np.array([30.0]))
    whole = exhibits._even[0].parts[0]
    assert whole.shape == (3, SIDE, SIDE)
    assert whole.mean() > 0.98


def test_frames_without_a_face_are_shown_too(face):
    exhibits = Exhibits(1, side=SIDE)
    picture = torch.rand(1, 3, 40, 40)
    exhibits.add(["frame 0"], picture, picture, np.full((1, 478, 3), np.nan), np.array([np.nan]))
    assert shown(exhibits) == ([0], [])
    assert exhibits.sheet().isfinite().all()


def test_nothing_in_nothing_out():
    with pytest.raises(ContractError, match="no frames"):
        Exhibits(3).sheet()
    with pytest.raises(ContractError, match="exhibits of 0"):
        Exhibits(0)

"""Starts that are tried on fewer frames lead to the identity that all frames lead to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.fit import FitConfig, landmarks
from likeness.fit.landmarks import fit_landmarks
from likeness.store import load_face_model
from tests.stage import film


def test_starts_tried_on_a_third_of_the_frames_end_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shot, model = film(tmp_path, seed=4, motion=7, count=40), load_face_model()
    found = []
    for every in (1, 3):
        monkeypatch.setattr(landmarks, "_TRIED", every)
        found.append(fit_landmarks(shot.track, model, shot.clip.size, FitConfig()))
    slow, fast = found
    assert abs(np.log(fast.focal / slow.focal)) < 0.1
    assert np.abs(fast.expression - slow.expression).mean() < 0.01
    assert np.corrcoef(fast.shape, slow.shape)[0, 1] > 0.95

"""The nouns refuse what would go wrong later."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likeness.errors import ContractError, LikenessError
from likeness.types import Clip, Crop, FaceTrack, Layer, Shot, Timeline, Window, silent


def make_clip(**changes: Any) -> Clip:
    clip = Clip(
        path=Path("clip.mp4"),
        digest="00",
        size=(4, 6),
        pts=np.array([10, 20, 40]),
        time_base=Fraction(1, 100),
        last_duration=20,
    )
    return dataclasses.replace(clip, **changes)


def make_crop(n: int = 2) -> Crop:
    return Crop((4, 4), np.tile(np.eye(2, 3, dtype=np.float32), (n, 1, 1)))


def test_time_is_exact_with_a_varying_frame_rate() -> None:
    clip = make_clip()
    assert len(clip) == 3
    assert clip.fps == Fraction(6)
    assert clip.seconds == 0.5
    ntsc = make_clip(pts=np.arange(3) * 1001, time_base=Fraction(1, 30000), last_duration=1001)
    assert ntsc.fps == Fraction(30000, 1001)


def test_windows_cover_every_frame_once() -> None:
    windows = list(make_clip().windows(2))
    assert windows == [Window(0, 2), Window(2, 3)]
    assert [i for window in windows for i in window] == [0, 1, 2]
    assert [len(window) for window in windows] == [2, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pts": np.array([1, 1, 2])}, "strictly increasing"),
        ({"pts": np.array([], np.int64)}, "holds no frames"),
        ({"pts": np.zeros((2, 2))}, "pts has shape"),
        ({"last_duration": 0}, "last_duration is 0"),
        ({"size": (0, 6)}, "is empty"),
    ],
)
def test_impossible_clips_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        make_clip(**changes)


def test_a_timeline_follows_its_clip() -> None:
    clip = make_clip()
    timeline = Timeline.of(clip, sound=clip)
    assert len(timeline) == 3
    assert timeline.sound is clip
    with pytest.raises(ContractError, match="strictly increasing"):
        Timeline(np.array([2, 1]), Fraction(1, 25), 1, None)


def test_a_window_cannot_run_backward() -> None:
    with pytest.raises(ContractError, match="runs backward"):
        Window(3, 2)


def test_a_crop_cannot_mirror() -> None:
    mirror = np.array([[[-1, 0, 4], [0, 1, 0]]], np.float32)
    with pytest.raises(ContractError, match="keep orientation"):
        Crop((4, 4), mirror)


def test_layers_match_their_crop() -> None:
    crop = make_crop()
    rgb, alpha = torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4)
    assert len(Layer(crop, rgb, alpha).crop) == 2
    with pytest.raises(ContractError, match="alpha has shape"):
        Layer(crop, rgb, rgb)


def test_track_and_params_agree_in_length() -> None:
    def track(n: int) -> FaceTrack:
        return FaceTrack(
            0,
            np.zeros((n, 4), np.float32),
            np.zeros((n, 478, 3), np.float32),
            np.ones(n, np.float32),
            np.ones(n, np.bool_),
        )

    assert track(3).window == Window(0, 3)
    with pytest.raises(ContractError, match="at least one frame"):
        track(0)
    with pytest.raises(ContractError, match="observed has shape"):
        dataclasses.replace(track(3), observed=np.ones(2, np.bool_))
    params = _params(2)
    assert params.column("jawOpen").shape == (2,)
    with pytest.raises(ContractError, match="no expression is called"):
        params.column("jawShut")
    with pytest.raises(ContractError, match="track has 3 frames, params have 2"):
        Shot(make_clip(), track(3), params)


def _params(n: int) -> Any:
    from likeness.types import FaceParams

    return FaceParams(
        model="likeness",
        shape=np.zeros(5, np.float32),
        albedo=np.zeros(5, np.float32),
        expression=np.zeros((n, 1), np.float32),
        expression_names=("jawOpen",),
        rotation=np.zeros((n, 3), np.float32),
        translation=np.zeros((n, 3), np.float32),
        light=np.zeros((n, 9, 3), np.float32),
        gaze=np.zeros((n, 2, 2), np.float32),
        focal=500.0,
    )


def test_params_know_their_units() -> None:
    with pytest.raises(ContractError, match="focal is 0"):
        dataclasses.replace(_params(2), focal=0)


def test_all_errors_have_one_root() -> None:
    from likeness import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert len(kinds) == 9
    assert all(issubclass(kind, LikenessError) for kind in kinds)


def test_progress_may_be_silent() -> None:
    assert silent("stage", 0, 1) is None  # type: ignore[func-returns-value]

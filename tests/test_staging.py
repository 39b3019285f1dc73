"""What a portrait shall do: whose timeline, whose sound, and what lies beyond."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from likeness.errors import MediaError
from likeness.fit.edit import parse_edit
from likeness.fit.resample import resample
from likeness.fit.transfer import Mode, TransferConfig
from likeness.performance import Performance, performance_of
from likeness.staging import Audio, StageConfig, Staged, stage
from likeness.types import AudioTrack, Shot, Timeline

VOICE = (AudioTrack(0, "aac", 16000, 1),)


@pytest.fixture
def own(actor_shot: Shot) -> Performance:
    clip = replace(actor_shot.clip, audio=VOICE)
    return performance_of(replace(actor_shot, clip=clip), "target")


@pytest.fixture
def driver(own: Performance) -> Performance:
    """The first 15 frames of the target, seen at 50 frames per second."""
    params = resample(own.params, np.arange(30) / 2)
    timeline = Timeline(np.arange(30), Fraction(1, 50), 1, own.timeline.sound)
    guessed = np.arange(30) == 8
    return Performance(params, timeline, guessed, own.ingredient)


def _stage(
    own: Performance, driver: Performance | None, mode: Mode, audio: Audio | None = None
) -> Staged:
    how = StageConfig(TransferConfig(mode, smooth=0), audio=audio)
    return stage(own.params, own, driver, how)


@pytest.mark.parametrize("mode", ["full", "pose"])
def test_the_drivers_time_for_what_moves_the_whole_head(
    own: Performance, driver: Performance, mode: Mode
) -> None:
    staged = _stage(own, driver, mode)
    assert np.array_equal(staged.timeline.pts, driver.timeline.pts)
    assert staged.timeline.sound is driver.timeline.sound
    assert staged.guessed[8]
    assert staged.overrun == 0


@pytest.mark.parametrize("mode", ["expression", "mouth", "gaze"])
def test_the_targets_time_for_parts_of_the_face(
    own: Performance, driver: Performance, mode: Mode
) -> None:
    staged = _stage(own, driver, mode)
    assert np.array_equal(staged.timeline.pts, own.timeline.pts)
    assert np.array_equal(staged.params.rotation, own.params.rotation)
    # 30 frames at 50 fps last for 15 frames of 48 at 25 fps.
    assert staged.overrun == 48 - 15
    # Frame 8 of the driver is frame 4 of the target, and once more on each way back and forth.
    assert staged.guessed[4]


def test_the_pose_of_another_keeps_ones_own_face(own: Performance, driver: Performance) -> None:
    staged = _stage(own, driver, "pose")
    wanted = resample(own.params, np.arange(30) / 2)
    np.testing.assert_allclose(staged.params.expression, wanted.expression, atol=1e-6)
    np.testing.assert_allclose(staged.params.gaze, wanted.gaze, atol=1e-6)


def test_sound_can_be_chosen(own: Performance, driver: Performance) -> None:
    assert _stage(own, driver, "full", "none").timeline.sound is None
    assert _stage(own, driver, "mouth", "driver").timeline.sound is driver.timeline.sound
    assert _stage(own, None, "full").timeline.sound is own.timeline.sound
    assert own.timeline.sound is not None
    clip = replace(own.timeline.sound, path=Path("gone.mp4"))
    gone = replace(own, timeline=replace(own.timeline, sound=clip))
    with pytest.raises(MediaError, match="--audio none"):
        _stage(gone, None, "full")
    assert _stage(gone, None, "full", "none").timeline.sound is None


def test_edits_alone_play_the_target(own: Performance) -> None:
    staged = stage(own.params, own, None, None, [parse_edit("yaw=+5@0.4-0.8")])
    assert len(staged.params) == 48
    assert staged.transfer is None
    assert np.array_equal(staged.params.rotation[30:], own.params.rotation[30:])
    assert not np.array_equal(staged.params.rotation[15], own.params.rotation[15])


def test_a_moment_is_a_frame_or_seconds(own: Performance) -> None:
    assert own.frame_at("12") == 12
    assert own.frame_at("0.48s") == 12
    with pytest.raises(ValueError, match="soon"):
        own.frame_at("soon")

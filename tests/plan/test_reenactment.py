"""What a portrait shall do: whose timeline, whose sound, and what lies beyond."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.errors import MediaError
from likeness.fit.edit import parse_edit
from likeness.fit.resample import resample
from likeness.fit.transfer import Mode, TransferConfig
from likeness.plan.performance import Performance, performance_of
from likeness.plan.plan import Plan
from likeness.plan.reenactment import Audio, Request, plan_reenactment
from likeness.plan.target import Target
from likeness.types import AudioTrack, Crop, Shot, Timeline

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


@pytest.fixture
def target(actor_shot: Shot) -> Target:
    square = Crop((64, 64), np.array([[[0.5, 0, 0], [0, 0.5, 0]]], np.float32))
    plate = torch.zeros(3, *actor_shot.clip.size)
    return Target("reenact.fast", actor_shot, np.arange(48), plate, square)


@pytest.fixture
def planned(target: Target, own: Performance) -> Callable[..., Plan]:
    """Plan a transfer of one mode."""

    def plan(
        driver: Performance | None,
        mode: Mode,
        audio: Audio | None = None,
        own: Performance = own,
    ) -> Plan:
        asked = Request(own, driver, TransferConfig(mode, smooth=0))
        return plan_reenactment(target, asked, audio=audio)

    return plan


@pytest.mark.parametrize("mode", ["full", "pose"])
def test_the_drivers_time_for_what_moves_the_whole_head(
    planned: Callable[..., Plan], driver: Performance, mode: Mode
) -> None:
    plan = planned(driver, mode)
    assert np.array_equal(plan.timeline.pts, driver.timeline.pts)
    assert plan.timeline.sound is driver.timeline.sound
    assert plan.guessed[8]
    assert plan.overrun == 0


@pytest.mark.parametrize("mode", ["expression", "mouth", "gaze"])
def test_the_targets_time_for_parts_of_the_face(
    planned: Callable[..., Plan], own: Performance, driver: Performance, mode: Mode
) -> None:
    plan = planned(driver, mode)
    assert np.array_equal(plan.timeline.pts, own.timeline.pts)
    assert np.array_equal(plan.params.rotation, own.params.rotation)
    # 30 frames at 50 fps last for 15 frames of 48 at 25 fps.
    assert plan.overrun == 48 - 15
    # Frame 8 of the driver is frame 4 of the target, and once more on each way back and forth.
    assert plan.guessed[4]


def test_the_pose_of_another_keeps_ones_own_face(
    planned: Callable[..., Plan], own: Performance, driver: Performance
) -> None:
    plan = planned(driver, "pose")
    wanted = resample(own.params, np.arange(30) / 2)
    np.testing.assert_allclose(plan.params.expression, wanted.expression, atol=1e-6)
    np.testing.assert_allclose(plan.params.gaze, wanted.gaze, atol=1e-6)


def test_sound_can_be_chosen(
    planned: Callable[..., Plan], own: Performance, driver: Performance
) -> None:
    assert planned(driver, "full", "none").timeline.sound is None
    assert planned(driver, "mouth", "driver").timeline.sound is driver.timeline.sound
    assert planned(None, "full").timeline.sound is own.timeline.sound
    assert own.timeline.sound is not None
    clip = replace(own.timeline.sound, path=Path("gone.mp4"))
    gone = replace(own, timeline=replace(own.timeline, sound=clip))
    with pytest.raises(MediaError, match="--audio none"):
        planned(None, "full", own=gone)
    assert planned(None, "full", "none", own=gone).timeline.sound is None


def test_edits_alone_play_the_target(target: Target, own: Performance) -> None:
    asked = Request(own, None, TransferConfig())
    plan = plan_reenactment(target, asked, [parse_edit("yaw=+5@0.4-0.8")])
    assert len(plan.params) == 48
    assert plan.transfer is None
    assert np.array_equal(plan.params.rotation[30:], own.params.rotation[30:])
    assert not np.array_equal(plan.params.rotation[15], own.params.rotation[15])


def test_a_moment_is_a_frame_or_seconds(own: Performance) -> None:
    assert own.frame_at("12") == 12
    assert own.frame_at("0.48s") == 12
    with pytest.raises(ValueError, match="soon"):
        own.frame_at("soon")


def test_the_drivers_time_has_the_targets_frames_or_the_plate_beneath(
    planned: Callable[..., Plan], driver: Performance, target: Target
) -> None:
    short = planned(driver, "full")
    assert short.stream is target.shot.clip
    assert short.underlay is None
    assert short.shown is not None
    # 50 frames per second over a clip of 25: every frame lies under two.
    assert short.shown.tolist() == (np.arange(30) // 2).tolist()
    timeline = replace(driver.timeline, time_base=Fraction(1, 10))
    late = planned(replace(driver, timeline=timeline), "full")
    assert late.stream is None
    assert late.canvas is target.plate


def test_the_mouth_alone_paints_the_lower_face(
    planned: Callable[..., Plan], driver: Performance
) -> None:
    assert planned(driver, "mouth").lower_face
    assert planned(driver, "mouth").underlay is not None
    assert not planned(driver, "expression").lower_face
    assert not planned(None, "mouth").lower_face

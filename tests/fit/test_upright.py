"""However a camera was held, a nod is a nod: relative transfer speaks of upright pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.fit.following import Following
from likeness.fit.seen_range import Seen
from likeness.fit.transfer import TransferConfig, transfer
from likeness.fit.upright import quarters_of, turned
from likeness.geometry import axis_angle, euler_from_rotation, rotation_from_euler, rotation_matrix
from likeness.methods.photo.motion import MotionConfig, move
from likeness.types import FaceParams, Floats, Shot

NAMES = ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "mouthSmileLeft", "detail_mouth_1z")
COUNT = 40
SETTINGS = TransferConfig(margin=9.0)
"""Nothing is held back: what is tested is where the motion goes."""
QUARTERS = st.integers(1, 3)
VALUES = ("expression", "rotation", "translation", "gaze")


def performed(seed: int, roll: float = 0.0) -> FaceParams:
    random = np.random.default_rng(seed)
    time = np.arange(COUNT) / 25
    wave = np.sin(2 * np.pi * time[:, None] * random.uniform(0.4, 1.2, 3) + random.uniform(0, 6, 3))
    yaw, pitch, sway = (wave * [0.3, 0.2, 0.1]).T
    rotation = axis_angle(rotation_from_euler(yaw, pitch, sway + np.float32(roll)))
    return FaceParams(
        "likeness",
        np.zeros(2, np.float32),
        np.zeros(2, np.float32),
        random.uniform(0, 0.4, (COUNT, len(NAMES))).astype(np.float32),
        NAMES,
        rotation,
        (np.array([5, -8, 600]) + 9 * wave).astype(np.float32),
        np.ones((COUNT, 9, 3), np.float32),
        random.normal(0, 0.1, (COUNT, 2, 2)).astype(np.float32),
        800.0,
    )


def assert_same_motion(found: FaceParams, expected: FaceParams) -> None:
    for name in ("expression", "translation", "gaze"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), atol=2e-3, err_msg=name
        )
    apart = rotation_matrix(found.rotation) @ np.swapaxes(rotation_matrix(expected.rotation), 1, 2)
    assert np.linalg.norm(axis_angle(apart), axis=1).max() < 1e-3


@given(seed=st.integers(0, 30), quarters=QUARTERS, roll=st.floats(-0.5, 0.5), gaps=st.booleans())
def test_how_the_driver_was_filmed_makes_no_difference(
    seed: int, quarters: int, roll: float, gaps: bool
) -> None:
    driver, target = performed(seed, roll), performed(seed + 50)
    observed = np.ones(COUNT, bool)
    observed[10:15] = not gaps
    seen = Seen(driver=observed)
    plain = transfer(driver, target, SETTINGS, seen=seen)
    other = transfer(turned(driver, quarters), target, SETTINGS, seen=seen)
    assert_same_motion(other.params, plain.params)
    assert other.warnings == plain.warnings


@given(seed=st.integers(0, 30), quarters=QUARTERS)
def test_a_target_that_lies_in_its_picture_moves_as_it_would_standing(
    seed: int, quarters: int
) -> None:
    driver, target = performed(seed), performed(seed + 50)
    plain = transfer(driver, target, SETTINGS).params
    lying = transfer(driver, turned(target, quarters), SETTINGS).params
    assert_same_motion(turned(lying, -quarters), plain)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_nod_is_a_nod(quarters: int) -> None:
    nod = np.zeros((COUNT, 3), np.float32)
    nod[20:, 0] = 0.3
    still = replace(performed(0), rotation=nod * 0)
    driver = turned(replace(still, rotation=nod), quarters)
    moved = transfer(driver, performed(1), replace(SETTINGS, neutral_driver=0, smooth=0)).params
    turns = rotation_matrix(moved.rotation)
    yaw, pitch, roll = euler_from_rotation(turns[25] @ turns[5].T)
    assert pitch == pytest.approx(0.3, abs=0.02)
    assert abs(yaw) + abs(roll) < 0.02


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_what_follows_live_stands_upright_too(quarters: int) -> None:
    driver, target = performed(4), performed(9)
    observed = np.ones(COUNT, bool)

    def follow(driver: FaceParams) -> list[FaceParams]:
        following = Following(target, observed, _rows(driver, slice(0, 20)), SETTINGS)
        return [following(_rows(driver, slice(i, i + 1)), i / 25) for i in range(20, COUNT)]

    for found, expected in zip(follow(turned(driver, quarters)), follow(driver), strict=True):
        assert_same_motion(found, expected)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photo_nods_with_a_driver_upside_down(quarters: int, actor_shot: Shot) -> None:
    photo = _rows(actor_shot.params, slice(0, 1))
    other = replace(actor_shot, params=turned(actor_shot.params, quarters))
    plain, found = (move(shot, photo, MotionConfig()) for shot in (actor_shot, other))
    assert found.rest == plain.rest
    np.testing.assert_allclose(found.rotation, plain.rotation, atol=1e-4)


@given(seed=st.integers(0, 30), roll=st.floats(-0.6, 0.6))
def test_a_tilted_head_is_no_turned_camera(seed: int, roll: float) -> None:
    params = performed(seed, roll)
    assert quarters_of(params, np.arange(COUNT)) == 0
    assert turned(params, 0) is params
    for quarters in (1, 2, 3):
        assert quarters_of(turned(params, quarters), np.arange(COUNT)) == quarters
    there: Floats = turned(turned(params, 1), -1).rotation
    np.testing.assert_allclose(there, params.rotation, atol=1e-5)


def _rows(params: FaceParams, some: slice) -> FaceParams:
    return replace(
        params,
        light=params.light[some],
        **{name: getattr(params, name)[some] for name in VALUES},
    )

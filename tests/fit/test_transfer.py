from dataclasses import replace

import numpy as np
import pytest

from likeness.controls import controls_of
from likeness.errors import ContractError
from likeness.fit.transfer import TransferConfig, rest_frame, transfer
from likeness.types import FaceParams

NAMES = ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "mouthSmileLeft")


def _params(n: int = 60, seed: int = 0, blink: float = 0.9) -> FaceParams:
    random = np.random.default_rng(seed)
    expression = random.uniform(0, 0.05, (n, 4)).astype(np.float32)
    expression[20:24, :2] = blink
    expression[30:40, 2] = 0.6
    return FaceParams(
        "likeness",
        np.zeros(2, np.float32),
        np.zeros(2, np.float32),
        expression,
        NAMES,
        random.normal(0, 0.05, (n, 3)).astype(np.float32),
        (np.array([0, 0, 500]) + random.normal(0, 2, (n, 3))).astype(np.float32),
        np.ones((n, 9, 3), np.float32),
        random.normal(0, 0.05, (n, 2, 2)).astype(np.float32),
        800.0,
    )


def test_driving_oneself_changes_nothing() -> None:
    params = _params()
    moved = transfer(params, params).params
    for name in ("expression", "rotation", "translation", "gaze"):
        np.testing.assert_allclose(getattr(moved, name), getattr(params, name), atol=1e-4)


def test_rest_is_neither_blinking_nor_talking() -> None:
    rest = rest_frame(_params())
    assert rest not in range(20, 24)
    assert rest not in range(30, 40)


def test_a_shut_lid_is_shut_on_the_target_too() -> None:
    driver, target = _params(seed=1, blink=0.7), _params(seed=2, blink=1.0)
    moved = transfer(driver, target).params
    assert moved.column("eyeBlinkLeft")[21] == pytest.approx(1.0, abs=0.05)
    assert moved.column("eyeBlinkLeft")[10] < 0.15


def test_values_are_held_in_the_seen_range_and_reported() -> None:
    driver, target = _params(seed=1), _params(seed=2)
    far = driver.rotation.copy()
    far[50:] += np.array([0, 1.0, 0], np.float32)
    moved = transfer(replace(driver, rotation=far), target)
    seen, yaw = (controls_of(params)[:, 0] for params in (target, moved.params))
    assert yaw.max() <= seen.max() + 0.1 * np.ptp(seen) + 1e-3
    assert moved.clamped["yaw"] >= 10 / 60


def test_identity_and_light_stay_the_targets() -> None:
    driver, target = _params(30, 1), _params(60, 2)
    target = replace(target, shape=np.array([1, 2], np.float32))
    moved = transfer(driver, target).params
    assert len(moved) == 30
    assert np.array_equal(moved.shape, target.shape)
    assert np.allclose(moved.light, target.light.mean(0))


def test_absolute_copies() -> None:
    driver, target = _params(seed=1), _params(seed=1)
    shifted = replace(driver, gaze=driver.gaze + 0.01)
    moved = transfer(shifted, target, TransferConfig(absolute=True, margin=10.0)).params
    np.testing.assert_allclose(moved.gaze, shifted.gaze, atol=1e-6)


def test_other_face_models_are_refused() -> None:
    driver = replace(_params(), expression_names=("a", "b", "c", "d"))
    with pytest.raises(ContractError, match="face model"):
        transfer(driver, _params())

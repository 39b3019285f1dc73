from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.controls import control_names, controls_of
from likeness.errors import ConfigError, ContractError
from likeness.fit.denoise import denoise
from likeness.fit.parts import PARTS, belongs, part_of
from likeness.fit.resample import positions, resample
from likeness.fit.transfer import Mode, TransferConfig, rest_frame, rest_of, taken, transfer
from likeness.geometry import axis_angle, rotation_matrix
from likeness.store import load_face_model
from likeness.types import FaceParams

MEASURED = TransferConfig(smooth=0)
"""White noise is no performance; what is tested is the transfer."""
NAMES = (
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "jawOpen",
    "mouthSmileLeft",
    "browInnerUp",
    "eyeLookUpLeft",
    "noseSneerLeft",
    "detail_mouth_1z",
)
SHARES = {
    "full": {"rotation", "translation", "gaze", *NAMES},
    "expression": {*NAMES} - {"eyeLookUpLeft"},
    "pose": {"rotation", "translation"},
    "gaze": {"gaze", "eyeLookUpLeft"},
    "mouth": {"jawOpen", "mouthSmileLeft", "detail_mouth_1z"},
}


def _params(n: int = 60, seed: int = 0, blink: float = 0.9) -> FaceParams:
    random = np.random.default_rng(seed)
    expression = random.uniform(0, 0.05, (n, len(NAMES))).astype(np.float32)
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
    moved = transfer(params, params, MEASURED).params
    for name in ("expression", "rotation", "translation", "gaze"):
        np.testing.assert_allclose(getattr(moved, name), getattr(params, name), atol=1e-4)


def test_rest_is_neither_blinking_nor_talking() -> None:
    rest = rest_frame(_params())
    assert rest not in range(20, 24)
    assert rest not in range(30, 40)


def test_a_shut_lid_is_shut_on_the_target_too() -> None:
    driver, target = _params(seed=1, blink=0.7), _params(seed=2, blink=1.0)
    moved = transfer(driver, target, MEASURED).params
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
    config = TransferConfig(absolute=True, margin=10.0, smooth=0)
    moved = transfer(shifted, target, config).params
    np.testing.assert_allclose(moved.gaze, shifted.gaze, atol=1e-6)


def test_a_lively_face_that_never_rests_keeps_nothing_of_its_grimaces() -> None:
    """Brows that are up in the calmest frame, and elsewhere are not, are not up at rest."""
    params = _params(60)
    expression = np.zeros_like(params.expression)
    for i in range(60):
        # In every frame another part of the face is busy, and so it is in the calmest one.
        expression[i, i % 6] = 0.6
    lively = replace(params, expression=expression.astype(np.float32))
    calm = rest_frame(lively)
    assert lively.expression[calm].max() == pytest.approx(0.6)
    assert rest_of(lively, None, "driver").expression.max() <= 0.101
    # A frame that somebody chose is taken as it is.
    np.testing.assert_array_equal(
        rest_of(lively, calm, "driver").expression, lively.expression[calm]
    )


def test_eyes_that_are_measured_apart_stay_so() -> None:
    """A fit's own squint is no motion: it is neither given to another face nor taken from it."""
    shift = np.array([[0.15, 0.03], [-0.12, -0.02]], np.float32)
    driver, target = _params(40, 3), _params(60, 7)
    copied = TransferConfig(absolute=True, margin=10.0, smooth=0)
    plain = transfer(driver, target, copied).params.gaze
    common = shift.mean(0)
    askew = transfer(replace(driver, gaze=driver.gaze + shift), target, copied).params.gaze
    np.testing.assert_allclose(askew, plain + common, atol=1e-5)
    other = replace(target, gaze=target.gaze + shift)
    kept = transfer(driver, other, copied).params.gaze
    np.testing.assert_allclose(kept, plain + shift - common, atol=1e-5)
    # One's own gaze comes back as it was.
    own = transfer(target, target, copied).params.gaze
    np.testing.assert_allclose(own, target.gaze, atol=1e-6)


def test_other_face_models_are_refused() -> None:
    driver = replace(_params(), expression_names=tuple("abcdefgh"))
    with pytest.raises(ContractError, match="face model"):
        transfer(driver, _params())


@pytest.mark.parametrize("mode", SHARES)
def test_each_mode_takes_its_part_and_keeps_the_rest_exactly(mode: Mode) -> None:
    driver, target = _params(seed=1), _params(seed=2)
    params = transfer(driver, target, TransferConfig(mode, absolute=True, margin=9)).params
    changed = {
        name
        for name in ("rotation", "translation", "gaze")
        if not np.array_equal(getattr(params, name), getattr(target, name))
    }
    changed |= {n for n in NAMES if not np.array_equal(params.column(n), target.column(n))}
    assert changed == SHARES[mode]
    assert set(np.array(control_names(params))[taken(mode, NAMES)]) >= SHARES[mode] - {
        "rotation",
        "translation",
        "gaze",
    }


def test_parts_of_the_face_divide_it() -> None:
    names = load_face_model().expression_names
    assert all(part_of(name) for name in names)
    whole = sum(belongs(names, [part]).astype(int) for part in PARTS)
    assert np.all(whole == 1)
    for name in ("jawOpen", "mouthClose", "cheekPuff", "tongueOut", "detail_jaw_0x"):
        assert part_of(name) == "mouth"
    for name in ("cheekSquintLeft", "eyeBlinkLeft", "detail_leftEye_0x"):
        assert part_of(name) == "lids"
    with pytest.raises(ContractError, match="tells its part"):
        belongs(("mode_0", "mode_1"), ["mouth"])


def test_what_is_closed_on_the_driver_is_closed_on_the_target() -> None:
    driver, target = _params(seed=1), _params(seed=2)
    jaw = NAMES.index("jawOpen")
    for params, rest in ((driver, 0.2), (target, 0.1)):
        params.expression[:, jaw] = rest
    driver.expression[10:14, jaw] = 0.0
    target.expression[10:14, jaw] = 0.0
    driver.expression[30:40, jaw] = 0.5
    target.expression[30:40, jaw] = 0.6
    config = TransferConfig(neutral_driver=5, neutral_target=5, smooth=0)
    moved = transfer(driver, target, config).params.column("jawOpen")
    assert moved[12] == pytest.approx(0, abs=1e-6)
    assert moved[5] == pytest.approx(0.1, abs=1e-6)
    assert moved[35] == pytest.approx(0.4, abs=1e-6)


def test_the_neutral_frame_can_be_chosen() -> None:
    driver, target = _params(seed=1), _params(seed=2)
    free = replace(MEASURED, margin=9.0)
    found, other = (
        transfer(driver, target, replace(free, neutral_driver=i, neutral_target=7)).params
        for i in (5, 33)
    )
    np.testing.assert_allclose(found.translation[5], target.translation[7], atol=1e-3)
    np.testing.assert_allclose(found.gaze[5], target.gaze[7], atol=1e-5)
    shift = other.translation - found.translation
    wanted = driver.translation[5] - driver.translation[33]
    np.testing.assert_allclose(shift, np.tile(wanted, (60, 1)), atol=1e-3)
    with pytest.raises(ConfigError, match="neutral_driver is frame 60; the driver has"):
        transfer(driver, target, TransferConfig(neutral_driver=60))


def test_what_is_held_back_is_said_in_words_and_by_frame() -> None:
    driver, target = _params(seed=1), _params(seed=2)
    for params in (driver, target):
        params.expression[:, NAMES.index("mouthSmileLeft")] = 0.02
    driver.expression[:15, NAMES.index("mouthSmileLeft")] = 0.8
    moved = transfer(driver, target, MEASURED)
    (smile,) = (warning for warning in moved.warnings if "smile" in warning)
    assert smile == "smile above anything in the target's clip in 25 % of frames"
    assert moved.clamped["mouthSmileLeft"] == 0.25
    assert np.all(moved.clamped_share[:15] > 0)
    assert len(moved.clamped_share) == 60
    # What a mode doesn't take is nobody's concern.
    gaze = transfer(driver, target, TransferConfig("gaze", smooth=0))
    assert "mouthSmileLeft" not in gaze.clamped
    assert not any("smile" in warning for warning in gaze.warnings)


def test_two_frame_rates_meet_by_time() -> None:
    fast, slow = np.arange(60) / 50, np.arange(30) / 25
    at = positions(fast, slow)
    np.testing.assert_allclose(at, np.arange(30) * 2)
    params = _params()
    again = resample(params, at)
    assert np.array_equal(again.rotation, params.rotation[::2])
    assert np.array_equal(again.expression, params.expression[::2])


@given(st.floats(0, 58.99), st.integers(0, 1000))
def test_between_two_frames_rotations_take_the_shortest_way(at: float, seed: int) -> None:
    params = _params(seed=seed)
    first = int(at)
    middle = resample(params, np.array([at])).rotation
    matrices = rotation_matrix(np.concatenate([params.rotation[first : first + 2], middle]))

    def apart(a: int, b: int) -> float:
        return float(np.linalg.norm(axis_angle(matrices[a].T @ matrices[b])))

    assert apart(0, 2) + apart(2, 1) == pytest.approx(apart(0, 1), abs=1e-4)
    assert apart(0, 2) == pytest.approx((at - first) * apart(0, 1), abs=1e-4)


def test_a_performance_that_is_over_goes_back_and_forth_or_stands() -> None:
    times, wanted = np.arange(5.0), np.arange(12.0)
    looped = positions(times, wanted, "loop")
    assert looped.tolist() == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]
    assert positions(times, wanted, "hold").tolist() == [0, 1, 2, 3, 4] + [4] * 7


def test_smoothing_keeps_blinks_and_closures_and_takes_jitter_away() -> None:
    random = np.random.default_rng(3)
    params = _params(200)
    true = np.zeros((200, len(NAMES)), np.float32)
    blink, jaw = NAMES.index("eyeBlinkLeft"), NAMES.index("jawOpen")
    true[:, jaw] = 0.3 + 0.1 * np.sin(np.arange(200) / 3)
    true[100:103, jaw] = [0.1, 0.0, 0.1]
    true[60:66, blink] = [0.3, 0.8, 1.0, 0.9, 0.5, 0.2]
    turn = np.stack([np.zeros(200), 0.3 * np.sin(np.arange(200) / 20), np.zeros(200)], 1)
    noisy = replace(
        params,
        expression=true + random.normal(0, 0.01, true.shape).astype(np.float32),
        rotation=(turn + random.normal(0, 0.003, turn.shape)).astype(np.float32),
    )
    calm = denoise(noisy, 1.0)
    left, before = (np.diff(p.rotation - turn, 2, axis=0).std() for p in (calm, noisy))
    assert left < 0.35 * before
    assert np.abs(calm.column("eyeBlinkLeft")[60:66] - true[60:66, blink]).max() < 0.05
    assert calm.column("jawOpen")[101] < 0.06
    assert np.array_equal(denoise(noisy, 0).rotation, noisy.rotation)


def test_a_signal_that_stands_still_stays_so() -> None:
    params = _params(200)
    still = replace(params, expression=np.full_like(params.expression, 0.1))
    assert np.isfinite(denoise(still, 1.0).expression).all()
    np.testing.assert_allclose(denoise(still, 1.0).expression, 0.1, atol=1e-6)

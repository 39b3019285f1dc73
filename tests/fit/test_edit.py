from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.controls import control_names, controls_of, with_controls
from likeness.errors import ConfigError
from likeness.fit.edit import Curve, Edit, EditConfig, apply_edits, curves_of, parse_edit
from likeness.types import FaceParams, Shot

SECONDS = np.arange(48) / 25


@pytest.fixture
def params(actor_shot: Shot) -> FaceParams:
    return actor_shot.params


def edited(params: FaceParams, *edits: str) -> FaceParams:
    return apply_edits(params, SECONDS, [parse_edit(e) for e in edits], params).params


def column(params: FaceParams, name: str) -> np.ndarray:
    return controls_of(params)[:, control_names(params).index(name)]


def test_no_edit_changes_nothing_at_all(params: FaceParams) -> None:
    same = edited(params)
    for name in ("expression", "rotation", "translation", "gaze", "shape"):
        assert np.array_equal(getattr(same, name), getattr(params, name))


def test_an_unsigned_number_sets_and_a_signed_one_adds(params: FaceParams) -> None:
    smiling = edited(params, "smile=0.6")
    assert np.allclose(column(smiling, "mouthSmileLeft"), 0.6)
    assert np.allclose(column(smiling, "mouthSmileRight"), 0.6)
    turned = edited(params, "yaw=+12")
    np.testing.assert_allclose(column(turned, "yaw"), column(params, "yaw") + 12, atol=1e-4)
    np.testing.assert_allclose(column(turned, "pitch"), column(params, "pitch"), atol=1e-4)
    assert np.array_equal(turned.translation, params.translation)
    assert np.allclose(column(edited(params, "yaw==-12"), "yaw"), -12, atol=1e-4)


def test_a_time_range_has_eased_ends_outside(params: FaceParams) -> None:
    still = replace(params, expression=np.zeros_like(params.expression))
    blink = column(edited(still, "blink=1@0.8-1.0"), "eyeBlinkLeft")
    inside = (SECONDS >= 0.8 - 1e-9) & (SECONDS <= 1.0 + 1e-9)
    assert np.all(blink[inside] == 1)
    assert np.all(blink[(SECONDS < 0.68) | (SECONDS > 1.12)] == 0)
    # From 0 to 1 within 0.12 s at 25 fps takes no larger step than a smooth flank does.
    assert 0.3 < np.abs(np.diff(blink)).max() < 0.55
    at_once = apply_edits(still, SECONDS, [parse_edit("blink=1@0.8-1.0")], still, EditConfig(0))
    assert set(np.unique(at_once.params.column("eyeBlinkLeft"))) == {0.0, 1.0}


def test_open_time_ranges(params: FaceParams) -> None:
    late = column(edited(params, "jawOpen=1@1.0-"), "jawOpen")
    assert np.all(late[SECONDS >= 1.0] == 1)
    assert np.array_equal(late[:20], params.column("jawOpen")[:20].astype(np.float64))


def test_gaze_takes_the_lids_along(params: FaceParams) -> None:
    still = replace(
        params, expression=np.zeros_like(params.expression), gaze=np.zeros_like(params.gaze)
    )
    down = edited(still, "gaze_y=15")
    np.testing.assert_allclose(np.degrees(down.gaze[:, :, 1]), 15, atol=1e-4)
    np.testing.assert_allclose(down.column("eyeLookDownLeft"), 0.5, atol=1e-5)
    told = edited(still, "gaze_y=15", "eyeLookDown=0.1")
    np.testing.assert_allclose(told.column("eyeLookDownLeft"), 0.1, atol=1e-6)


def test_identity_is_edited_throughout_or_not_at_all(params: FaceParams) -> None:
    wider = edited(params, "shape_2=+1.5")
    assert wider.shape[2] == pytest.approx(params.shape[2] + 1.5)
    assert np.array_equal(np.delete(wider.shape, 2), np.delete(params.shape, 2))
    with pytest.raises(ConfigError, match="whole clip"):
        edited(params, "shape_2=1@0-1")
    with pytest.raises(ConfigError, match="shape_0 to shape_39"):
        edited(params, "shape_99=1")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("smlie", "smile"), ("mouthSmileLef", "mouthSmileLeft"), ("YAW", "yaw"), ("brow", "brows_up")],
)
def test_unknown_names_are_met_with_near_ones(params: FaceParams, name: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"nothing is called '{name}'.*'{meant}'"):
        edited(params, f"{name}=1")


@pytest.mark.parametrize("text", ["smile", "smile=", "=1", "smile=a", "smile=1@2", "smile=1@3-2", "smile=1e999@-"])  # fmt: skip # noqa: E501
def test_what_is_no_edit_is_told(params: FaceParams, text: str) -> None:
    with pytest.raises(ConfigError, match="edit"):
        edited(params, text)


def test_beyond_the_clip_is_allowed_with_a_warning_and_beyond_reason_not(
    params: FaceParams,
) -> None:
    timid = replace(params, expression=params.expression * 0.3)
    result = apply_edits(timid, SECONDS, [parse_edit("smile=0.9")], timid)
    assert result.warnings == ("smile above anything in the target's clip in 100 % of frames",)
    assert result.params.column("mouthSmileLeft").max() == pytest.approx(0.9)
    with pytest.raises(ConfigError, match="out of reach; expected 0 to 1.25"):
        edited(params, "smile=60")
    far = edited(params, "smile=+1", "smile=+1")
    assert far.column("mouthSmileLeft").max() == pytest.approx(1.25)


def test_a_curve_passes_its_keys_without_overshoot_and_leaves_the_rest(params: FaceParams) -> None:
    still = replace(params, expression=np.zeros_like(params.expression))
    curve = Curve("jawOpen", np.array([0.4, 0.8, 1.2]), np.array([0.0, 0.7, 0.7]))
    jaw = apply_edits(still, SECONDS, [curve], still).params.column("jawOpen")
    assert jaw[[10, 20, 30]] == pytest.approx([0, 0.7, 0.7], abs=1e-6)
    assert jaw.max() <= 0.7 + 1e-6
    assert np.all(jaw[34:] == 0)
    table = {"frame": np.array([10.0, 20, 30]), "+yaw": np.array([0.0, np.nan, 10])}
    (added,) = curves_of(table)
    turned = apply_edits(params, SECONDS, [added], params).params
    assert column(turned, "yaw")[20] == pytest.approx(column(params, "yaw")[20] + 5, abs=1e-3)


@given(
    st.sampled_from(["smile", "yaw", "mouthSmileLeft", "gaze_x"]),
    st.floats(-1, 1, allow_nan=False, width=32),
    st.booleans(),
    st.integers(0, 10**6).map(lambda milliseconds: milliseconds / 1000),
    st.integers(0, 10**6).map(lambda milliseconds: milliseconds / 1000),
)
def test_an_edit_is_written_as_it_is_read(
    name: str, value: float, adds: bool, start: float, length: float
) -> None:
    edit = Edit(name, value, adds, start, start + length)
    read = parse_edit(str(edit))
    assert (read.name, read.adds) == (edit.name, edit.adds)
    found = (read.value, read.start, read.stop)
    np.testing.assert_allclose(found, (edit.value, edit.start, edit.stop), rtol=1e-8, atol=1e-12)


@given(st.integers(0, 2**31))
def test_controls_come_back_as_they_went(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = 4
    params = FaceParams(
        "likeness",
        np.zeros(1, np.float32),
        np.zeros(1, np.float32),
        random.uniform(0, 1, (n, 2)).astype(np.float32),
        ("jawOpen", "mouthPucker"),
        random.normal(0, 0.4, (n, 3)).astype(np.float32),
        random.normal(0, 300, (n, 3)).astype(np.float32),
        np.ones((n, 9, 3), np.float32),
        random.normal(0, 0.2, (n, 2, 2)).astype(np.float32),
        800.0,
    )
    same = with_controls(params, controls_of(params))
    assert np.array_equal(same.rotation, params.rotation)
    assert np.array_equal(same.gaze, params.gaze)
    assert np.array_equal(same.translation, params.translation)
    wanted = controls_of(params)
    wanted[:, 0] = random.uniform(-70, 70, n)
    np.testing.assert_allclose(controls_of(with_controls(params, wanted)), wanted, atol=2e-4)

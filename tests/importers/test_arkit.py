"""Face captures of phones: in, out, and as motion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from likeness.controls import controls_of
from likeness.errors import MediaError
from likeness.geometry import rotation_matrix
from likeness.importers.arkit import (
    ANGLES,
    COLUMNS,
    SHAPES,
    Capture,
    capture_of,
    performance_of_capture,
    read_arkit,
    write_arkit,
)
from likeness.plan.performance import performance_of
from likeness.types import Shot

HEADER = ",".join(["Timecode", "BlendShapeCount", *COLUMNS])


def _file(path: Path, *lines: str) -> Path:
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def _line(time: str, jaw: float = 0.0, yaw: float = 0.0) -> str:
    values = dict.fromkeys(COLUMNS, 0.0) | {"JawOpen": jaw, "HeadYaw": yaw}
    return ",".join([time, "61", *(f"{value:.10f}" for value in values.values())])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(seed=st.integers(0, 2**31), start=st.integers(0, 5_000_000_000))
def test_written_captures_are_read_and_written_alike(tmp_path: Path, seed: int, start: int) -> None:
    random = np.random.default_rng(seed)
    n = 70
    ticks = start + np.cumsum(random.integers(1, 2500, n))
    capture = Capture(ticks, 60, random.normal(0, 0.5, (n, 61)), random.random(n) > 0.1)
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    write_arkit(capture, first)
    again = read_arkit(first, rate=60)
    write_arkit(again, second)
    assert first.read_bytes() == second.read_bytes()
    assert np.array_equal(again.ticks, capture.ticks)
    np.testing.assert_allclose(again.values, capture.values, atol=5.1e-11)


def test_the_header_is_the_apps() -> None:
    assert (len(SHAPES), len(ANGLES)) == (52, 9)
    assert HEADER.startswith("Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,")
    assert "JawForward,JawRight,JawLeft,JawOpen,MouthClose" in HEADER
    assert HEADER.endswith("TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,"
                           "LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll")  # fmt: skip


def test_an_actors_performance_survives_the_phone(actor_shot: Shot, tmp_path: Path) -> None:
    own = performance_of(actor_shot, "target")
    write_arkit(capture_of(own), tmp_path / "a.csv")
    capture = read_arkit(tmp_path / "a.csv")
    assert capture.rate == 60
    moved = performance_of_capture(capture, actor_shot.params, tmp_path / "a.csv")
    np.testing.assert_allclose(moved.seconds, own.seconds, atol=1e-5)
    assert not moved.guessed.any()
    known = [n[0].lower() + n[1:] for n in SHAPES]
    for name in known:
        found, wanted = moved.params.column(name), actor_shot.params.column(name)
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    there, back = controls_of(own.params), controls_of(moved.params)
    np.testing.assert_allclose(back[:, :3], there[:, :3], atol=1e-4)
    np.testing.assert_allclose(back[:, 6:10], there[:, 6:10], atol=1e-4)
    assert moved.timeline.sound is None


def test_timecodes_count_frames_of_the_captures_rate(tmp_path: Path) -> None:
    lines = [_line(f"23:59:5{s}:{f:02}.500") for s in (8, 9) for f in range(30)]
    capture = read_arkit(_file(tmp_path / "slow.csv", *lines))
    assert capture.rate == 30
    assert set(np.diff(capture.ticks)) == {1000}
    short = read_arkit(_file(tmp_path / "short.csv", _line("00:00:01:02"), _line("00:00:01:03")))
    assert short.rate == 60


def test_frames_without_a_face_are_guessed_and_stutters_dropped(
    tmp_path: Path, actor_shot: Shot
) -> None:
    lines = [
        _line("00:00:00:01.0", jaw=0.2),
        "00:00:00:02.0,0",
        _line("00:00:00:02.0", jaw=0.9),
        _line("00:00:00:03.0", jaw=0.5, yaw=0.2),
    ]
    path = _file(tmp_path / "gap.csv", *lines)
    moved = performance_of_capture(read_arkit(path), actor_shot.params, path)
    assert moved.guessed.tolist() == [False, True, False]
    assert moved.params.column("jawOpen") == pytest.approx([0.2, 0.2, 0.5])
    assert controls_of(moved.params)[2, 0] == pytest.approx(-np.degrees(0.2), abs=1e-4)


def test_angles_have_the_signs_of_recordings(tmp_path: Path, actor_shot: Shot) -> None:
    """Who looks to the right and up turns yaw and pitch as the app's own weights say."""
    columns = dict.fromkeys(COLUMNS, 0.0)
    # As in recordings: the left eye looks outward (the person's left, image right) and up.
    looking = columns | {"EyeLookOutLeft": 0.37, "EyeLookInRight": 0.47, "EyeLookUpLeft": 0.37}
    looking |= {"LeftEyeYaw": -0.28, "LeftEyePitch": -0.17, "LeftEyeRoll": 0.047}
    turned = columns | {"HeadYaw": 0.3, "HeadPitch": 0.2, "HeadRoll": -0.1}
    lines = [
        ",".join([f"00:00:00:0{i}.000", "61", *(f"{v:.10f}" for v in row.values())])
        for i, row in enumerate((looking, turned))
    ]
    path = _file(tmp_path / "a.csv", *lines)
    moved = performance_of_capture(read_arkit(path), actor_shot.params, path).params
    assert moved.gaze[0, 1] == pytest.approx([0.28, -0.17])
    ahead = rotation_matrix(moved.rotation[1]) @ np.array([0, 0, -1])
    # Yaw about the vertical comes last, so the face's direction is the rotator's own.
    wanted = [-np.sin(0.3) * np.cos(0.2), np.sin(0.2), -np.cos(0.3) * np.cos(0.2)]
    np.testing.assert_allclose(ahead, wanted, atol=1e-6)
    aside = rotation_matrix(moved.rotation[1]) @ np.array([1, 0, 0])
    assert aside[1] == pytest.approx(np.cos(0.2) * np.sin(-0.1), abs=1e-6)


def test_the_apps_own_lines_are_written_as_they_were(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    rows = [
        ",".join([f"13:13:04:{f:02}.{650 + f}", "61", *(f"{v:.10f}" for v in random.random(61))])
        for f in range(31, 60, 2)
    ]
    path = _file(tmp_path / "a.csv", *rows)
    write_arkit(read_arkit(path), tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == path.read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks the columns Timecode"),
        ("Timecode,BlendShapeCount,EyeBlinkLeft\n", "and 47 more"),
        (HEADER + "\n", "no frames"),
        (HEADER + "\n" + _line("0.5"), "line 2: no timecode"),
        (HEADER + "\n" + _line("00:00:00:00").replace("0.0000000000", "x", 1), "expected numbers"),
        (HEADER + "\n" + _line("00:00:00:00").replace("0.0000000000", "nan", 1), "not finite"),
    ],
)
def test_what_is_no_capture_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(text)
    with pytest.raises(MediaError, match=message):
        read_arkit(path)


def test_models_without_arkits_names_are_refused(actor_shot: Shot, tmp_path: Path) -> None:
    names = tuple(f"mode_{i}" for i in range(len(actor_shot.params.expression_names)))
    other = replace(actor_shot.params, expression_names=names)
    path = _file(tmp_path / "a.csv", _line("00:00:00:00"))
    with pytest.raises(MediaError, match="ARKit's 52"):
        performance_of_capture(read_arkit(path), other, path)

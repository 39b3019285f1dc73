"""The demo tells its story, and its comparison with the truth can tell right from wrong."""

from __future__ import annotations

import dataclasses
import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from likeness.actor import Actor, Motion, params_of
from likeness.cli.app import run
from likeness.demo import DemoConfig, recovery
from likeness.errors import ConfigError
from likeness.geometry import axis_angle, rotation_from_euler, rotation_matrix
from likeness.provenance import read_manifest, trust_anchors
from likeness.types import Clip, FaceParams, FaceTrack, Shot


@pytest.fixture(scope="module")
def true() -> FaceParams:
    return params_of(Actor.from_seed(3), Motion.from_seed(1, 8.0), (128, 128))


def as_shot(params: FaceParams, start: int = 0) -> Shot:
    n = len(params)
    clip = Clip(Path("a.mp4"), "00", (128, 128), np.arange(n + start), Fraction(1, 25), 1)
    track = FaceTrack(
        start,
        np.zeros((n, 4), np.float32),
        np.zeros((n, 478, 3), np.float32),
        np.ones(n, np.float32),
        np.ones(n, np.bool_),
    )
    return Shot(clip, track, params)


def test_the_truth_recovers_itself(true: FaceParams) -> None:
    found = recovery(as_shot(true), true)
    assert found["rotation_error_deg"] < 0.05
    assert found["gaze_error_deg"] < 0.05
    for name in ("blink_correlation", "jaw_open_correlation", "yaw_correlation"):
        assert found[name] == pytest.approx(1)


def test_errors_have_their_size(true: FaceParams) -> None:
    zero = np.zeros(len(true), np.float32)
    off = rotation_from_euler(zero + np.radians(5), zero, zero)
    turned = axis_angle((off @ rotation_matrix(true.rotation)).astype(np.float32))
    looking = true.gaze + np.array([np.radians(3), 0], np.float32)
    found = recovery(
        as_shot(dataclasses.replace(true, rotation=turned, gaze=looking.astype(np.float32))), true
    )
    assert found["rotation_error_deg"] == pytest.approx(5, abs=0.05)
    assert found["gaze_error_deg"] == pytest.approx(3, abs=0.1)
    assert found["yaw_correlation"] > 0.99


def test_a_late_track_is_compared_with_its_own_frames(true: FaceParams) -> None:
    names = ("expression", "rotation", "translation", "light", "gaze")
    late = dataclasses.replace(true, **{name: getattr(true, name)[40:] for name in names})
    assert recovery(as_shot(late, start=40), true)["rotation_error_deg"] < 0.05


def test_a_demo_needs_time() -> None:
    with pytest.raises(ConfigError, match="greater than zero"):
        DemoConfig(minutes=0)


@pytest.mark.slow
def test_the_story_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "run.toml"
    settings.write_text(
        "[demo]\nsize = 128\nminutes = 0.05\ntarget_seconds = 2.4\ndriver_seconds = 0.8\n"
    )
    folder = tmp_path / "demo"
    assert run(["demo", "-o", str(folder), "--config", str(settings), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["frames"] == 20
    assert facts["recovery"]["yaw_correlation"] > 0.9
    assert facts["held_out"]["frames"] == 20
    assert facts["against_truth"]["frames"] == 20
    videos = sorted(folder.glob("*.mp4"))
    assert facts["swap"]["frames"] == 20
    assert facts["swap"]["outside_changed"] == 0
    assert facts["edit"]["frames"] == 20
    assert facts["edit"]["identity_original"] < 0.6
    assert len(videos) == 8
    assert all(read_manifest(video, trust_anchors()).trusted for video in videos)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<video") == 7
    # Four letters of coded video can spell anything.
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert "http" not in text.replace("http://cv.iptc.org", "").replace("http://www.w3.org", "")

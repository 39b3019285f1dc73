"""`likeness edit` and `likeness evaluate edit` from end to end on the actor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from likeness.actor import Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.cli.app import run
from likeness.decode import open_clip
from likeness.provenance import read_manifest, trust_anchors
from tests.stage import actor

SIDE = 160


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with anna.mp4, an actor's clip with sound."""
    folder = tmp_path_factory.mktemp("edit")
    motion = Motion.from_seed(1, 0.4, style="expressive")
    camera = RenderConfig((SIDE, SIDE), samples=1)
    write_actor_clip(actor(3), motion, folder / "anna.mp4", camera, sound=True)
    return folder


def ask(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    facts = json.loads(capsys.readouterr().out)
    assert isinstance(facts, dict)
    return facts


def test_a_clip_is_edited_and_judged(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, output = place / "anna.mp4", place / "older.mp4"
    asked = ["--direction", "age", "--strength", "1", "--direction", "smile=-0.5"]
    facts = ask(capsys, "edit", str(clip), "-o", str(output), *asked)
    assert {"output", "frames", "fallback_frames", "seconds", "peak_rss_mb"} <= facts.keys()
    made, original = open_clip(output), open_clip(clip)
    assert facts["frames"] == len(made) == len(original)
    assert made.seconds == pytest.approx(original.seconds)
    assert len(made.audio) == len(original.audio) == 1
    found = read_manifest(output, trust_anchors())
    assert found.trusted
    assert found.statement is not None
    assert found.statement.action == "edit"
    assert found.statement.settings["strengths"] == {"age": "1", "smile": "-0.5"}
    judged = ask(capsys, "evaluate", "edit", str(output), str(clip))
    expected = {"frames", "tl_id", "tg_id", "seam", "flicker", "identity_original"}
    assert expected | {"outside_changed"} <= judged.keys()
    assert judged["frames"] == len(original)
    assert judged["face_changed"] > 0.002


def test_a_negative_strength_may_stand_alone(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [str(place / "anna.mp4"), "-o", str(place / "younger.mp4"), "--dry-run"]
    facts = ask(capsys, "edit", *asked, "--direction", "age", "--strength", "-1")
    assert facts["plan"]["strengths"] == {"age": "-1"}


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (("--direction", "smil"), "did you mean smile"),
        ((), "direction"),
        (("--direction", "age", "--bundle", "x.bundle"), "--engine gan"),
    ],
)
def test_wrong_usage_says_what_to_do(
    place: Path, capsys: pytest.CaptureFixture[str], asked: tuple[str, ...], word: str
) -> None:
    capsys.readouterr()
    assert run(["edit", str(place / "anna.mp4"), "-o", str(place / "no.mp4"), *asked]) == 2
    assert word in capsys.readouterr().err
    assert not (place / "no.mp4").exists()

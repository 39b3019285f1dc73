"""`likeness reenact` and `likeness track --csv/--arkit` from end to end, on an actor."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.actor import Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.cli.app import run
from likeness.decode import open_clip
from likeness.geometry import rotation_matrix
from likeness.importers.arkit import read_arkit
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.portrait.tasks import FastConfig
from likeness.provenance import read_manifest
from likeness.store import load_shot, save_shot, write_table
from likeness.types import Shot
from likeness.verbs.train import train_portrait
from tests.stage import SIDE, actor


@pytest.fixture(scope="module")
def place(actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with actor.bundle (48 frames), driver.mp4 (12 frames at 30 fps) and table.csv."""
    folder = tmp_path_factory.mktemp("reenact")
    fast = FastConfig(batch=2, keyframes=8, apart=2, widths=(8, 8, 8, 8, 8))
    training = ReenactTraining(size=64, steps=2, method=fast)
    train_portrait(actor_shot, folder / "actor.bundle", training)
    motion = Motion.from_seed(9, 0.4, fps=30)
    camera = RenderConfig(size=(SIDE, SIDE))
    write_actor_clip(actor(6), motion, folder / "driver.mp4", camera, sound=True)
    write_table(actor_shot, folder / "table.csv")
    save_shot(actor_shot, folder / "self.shot")
    return folder


def ask(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> Any:
    """Run a command with --json and return its object."""
    capsys.readouterr()
    assert run([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_part_runs_on_the_targets_timeline_and_sound(
    place: Path, actor_shot: Shot, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("reenact", place / "actor.bundle", place / "driver.mp4")
    output = place / "mouth.mp4"
    facts = ask(capsys, *command, "-o", output, "--transfer", "mouth")
    assert facts["frames"] == len(actor_shot.clip) == 48
    assert facts["overrun"] == 38
    assert len(facts["clamped_share"]) == 48
    assert all(isinstance(warning, str) for warning in facts["warnings"])
    assert open_clip(output).audio == ()
    output = place / "voice.mp4"
    facts = ask(capsys, *command, "-o", output, "--transfer", "gaze", "--audio", "driver")
    assert len(open_clip(output).audio) == 1


def test_edits_alone_move_the_target(
    place: Path, actor_shot: Shot, capsys: pytest.CaptureFixture[str]
) -> None:
    output = place / "edited.mp4"
    edits = ("--edit", "yaw=+12", "--edit", "blink=1@0.4-0.6", "--edit=gaze_x=-8")
    facts = ask(capsys, "reenact", place / "actor.bundle", "-o", output, *edits)
    assert facts["frames"] == len(actor_shot.clip)
    stated = read_manifest(output).statement
    assert stated is not None
    assert stated.settings["edits"] == ["yaw=+12", "blink=1@0.4-0.6", "gaze_x=-8"]


def test_a_tracked_table_can_be_fed_back(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, output = place / "table.csv", place / "fed.mp4"
    facts = ask(capsys, "reenact", place / "actor.bundle", "-o", output, "--edits", table)
    assert facts["frames"] == 48
    assert facts["warnings"] == []


@pytest.mark.parametrize(
    ("edit", "message"),
    [("smyle=1", "did you mean 'smile'"), ("yaw", "NAME=VALUE"), ("smile=9", "out of reach")],
)
def test_a_wrong_edit_is_told_and_nothing_written(
    place: Path, edit: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = place / "no.mp4"
    facts = ask(capsys, "reenact", place / "actor.bundle", "-o", output, "--edit", edit, code=2)
    assert message in facts["error"]
    assert not output.exists()


@pytest.mark.parametrize("kind", ["missing", "pipe", "noise"])
def test_a_dry_run_tells_of_files_that_cannot_be_used(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    bundle, clip, bad = place / "actor.bundle", place / "driver.mp4", tmp_path / "bad.mp4"
    if kind == "pipe":
        os.mkfifo(bad)
    elif kind == "noise":
        bad.write_bytes(bytes(range(256)) * 40)
    commands = (
        ("reenact", bundle, bad),
        ("reenact", bundle, tmp_path / "none.csv"),
        ("dub", bundle, bad),
        ("animate", clip, bad),
        ("swap", bundle, bad),
        ("train", "gan", bad),
        ("train", "reenact", bad),
        ("reenact", bundle, clip, "--face", f"like={bad}"),
        ("animate", clip, clip, "--driver-face", f"like={bad}"),
        ("dub", bundle, clip, "--face", f"like={bad}"),
        ("swap", bundle, clip, "--face", f"like={bad}"),
        ("edit", clip, "--direction", "age", "--face", f"like={bad}"),
    )
    for command in commands:
        target = tmp_path / ("o.bundle" if command[0] == "train" else "o.mp4")
        # A photo that does not exist is a wrong setting, one that cannot be opened wrong media.
        code = 2 if kind == "missing" and str(command[-1]).startswith("like=") else 1
        facts = ask(capsys, *command, "-o", target, "--dry-run", code=code)
        assert Path(command[-1]).name in facts["error"], command


def test_a_dry_run_tells_the_plan(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("reenact", place / "actor.bundle", place / "driver.mp4", "-o", place / "no.mp4")
    facts = ask(capsys, *command, "--dry-run", "--transfer", "pose", "--edit", "roll==-3")
    assert (facts["plan"]["transfer"], facts["plan"]["edits"]) == ("pose", ["roll==-3"])
    assert not (place / "no.mp4").exists()


def test_a_phones_capture_is_written_and_drives(
    place: Path, actor_shot: Shot, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shot, capture = tmp_path / "driver.shot", tmp_path / "capture.csv"
    table = tmp_path / "driver.csv"
    command = ("track", place / "driver.mp4", "-o", shot, "--csv", table, "--arkit", capture)
    ask(capsys, *command)
    found, params = read_arkit(capture), load_shot(shot).params
    assert len(found) == 12
    ahead = rotation_matrix(params.rotation) @ np.array([0, 0, -1])
    # HeadYaw grows as the face turns to the person's right, which is image left.
    np.testing.assert_allclose(
        found.values[:, 52], np.arctan2(-ahead[:, 0], -ahead[:, 2]), atol=1e-5
    )
    assert len(list(csv.reader(table.open()))) == 13
    output = tmp_path / "driven.mp4"
    facts = ask(capsys, "reenact", place / "actor.bundle", capture, "-o", output)
    clip = open_clip(output)
    assert (facts["frames"], len(clip)) == (12, 12)
    assert float(clip.fps) == pytest.approx(30, rel=1e-3)
    assert clip.audio == ()
    names = {item.name for item in read_manifest(output).statement.ingredients}  # type: ignore[union-attr]
    assert "capture.csv" in names


def test_neutral_frames_can_be_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("reenact", place / "actor.bundle", place / "driver.mp4", "-o", place / "rest.mp4")
    ask(capsys, *command, "--neutral-driver", "0.1s", "--neutral-target", "3")
    facts = ask(capsys, *command, "--neutral-driver", "99", code=2)
    assert "the driver has frames 0 to 11" in facts["error"]
    facts = ask(capsys, *command, "--neutral-driver", "soon", code=2)
    assert "such as 4.8s" in facts["error"]

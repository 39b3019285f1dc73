"""`likeness animate` from end to end on the actor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from likeness.actor import Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.cli.app import run
from likeness.decode import Decoder, open_clip, read_marks
from likeness.errors import TrackError
from likeness.methods.photo.find import find_photo
from likeness.provenance import read_manifest, trust_anchors
from likeness.types import Window
from tests.conftest import moving_frames, write_clip
from tests.stage import actor

SIDE = 160


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with target.mp4 (an actor's, of two frames), driver.mp4 with sound, photo.png."""
    folder = tmp_path_factory.mktemp("animate")
    camera = RenderConfig((SIDE, SIDE), samples=1)
    for name, seed, seconds in (("target", 3, 0.08), ("driver", 5, 0.5)):
        motion = Motion.from_seed(1, seconds, style="expressive")
        write_actor_clip(actor(seed), motion, folder / f"{name}.mp4", camera, sound=name[0] == "d")
    save(folder / "photo.png", picture(folder / "target.mp4"))
    return folder


def picture(path: Path) -> torch.Tensor:
    with Decoder(open_clip(path)) as decoder:
        return decoder.read(Window(0, 1))[0]


def save(path: Path, pixels: torch.Tensor, **options: Any) -> None:
    array = (pixels * 255 + 0.5).byte().permute(1, 2, 0).numpy()
    Image.fromarray(np.ascontiguousarray(array)).save(path, **options)


def ask(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["animate", *arguments, "--json"]) == code
    facts = json.loads(capsys.readouterr().out)
    assert isinstance(facts, dict)
    return facts


def test_one_frame_of_an_actor_follows_the_driver(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = place / "out.mp4"
    facts = ask(capsys, str(place / "target.mp4"), str(place / "driver.mp4"), "-o", str(output))
    assert {"output", "frames", "fallback_frames", "seconds", "peak_rss_mb"} <= facts.keys()
    made, driver = open_clip(output), open_clip(place / "driver.mp4")
    assert facts["frames"] == len(made) == len(driver)
    assert made.size == (SIDE, SIDE)
    assert len(made.audio) == 1
    assert "Synthetic media" in read_marks(output)["comment"]
    found = read_manifest(output, trust_anchors())
    assert found.trusted
    assert found.statement is not None
    assert found.statement.action == "animate"
    assert [one.role for one in found.statement.ingredients] == ["target", "driver"]


def test_a_drivers_consent_is_asked_for_before_anything_is_looked_at(
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record, stranger = tmp_path / "anna.toml", write_clip(tmp_path / "ben.mp4", moving_frames(12))
    record.write_text(
        'format = 1\nid = "e2f1b49caf9cf9e4ec9c6a389107c58b"\nperson = "Anna"\nrole = "target"\n'
        'statement = "With people who agree, too."\n[scope]\nmethods = ["all"]\n'
        'languages = ["all"]\nterritory = ["all"]\nfrom = 2026-01-01\nclips = []\n'
        'drivers = "consenting"\n'
    )
    command = (str(place / "photo.png"), str(stranger), "-o", str(tmp_path / "no.mp4"))
    command += ("--consent", str(record))
    told = ask(capsys, *command, "--dry-run")["plan"]["consent"]
    assert "would refuse" in told
    assert "as driver of animate" in told
    monkeypatch.delattr("likeness.verbs.animate.find_photo")
    monkeypatch.delattr("likeness.verbs.animate.find_person")
    assert "as driver of animate" in ask(capsys, *command, code=1)["error"]


def test_a_photo_of_nobody_known_needs_consent(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, driver, output = place / "photo.png", place / "driver.mp4", place / "no.mp4"
    facts = ask(capsys, str(photo), str(driver), "-o", str(output), code=1)
    assert facts["kind"] == "ConsentError"
    assert not output.exists()
    plan = ask(capsys, str(photo), str(driver), "-o", str(output), "--dry-run")
    assert "would refuse" in plan["plan"]["consent"]
    record = place / "anna.toml"
    words = ["--person", "Anna", "--statement", "yes", "--scope", "animate", "--yes"]
    assert run(["consent", "new", "-o", str(record), *words]) == 0
    command = (str(photo), str(driver), "-o", str(output), "--consent", str(record))
    facts = ask(capsys, *command, "--audio", "none", "--max-side", "96")
    made = open_clip(output)
    assert (made.size, made.audio) == ((96, 96), ())


def test_a_lying_photo_is_stood_up(place: Path) -> None:
    upright = picture(place / "target.mp4")
    exif = Image.Exif()
    exif[0x112] = 6
    save(place / "lying.jpg", upright.rot90(1, (1, 2)), quality=95, exif=exif)
    found = find_photo(open_clip(place / "lying.jpg"))
    straight = find_photo(open_clip(place / "photo.png"))
    assert (found.picture - upright).abs().mean() < 0.02
    apart = found.track.landmarks[0, :468, :2] - straight.track.landmarks[0, :468, :2]
    assert np.linalg.norm(apart, axis=1).mean() < 1.5


def test_whose_face_is_asked(place: Path) -> None:
    upright = picture(place / "target.mp4")
    save(place / "two.png", torch.cat([upright, upright], 2))
    clip = open_clip(place / "two.png")
    with pytest.raises(TrackError, match="2 faces were found.*--face"):
        find_photo(clip)
    one, other = (find_photo(clip, face=face).track.boxes[0, 0] for face in ("0", "1"))
    assert abs(float(one - other)) > SIDE / 2
    with pytest.raises(TrackError, match="face 2 was asked for"):
        find_photo(clip, face="2")


def test_no_face_and_tiny_faces_are_told(place: Path) -> None:
    save(place / "background.png", torch.full((3, 96, 96), 0.5))
    with pytest.raises(TrackError, match="no face was found"):
        find_photo(open_clip(place / "background.png"))
    small = torch.nn.functional.interpolate(picture(place / "target.mp4")[None], scale_factor=0.3)
    board = torch.full((3, 192, 192), 0.5)
    board[:, 72:120, 72:120] = small[0]
    save(place / "tiny.png", board)
    with pytest.raises(TrackError, match="pixels wide|no face was found"):
        find_photo(open_clip(place / "tiny.png"))
    with pytest.raises(TrackError, match="expected 0 to 0"):
        find_photo(open_clip(place / "photo.png"), frame=4)

"""`likeness swap` from end to end, on procedural actors."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image

from likeness.cli.app import run
from likeness.decode import Decoder, open_clip
from likeness.errors import ConfigError, ConsentError, TrackError
from likeness.methods.portrait.settings import ReenactTraining
from likeness.provenance.consent import Consent, Scope
from likeness.store import load_shot, save_shot
from likeness.types import Shot, Window
from likeness.verbs.swap import SwapConfig, swap
from likeness.verbs.swap_pairs import SwapPair
from likeness.verbs.train import train_portrait
from likeness.verify.verification import verify_file
from tests.conftest import TODAY
from tests.stage import film


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """anna.shot and ben.shot, with their clips."""
    folder = tmp_path_factory.mktemp("swap")
    for name, seed in (("anna", 3), ("ben", 8)):
        save_shot(film(folder, seed=seed, count=24), folder / f"{name}.shot")
    return folder


def frame(path: Path, index: int) -> torch.Tensor:
    with Decoder(open_clip(path)) as decoder:
        return decoder.read(Window(index, index + 1))[0]


def test_the_command_swaps_marks_and_reports(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = place / "swapped.mp4"
    code = run(
        [
            *("swap", str(place / "anna.shot"), str(place / "ben.shot"), "-o", str(output)),
            *("--json", "--method", "photo"),
        ]
    )
    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (told["frames"], told["fallback_frames"]) == (24, [])
    found = verify_file(output)
    assert found.watermark.present
    stated = found.manifest
    assert stated.finding == "valid"
    before, after = frame(place / "actor8_5.mp4", 12), frame(output, 12)
    changed = (before - after).abs().amax(0)
    assert changed[40:90, 40:90].mean() > 5 * changed[:12].mean()


def test_a_portrait_swaps_and_its_person_is_a_source(place: Path) -> None:
    bundle = place / "anna.bundle"
    train_portrait(load_shot(place / "anna.shot"), bundle, ReenactTraining(size=96, steps=4))
    output = place / "by_portrait.mp4"
    report = swap([SwapPair(bundle)], place / "ben.shot", output)
    assert report.frames == 24
    people = verify_file(output).manifest
    assert people.finding == "valid"


def test_everyone_is_asked_by_role(place: Path, actor_shot: Shot, tmp_path: Path) -> None:
    with Decoder(actor_shot.clip) as decoder:
        picture = decoder.read(Window(0, 1))[0]
    photo = tmp_path / "somebody.png"
    Image.fromarray((picture.permute(1, 2, 0).numpy() * 255).astype(np.uint8)).save(photo)
    with pytest.raises(ConsentError, match="somebody.png as source of swap"):
        swap([SwapPair(photo)], place / "ben.shot", tmp_path / "no.mp4")
    assert not (tmp_path / "no.mp4").exists()


def test_a_photo_is_looked_at_before_the_target(place: Path, tmp_path: Path) -> None:
    wall = tmp_path / "wall.png"
    Image.fromarray(np.full((200, 200, 3), 120, np.uint8)).save(wall)
    scope = Scope(methods=("swap",), start=TODAY)
    agreed = Consent(person="wall", role="source", statement="Yes.", scope=scope)
    with patch("likeness.verbs.swap.find_people", side_effect=AssertionError("looked at")):
        with pytest.raises(TrackError, match="no face was found in wall.png"):
            swap([SwapPair(wall)], place / "ben.shot", tmp_path / "none.mp4", consents=[agreed])
        with pytest.raises(AssertionError, match="looked at"):
            swap([SwapPair(place / "anna.shot")], place / "ben.shot", tmp_path / "none.mp4")
    assert not (tmp_path / "none.mp4").exists()


def test_two_sources_need_two_faces(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    anna, ben = str(place / "anna.shot"), str(place / "ben.shot")
    assert run(["swap", anna, ben, ben, "-o", str(place / "x.mp4")]) == 2
    assert "SOURCE=FACE" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="two sources were given for one face"):
        swap(
            [SwapPair(Path(anna), "0"), SwapPair(Path(anna), "largest")],
            Path(ben),
            place / "x.mp4",
            SwapConfig(method="photo"),
        )


def test_a_dry_run_tells_the_plan(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    anna, ben = str(place / "anna.shot"), str(place / "ben.shot")
    code = run(["swap", anna, ben, "-o", str(place / "y.mp4"), "--dry-run", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["plan"]["faces"][0]["method"] == "swap.portrait"
    assert [person["role"] for person in told["plan"]["consent"]] == ["target", "source"]
    assert not (place / "y.mp4").exists()


def test_an_unknown_method_names_those_there_are(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anna, ben = str(place / "anna.shot"), str(place / "ben.shot")
    assert run(["swap", anna, ben, "-o", str(place / "z.mp4"), "--method", "magic"]) == 2
    assert "photo" in capsys.readouterr().err


def test_layers_are_handed_off(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    anna, ben, folder = str(place / "anna.shot"), str(place / "ben.shot"), place / "layers"
    code = run(["swap", anna, ben, "-o", str(folder), "--method", "warp", "--layers", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["frames"] == 24
    assert told["layers"] == ["plate_%05d.png", "patch_%05d.png", "matte_%05d.png"]
    assert len(list(folder.glob("patch_*.png"))) == 24


def test_settings_of_a_method_come_from_a_file(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anna, ben, config = str(place / "anna.shot"), str(place / "ben.shot"), tmp_path / "run.toml"
    config.write_text("[swap]\nturn_limt = 20\n")
    common = ["swap", anna, ben, "-o", str(place / "w.mp4"), "--config", str(config)]
    assert run([*common, "--method", "photo"]) == 2
    assert "turn_limit" in capsys.readouterr().err
    config.write_text('[finish]\n[[finish.ranges]]\nframes = "900-1000"\nblend = "alpha"\n')
    assert run([*common, "--method", "photo"]) == 2
    assert "900" in capsys.readouterr().err

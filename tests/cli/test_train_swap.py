"""`likeness train swap`, `likeness swap` and `likeness export` from end to end, on two actors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from likeness.cli.app import run
from likeness.condition.crop import cut
from likeness.condition.face_types import face_crop, sixty_eight
from likeness.decode import Decoder, open_clip
from likeness.geometry import apply
from likeness.importers.checkpoints import import_checkpoint
from likeness.importers.face_sets import SIDECAR
from likeness.networks import build
from likeness.provenance import read_manifest
from likeness.store import load_bundle, save_bundle, save_shot
from likeness.types import Shot, Window
from tests.stage import film

SETTINGS = """
[train_swap]
size = 32
width = 8
inter = 16
batch = 2
steps = 3
judged = "always"
[train_swap.loss]
judge_width = 2
[train_swap.schedule]
warp_until = 0.4
adversarial_from = 0.5
"""


@pytest.fixture(scope="module")
def place(actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with anna.shot, ben.shot and settings for three steps."""
    folder = tmp_path_factory.mktemp("swap")
    save_shot(actor_shot, folder / "anna.shot")
    save_shot(film(folder, seed=5, motion=6, count=10), folder / "ben.shot")
    (folder / "run.toml").write_text(SETTINGS)
    return folder


def ask(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> Any:
    capsys.readouterr()
    assert run([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def train(place: Path, *more: str | Path) -> list[str | Path]:
    people = (place / "anna.shot", place / "ben.shot")
    return ["train", "swap", *people, "--config", place / "run.toml", *more]


@pytest.mark.parametrize("arch", ["df", "liae", "original", "comb"])
def test_trained_swapped_and_handed_on(
    arch: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, width = place / f"{arch}.bundle", "32" if arch == "comb" else "8"
    facts = ask(capsys, *train(place, "-o", bundle, "--arch", arch, "--width", width))
    assert facts["method"] == f"swap.{arch}"
    told = {person["role"]: person["name"][-1] for person in facts["people"]}
    assert told == {"source": "3", "target": "5"}
    assert facts["training"]["steps"] == 3
    assert facts["training"]["frames_by_person"] == [48, 10]
    assert not (bundle / "resume").exists()
    output = place / f"{arch}.mp4"
    facts = ask(capsys, "swap", bundle, place / "ben.shot", "-o", output)
    assert facts["frames"] == len(open_clip(output)) == 10
    stated = read_manifest(output).statement
    assert stated is not None
    assert {person["role"]: person["actor"] for person in stated.people} == {
        "source": 3,
        "target": 5,
    }
    _changed_in_the_face_alone(place, output)
    pytest.importorskip("onnxscript", reason="export needs likeness[export]")
    told = ask(capsys, "export", bundle, "-o", place / f"{arch}.dfm")
    assert told["difference"] <= told["tolerance"]
    again = import_checkpoint("onnx", place / f"{arch}.dfm")
    picture = torch.rand(1, 3, 32, 32)
    ours = build(load_bundle(bundle).networks["generator"])(picture)
    theirs = build(again.networks["generator"])(picture)
    torch.testing.assert_close(theirs.rgb, ours.rgb, atol=1e-3, rtol=0)


def _changed_in_the_face_alone(place: Path, output: Path) -> None:
    with Decoder(open_clip(output)) as after, Decoder(open_clip(place / "actor5_6.mp4")) as before:
        change = (after.read(Window(4, 5)) - before.read(Window(4, 5)))[0].abs().mean(0)
    assert float(change[40:90, 44:84].mean()) > 0.01
    # Beside the head there is only what coding the video again costs.
    assert float(change[:, :16].mean()) < 0.01


def test_a_dfm_swaps_like_the_bundle_it_came_from(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript", reason="export needs likeness[export]")
    ask(capsys, *train(place, "-o", place / "one.bundle"))
    ask(capsys, "export", place / "one.bundle", "-o", place / "one.dfm")
    save_bundle(import_checkpoint("onnx", place / "one.dfm"), place / "live.bundle")
    # Nobody is named in a .dfm: whose face it gives must be told by a record.
    refused = ask(
        capsys, "swap", place / "live.bundle", place / "ben.shot", "-o", place / "x.mp4", code=1
    )
    assert "role source" in refused["error"]
    record = _record(place, "source", capsys)
    for name, more in (("one", ()), ("live", ("--consent", record))):
        output = place / f"{name}.mp4"
        ask(capsys, "swap", place / f"{name}.bundle", place / "ben.shot", "-o", output, *more)
    with (
        Decoder(open_clip(place / "one.mp4")) as one,
        Decoder(open_clip(place / "live.mp4")) as two,
    ):
        apart = (one.read(Window(0, 10)) - two.read(Window(0, 10))).abs()
    assert float(apart.mean()) < 2 / 255


def _record(place: Path, role: str, capsys: pytest.CaptureFixture[str]) -> Path:
    file = place / f"{role}.toml"
    if not file.exists():
        words = ("--person", "Anna Muster", "--role", role, "--scope", "swap")
        ask(
            capsys,
            "consent",
            "new",
            "-o",
            file,
            *words,
            "--statement",
            "My face may be used.",
            "--yes",
        )
    return file


def test_a_face_set_is_learned_from_with_its_own_points(
    place: Path, actor_shot: Shot, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place / "aligned"
    folder.mkdir()
    points = sixty_eight(actor_shot.track.landmarks)
    crop = face_crop(points, "whole_face", 96)
    laid = apply(crop.crop_from_frame, points)
    faces = {}
    with Decoder(actor_shot.clip) as decoder:
        for row in range(0, 48, 6):
            frame = decoder.read(Window(row, row + 1))
            one = type(crop)(crop.size, crop.crop_from_frame[row : row + 1])
            picture = (cut(frame, one)[0] * 255).byte().permute(1, 2, 0).numpy()
            Image.fromarray(np.ascontiguousarray(picture)).save(folder / f"{row:03d}.png")
            faces[f"{row:03d}.png"] = {"landmarks": laid[row].tolist()}
    (folder / SIDECAR).write_text(json.dumps({"format": 1, "faces": faces}))
    command = ["train", "swap", folder, place / "ben.shot", "--config", place / "run.toml"]
    output = ("-o", place / "set.bundle")
    assert "role source" in ask(capsys, *command, *output, code=1)["error"]
    record = _record(place, "source", capsys)
    facts = ask(capsys, *command, *output, "--consent", record)
    assert facts["training"]["frames_by_person"] == [8, 10]
    assert {person["name"] for person in facts["people"]} == {
        "Anna Muster",
        "procedural actor 5",
    }


def test_the_plan_says_what_would_be_done(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ask(capsys, *train(place, "-o", place / "x.bundle", "--dry-run"))
    assert told["plan"]["network"]["size"] == 32
    assert told["plan"]["network"]["parameters"] > 1000
    assert told["plan"]["people"]["source"]["frames"] == 48
    assert told["plan"]["share of the time"]["warped until"] == 0.4
    assert {person["role"] for person in told["plan"]["consent"]} == {"source", "target"}
    assert told["settings"]["train_swap"]["loss"]["judge_width"] == 2
    assert not (place / "x.bundle").exists()
    other = ("--arch", "liae", place / "ben.shot")
    refused = ask(capsys, *train(place, *other, "-o", place / "x.bundle", "--dry-run"), code=2)
    assert "or --arch comb" in refused["error"]


def test_more_people_make_a_comb(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = (place / "anna.shot", "--arch", "comb", "--width", "32", "-o", place / "three.bundle")
    facts = ask(capsys, *train(place, *more))
    assert facts["training"]["frames_by_person"] == [48, 10, 48]
    network = build(load_bundle(place / "three.bundle").networks["generator"])
    assert len(network.decoders) == 3  # type: ignore[arg-type]

"""A live swap: the room of an offline one, learned on the way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.cli.app import run as run_command
from likeness.composite import composite
from likeness.composite.finish_settings import FinishConfig
from likeness.condition.conditioner import select
from likeness.decode import Decoder
from likeness.errors import BundleError, ConfigError, ConsentError
from likeness.face3d.light import irradiance
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.swap.live import CropAsItGoes, LightAsItGoes, LiveSwap
from likeness.methods.swap.live_sources import follow_photo_swap
from likeness.methods.swap.photo import open_photo_swap
from likeness.methods.swap.photos import photos_in
from likeness.methods.swap.source import photos_bundle
from likeness.methods.swap.view import following_crop
from likeness.plan.live import Acquaintance, Moment
from likeness.plan.swap import plan_swap
from likeness.provenance.reading import read_manifest
from likeness.types import Bundle, FaceTrack, Layer, Shot, Window
from likeness.verbs.live_shown import permitted
from likeness.verbs.train import train_portrait
from tests.stage import film

CPU = torch.device("cpu")
KNOWN = 12
"""Frames of the acquaintance."""


@pytest.fixture(scope="module")
def ben(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return film(tmp_path_factory.mktemp("ben"), seed=8, count=30)


@pytest.fixture(scope="module")
def anna(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return film(tmp_path_factory.mktemp("anna"), seed=3, count=24)


@pytest.fixture(scope="module")
def photo(anna: Shot) -> Bundle:
    return photos_bundle("swap.photo", photos_in(anna, 1))


@pytest.fixture(scope="module")
def frames(ben: Shot) -> torch.Tensor:
    with Decoder(ben.clip) as decoder:
        return decoder.read(Window(0, len(ben.clip)))


def first(ben: Shot, frames: torch.Tensor) -> Acquaintance:
    """What the first frames tell: no light, as the causal fit finds none."""
    track, params = ben.track, select(ben.params, np.arange(KNOWN))
    seen = FaceTrack(
        0,
        track.boxes[:KNOWN],
        track.landmarks[:KNOWN],
        track.scores[:KNOWN],
        track.observed[:KNOWN],
    )
    dark = replace(params, light=np.zeros_like(params.light))
    return Acquaintance(Shot(ben.clip, seen, dark), frames[KNOWN - 1])


def moment(ben: Shot, frames: torch.Tensor, n: int, *, seen: bool = True) -> Moment:
    params = select(ben.params, np.array([n]))
    dark = replace(params, light=np.zeros_like(params.light))
    return Moment(n / 25, frames[n : n + 1], ben.track.landmarks[n], dark, seen)


def picture(frame: torch.Tensor, layer: Layer) -> torch.Tensor:
    return composite(frame, layer)[0]


def test_it_shows_what_an_offline_swap_shows(
    ben: Shot, frames: torch.Tensor, photo: Bundle
) -> None:
    method = follow_photo_swap(photo, CPU)(first(ben, frames))
    plan = plan_swap(ben, (), FinishConfig(occluders=False), False)
    offline = open_photo_swap(photo, plan, CPU)
    for n in range(KNOWN, KNOWN + 8):
        live = picture(
            frames[n : n + 1], method.synthesize(method.condition(moment(ben, frames, n)))
        )
        told = offline.condition(Window(n, n + 1), frames[n : n + 1])
        wanted = picture(frames[n : n + 1], offline.synthesize(told))
        changed = (wanted - frames[n]).abs().amax(0) > 0.05
        assert changed.float().mean() > 0.03
        apart = (live - wanted).abs()[:, changed].mean()
        assert apart < 0.35 * (wanted - frames[n]).abs()[:, changed].mean(), n
        box = ben.track.boxes[n].round().astype(int)
        outside = torch.ones_like(changed)
        outside[max(box[1] - 20, 0) : box[3] + 20, max(box[0] - 20, 0) : box[2] + 20] = False
        assert torch.equal(live[:, outside], frames[n][:, outside])


def test_a_face_that_is_away_is_held_for_a_blink_and_then_left_alone(
    ben: Shot, frames: torch.Tensor, photo: Bundle
) -> None:
    method = follow_photo_swap(photo, CPU)(first(ben, frames))
    shown = [
        float(method.synthesize(method.condition(moment(ben, frames, n, seen=n < 14))).alpha.max())
        for n in (12, 13, 14, 20, 24, 27)
    ]
    assert min(shown[:4]) > 0.9
    assert shown[4:] == [0, 0]


def test_light_is_found_in_the_picture(ben: Shot, frames: torch.Tensor) -> None:
    light = LightAsItGoes(first(ben, frames))
    normals = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    normals[:, 2] = -np.abs(normals[:, 2])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    found = irradiance(normals, light(moment(ben, frames, 20)).light[0]).mean(1)
    true = irradiance(normals, ben.params.light[20]).mean(1)
    assert np.corrcoef(found, true)[0, 1] > 0.9


def test_the_crop_keeps_its_size_and_moves_in_steps(ben: Shot) -> None:
    follow = CropAsItGoes(ben)
    crops = [follow(points) for points in ben.track.landmarks]
    assert len({crop.size for crop in crops}) == 1
    assert crops[0].size[0] >= following_crop(ben.track).size[0]
    steps = np.diff([crop.crop_from_frame[0, :, 2] for crop in crops], axis=0)
    assert np.array_equal(steps % 8, np.zeros_like(steps))
    near = ben.track.landmarks[0] * 1.8
    assert follow(near).size[0] > crops[0].size[0]


def test_what_needs_a_whole_clip_is_refused(ben: Shot, frames: torch.Tensor) -> None:
    known = first(ben, frames)
    ranges = FinishConfig(ranges=({"frames": "0-10", "color": "rct"},))
    with pytest.raises(ConfigError, match="need a whole clip"):
        LiveSwap(lambda _: pytest.fail("not asked"), replace(known, finish=ranges))


def test_a_source_who_did_not_agree_is_asked_before_the_camera_opens(
    frames: torch.Tensor, tmp_path: Path
) -> None:
    from PIL import Image

    photo = tmp_path / "somebody.png"
    pixels = (frames[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    Image.fromarray(pixels).save(photo)
    with pytest.raises(ConsentError, match="somebody.png as source of swap"):
        permitted(photo, (), swap=True)


def test_a_portrait_is_laid_over_whoever_comes(
    anna: Shot, ben: Shot, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle, output = tmp_path / "anna.bundle", tmp_path / "out.mp4"
    train_portrait(anna, bundle, ReenactTraining(size=96, steps=4))
    asked = ["live", str(bundle), "--swap", "--camera", str(ben.clip.path), "--to", str(output)]
    code = run_command([*asked, "--calibrate", "0.4", "--json"])
    out, err = capfd.readouterr()
    assert code == 0, err
    assert json.loads(out)["frames"] >= 1
    found = read_manifest(output)
    assert found.finding == "valid"
    assert found.statement is not None
    assert found.statement.action == "swap"
    assert [person["role"] for person in found.statement.people] == ["source", "target"]


def test_a_clip_is_no_source(anna: Shot, ben: Shot, tmp_path: Path) -> None:
    from likeness.encode.live import LiveFile
    from likeness.verbs.live import live
    from likeness.verbs.live_shown import LiveSettings

    sink = LiveFile(tmp_path / "o.mp4")
    with pytest.raises(BundleError, match="likeness train reenact"):
        live(anna.clip.path, str(ben.clip.path), sink, LiveSettings(swap=True))

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from likeness.condition import portrait_crop
from likeness.condition.gallery import Features
from likeness.errors import BundleError, ConfigError, TrackError
from likeness.evaluate.self_reenactment import evaluate_self
from likeness.methods.portrait.fast import FastPortrait
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.portrait.tasks import (
    PIX2PIX,
    FastConfig,
    PaperConfig,
    rarity,
    stillness,
)
from likeness.methods.table import METHODS
from likeness.store import load_bundle
from likeness.synthesize.portrait import Portrait
from likeness.training.bank import fill_bank
from likeness.types import Bundle, Shot, Weights, Window
from likeness.verbs.train import train_portrait
from tests.opened import decoded, drawn, opened

METHOD = {
    "fast": FastConfig(batch=2, keyframes=8, apart=2, widths=(8, 8, 8, 8, 8)),
    "paper": PaperConfig(width=4, window=3),
    "pix2pix": replace(PIX2PIX, width=4),
}
SMALL = ReenactTraining(size=64, steps=25, method=METHOD["fast"])


def _small(**changes: object) -> ReenactTraining:
    return replace(SMALL, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    path = tmp_path_factory.mktemp("bundles") / "actor.bundle"
    return path, train_portrait(actor_shot, path, SMALL)


def test_a_saved_portrait_draws_what_it_drew(trained: tuple[Path, Bundle]) -> None:
    path, bundle = trained
    window = Window(40, 43)
    frames = decoded(bundle, window)
    before = drawn(opened(bundle), frames, window).rgb
    again = drawn(opened(load_bundle(path)), frames, window).rgb
    assert before.shape == (3, 3, 64, 64)
    torch.testing.assert_close(before, again, atol=1e-5, rtol=0)


def test_a_portrait_of_the_earlier_network_asks_to_be_trained_again(
    trained: tuple[Path, Bundle],
) -> None:
    _, bundle = trained
    # As they were: no cells, and no part called unet.
    config = {"size": 64, "keyframes": 5, "widths": [8, 8, 8, 8, 8], "canvas": 8}
    before = Weights("portrait", config, {"stem.weight": torch.zeros(8, 94, 3, 3)})
    networks = {**bundle.networks, "generator": before}
    with pytest.raises(BundleError, match=r"earlier version.*Train the portrait again"):
        opened(replace(bundle, networks=networks))
    kept = bundle.networks["gallery"]
    tensors = {name: value for name, value in kept.tensors.items() if name != "mattes"}
    networks = {**bundle.networks, "gallery": replace(kept, tensors=tensors)}
    with pytest.raises(BundleError, match="lack their mattes"):
        opened(replace(bundle, networks=networks))


def test_what_stands_behind_the_head_does_not_move_with_it(
    trained: tuple[Path, Bundle],
) -> None:
    method = opened(trained[1])
    assert isinstance(method, FastPortrait)
    coverage = method.gallery.pictures[:, 3].float() / 255
    # The actor stands in the middle; the upper corners are wall in every keyframe.
    assert coverage[:, 20:40, 26:38].min() > 0.9
    assert coverage[:, :8, :8].max() < 0.1
    assert isinstance(method.model.generator, Portrait)
    plate = method.model.generator.plate[0]
    told = method.condition(Window(30, 36), decoded(trained[1], Window(30, 36)))
    flow = told.maps[:, 9:11, :4, :4]
    assert flow.abs().max() < 64
    corner = method.synthesize(told).rgb[:, :, :6, :6]
    assert (corner - plate[:, :6, :6]).abs().max() < 0.1


def test_windows_do_not_change_the_picture(trained: tuple[Path, Bundle]) -> None:
    method, frames = opened(trained[1]), decoded(trained[1], Window(30, 36))
    whole = drawn(method, frames, Window(30, 36)).rgb
    singly = [drawn(method, frames[i : i + 1], Window(30 + i, 31 + i)).rgb for i in range(6)]
    assert (whole - torch.cat(singly)).abs().max() < 2 / 255


def test_the_record_tells_how_it_was_made(trained: tuple[Path, Bundle]) -> None:
    path, bundle = trained
    assert bundle.method in METHODS
    assert bundle.training["steps"] == 25
    assert bundle.training["frames"] == [0, 32]
    assert bundle.training["settings"]["method"]["keyframes"] == 8
    assert not (path / "resume").exists()


def test_self_evaluation_beats_the_nearest_frame(
    trained: tuple[Path, Bundle], actor_shot: Shot
) -> None:
    report = evaluate_self(trained[0], actor_shot.clip.path).report
    assert report.frames == 16
    assert report.psnr_face is not None
    assert report.baseline_nearest_psnr_face is not None
    assert report.psnr_face > report.baseline_nearest_psnr_face + 1


def test_self_evaluation_wants_its_own_clip(trained: tuple[Path, Bundle], plain_clip: Path) -> None:
    with pytest.raises(BundleError, match="not the clip"):
        evaluate_self(trained[0], plain_clip)


def test_all_networks_are_repeatable(actor_shot: Shot, tmp_path: Path) -> None:
    for preset in ("fast", "paper", "pix2pix"):
        config = _small(preset=preset, method=METHOD[preset], steps=2, holdout="none")
        one = train_portrait(actor_shot, tmp_path / f"{preset}1.bundle", config)
        two = train_portrait(actor_shot, tmp_path / f"{preset}2.bundle", config)
        for name, tensor in one.networks["generator"].tensors.items():
            assert torch.equal(tensor, two.networks["generator"].tensors[name]), name
        layer = drawn(opened(one), decoded(one, Window(0, 2)), Window(0, 2))
        assert layer.rgb.shape == (2, 3, 64, 64)
        assert layer.rgb.isfinite().all()


@pytest.mark.parametrize(("guides", "channels"), [("color", 3), ("correspondence", 6), ("gaze", 9)])
def test_the_network_is_told_as_many_guides_as_asked(
    guides: Literal["color", "correspondence", "gaze"],
    channels: int,
    actor_shot: Shot,
    tmp_path: Path,
) -> None:
    paper = PaperConfig(width=4, window=3, guides=guides)
    config = _small(preset="paper", method=paper, steps=1, holdout="none")
    bundle = train_portrait(actor_shot, tmp_path / "p.bundle", config)
    method = opened(bundle)
    told = method.condition(Window(0, 2), decoded(bundle, Window(0, 2)))
    assert told.maps.shape == (2, 3 * channels, 64, 64)
    assert method.synthesize(told).rgb.isfinite().all()


def test_without_holdout_there_is_nothing_to_judge(actor_shot: Shot, tmp_path: Path) -> None:
    path = tmp_path / "all.bundle"
    train_portrait(actor_shot, path, _small(steps=1, holdout="none"))
    with pytest.raises(ConfigError, match="holdout"):
        evaluate_self(path, actor_shot.clip.path)


def test_too_few_faces_are_refused(actor_shot: Shot, tmp_path: Path) -> None:
    track = replace(actor_shot.track, observed=np.arange(48) < 5)
    with pytest.raises(TrackError, match="5 frames"):
        train_portrait(replace(actor_shot, track=track), tmp_path / "no.bundle", SMALL)
    assert not (tmp_path / "no.bundle").exists()


def test_rare_frames_are_drawn_more_often() -> None:
    points = np.random.default_rng(0).normal(0, 0.1, (200, 6)).astype(np.float32)
    points[50] += 5
    empty = np.zeros((200, 1), np.float32)
    probability = rarity(Features(points, empty, empty))
    assert probability.sum() == pytest.approx(1)
    assert probability[50] > 5 * np.median(probability)


def test_the_wall_is_still_and_the_person_is_not(actor_shot: Shot, tmp_path: Path) -> None:
    crop = portrait_crop(actor_shot.track, actor_shot.clip.size, 64)
    bank = fill_bank(actor_shot.clip, crop, np.arange(48), tmp_path / "crops")
    plate = bank.raw(np.arange(48)).median(0).values.float() / 255
    still = stillness(bank, plate)
    assert still.shape == (1, 1, 64, 64)
    assert still[0, 0, :6, :6].mean() > 0.5
    assert still[0, 0, 28:40, 28:36].mean() < 0.2

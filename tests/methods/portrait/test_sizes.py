"""Portraits of other sizes: trained progressively, drawn by the same code."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from likeness.errors import BundleError, ConfigError
from likeness.evaluate.self_reenactment import evaluate_self
from likeness.methods.portrait.fast import FastPortrait
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.portrait.tasks import FastConfig, FastTask, halvings
from likeness.store import load_bundle
from likeness.synthesize.spacetime import SpacetimeConfig
from likeness.training.loop import Losses
from likeness.types import Bundle, Shot, Window
from likeness.verbs.train import train_portrait
from tests.opened import decoded, opened

LARGE = ReenactTraining(
    size=128,
    early_size=64,
    early_share=0.75,
    steps=24,
    method=FastConfig(batch=2, keyframes=8, apart=2, widths=(8, 8, 8, 8, 8)),
)


@pytest.fixture(scope="module")
def trained(actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    path = tmp_path_factory.mktemp("sizes") / "large.bundle"
    return path, train_portrait(actor_shot, path, LARGE)


def test_a_large_portrait_begins_small(trained: tuple[Path, Bundle]) -> None:
    path, bundle = trained
    assert bundle.training["steps"] == 24
    assert bundle.training["steps_by_size"] == {"64": 18, "128": 6}
    assert bundle.networks["generator"].config["size"] == 128
    tensors = bundle.networks["generator"].tensors
    assert tensors["canvas"].shape[-1] == 32
    assert bundle.networks["gallery"].tensors["pictures"].shape[1:] == (3, 128, 128)
    assert not (path / "resume").exists()


def test_compiled_loops_draw_what_torch_draws_at_this_size(trained: tuple[Path, Bundle]) -> None:
    bundle = load_bundle(trained[0])
    method = opened(bundle)
    assert isinstance(method, FastPortrait)
    told = method.condition(Window(38, 41), decoded(bundle, Window(38, 41)))
    drawn = method.synthesize(told).rgb
    assert drawn.shape == (3, 3, 128, 128)
    with torch.inference_mode():
        exact = method.model.generator(told.keyframes, told.maps, told.code).clamp(0, 1)
    assert (drawn - exact).abs().mean() < 0.5 / 255


def test_what_was_learned_small_is_of_use(trained: tuple[Path, Bundle], actor_shot: Shot) -> None:
    report = evaluate_self(trained[0], actor_shot.clip.path).report
    assert report.psnr_face is not None
    assert report.baseline_nearest_psnr_face is not None
    assert report.psnr_face > report.baseline_nearest_psnr_face


def test_an_interrupted_training_ends_like_a_whole_one(
    trained: tuple[Path, Bundle],
    actor_shot: Shot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, steps = tmp_path / "parts.bundle", 0
    inner = FastTask.losses

    def stopping(self: FastTask, *told: object) -> Losses:
        nonlocal steps
        steps += 1
        # The third of the steps at the full size.
        if steps == 21:
            raise KeyboardInterrupt
        return inner(self, *told)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(FastTask, "losses", stopping)
        with pytest.raises(KeyboardInterrupt):
            train_portrait(actor_shot, path, LARGE)
    with pytest.raises(BundleError, match=r"interrupted training.*--resume"):
        train_portrait(actor_shot, path, LARGE)
    assert (path / "resume" / "state.json").is_file()
    rest = train_portrait(actor_shot, path, LARGE, resume=True)
    assert rest.training["steps_by_size"] == {"64": 18, "128": 6}
    for name, tensor in trained[1].networks["generator"].tensors.items():
        assert torch.equal(tensor, rest.networks["generator"].tensors[name]), name


def test_an_enlarged_crop_is_warned_of(
    actor_shot: Shot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(LARGE, size=192, early_size=192, steps=1, holdout="none")
    with caplog.at_level(logging.WARNING):
        bundle = train_portrait(actor_shot, tmp_path / "a.bundle", config)
    assert "192 pixels a side" in caplog.text
    assert bundle.input["frame_pixels"] <= 128
    assert bundle.training["steps_by_size"] == {"192": 1}


def test_the_papers_network_has_as_many_levels_as_its_size_allows() -> None:
    assert [halvings(side) for side in (256, 384, 512)] == [8, 7, 9]
    assert SpacetimeConfig(size=512, levels=halvings(512)).widths[-2:] == (512, 512)
    assert ReenactTraining(preset="paper", size=512).early is None
    assert ReenactTraining(size=512).early == (256, 0.6)
    assert ReenactTraining(size=256).early is None


@pytest.mark.parametrize("wrong", [{"early_size": 100}, {"early_share": 1.0}, {"early_share": -1}])
def test_early_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="early_size is"):
        ReenactTraining(**wrong)  # type: ignore[arg-type]

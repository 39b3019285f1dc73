"""Training a small StyleGAN: augmentation, growth, encoder, and resuming to the bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.errors import ConfigError
from likeness.nets.inversion import Inversion, InversionConfig
from likeness.synthesize.stylegan import Stylegan, StyleganConfig
from likeness.training.gan import GanConfig, GanTask, Pair, band_error
from likeness.training.gan_augment import Adaptation, AdaptConfig, Draws
from likeness.training.gan_encoder import EncoderConfig, EncoderTask
from likeness.training.gan_growth import GrowthConfig, gan_phases, latents_of
from likeness.training.loop import LoopConfig, train
from likeness.training.phases import train_phases

NETWORK = StyleganConfig(widths=(8, 8, 8), latent=16, code=16, depth=2)
SMALL = GrowthConfig(
    network=NETWORK,
    judge=None,
    encoder=InversionConfig(32, 6, 16, (16, 16, 16, 16), (1, 1, 1, 1)),
    sizes=(8, 16),
    shares=(0.3, 0.3),
    alone=0.4,
    gan=GanConfig(batch=4, r1_share=0.5, path_share=0.5),
)


def pictures(count: int = 24, side: int = 16) -> np.ndarray:
    """(M,3,S,S) of bright discs on colored ground."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / side
    made = []
    for _ in range(count):
        at, size, ground = random.uniform(0.3, 0.7, 2), random.uniform(0.15, 0.3), random.random(3)
        disc = (np.hypot(x - at[0], y - at[1]) < size).astype(float)
        made.append(ground[:, None, None] * (1 - disc) + disc * 0.9)
    return (np.array(made) * 255).astype(np.uint8)


def test_without_probability_pictures_stay_as_they_are() -> None:
    rgb = torch.rand(4, 3, 16, 16)
    draws = Draws.of(np.random.default_rng(0), 4)
    adaptation = Adaptation(AdaptConfig())
    assert torch.equal(adaptation(rgb, draws), rgb)
    adaptation.probability.fill_(1.0)
    changed = adaptation(rgb, draws)
    assert changed.shape == rgb.shape
    assert (changed - rgb).abs().mean() > 0.05


def test_augmentation_passes_gradients() -> None:
    rgb = torch.rand(4, 3, 16, 16, requires_grad=True)
    adaptation = Adaptation(AdaptConfig())
    adaptation.probability.fill_(0.8)
    adaptation(rgb, Draws.of(np.random.default_rng(1), 4)).sum().backward()
    assert rgb.grad is not None
    assert float(rgb.grad.abs().sum()) > 0


@pytest.mark.parametrize(("logit", "rises"), [(3.0, True), (-3.0, False)])
def test_probability_follows_how_surely_real_ones_are_told(logit: float, rises: bool) -> None:
    adaptation = Adaptation(AdaptConfig(speed=1000))
    adaptation.probability.fill_(0.3)
    for _ in range(100):
        adaptation.observe(torch.full((4, 1), logit))
    assert (float(adaptation.probability) > 0.3) is rises
    assert 0 <= float(adaptation.probability) <= 0.8


def test_each_picture_has_a_normal_vector() -> None:
    pixels = pictures(60)
    latents, deviations = latents_of(pixels, 16)
    assert latents.shape == (2, 60, 16)
    assert float(latents.std()) == pytest.approx(1, abs=0.05)
    assert deviations[0] == deviations.max()
    twins, _ = latents_of(np.ascontiguousarray(pixels[..., ::-1]), 16)
    # Mirrored pictures are the other half of the same set, up to the sign of each eigenface.
    torch.testing.assert_close(latents[1].abs(), twins[0].abs(), atol=2e-2, rtol=2e-2)


def test_a_generator_learns_to_reconstruct() -> None:
    pixels = pictures(64)
    (first, *_), loop = gan_phases(SMALL, pixels), LoopConfig(steps=120, learning_rate=0.02)
    task = first.begin(None)
    before = float(task.losses(task.sample(np.random.default_rng(5)), 0).generator)
    train(task, loop, None, "x")
    after = float(task.losses(task.sample(np.random.default_rng(5)), 0).generator)
    assert after < 0.6 * before


def test_a_larger_generator_begins_with_the_smaller_ones_picture() -> None:
    phases = gan_phases(replace(SMALL, alone=0.0, shares=(0.5, 0.5)), pictures())
    small = phases[0].begin(None)
    large = phases[1].begin(small.generator.state_dict())
    z = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        coarse, fine = small.faces(z, None), large.faces(z, None)
    torch.testing.assert_close(
        torch.nn.functional.avg_pool2d(fine, 2)[..., 1:-1, 1:-1], coarse[..., 1:-1, 1:-1],
        atol=0.35, rtol=0,
    )  # fmt: skip
    judges = (small.discriminator, large.discriminator)
    assert judges[0] is not None
    assert judges[1] is not None
    assert torch.equal(judges[0].network.out.weight, judges[1].network.out.weight)


class PulledPlugError(Exception):
    """Somebody pulled the plug."""


@pytest.mark.parametrize("begin", ["encoder", "eigenfaces"])
def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path: Path, begin: str) -> None:
    config = replace(SMALL, begin=begin)  # type: ignore[arg-type]
    loop = LoopConfig(steps=20, learning_rate=2e-3, betas=(0.0, 0.99), save_minutes=0.0)
    whole = train_phases(gan_phases(config, pictures()), loop, tmp_path / "whole", "x")
    for last in (5, 16):

        def pull(_: str, done: int, total: int, last: int = last) -> None:
            if done == last:
                raise PulledPlugError

        with pytest.raises(PulledPlugError):
            train_phases(
                *(gan_phases(config, pictures()), loop, tmp_path / "parts", "x", True),
                progress=pull,
            )
    resumed = train_phases(gan_phases(config, pictures()), loop, tmp_path / "parts", "x", True)
    assert dict(whole.steps) == {"8 alone": 8, "8": 6, "16": 6}
    for name, value in whole.outcome.weights.items():
        assert torch.equal(value, resumed.outcome.weights[name]), name


def test_gradients_are_punished_where_they_are_drawn() -> None:
    pair = Pair(Stylegan(NETWORK), None)
    phases = gan_phases(replace(SMALL, alone=0.0, shares=(0.5, 0.5)), pictures())
    task = phases[1].begin(None)
    assert isinstance(task, GanTask)
    sample = task.sample(np.random.default_rng(0))
    told = {}
    for punish in (False, True):
        torch.manual_seed(0)
        losses = task.losses(replace(sample, punish_gradient=punish, punish_path=punish), 0.0)
        assert losses.discriminator is not None
        told[punish] = (float(losses.generator.detach()), float(losses.discriminator().detach()))
    assert told[True][1] > told[False][1]
    assert pair.faces.config.size == 16


def test_an_encoder_learns_the_way_back() -> None:
    torch.manual_seed(0)
    config = InversionConfig(32, 6, 16, (16, 16, 16, 16), (1, 1, 1, 1))
    pair = Pair(Stylegan(NETWORK), Inversion(config))
    kept = {k: v.clone() for k, v in pair.faces.state_dict().items()}
    task = EncoderTask(pair, pictures(), EncoderConfig(batch=8))
    sample = task.sample(np.random.default_rng(3))
    before = float(task.losses(sample, 0).generator.detach())
    train(task, LoopConfig(steps=60, learning_rate=3e-3), None, "x")
    assert float(task.losses(sample, 0).generator.detach()) < 0.8 * before
    assert all(torch.equal(v, kept[k]) for k, v in pair.faces.state_dict().items())


def test_bands_count_equally() -> None:
    flat, fine = torch.full((1, 3, 16, 16), 0.3), torch.zeros(1, 3, 16, 16)
    fine[..., ::2] = 0.3
    fine[..., 1::2] = -0.3
    assert float(band_error(flat)) == pytest.approx(0.1)
    assert float(band_error(fine)) == pytest.approx(0.1)


def test_sizes_must_grow_to_the_networks() -> None:
    with pytest.raises(ConfigError, match="growing powers of two"):
        replace(SMALL, sizes=(16, 8))
    with pytest.raises(ConfigError, match="none alone without an encoder"):
        replace(SMALL, encoder=None, begin="encoder")

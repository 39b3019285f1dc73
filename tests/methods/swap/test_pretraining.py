"""What one-to-one networks begin from: the shipped network, and how it is made from actors."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.actor import Film
from likeness.condition.face_types import hull_mask
from likeness.methods.swap.autoencoder import pretraining_actors
from likeness.methods.swap.autoencoder.losses import SwapLossConfig
from likeness.methods.swap.autoencoder.pretraining import RATE, PretrainingTask, folded
from likeness.methods.swap.autoencoder.pretraining_actors import (
    ActorsConfig,
    film_actors,
    performance,
)
from likeness.methods.swap.autoencoder.settings import SwapTraining, network_of, resolved
from likeness.methods.swap.autoencoder.start import PLACE, SHAPE, begin, shipped_start
from likeness.methods.swap.autoencoder.tasks import begun
from likeness.synthesize.autoencoder import Autoencoder, AutoencoderConfig
from likeness.training.loop import LoopConfig, train

SMALL = AutoencoderConfig("df", 32, normalized=True, inter=8, encoder=4, decoder=4, mask=2)


def test_the_shipped_network_is_small_and_has_seen_nobody() -> None:
    shipped = shipped_start()
    assert shipped.people == ()
    assert shipped.license == "CC0-1.0"
    assert shipped.training["actors"]["actors"] > 0
    assert sum(file.stat().st_size for file in PLACE.iterdir()) < 12 << 20
    assert {t.dtype for t in shipped.networks["generator"].tensors.values()} == {torch.float16}
    assert dict(shipped.networks["generator"].config) == asdict(SHAPE)


def test_two_people_begin_as_one_from_the_shipped_weights() -> None:
    network = network_of(resolved(SwapTraining(), 20))
    assert isinstance(network, Autoencoder)
    picture = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        before = network.eval()(picture).rgb
        begin(network)
        begun(network, SwapLossConfig(points=0.0))
        source, target = network(picture), network.reconstruct_target(picture)
    assert torch.equal(source.rgb, target.rgb)
    assert float((source.rgb - before).abs().mean()) > 0.02
    shipped = shipped_start().networks["generator"].tensors
    assert torch.equal(network.inter.widen.weight.half(), shipped["inter.widen.weight"])


def test_only_the_shipped_shape_begins_there() -> None:
    assert resolved(SwapTraining(), 20).start == "actors"
    for other in (
        SwapTraining(start="none"),
        SwapTraining(size=64),
        SwapTraining(width=24),
        SwapTraining(options="udt"),
        SwapTraining(face_type="whole_face"),
        SwapTraining(arch="liae"),
        SwapTraining(arch="original"),
        SwapTraining(arch="comb"),
    ):
        assert resolved(other, 20).start == "none"
    assert resolved(SwapTraining(), 5).start == resolved(SwapTraining(), 2000).start == "none"


@pytest.fixture(scope="module")
def pretraining(tmp_path_factory: pytest.TempPathFactory) -> PretrainingTask:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("actors") / "actors.npz"
    config = ActorsConfig(actors=2, poses=2, group=2, frame=64)
    faces = film_actors(config, "full", 32, path)
    again = film_actors(config, "full", 32, path)
    np.testing.assert_array_equal(faces.pixels, again.pixels)
    assert faces.points.shape == (2, 2, 70, 2)
    return PretrainingTask(Autoencoder(SMALL), faces, 4)


def test_a_group_does_the_same_things() -> None:
    config = ActorsConfig()
    first, second, other = (performance(config, index) for index in (0, 3, 4))
    np.testing.assert_array_equal(first.expression, second.expression)
    np.testing.assert_array_equal(first.gaze, second.gaze)
    assert np.abs(first.expression - other.expression).max() > 0.3
    assert first.column("jawOpen").max() > 0.6


def test_one_actor_goes_in_and_another_comes_out(pretraining: PretrainingTask) -> None:
    drawn = pretraining.sample(np.random.default_rng(3))
    assert drawn.batch.warped.shape == drawn.batch.real.shape == (4, 3, 32, 32)
    assert set(drawn.who.tolist()) <= {0, 1}
    # The mask lies where the one who comes out is.
    again = pretraining.sample(np.random.default_rng(3))
    assert torch.equal(drawn.batch.warped, again.batch.warped)
    points = pretraining.faces.points[0, 0, :68]
    assert hull_mask(points[None], pretraining.faces.pixels.shape[-1]).mean() > 0.1


def test_the_mean_look_is_folded_into_the_weights(pretraining: PretrainingTask) -> None:
    loop = LoopConfig(minutes=None, steps=4, learning_rate=RATE, average=0.5)
    outcome = train(pretraining, loop, None, "pretraining")
    looks = {k: v for k, v in outcome.weights.items() if k.startswith("looks.")}
    assert all(float(v.abs().max()) > 0 for v in looks.values())
    # With one look for all, the folded network draws what the group does.
    group = pretraining.generator
    group.load_state_dict(dict(outcome.weights))
    with torch.no_grad():
        for table in group.looks.values():
            table.weight.copy_(table.weight.mean(0, keepdim=True).expand_as(table.weight))
        picture = torch.rand(2, 3, 32, 32)
        expected, _ = group(picture, torch.tensor([0, 1]))
        tensors = folded(dict(group.state_dict()))
        assert not any("target" in name or "pointer" in name for name in tensors)
        network = Autoencoder(replace(SMALL))
        both = tensors | {
            k.replace("source", "target"): v for k, v in tensors.items() if "source" in k
        }
        network.load_state_dict(both)
        torch.testing.assert_close(network(picture).rgb, expected.rgb, atol=1e-5, rtol=0)


def test_films_of_others_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filmed: list[int] = []

    def unfilmed(config: ActorsConfig, index: int) -> Film:
        filmed.append(config.first + index)
        raise KeyboardInterrupt

    monkeypatch.setattr(pretraining_actors, "_film", unfilmed)
    path, one = tmp_path / "actors.npz", ActorsConfig(actors=1, poses=1, frame=64)
    np.savez(path, pixels=np.zeros(1), points=np.zeros(1), asked="others")
    with pytest.raises(KeyboardInterrupt):
        film_actors(one, "full", 32, path)
    assert filmed == [one.first]

"""The compact network learns from exact answers, and swaps by the bundle that comes out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.condition.align import TEMPLATES
from likeness.decode import Decoder
from likeness.errors import ConfigError, TrackError
from likeness.methods.swap.compact.actors import ActorFaces
from likeness.methods.swap.compact.pairs import joined_pairs, moved_alike, pairs_of_actors
from likeness.methods.swap.compact.pseudo import pairs_of_people
from likeness.methods.swap.compact.settings import CompactTraining
from likeness.methods.swap.compact.task import CompactTask, _moves
from likeness.methods.swap.photos import photos_in
from likeness.methods.swap.published import PublishedConfig, published_swapper
from likeness.methods.swap.simswap.people import chips
from likeness.methods.swap.source import photos_bundle
from likeness.methods.swap.view import SwapTarget
from likeness.recognize.source import Describer, scaled
from likeness.store import load_bundle, save_shot
from likeness.synthesize.compact import Compact, CompactConfig, laid
from likeness.types import Shot, Window
from likeness.verbs.train_any import train_any
from tests.stage import film

CPU = torch.device("cpu")
SIDE = 32
TINY = CompactTraining(
    size=SIDE, widths=(8, 16), blocks=1, batch=4, identity=0.3, narrow=False, judged=2
)


def mean_color() -> Describer:
    """A recognizer that tells people apart by the color of their faces."""
    return Describer(
        TEMPLATES["arcface_112"], lambda rgb: functional.avg_pool2d(rgb, 56).flatten(1)
    )


def toys() -> list[ActorFaces]:
    """Three people who are a disk of one color each before a gray wall, in four moments."""
    colors = np.array([[230, 60, 40], [40, 210, 70], [50, 80, 220]], np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE]
    films = []
    for seed in range(3):
        after = (seed + 1) % 3
        pictures = {name: np.full((4, 3, SIDE, SIDE), 90, np.uint8) for name in "ab"}
        cover = np.zeros((4, 1, SIDE, SIDE), np.uint8)
        for moment in range(4):
            disk = (y - 16) ** 2 + (x - 14 - moment) ** 2 < 100
            pictures["a"][moment][:, disk] = colors[seed][:, None]
            pictures["b"][moment][:, disk] = colors[after][:, None]
            cover[moment, :, disk] = 255
        theta = np.repeat(np.eye(2, 3, dtype=np.float32)[None], 4, 0)
        films.append(
            ActorFaces(seed, after, pictures["a"], pictures["b"], cover, theta, theta.copy())
        )
    return films


def test_pairs_are_read_both_ways() -> None:
    pairs = pairs_of_actors(toys(), mean_color())
    faces = pairs.faces
    assert (len(faces), len(pairs.shown)) == (24, 24)
    assert sorted(pairs.sources()) == [0, 1, 2]
    assert all(faces.real[rows].all() and len(rows) == 4 for rows in pairs.sources().values())
    # What is wanted is the same moment with another's face, and every row is both once.
    assert sorted(pairs.shown) == sorted(pairs.wanted) == list(range(24))
    assert (faces.people[pairs.shown] != faces.people[pairs.wanted]).all()
    assert np.array_equal(faces.cover[pairs.shown], faces.cover[pairs.wanted])
    outside = np.broadcast_to(faces.cover[pairs.shown] == 0, faces.pictures.shape)
    assert (faces.pictures[pairs.shown] == faces.pictures[pairs.wanted])[outside].all()


def test_joined_pairs_keep_people_apart() -> None:
    one = pairs_of_actors(toys(), mean_color())
    both = joined_pairs([one, one])
    assert sorted(both.sources()) == [0, 1, 2, 3, 4, 5]
    assert both.shown.max() == 47
    again = both.shown[24:] - 24
    assert np.array_equal(again, one.shown)
    assert np.array_equal(both.faces.people[24:], one.faces.people + 3)


def test_the_recognizers_crop_follows_a_picture_that_is_moved() -> None:
    torch.manual_seed(0)
    smooth = functional.interpolate(torch.rand(4, 3, 6, 6), size=(64, 64), mode="bicubic")
    theta = torch.tensor([[0.5, 0.05, 0.02], [-0.05, 0.5, -0.03]]).expand(4, 2, 3)
    moves = _moves(np.random.default_rng(0), 4)
    assert {bool(m[0, 0] < 0) for m in moves} == {False, True}
    moved, follows = moved_alike(smooth, theta, moves)
    difference = chips(moved, follows, 24) - chips(smooth, theta, 24)
    assert float(difference.abs().mean()) < 0.01
    # A crop that stayed where it was would show something else.
    assert float((chips(moved, theta, 24) - chips(smooth, theta, 24)).abs().mean()) > 0.05


def test_it_learns_whose_face_to_draw() -> None:
    """Of a few disks: the loss falls, and a target takes the color that its source has."""
    torch.manual_seed(0)
    config = replace(TINY, learning_rate=3e-3, batch=6)
    task = CompactTask(pairs_of_actors(toys(), mean_color()), mean_color(), config, CPU)
    optimizer = torch.optim.Adam(task.generator.parameters(), 4e-3)
    seen = []
    for step in range(120):
        loss = task.losses(task.sample(np.random.default_rng(step)), 0).generator
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(loss.detach()))
    assert np.mean(seen[-10:]) < 0.5 * np.mean(seen[:10])
    pairs = task.pairs
    faces, rows = pairs.faces, np.array([pairs.sources()[p][0] for p in range(3)])
    target = torch.from_numpy(faces.pictures[rows]).float() / 255
    others = np.roll(rows, 1)
    with torch.inference_mode():
        result = laid(task.generator.eval()(target, pairs.codes[others]), target)
    face = torch.from_numpy(faces.cover[rows] > 0).expand_as(result)
    wanted = torch.from_numpy(faces.pictures[others]).float() / 255
    to_source = (result - wanted)[face].abs().mean()
    to_target = (result - target)[face].abs().mean()
    assert float(to_source) < 0.5 * float(to_target)


@pytest.mark.parametrize("extra", [{"cycle": 0.5}, {"feature": 1.0, "adversarial": 0.1}])
def test_further_losses_reach_the_network(extra: dict[str, float]) -> None:
    torch.manual_seed(0)
    config = replace(TINY, identity=0.0, edges=0.0, cover=0.0, judge_width=4, **extra)
    task = CompactTask(pairs_of_actors(toys(), mean_color()), mean_color(), config, CPU)
    sample = task.sample(np.random.default_rng(0))
    config = replace(config, cycle=0, feature=0, adversarial=0)
    plain = CompactTask(task.pairs, mean_color(), config, CPU)
    plain.generator.load_state_dict(task.generator.state_dict())
    step = task.losses(sample, 0)
    assert float(step.generator.detach()) != float(plain.losses(sample, 0).generator.detach())
    step.generator.backward()
    told = [p.grad for name, p in task.generator.named_parameters() if "style" in name]
    assert any(grad is not None and float(grad.abs().max()) > 0 for grad in told)
    assert (task.judges is None) == ("cycle" in extra)
    if step.discriminator is not None and task.judges is not None:
        task.judges.zero_grad()
        step.discriminator().backward()
        assert all(p.grad is not None for p in task.judges.parameters())


def test_the_recognizer_speaks_in_the_second_half_only() -> None:
    torch.manual_seed(0)
    pairs, asked = pairs_of_actors(toys(), mean_color()), []

    def describe(rgb: torch.Tensor) -> torch.Tensor:
        asked.append(len(rgb))
        return mean_color().describe(rgb)

    task = CompactTask(pairs, Describer(TEMPLATES["arcface_112"], describe), TINY, CPU)
    sample = task.sample(np.random.default_rng(0))
    early, half, last = (float(task.losses(sample, p).generator.detach()) for p in (0.0, 0.5, 1.0))
    assert early == half
    assert last != half
    # And of some of a batch only.
    assert asked == [TINY.judged]


def test_codes_count_from_the_center() -> None:
    network = Compact(CompactConfig((8, 8), 1, 6)).eval()
    rgb, code = torch.rand(2, 3, 16, 16), torch.randn(2, 6)
    before = network(rgb, code).detach()
    network.count_from(torch.full((6,), 0.3), 2.0)
    torch.testing.assert_close(network(rgb, code * 2 + 0.3), before, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        network.folded()(rgb, code), network(rgb, code), atol=1e-5, rtol=1e-4
    )
    assert before.shape == (2, 4, 16, 16)
    assert 0 <= float(before.min()) <= float(before.max()) <= 1


def test_its_size_is_what_its_head_says() -> None:
    network = Compact(CompactConfig())
    assert sum(p.numel() for p in network.parameters()) == 1_733_200


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("people")
    for seed in (3, 5):
        shot = film(root, seed, seed + 1, 8)
        place = root / "all" / f"actor{seed}"
        place.mkdir(parents=True)
        path = shot.clip.path.rename(place / "clip.mp4")
        save_shot(Shot(replace(shot.clip, path=path), shot.track, shot.params), place / "clip.shot")
    return root / "all"


def test_pseudo_targets_show_another_face_in_the_same_place(tmp_path: Path) -> None:
    people = {str(seed): (film(tmp_path, seed, seed + 1, 8),) for seed in (3, 5)}
    template = scaled(TEMPLATES["simswap_224"], 64)
    pairs = pairs_of_people(people, template, mean_color(), 3, 2)
    faces = pairs.faces
    assert len(faces) == 2 * 3 + 2 * 2
    assert faces.real[pairs.wanted].all()
    assert not faces.real[pairs.shown].any()
    assert (faces.people[pairs.shown] == faces.people[pairs.wanted]).all()
    shown, wanted = (
        faces.pictures[rows].astype(np.float32) for rows in (pairs.shown, pairs.wanted)
    )
    difference = np.abs(shown - wanted).mean(1, keepdims=True)
    cover = faces.cover[pairs.wanted]
    assert difference[cover > 200].mean() > 8
    assert difference[cover == 0].mean() < 1
    with pytest.raises(TrackError, match="expected at least 2 people"):
        pairs_of_people({"3": people["3"]}, template, mean_color(), 3, 2)


def test_a_training_makes_a_bundle_that_swaps(people: Path, tmp_path: Path) -> None:
    config = replace(TINY, steps=2, max_faces=3, pseudo=1)
    train_any([people], tmp_path / "a.bundle", config)
    bundle = load_bundle(tmp_path / "a.bundle")
    assert bundle.method == "swap.compact"
    assert bundle.training["pairs"] == 2
    assert bundle.preview is not None
    shot = film(tmp_path, 3, 5, 12)
    photos = photos_bundle("swap.compact", photos_in(shot, 2))
    ready = replace(bundle, networks={**bundle.networks, **photos.networks})
    swap = published_swapper(ready, shot, PublishedConfig(boost=1), CPU)
    assert swap.contract.mask
    with Decoder(shot.clip) as decoder:
        frames = decoder.read(Window(0, 2))
    face = swap.draw(SwapTarget.of(shot, np.arange(12) / 25).view(Window(0, 2), frames))
    assert bool(torch.isfinite(face.rgb).all())
    assert 0 < float(face.alpha.max()) < 1


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in ({"size": 50}, {"same": 1.0}, {"actors": 1}, {"batch": 1}, {"pseudo": -1}):
        with pytest.raises(ConfigError):
            CompactTraining(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        CompactConfig(widths=(8,))

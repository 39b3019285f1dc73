"""RSGAN, FSNet, FSGAN and UniFaceGAN learn from pictures and landmarks, and swap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.decode import Decoder
from likeness.errors import ConfigError, ContractError, TrackError
from likeness.methods.swap.photos import photos_in
from likeness.methods.swap.simswap.learn import Given
from likeness.methods.swap.simswap.people import People, PersonFaces, collect
from likeness.methods.swap.source import photos_bundle
from likeness.methods.swap.survey.faced import faced
from likeness.methods.swap.survey.fsgan import FSGANTask, ellipses
from likeness.methods.swap.survey.fsnet import FSNetTask
from likeness.methods.swap.survey.picture_settings import (
    FSGANTraining,
    FSNetTraining,
    RSGANTraining,
    UniFaceGANTraining,
)
from likeness.methods.swap.survey.portrayed import portrayed_swapper
from likeness.methods.swap.survey.rsgan import RSGANTask
from likeness.methods.swap.survey.unifacegan import UniFaceGANTask, neighbors, next_rows
from likeness.methods.swap.view import SwapTarget
from likeness.store import load_bundle
from likeness.synthesize.face_maps import LEFT_EYE, LIPS, OVAL, RIGHT_EYE
from likeness.training.narrow import Narrowed
from likeness.types import Weights, Window
from likeness.verbs.swap_people import find_members, open_people
from likeness.verbs.train_any import train_any
from tests.methods.swap.test_compact_training import mean_color
from tests.methods.swap.test_compact_training import people as people
from tests.stage import film

CPU = torch.device("cpu")
SIDE = 32
SMALL: dict[str, Any] = {"size": SIDE, "width": 8, "most": 16, "batch": 6, "judge_width": 4}
TASKS: dict[str, tuple[Any, Any]] = {
    "rsgan": (RSGANTask, RSGANTraining(**SMALL, face=8, hair=8, adversarial=0.001)),
    "fsnet": (FSNetTask, FSNetTraining(**SMALL, latent=8, adversarial=0.001, identity=0.5)),
    "fsgan": (FSGANTask, FSGANTraining(**SMALL)),
    "unifacegan": (UniFaceGANTask, UniFaceGANTraining(**SMALL, adversarial=0.001, identity=0.5)),
}
PACES = {
    "rsgan": (200, 4e-3, 0.6),
    "fsnet": (80, 6e-3, 0.6),
    "fsgan": (60, 2e-3, 0.8),
    "unifacegan": (60, 6e-3, 0.6),
}
"""Steps, the learning rate, and to what share the loss falls.

FSGAN's begins low: its first answer is the picture that it is shown.
"""


@dataclass
class Bank:
    """Pictures of people, in memory: four frames of a clip of each."""

    pixels: torch.Tensor
    person_indices: np.ndarray[Any, Any]
    people: tuple[str, ...]
    times: np.ndarray[Any, Any]

    @property
    def clip_indices(self) -> np.ndarray[Any, Any]:
        return self.person_indices

    def __len__(self) -> int:
        return len(self.pixels)

    def crops(self, rows: np.ndarray[Any, Any]) -> torch.Tensor:
        return self.pixels[rows]


def face_at(x: float) -> torch.Tensor:
    """(478,3) landmarks of a round face before a flat one's place in the crop."""
    random = np.random.default_rng(0)
    angle, far = random.uniform(0, 2 * np.pi, 478), np.sqrt(random.uniform(0, 0.9, 478))
    points = np.stack([far * np.sin(angle), -far * np.cos(angle)], 1)
    turn = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    points[list(OVAL)] = np.stack([np.sin(turn), -np.cos(turn)], 1)
    for part, middle in ((RIGHT_EYE, (-0.4, -0.2)), (LEFT_EYE, (0.4, -0.2)), (LIPS, (0, 0.5))):
        turn = np.linspace(np.pi, 3 * np.pi, len(part), endpoint=False)
        points[list(part)] = np.array(middle) + 0.15 * np.stack([np.cos(turn), np.sin(turn)], 1)
    points[33], points[263] = (-0.6, -0.2), (0.6, -0.2)
    points[127], points[356] = (-0.95, -0.1), (0.95, -0.1)
    points[10], points[2] = (0, -1), (0, 0.2)
    depth = 0.3 * (points**2).sum(1, keepdims=True)
    flat = np.concatenate([points * 10.5 / SIDE + [x / SIDE, 0.5], depth * 10 / SIDE], 1)
    return torch.from_numpy(flat.astype(np.float32))


def disks() -> People:
    """Three people who are a disk of one color each before a gray wall, in four places."""
    colors = torch.tensor([[0.9, 0.2, 0.2], [0.2, 0.8, 0.3], [0.2, 0.3, 0.9]])
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    pictures = torch.full((12, 3, SIDE, SIDE), 0.4)
    places = [13.0 + 2 * (row % 4) for row in range(12)]
    for row, place in enumerate(places):
        disk = torch.from_numpy((y - 16) ** 2 + (x - place) ** 2 < 100)
        pictures[row][:, disk] = colors[row // 4][:, None]
    theta = torch.eye(2, 3).expand(12, 2, 3).contiguous()
    codes = mean_color().describe(functional.interpolate(pictures, size=(112, 112)))
    owners = np.repeat(np.arange(3), 4)
    bank: Any = Bank(pictures, owners, ("a", "b", "c"), np.tile(np.arange(4), 3))
    return People(bank, codes, theta, 112, torch.stack([face_at(place) for place in places]))


def task_of(kind: str) -> Any:
    torch.manual_seed(0)
    task, config = TASKS[kind]
    return task(Given(disks(), mean_color(), Weights("none", {}, {}), CPU, {}), config)


@pytest.mark.parametrize("kind", list(TASKS))
def test_it_learns_and_targets_take_the_color_of_their_source(kind: str) -> None:
    task = task_of(kind)
    people, rows = task.people, np.array([1, 5, 9])
    others = np.roll(rows, 1)
    target, points = people.bank.crops(rows), task.points[rows]
    wanted = people.bank.crops(others)

    def apart() -> tuple[float, float]:
        """How far the faces' colors are from the source's, and from the target's own."""
        task.generator.eval()
        ways = []
        with torch.inference_mode():
            for index in range(3):
                one, other = slice(index, index + 1), others[index : index + 1]
                told = people.bank.crops(other), task.points[other]
                drawn = task.generator(target[one], points[one], *told)
                assert drawn.shape == (1, 4, SIDE, SIDE)
                middle = drawn[0, :3, 12:20, 12:20]
                ways.append(
                    [
                        float((middle - real[index, :, 12:20, 12:20]).abs().mean())
                        for real in (wanted, target)
                    ]
                )
        task.generator.train()
        to_source, to_target = np.mean(ways, 0)
        return float(to_source), float(to_target)

    seen = []
    steps, rate, share = PACES[kind]
    optimizer = torch.optim.Adam(task.generator.parameters(), rate)
    for step in range(steps):
        loss = task.losses(task.sample(np.random.default_rng(step)), 0).generator
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(loss.detach()))
    assert np.mean(seen[-10:]) < share * np.mean(seen[:5])
    to_source, to_target = apart()
    assert to_source < 0.5 * to_target


@pytest.mark.parametrize("kind", list(TASKS))
def test_both_sides_are_taught_and_a_sample_tells_all_chance(kind: str) -> None:
    task, again = task_of(kind), task_of(kind)
    step = task.losses(task.sample(np.random.default_rng(3)), 0.0)
    step.generator.backward()
    assert all(p.grad is not None for p in task.generator.parameters())
    assert step.discriminator is not None
    task.judges.zero_grad()
    step.discriminator().backward()
    assert any(float(p.grad.abs().max()) > 0 for p in task.judges.parameters())
    repeated = again.losses(again.sample(np.random.default_rng(3)), 0.0)
    assert float(repeated.generator.detach()) == float(step.generator.detach())
    narrow = Narrowed(task_of(kind))
    found = narrow.losses(narrow.sample(np.random.default_rng(3)), 0.0)
    whole = float(step.generator.detach())
    assert float(found.generator.detach()) == pytest.approx(whole, rel=0.05)
    found.generator.backward()


def test_pairs_that_went_wrong_are_learned_from_more_often() -> None:
    task = task_of("unifacegan")
    task.errors[:] = 0.05
    task.errors[:, 7] = 1.0
    drawn, learned = np.zeros(12), np.zeros(12)
    for step in range(60):
        sample = task.sample(np.random.default_rng(step))
        chosen = task.chosen(sample)
        assert len(chosen.targets) == len(chosen.target) == 6
        assert chosen.same == 3
        owners = task.people.bank.person_indices
        assert (owners[chosen.targets[:3]] == owners[chosen.sources[:3]]).all()
        assert (owners[chosen.targets[3:]] != owners[chosen.sources[3:]]).all()
        assert torch.equal(chosen.target, task.people.bank.crops(chosen.targets))
        np.add.at(drawn, sample.targets, 1)
        np.add.at(learned, chosen.targets, 1)
    share = learned / drawn
    assert share[7] > 0.85
    assert np.delete(share, 7).mean() < 0.55
    before = float(task.errors[0, 7] + task.errors[1, 7])
    for step in range(4):
        task.losses(task.sample(np.random.default_rng(step)), 0.0)
    assert float(task.errors[0, 7] + task.errors[1, 7]) != before
    assert "errors" in task.judges.state_dict()


def test_neighboring_frames_are_kept_and_found() -> None:
    times, landmarks = np.array([0, 1, 2, 3, 10, 11, 12, 20]), np.zeros((8, 478, 3), np.float32)
    clip: Any = None
    part = PersonFaces(clip, times, landmarks)
    few = neighbors(part, 4)
    assert few.times.tolist() == [0, 1, 11, 12]
    assert neighbors(part, 8) is part
    apart = PersonFaces(clip, times * 2, landmarks)
    assert len(neighbors(apart, 3).times) == 3
    bank: Any = Bank(torch.zeros(4, 3, 2, 2), np.array([0, 0, 1, 1]), ("a", "b"), np.arange(4))
    assert next_rows(bank).tolist() == [1, -1, 3, -1]


def test_an_ellipse_is_where_its_noise_says() -> None:
    drawn = ellipses(torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, -1.0, 0.5, 0.5]]), 50)
    y, x = ((torch.arange(50) + 0.5) / 50 for _ in range(2))
    middle = [float((drawn[:, 0].sum(1) * x).sum(1)[i] / drawn[i].sum()) for i in (0, 1)]
    assert middle == pytest.approx([0.5, 0.65], abs=0.01)
    assert float(drawn[0].mean()) == pytest.approx(np.pi * 0.12**2, rel=0.1)
    assert float((drawn[1, 0].sum(1) * y).sum() / drawn[1].sum()) == pytest.approx(0.35, abs=0.01)


def test_landmarks_lie_where_the_crops_show_them(people: Path, tmp_path: Path) -> None:
    found = find_members(open_people([people]))
    crops = collect(found, mean_color(), SIDE, 4, tmp_path / "crops")
    there = faced(crops, found, SIDE, 4)
    assert there.points.shape == (len(crops.bank), 478, 3)
    matrices = crops.bank.crop.crop_from_frame
    (first,) = found[crops.bank.people[0]]
    row = int(np.flatnonzero(first.times == crops.bank.times[0])[0])
    landmark = first.landmarks[row, 1]
    wanted = (matrices[0, :, :2] @ landmark[:2] + matrices[0, :, 2]) / SIDE
    assert there.points[0, 1, :2].tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    # The tip of the nose is nearest.
    assert bool((there.points[:, 1, 2] < there.points[:, 234, 2]).all())
    flat = {
        name: tuple(PersonFaces(p.clip, p.times, p.landmarks[..., :2]) for p in parts)
        for name, parts in found.items()
    }
    with pytest.raises(TrackError, match="no depth"):
        faced(crops, flat, SIDE, 4)


@pytest.mark.parametrize("kind", list(TASKS))
def test_a_training_makes_a_bundle_that_swaps(people: Path, tmp_path: Path, kind: str) -> None:
    config = replace(TASKS[kind][1], steps=1, batch=2, max_faces=4)
    train_any([people], tmp_path / "a.bundle", config)
    bundle = load_bundle(tmp_path / "a.bundle")
    assert bundle.method == f"swap.{kind}"
    assert set(bundle.networks) == {"generator"}
    assert bundle.preview is not None
    assert bundle.preview.shape == (3, 3 * SIDE, 3 * SIDE)
    shot = film(tmp_path, 3, 5, 12)
    photos = photos_bundle(f"swap.{kind}", photos_in(shot, 3))
    ready = replace(bundle, networks={**bundle.networks, **photos.networks})
    swapper = portrayed_swapper(ready, shot, CPU)
    with Decoder(shot.clip) as decoder:
        frames = decoder.read(Window(0, 3))
    target = SwapTarget.of(shot, np.arange(12) / 25)
    face = swapper.draw(target.view(Window(0, 3), frames))
    assert bool(torch.isfinite(face.rgb).all())
    assert 0 < float(face.alpha.max()) <= 1
    # Where the face is there is something to show, and not at the border of the crop.
    assert float(face.alpha[:, :, 0].max()) == 0
    alone = swapper.draw(target.view(Window(1, 2), frames[1:2]))
    torch.testing.assert_close(alone.rgb, face.rgb[1:2])
    torch.testing.assert_close(alone.alpha, face.alpha[1:2])


def test_what_cannot_be_is_refused() -> None:
    for kind in (RSGANTraining, FSNetTraining, FSGANTraining, UniFaceGANTraining):
        for wrong in ({"size": 48}, {"same": 0.0}, {"batch": 1}, {"width": 0}, {"max_faces": 1}):
            with pytest.raises(ConfigError):
                kind(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="choice"):
        UniFaceGANTraining(choice=0)
    task = task_of("fsgan")
    with pytest.raises(ContractError, match="no source view"):
        task.generator(
            torch.rand(1, 3, SIDE, SIDE),
            task.points[:1],
            torch.rand(0, 3, SIDE, SIDE),
            task.points[:0],
        )

"""SimSwap is trained on folders of people and swaps by the bundle that comes out."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.cli.app import run
from likeness.condition.align import TEMPLATES, aligned_crop
from likeness.condition.crop import cut
from likeness.decode import Decoder, open_clip
from likeness.errors import BundleError, ConfigError, MediaError, TrackError
from likeness.importers.recognizer import recognizer_bundle
from likeness.methods.swap.photos import photos_in
from likeness.methods.swap.published import PublishedConfig, published_swapper
from likeness.methods.swap.simswap.judges import Projected
from likeness.methods.swap.simswap.learn import Given, learn_system
from likeness.methods.swap.simswap.people import PersonFaces, collect
from likeness.methods.swap.simswap.settings import SimSwapTraining
from likeness.methods.swap.simswap.task import SIMSWAP, SimSwapTask
from likeness.methods.swap.simswap.train import recognizer_of
from likeness.methods.swap.source import photos_bundle
from likeness.methods.swap.survey.cihanet import CihaTraining
from likeness.methods.swap.view import SwapTarget
from likeness.nets.identity_dlib import DlibIdentity, DlibIdentityConfig
from likeness.recognize.source import Describer
from likeness.store import load_bundle, save_shot
from likeness.training.footage import Budget
from likeness.types import Shot, Weights, Window
from likeness.verbs.swap_people import find_members, open_people
from likeness.verbs.train_simswap import train_simswap
from tests.stage import film

CPU = torch.device("cpu")
NOTHING = Weights("none", {}, {})
FALLING = {"fall": ((0.7, 0.1), (0.4, 0.2))}
"""In no order."""
TINY = SimSwapTraining(
    steps=2, size=32, widths=(4, 8, 8), blocks=1, batch=2, judge_width=4, max_faces=4
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two actors: a folder each, with a clip that was looked at."""
    root = tmp_path_factory.mktemp("people")
    for seed in (3, 5):
        shot = film(tmp_path_factory.mktemp("film"), seed, seed + 1, 10)
        place = root / f"actor{seed}"
        place.mkdir()
        path = shutil.copy(shot.clip.path, place / "clip.mp4")
        save_shot(Shot(open_clip(Path(path)), shot.track, shot.params), place / "clip.shot")
    return root


def mean_color() -> Describer:
    """A recognizer that tells people apart by the color of their faces."""
    template = TEMPLATES["arcface_112"]
    return Describer(template, lambda rgb: functional.avg_pool2d(rgb, 56).flatten(1))


def faces_of(folder: Path) -> dict[str, tuple[PersonFaces, ...]]:
    return dict(find_members(open_people([folder])))


def test_people_are_folders_in_a_folder_or_folders_themselves(folder: Path) -> None:
    together = open_people([folder])
    assert [member.name for member in together] == ["actor3", "actor5"]
    apart = open_people([folder / "actor3", folder / "actor5"])
    assert [m.clips[0].digest for m in apart] == [m.clips[0].digest for m in together]
    # The clip and its shot are one file.
    assert [len(member.clips) for member in together] == [1, 1]
    with pytest.raises(MediaError, match="is no folder"):
        open_people([folder / "nobody"])


def test_one_person_is_not_enough(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TrackError, match="expected at least 2"):
        collect(faces_of(folder / "actor3"), mean_color(), 32, 4, tmp_path / "x.crops")


def test_the_recognizers_crop_is_found_in_the_banks(folder: Path, tmp_path: Path) -> None:
    people = faces_of(folder)
    found = collect(people, mean_color(), 128, 6, tmp_path / "x.crops")
    assert (len(found.bank), found.codes.shape[1], found.side) == (12, 12, 112)
    first = people["actor3"][0].spread(6)
    with Decoder(first.clip) as decoder:
        frame = decoder.read(Window(int(first.times[2]), int(first.times[2]) + 1))
    crop = aligned_crop(first.landmarks[2:3], TEMPLATES["arcface_112"])
    rows = np.array([2])
    cut_twice = found.chips(found.bank.crops(rows), rows)
    difference = (cut_twice - cut(frame, crop)).abs()[..., 8:-8, 8:-8]
    assert float(difference.mean()) < 0.01


def test_a_batch_holds_both_kinds_of_pairs(folder: Path, tmp_path: Path) -> None:
    found = collect(faces_of(folder), mean_color(), 32, 4, tmp_path / "x.crops")
    config = SimSwapTraining(size=32, widths=(4, 8, 8), blocks=1, batch=6, judge_width=4)
    task = SimSwapTask(Given(found, mean_color(), NOTHING, CPU, {}), config)
    targets, sources = task._pairs(np.random.default_rng(0), 6, 3)
    who = found.bank.person_indices
    assert (who[targets[:3]] == who[sources[:3]]).all()
    assert (who[targets[3:]] != who[sources[3:]]).all()
    sample = task.sample(np.random.default_rng(1))
    assert sample.same == 3
    again = task.sample(np.random.default_rng(1))
    assert torch.equal(sample.target, again.target)
    # Codes count from the center, in units of their spread.
    everybody = (found.codes - task.center) * task.scale
    assert float(everybody.square().mean()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("penalty", [0.0, 1e-5])
def test_a_step_teaches_both_sides(folder: Path, tmp_path: Path, penalty: float) -> None:
    torch.manual_seed(0)
    found = collect(faces_of(folder), mean_color(), 32, 4, tmp_path / "x.crops")
    config = SimSwapTraining(
        size=32, widths=(4, 8, 8), blocks=1, batch=4, judge_width=4, penalty=penalty
    )
    task = SimSwapTask(Given(found, mean_color(), NOTHING, CPU, {}), config)
    step = task.losses(task.sample(np.random.default_rng(0)), 0.0)
    step.generator.backward()
    styles = [
        p.grad for name, p in task.generator.named_parameters() if name.endswith("style.weight")
    ]
    assert all(grad is not None and float(grad.abs().max()) > 0 for grad in styles)
    assert step.discriminator is not None
    task.judges.zero_grad()
    step.discriminator().backward()
    assert any(
        float(p.grad.abs().max()) > 0 for p in task.judges.parameters() if p.grad is not None
    )


def test_the_identity_loss_falls_in_phases(folder: Path, tmp_path: Path) -> None:
    config = SimSwapTraining(identity=3.0, fall=((0.4, 0.5), (0.75, 0.1)))
    weights = [config.identity_at(share) for share in (0.0, 0.39, 0.4, 0.74, 0.75, 1.0)]
    assert weights == pytest.approx([3, 3, 1.5, 1.5, 0.3, 0.3])
    assert SimSwapTraining(fall=()).identity_at(0.9) == 10
    # Each phase is learned to its end, unless the rate shall fall but once.
    assert config.restarts == (0.4, 0.75)
    assert replace(config, restart=0.0).restarts == ()
    assert CihaTraining().restarts == ()
    torch.manual_seed(0)
    found = collect(faces_of(folder), mean_color(), 32, 4, tmp_path / "x.crops")
    config = SimSwapTraining(
        size=32, widths=(8, 16), blocks=1, batch=4, judge_width=4, fall=((0.5, 0.0),)
    )
    task = SimSwapTask(Given(found, mean_color(), NOTHING, CPU, {}), config)
    task.generator.eval()
    sample = task.sample(np.random.default_rng(0))
    early, late = (float(task.losses(sample, share).generator) for share in (0.0, 0.9))
    wanted = task.identity(task.generator(sample.target, sample.code), sample.theta, sample.code)
    assert early - late == pytest.approx(10 * float(wanted), rel=1e-4)


def test_learning_lowers_what_it_minimizes(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    found = collect(faces_of(folder), mean_color(), 32, 4, tmp_path / "x.crops")
    config = SimSwapTraining(
        size=32, widths=(8, 16), blocks=1, batch=4, judge_width=4, adversarial=0, penalty=0
    )
    task = SimSwapTask(Given(found, mean_color(), NOTHING, CPU, {}), config)
    optimizer = torch.optim.Adam(task.generator.parameters(), 3e-3)
    seen = []
    for step in range(30):
        loss = task.losses(task.sample(np.random.default_rng(step % 3)), 0).generator
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(loss.detach()))
    assert np.mean(seen[-6:]) < 0.6 * np.mean(seen[:6])


def test_projected_judges_keep_their_features_fixed() -> None:
    torch.manual_seed(0)
    backbone = DlibIdentity(DlibIdentityConfig((1, 1, 1), (4, 4, 4), 8, 40)).requires_grad_(False)
    judges = Projected(backbone, 4)
    seen = judges.features(torch.rand(2, 3, 32, 32))
    assert len(seen) == 3
    assert all(logits.shape[1] == 1 for _, logits in seen)
    assert not any("stem" in name for name, _ in judges.named_parameters())
    picture = torch.rand(1, 3, 32, 32, requires_grad=True)
    judges.matched(picture, 3)[0].sum().backward()
    assert float(picture.grad.abs().max()) > 0  # type: ignore[union-attr]


def test_a_training_makes_a_bundle_that_swaps(folder: Path, tmp_path: Path) -> None:
    """Twice from one seed it comes to the same."""
    whole = train_simswap([folder], tmp_path / "a.bundle", TINY)
    again = train_simswap([folder], tmp_path / "b.bundle", TINY)
    for name, tensor in whole.networks["generator"].tensors.items():
        assert torch.equal(tensor, again.networks["generator"].tensors[name]), name
    bundle = load_bundle(tmp_path / "a.bundle")
    assert bundle.method == "swap.simswap"
    assert bundle.input["contract"]["space"] == "dlib"
    assert bundle.preview is not None
    assert bundle.preview.shape == (3, 96, 96)
    assert {person["role"] for person in bundle.people} == {"source"}
    assert not (tmp_path / "a.bundle" / "resume").exists()
    shot = film(tmp_path, 3, 5, 12)
    photos = photos_bundle("swap.simswap", photos_in(shot, 2))
    ready = replace(bundle, networks={**bundle.networks, **photos.networks})
    swap = published_swapper(ready, shot, PublishedConfig(), CPU)
    assert swap.contract.size == 32
    with Decoder(shot.clip) as decoder:
        frames = decoder.read(Window(0, 2))
    view = SwapTarget.of(shot, np.arange(12) / 25).view(Window(0, 2), frames)
    face = swap.draw(view)
    assert bool(torch.isfinite(face.rgb).all())
    assert float(face.alpha.max()) == 1


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(
    folder: Path, tmp_path: Path
) -> None:
    people, recognizer = faces_of(folder), recognizer_bundle()

    def learned(name: str, steps: int, resume: bool) -> dict[str, torch.Tensor]:
        budget = Budget(None, steps, 0, tmp_path / name, "a" * 64, resume, CPU)
        found, contract, _ = learn_system(SIMSWAP, people, recognizer, TINY, budget)
        assert (contract.form, contract.space, contract.size) == ("raw", "dlib", 32)
        return dict(found.networks["generator"].tensors)

    whole = learned("whole", 2, False)
    half = learned("parted", 1, False)
    rest = learned("parted", 2, True)
    assert any(not torch.equal(whole[name], half[name]) for name in whole)
    assert all(torch.equal(whole[name], rest[name]) for name in whole)


def test_what_cannot_teach_is_refused() -> None:
    _, describer, kept = recognizer_of(recognizer_bundle(), CPU)
    assert kept.network == "identity_dlib"
    chip = torch.rand(1, 3, 150, 150, requires_grad=True)
    describer.describe(chip).sum().backward()
    assert float(chip.grad.abs().max()) > 0  # type: ignore[union-attr]
    with pytest.raises(BundleError, match="ONNX files have no gradients"):
        recognizer_of(replace(recognizer_bundle(), networks={}), CPU)
    for wrong in (
        {"size": 50},
        {"same": 1.0},
        {"matched": 9},
        {"batch": 1},
        {"restart": 2.0},
        FALLING,
    ):
        with pytest.raises(ConfigError):
            SimSwapTraining(**wrong)  # type: ignore[arg-type]


def test_the_command_line_trains_many_people(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        "[train_simswap]\nsteps = 1\nwidths = [4, 8, 8]\nblocks = 1\njudge_width = 4\n"
    )
    asked = ["train", "swap", str(folder), "-o", str(tmp_path / "s.bundle"), "--arch", "simswap"]
    asked += ["--size", "32", "--batch", "2", "--config", str(config), "--json"]
    assert run([*asked, "--dry-run"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["plan"]["people"]["actor3"] == {"files": 1, "frames": 10}
    assert plan["settings"]["train_simswap"]["size"] == 32
    assert run(asked) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["method"], answer["training"]["steps"]) == ("swap.simswap", 1)
    alone = ["train", "swap", str(folder), "-o", str(tmp_path / "t.bundle"), "--json"]
    assert run(alone) == 2
    assert "one person was given" in capsys.readouterr().out

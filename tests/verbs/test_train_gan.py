"""Training a generator from actors or a folder, its directions, and what comes with the package."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.errors import ConfigError, ConsentError, TrackError
from likeness.methods.edit.directions import directions_of
from likeness.methods.edit.estimate import estimate
from likeness.methods.edit.footage import gather_faces, media_in
from likeness.methods.edit.generator import open_generator
from likeness.methods.edit.shipped import PLACE, shipped_generator
from likeness.methods.edit.stages import StagesConfig
from likeness.methods.edit.stitch import StitchingConfig
from likeness.methods.edit.train import GanTraining
from likeness.metrics.pictures import picture_png
from likeness.store import load_bundle
from likeness.training.cast import LABELS, Cast, CastConfig, draw_cast
from likeness.types import Shot
from likeness.verbs.directions import Wanted, add_directions
from likeness.verbs.train_gan import GanJob, train_gan

CAST = CastConfig(actors=2, poses=8)
JOB = GanJob(
    actors=2,
    cast=CAST,
    train=GanTraining(arch="eigenfaces", size=32, components=6),
)


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    """Two actors, eight pictures each."""
    return draw_cast(CAST, 32, tmp_path_factory.mktemp("cast") / "faces.bin")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eigenfaces of the two."""
    path = tmp_path_factory.mktemp("gan") / "actors.bundle"
    train_gan(None, path, JOB)
    return path


def test_labels_come_with_the_pictures(cast: Cast) -> None:
    assert cast.pixels.shape == (16, 3, 32, 32)
    assert tuple(cast.labels) == LABELS
    assert set(cast.labels["glasses"]) <= {0, 1}
    assert 0 < cast.labels["smile"].max() <= 1
    # What an actor is stays, what it does changes.
    for name in ("age", "gray", "skin"):
        assert len(set(cast.labels[name][:8].tolist())) == 1
    assert cast.labels["yaw"].std() > 2
    assert np.ptp(cast.pixels.reshape(16, -1).mean(1)) > 1


def test_actors_need_nobodys_consent_and_bring_directions(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    assert loaded.people == ()
    assert loaded.license == "CC0-1.0"
    assert {d.name for d in directions_of(loaded)} == set(LABELS)
    assert not (bundle / "resume").exists()
    assert all(
        tensor.dtype == torch.float16 for tensor in loaded.networks["generator"].tensors.values()
    )


def test_directions_are_added_from_labels_of_samples(bundle: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    generator = open_generator(load_bundle(bundle))
    rows = []
    for seed in range(40):
        code = generator.sample(1, torch.Generator().manual_seed(seed))
        rows.append(f"{seed},{float(code[0, 0, 1]):.5f}")
    table.write_text("seed,Second one\n" + "\n".join(rows) + "\n")
    output = tmp_path / "more.bundle"
    sheet = tmp_path / "sheet.png"
    found = add_directions(bundle, Wanted(labels=table, pca=2), output, sheet)
    assert set(found) == {"second_one", "pca0", "pca1"}
    steps = {d.name: d.step[0] for d in directions_of(load_bundle(output))}
    assert np.abs(steps["second_one"]).argmax() == 1
    assert set(steps) == {*LABELS, *found}
    assert sheet.stat().st_size > 1000
    with pytest.raises(ConfigError, match="nothing is wanted"):
        add_directions(bundle, Wanted(), output)


def test_a_folder_of_squares_is_taken_as_it_is(cast: Cast, tmp_path: Path) -> None:
    for n in range(3):
        picture = torch.from_numpy(np.array(cast.pixels[n])).float() / 255
        (tmp_path / f"{n}.png").write_bytes(picture_png(picture))
    (tmp_path / "labels.csv").write_text("file,smile\n")
    clips = media_in(tmp_path)
    bank = gather_faces(clips, 32, tmp_path / "bank" / "faces.bin", aligned=True)
    np.testing.assert_array_equal(bank.pixels, cast.pixels[:3])
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "gray.png").write_bytes(picture_png(torch.full((3, 64, 64), 0.5)))
    with pytest.raises(TrackError, match="none of 1"):
        gather_faces(media_in(flat), 32, tmp_path / "none.bin")


def test_real_faces_need_consent(cast: Cast, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    picture = torch.from_numpy(np.array(cast.pixels[0])).float() / 255
    (folder / "a.png").write_bytes(picture_png(picture))
    with pytest.raises(ConsentError, match=r"a\.png"):
        train_gan(folder, tmp_path / "x.bundle", replace(JOB, actors=0))
    with pytest.raises(ConfigError, match="not both"):
        train_gan(folder, tmp_path / "x.bundle", JOB)


def test_a_clip_of_an_actor_is_learned_from(actor_shot: Shot, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "actor.mp4").write_bytes(actor_shot.clip.path.read_bytes())
    job = replace(JOB, actors=0, max_frames=12)
    made = train_gan(folder, tmp_path / "x.bundle", job)
    assert made.training["pictures"] == 12
    assert [person["actor"] for person in made.people] == [3]


def test_the_shipped_generator_is_small_and_shows_nobody() -> None:
    shipped = shipped_generator()
    size = sum(file.stat().st_size for file in PLACE.iterdir())
    assert size < 12 * 2**20
    assert shipped.people == ()
    assert shipped.training["settings"]["actors"] > 0
    assert {d.name for d in directions_of(shipped)} >= {"smile", "age"}
    generator = open_generator(shipped)
    smile = next(d for d in directions_of(shipped) if d.name == "smile")
    code = generator.average()[None]
    with torch.no_grad():
        plain, moved = (generator.draw(smile.moved(code, torch.tensor([s]))) for s in (0.0, 2.0))
    change = (moved - plain).abs().mean(1)[0]
    side = generator.size
    mouth = change[int(0.6 * side) : int(0.8 * side), int(0.3 * side) : int(0.7 * side)].mean()
    corner = change[: int(0.2 * side), : int(0.2 * side)].mean()
    assert mouth > 3 * corner


def test_time_is_told_before_the_work() -> None:
    bundle = shipped_generator()
    few = StagesConfig(stitch=StitchingConfig(steps=1))
    short, long = (estimate(bundle, frames, few) for frames in (1, 1000))
    assert 0 < short.seconds < long.seconds / 20

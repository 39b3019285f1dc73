"""From clip to clip: analyze, train and play a portrait of one actor with another."""

from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.actor import Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.decode import open_clip, read_marks, stream
from likeness.errors import BundleError, ContractError
from likeness.fit import landmark_rms
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.portrait.tasks import FastConfig
from likeness.pipeline import analyze
from likeness.store import load_face_model, save_bundle
from likeness.types import Bundle, Shot
from likeness.verbs.reenact import reenact
from likeness.verbs.train import train_portrait
from tests.stage import SIDE, actor, film


@pytest.fixture(scope="module")
def bundle(actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("play") / "actor.bundle"
    fast = FastConfig(batch=2, keyframes=8, apart=2, widths=(8, 8, 8, 8, 8))
    train_portrait(actor_shot, path, ReenactTraining(size=64, steps=5, method=fast))
    return path


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drive") / "driver.mp4"
    motion = Motion.from_seed(9, 0.8, fps=30)
    write_actor_clip(actor(6), motion, path, RenderConfig(size=(SIDE, SIDE)), sound=True)
    return path


def test_analysis_follows_the_actor_and_is_kept(tmp_path: Path) -> None:
    shot = film(tmp_path, seed=3, motion=2, count=40)
    (found,) = analyze(shot.clip.path)
    assert len(found.params) == 40
    assert landmark_rms(found.track, found.params, load_face_model(), shot.clip.size) < 1.5
    truth = shot.params.rotation - shot.params.rotation.mean(0)
    error = found.params.rotation - found.params.rotation.mean(0) - truth
    assert np.rad2deg(np.linalg.norm(error, axis=1)).mean() < 2.5
    stages: list[str] = []

    def told(stage: str, done: int, total: int) -> None:
        stages.append(stage)

    (again,) = analyze(shot.clip.path, progress=told)
    assert np.array_equal(again.params.expression, found.params.expression)
    assert stages == []
    (anew,) = analyze(shot.clip.path, progress=told, anew=True)
    assert {"track", "fit", "light", "align"} == set(stages)
    assert np.array_equal(anew.params.expression, found.params.expression)


def test_output_keeps_the_drivers_time_and_sound(
    bundle: Path, driver: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.mp4"
    report = reenact(bundle, driver, output)
    result, moving = open_clip(output), open_clip(driver)
    assert report.frames == len(result) == len(moving) == 24
    assert report.fallback_frames == ()
    times = [(pts - clip.pts[0]) * clip.time_base for clip in (result, moving) for pts in clip.pts]
    assert times[:24] == times[24:]
    assert len(result.audio) == 1
    assert "ynthetic" in read_marks(output)["comment"]
    assert Path(f"{output}.manifest.json").is_file()


def test_without_a_driver_the_target_plays_itself(
    bundle: Path, actor_shot: Shot, tmp_path: Path
) -> None:
    output = tmp_path / "self.mp4"
    report = reenact(bundle, None, output)
    assert report.frames == len(actor_shot.clip)
    drawn = torch.cat([frames for _, frames in stream(open_clip(output))])
    real = torch.cat([frames for _, frames in stream(actor_shot.clip)])
    assert (drawn - real).square().mean() < 0.01


def test_another_kind_of_bundle_is_refused(driver: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.bundle"
    save_bundle(Bundle("swap.df", {}, {}, {}, "none"), path)
    with pytest.raises(BundleError, match="expected one of"):
        reenact(path, driver, tmp_path / "no.mp4")
    assert not (tmp_path / "no.mp4").exists()


def test_real_clip_as_target_and_driver(shared_data: Path, bundle: Path, tmp_path: Path) -> None:
    import shutil

    clip = tmp_path / "man.mp4"
    shutil.copy(shared_data / "clips" / "man_speech_dim_5s.mp4", clip)
    output = tmp_path / "out.mp4"
    try:
        report = reenact(bundle, clip, output)
    except ContractError:
        pytest.fail("the driver's params do not fit the target's")
    assert report.frames == 125
    assert report.fallback_frames == ()
    assert len(open_clip(output)) == 125

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from likeness.actor import Motion, RenderConfig, truth
from likeness.actor_clip import write_actor_clip
from likeness.decode import open_clip
from likeness.errors import ConfigError, MediaError
from likeness.fit.transfer import TransferConfig
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.rewrite.adapt import adapt_obama, power
from likeness.methods.rewrite.obama import ObamaConfig
from likeness.plan.performance import Performance, performance_of
from likeness.plan.reenactment import Request, plan_reenactment
from likeness.plan.target import Target
from likeness.store import load_bundle, save_shot
from likeness.types import FaceTrack, Shot
from likeness.verbs.reenact import reenact
from likeness.verbs.train import train_portrait
from tests.stage import actor


@pytest.fixture(scope="module")
def bundle(actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = ObamaConfig(candidates=12, nearest=3, texels=64)
    settings = ReenactTraining(size=64, preset="obama", method=kept)
    path = tmp_path_factory.mktemp("editing") / "obama.bundle"
    train_portrait(actor_shot, path, settings)
    return path


@pytest.fixture(scope="module")
def target(bundle: Path) -> Target:
    return Target.of(load_bundle(bundle))


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    """60 frames of speech with sound: longer than the target, but less than twice as long."""
    motion, camera = Motion.from_seed(9, 60 / 25), RenderConfig((64, 64), samples=1)
    path = tmp_path_factory.mktemp("speaker") / "speaker.mp4"
    clip = write_actor_clip(actor(5), motion, path, camera, sound=True)
    known = truth(actor(5), motion, camera)
    xy = known.landmarks[..., :2]
    boxes = np.concatenate([xy.min(1), xy.max(1)], 1).astype(np.float32)
    track = FaceTrack(0, boxes, known.landmarks, np.ones(60, np.float32), np.ones(60, bool))
    return Shot(clip, track, known.params)


@pytest.fixture(scope="module")
def speaker(speaking: Shot) -> Performance:
    return performance_of(speaking, "driver")


def test_the_target_is_retimed_to_speech(target: Target, speaker: Performance) -> None:
    own = performance_of(target.shot, "target")
    asked = adapt_obama(target, Request(own, speaker, TransferConfig()))
    assert asked.transfer.mode == "mouth"
    assert asked.shown is not None
    assert len(asked.shown) == len(asked.own) == 60
    assert set(np.diff(asked.shown)) <= {0, 1}
    assert asked.own.timeline is speaker.timeline
    np.testing.assert_allclose(
        asked.own.params.rotation, own.params.rotation[asked.shown], atol=1e-5
    )
    plan = plan_reenactment(target, asked)
    assert plan.shown is asked.shown
    assert plan.timeline.pts is speaker.timeline.pts


def test_speech_drives_the_whole_way_to_a_file(
    bundle: Path, speaking: Shot, tmp_path: Path
) -> None:
    save_shot(speaking, tmp_path / "speaker.shot")
    report = reenact(bundle, tmp_path / "speaker.shot", tmp_path / "out.mp4")
    written = open_clip(tmp_path / "out.mp4")
    assert report.frames == len(written) == 60
    np.testing.assert_allclose(written.seconds, speaking.clip.seconds, atol=1e-3)
    assert len(written.audio) == 1


def test_without_sound_the_target_keeps_its_own_time(target: Target) -> None:
    own = performance_of(target.shot, "target")
    asked = adapt_obama(target, Request(own, own, TransferConfig()))
    assert asked.shown is None
    assert asked.own is own


def test_sound_is_loud_where_the_actor_speaks(speaker: Performance) -> None:
    assert speaker.timeline.sound is not None
    loud = power(speaker, speaker.timeline.sound)
    assert loud.shape == (60,)
    assert loud.max() > 1e-3
    assert loud.min() < 0.1 * loud.max()


def test_pose_cannot_be_asked_of_such_a_method(target: Target, speaker: Performance) -> None:
    own = performance_of(target.shot, "target")
    with pytest.raises(ConfigError, match="keeps the target's pose"):
        adapt_obama(target, Request(own, speaker, TransferConfig(mode="pose")))


def test_such_a_method_needs_its_clip(target: Target, speaker: Performance) -> None:
    clip = replace(target.shot.clip, path=Path("gone.mp4"))
    moved = replace(target, shot=replace(target.shot, clip=clip))
    own = performance_of(target.shot, "target")
    with pytest.raises(MediaError, match="gone"):
        adapt_obama(moved, Request(own, speaker, TransferConfig()))

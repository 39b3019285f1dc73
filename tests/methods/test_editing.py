from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from likeness.actor import Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.condition.guide import select
from likeness.errors import ConfigError, MediaError
from likeness.fit.transfer import TransferConfig
from likeness.methods.editing import arrange, power
from likeness.methods.obama import Obama, ObamaConfig
from likeness.methods.reenact import PortraitBundle, open_portrait
from likeness.methods.reenact_train import ReenactTraining, train_portrait
from likeness.performance import Performance, performance_of
from likeness.types import Shot
from tests.stage import actor


@pytest.fixture(scope="module")
def portrait(actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> PortraitBundle:
    settings = ReenactTraining(
        size=64, preset="obama", obama=ObamaConfig(candidates=12, nearest=3, texels=64)
    )
    path = tmp_path_factory.mktemp("editing") / "obama.bundle"
    return open_portrait(train_portrait(actor_shot, path, settings))


@pytest.fixture(scope="module")
def speaker(actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> Performance:
    """60 frames of speech with sound: longer than the target, but less than twice as long."""
    motion = Motion.from_seed(9, 60 / 25)
    path = tmp_path_factory.mktemp("speaker") / "speaker.mp4"
    clip = write_actor_clip(actor(5), motion, path, RenderConfig((64, 64), samples=1), sound=True)
    repeated = np.resize(np.arange(48), 60)
    params = select(actor_shot.params, repeated)
    own = performance_of(actor_shot, "driver")
    timeline = replace(own.timeline, pts=clip.pts, time_base=clip.time_base, sound=clip)
    return Performance(params, timeline, np.zeros(60, bool), own.ingredient)


def test_the_target_is_retimed_to_speech(portrait: PortraitBundle, speaker: Performance) -> None:
    own = performance_of(portrait.shot, "target")
    arranged = arrange(portrait, own, speaker, TransferConfig())
    assert arranged.transfer.mode == "mouth"
    assert arranged.shown is not None
    assert len(arranged.shown) == len(arranged.own) == 60
    assert set(np.diff(arranged.shown)) <= {0, 1}
    assert arranged.own.timeline is speaker.timeline
    np.testing.assert_allclose(
        arranged.own.params.rotation, own.params.rotation[arranged.shown], atol=1e-5
    )
    assert isinstance(arranged.portrait.editor, Obama)
    assert arranged.portrait.editor.shown is arranged.shown


def test_without_sound_the_target_keeps_its_own_time(portrait: PortraitBundle) -> None:
    own = performance_of(portrait.shot, "target")
    arranged = arrange(portrait, own, own, TransferConfig())
    assert arranged.shown is None
    assert arranged.own is own


def test_sound_is_loud_where_the_actor_speaks(speaker: Performance) -> None:
    loud = power(speaker)
    assert loud.shape == (60,)
    assert loud.max() > 1e-3
    assert loud.min() < 0.1 * loud.max()


def test_pose_cannot_be_asked_of_an_editor(portrait: PortraitBundle, speaker: Performance) -> None:
    own = performance_of(portrait.shot, "target")
    with pytest.raises(ConfigError, match="keeps the target's pose"):
        arrange(portrait, own, speaker, TransferConfig(mode="pose"))


def test_an_editor_needs_its_clip(portrait: PortraitBundle, speaker: Performance) -> None:
    clip = replace(portrait.shot.clip, path=Path("gone.mp4"))
    moved = replace(portrait, shot=replace(portrait.shot, clip=clip))
    own = performance_of(portrait.shot, "target")
    with pytest.raises(MediaError, match="gone"):
        arrange(moved, own, speaker, TransferConfig())

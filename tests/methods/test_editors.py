from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from likeness.condition.conditioner import select
from likeness.condition.crop import cut
from likeness.decode import Decoder
from likeness.errors import BundleError, ContractError
from likeness.methods.editors import EDITORS
from likeness.methods.evaluation import evaluate_self
from likeness.methods.face2face import Face2Face, Face2FaceConfig
from likeness.methods.face2face_mouths import Descriptors, MouthGallery, cluster
from likeness.methods.obama import ObamaConfig
from likeness.methods.protocol import own_frames
from likeness.methods.reenact import PortraitModel, Reenact, open_portrait
from likeness.methods.reenact_train import ReenactTraining, train_portrait
from likeness.provenance.permission import permit_synthesis
from likeness.store import load_bundle
from likeness.types import FaceParams, Shot, Window

Name = Literal["face2face", "obama"]
SMALL = ReenactTraining(
    size=128,
    face2face=Face2FaceConfig(mouths=30, skin=12, texels=128, clusters=4),
    obama=ObamaConfig(candidates=30, nearest=5, texels=128),
)


@pytest.fixture(scope="module", params=["face2face", "obama"])
def bundle(
    request: pytest.FixtureRequest, actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    name: Name = request.param
    path = tmp_path_factory.mktemp("editors") / f"{name}.bundle"
    train_portrait(actor_shot, path, replace(SMALL, preset=name))
    return path


@pytest.fixture(scope="module")
def portrait(bundle: Path) -> PortraitModel:
    return open_portrait(load_bundle(bundle))


def crops(portrait: PortraitModel, window: Window) -> torch.Tensor:
    with Decoder(portrait.shot.clip) as decoder:
        return cut(decoder.read(window), portrait.conditioner.crop(len(window)))


def opened(params: FaceParams, weight: float) -> FaceParams:
    expression = params.expression.copy()
    for name, value in (("jawOpen", weight), ("mouthLowerDownLeft", weight / 4)):
        expression[:, params.expression_names.index(name)] = value
    return replace(params, expression=expression)


def test_its_own_performance_changes_little(portrait: PortraitModel) -> None:
    window = Window(36, 40)
    real = crops(portrait, window)
    condition = portrait.condition(portrait.shot.params, window, real)
    drawn = portrait.draw(condition)
    assert drawn.shape == real.shape
    assert condition.mask is not None
    assert 0.02 < condition.mask.mean() < 0.5
    error = ((drawn - real).square() * condition.mask).sum() / (3 * condition.mask.sum())
    assert -10 * torch.log10(error) > 22


def test_an_open_mouth_is_darker_than_a_closed_one(portrait: PortraitModel) -> None:
    window = Window(40, 41)
    real = crops(portrait, window)
    wide, shut = (opened(portrait.shot.params, weight) for weight in (0.6, 0.0))
    drawn = [portrait.draw(portrait.condition(p, window, real)) for p in (wide, shut)]
    own, _ = own_frames(portrait.shot, wide, window)
    posed = portrait.conditioner.mesh.pose(
        replace(own, expression=wide.expression[40:41]),
        portrait.conditioner.crop_from_frame,
        portrait.conditioner.frame_size,
    )
    lips = portrait.conditioner.mesh.model.regions["lips_inner"]
    x, y = posed.vertices[0, lips, :2].mean(0).astype(int)
    middle = [picture[0, :, y - 2 : y + 3, x - 3 : x + 4].mean() for picture in drawn]
    assert middle[0] < middle[1] - 0.03


def test_eyes_and_background_stay_as_they_were(portrait: PortraitModel) -> None:
    window = Window(38, 40)
    real = crops(portrait, window)
    condition = portrait.condition(opened(portrait.shot.params, 0.5), window, real)
    drawn = portrait.draw(condition)
    assert portrait.editor is not None
    alpha = portrait.editor.alpha(condition)
    own, _ = own_frames(portrait.shot, portrait.shot.params, window)
    posed = portrait.conditioner.mesh.pose(
        own, portrait.conditioner.crop_from_frame, portrait.conditioner.frame_size
    )
    for n in range(2):
        for eye in posed.irises[n, :, 0].astype(int):
            shown = drawn[n, :, eye[1], eye[0]]
            assert (shown - real[n, :, eye[1], eye[0]]).abs().max() < 0.02
    assert alpha[:, :, :8].max() == 0
    torch.testing.assert_close(drawn[:, :, :4, :4], real[:, :, :4, :4], atol=2e-3, rtol=0)


def test_windows_make_no_difference(portrait: PortraitModel) -> None:
    params = opened(portrait.shot.params, 0.3)
    real = crops(portrait, Window(30, 34))
    whole = portrait.draw(portrait.condition(params, Window(30, 34), real))
    for n in range(4):
        one = portrait.condition(params, Window(30 + n, 31 + n), real[n : n + 1])
        assert (portrait.draw(one) - whole[n]).abs().max() < 1 / 255


def test_the_layer_leaves_the_rest_of_the_frame_alone(portrait: PortraitModel) -> None:
    permission = permit_synthesis(portrait.people, "reenact", ())
    method = Reenact(portrait, portrait.shot.params, permission)
    with Decoder(portrait.shot.clip) as decoder:
        frames = decoder.read(Window(40, 41))
    layer = method.synthesize(method.condition(Window(40, 41), frames))
    assert 0 < layer.alpha.mean() < 0.6


def test_it_is_judged_like_any_other_method(bundle: Path, actor_shot: Shot) -> None:
    report = evaluate_self(bundle, actor_shot.clip.path)
    assert report.frames == 16
    assert report.psnr_face is not None
    assert report.psnr_face > 24
    assert report.psnr_mouth is not None
    assert report.psnr_mouth > 18


def test_bundles_say_what_they_lack(bundle: Path) -> None:
    whole = load_bundle(bundle)
    part = EDITORS[whole.method].parts[0]
    networks = {name: found for name, found in whole.networks.items() if name != part}
    with pytest.raises(BundleError, match=part):
        open_portrait(replace(whole, networks=networks))


def test_frames_are_asked_for(portrait: PortraitModel) -> None:
    with pytest.raises(ContractError, match="the target's own"):
        portrait.condition(portrait.shot.params, Window(0, 1))


def test_a_shorter_track_finds_its_own_frames(actor_shot: Shot) -> None:
    track = replace(
        actor_shot.track,
        start=8,
        **{
            name: getattr(actor_shot.track, name)[8:40]
            for name in ("boxes", "landmarks", "scores", "observed")
        },
    )
    rows = np.arange(8, 40)
    shot = Shot(actor_shot.clip, track, select(actor_shot.params, rows))
    whole = select(shot.params, (np.arange(48) - 8).clip(0, 31))
    found, seen = own_frames(shot, whole, Window(20, 22))
    assert seen.all()
    np.testing.assert_array_equal(found.rotation, actor_shot.params.rotation[20:22])
    found, _ = own_frames(shot, shot.params, Window(20, 22))
    np.testing.assert_array_equal(found.rotation, actor_shot.params.rotation[28:30])
    _, seen = own_frames(shot, whole, Window(6, 10))
    assert seen.tolist() == [False, False, True, True]


def mouths(gaps: list[float]) -> Descriptors:
    count = len(gaps)
    return Descriptors(
        np.zeros((count, 2), np.float32),
        np.zeros((count, 9), np.float32),
        np.array(gaps, np.float32)[:, None],
    )


def test_the_mouth_with_the_wanted_gap_is_chosen() -> None:
    made = torch.Generator().manual_seed(1)
    gallery = MouthGallery.of(mouths([0, 1, 2, 3, 4]), torch.rand((5, 3, 16, 20), generator=made))
    assert gallery.choose(mouths([3.1, 3.0, 0.1]), continuity=0).tolist() == [3, 3, 0]


def test_a_mouth_between_the_last_and_the_wanted_one_is_shown() -> None:
    picture = torch.rand((1, 3, 16, 20), generator=torch.Generator().manual_seed(2))
    gallery = MouthGallery.of(mouths([0, 1, 2]), picture.repeat(3, 1, 1, 1))
    assert gallery.choose(mouths([0.0, 2.0]), continuity=0).tolist() == [0, 2]
    assert gallery.choose(mouths([0.0, 2.0]), continuity=4).tolist() == [0, 1]


def test_medoids_lie_in_their_clusters() -> None:
    points = np.array([0, 0.1, 0.2, 5, 5.1, 5.2, 9.0])
    distance = np.square(points[:, None] - points).astype(np.float32)
    assert sorted(cluster(distance, 3).tolist()) == [1, 4, 6]
    assert len(cluster(distance, 20)) == 7


def test_a_driver_is_adapted_to_the_targets_face(portrait: PortraitModel) -> None:
    assert portrait.editor is not None
    driver = replace(portrait.shot.params, shape=portrait.shot.params.shape + np.float32(0.8))
    adapted = portrait.editor.adapt(driver)
    moved = np.abs(adapted.expression - driver.expression).max()
    assert (moved > 0.005) == isinstance(portrait.editor, Face2Face)
    assert moved < 0.6

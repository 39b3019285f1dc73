from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from likeness.condition.conditioner import PortraitConditioner, select
from likeness.condition.crop import cut
from likeness.errors import BundleError
from likeness.evaluate.self_reenactment import evaluate_self
from likeness.fit.transfer import TransferConfig
from likeness.methods.portrait.model import target_conditioner
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.rewrite.face2face import Face2FaceConfig
from likeness.methods.rewrite.face2face_mouths import Descriptors, MouthGallery, cluster
from likeness.methods.rewrite.obama import ObamaConfig
from likeness.methods.table import METHODS
from likeness.plan.performance import performance_of, silenced
from likeness.plan.plan import repetition
from likeness.plan.reenactment import Request
from likeness.plan.target import Target
from likeness.store import load_bundle
from likeness.types import Bundle, FaceParams, Shot, Window
from likeness.verbs.train import train_portrait
from tests.opened import decoded, drawn, opened, repeating

Name = Literal["face2face", "obama"]
SMALL = {
    "face2face": Face2FaceConfig(mouths=30, skin=12, texels=128, clusters=4),
    "obama": ObamaConfig(candidates=30, nearest=5, texels=128),
}


@pytest.fixture(scope="module", params=["face2face", "obama"])
def path(
    request: pytest.FixtureRequest, actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    name: Name = request.param
    path = tmp_path_factory.mktemp("rewrite") / f"{name}.bundle"
    train_portrait(actor_shot, path, ReenactTraining(size=128, preset=name, method=SMALL[name]))
    return path


@pytest.fixture(scope="module")
def bundle(path: Path) -> Bundle:
    return load_bundle(path)


@pytest.fixture(scope="module")
def conditioner(bundle: Bundle) -> PortraitConditioner:
    return target_conditioner(Target.of(bundle))


def moved(bundle: Bundle, weight: float) -> FaceParams:
    """The target's own performance with its mouth opened."""
    assert bundle.shot is not None
    params = bundle.shot.params
    expression = params.expression.copy()
    for name, value in (("jawOpen", weight), ("mouthLowerDownLeft", weight / 4)):
        expression[:, params.expression_names.index(name)] = value
    return replace(params, expression=expression)


def test_its_own_performance_changes_little(
    bundle: Bundle, conditioner: PortraitConditioner
) -> None:
    window = Window(36, 40)
    frames, method = decoded(bundle, window), opened(bundle)
    real = cut(frames, conditioner.crop(4))
    told = method.condition(window, frames)
    layer = method.synthesize(told)
    assert layer.rgb.shape == real.shape
    assert 0.02 < told.mask.mean() < 0.5
    error = ((layer.rgb - real).square() * told.mask).sum() / (3 * told.mask.sum())
    assert -10 * torch.log10(error) > 22


def test_an_open_mouth_is_darker_than_a_closed_one(
    bundle: Bundle, conditioner: PortraitConditioner
) -> None:
    window = Window(40, 41)
    frames = decoded(bundle, window)
    wide, shut = (moved(bundle, weight) for weight in (0.6, 0.0))
    pictures = [drawn(opened(bundle, params), frames, window).rgb for params in (wide, shut)]
    own, _ = repeating(bundle).target_at(window)
    posed = conditioner.mesh.pose(
        replace(own, expression=wide.expression[40:41]),
        conditioner.crop_from_frame,
        conditioner.frame_size,
    )
    lips = conditioner.mesh.model.regions["lips_inner"]
    x, y = posed.vertices[0, lips, :2].mean(0).astype(int)
    middle = [picture[0, :, y - 2 : y + 3, x - 3 : x + 4].mean() for picture in pictures]
    assert middle[0] < middle[1] - 0.03


def test_eyes_and_background_stay_as_they_were(
    bundle: Bundle, conditioner: PortraitConditioner
) -> None:
    window = Window(38, 40)
    frames = decoded(bundle, window)
    real = cut(frames, conditioner.crop(2))
    layer = drawn(opened(bundle, moved(bundle, 0.5)), frames, window)
    own, _ = repeating(bundle).target_at(window)
    posed = conditioner.mesh.pose(own, conditioner.crop_from_frame, conditioner.frame_size)
    for n in range(2):
        for eye in posed.irises[n, :, 0].astype(int):
            shown = layer.rgb[n, :, eye[1], eye[0]]
            assert (shown - real[n, :, eye[1], eye[0]]).abs().max() < 0.02
    assert layer.alpha[:, :, :8].max() == 0
    torch.testing.assert_close(layer.rgb[:, :, :4, :4], real[:, :, :4, :4], atol=2e-3, rtol=0)


def test_windows_make_no_difference(bundle: Bundle) -> None:
    method, frames = opened(bundle, moved(bundle, 0.3)), decoded(bundle, Window(30, 34))
    whole = drawn(method, frames, Window(30, 34)).rgb
    for n in range(4):
        one = drawn(method, frames[n : n + 1], Window(30 + n, 31 + n)).rgb
        assert (one - whole[n]).abs().max() < 1 / 255


def test_the_layer_leaves_the_rest_of_the_frame_alone(bundle: Bundle) -> None:
    layer = drawn(opened(bundle), decoded(bundle, Window(40, 41)), Window(40, 41))
    assert 0 < layer.alpha.mean() < 0.6


def test_it_is_judged_like_any_other_method(path: Path, actor_shot: Shot) -> None:
    report = evaluate_self(path, actor_shot.clip.path).report
    assert report.frames == 16
    assert report.psnr_face is not None
    assert report.psnr_face > 24
    assert report.psnr_mouth is not None
    assert report.psnr_mouth > 18


def test_bundles_say_what_they_lack(bundle: Bundle) -> None:
    part = METHODS[bundle.method].parts[0]
    networks = {name: found for name, found in bundle.networks.items() if name != part}
    with pytest.raises(BundleError, match=part):
        opened(replace(bundle, networks=networks))


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
    plan = repetition(Shot(actor_shot.clip, track, select(actor_shot.params, rows)))
    found, seen = plan.target_at(Window(20, 22))
    assert seen.all()
    np.testing.assert_array_equal(found.rotation, actor_shot.params.rotation[20:22])
    _, seen = plan.target_at(Window(6, 10))
    assert seen.tolist() == [False, False, True, True]
    later = replace(plan, shown=np.asarray(plan.shown)[::-1])
    found, _ = later.target_at(Window(20, 22))
    np.testing.assert_array_equal(found.rotation, actor_shot.params.rotation[[27, 26]])


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


def test_a_driver_is_adapted_to_the_targets_face(bundle: Bundle) -> None:
    target = Target.of(bundle)
    own = performance_of(target.shot, "target")
    shape = own.params.shape + np.float32(0.8)
    driver = replace(own, params=replace(own.params, shape=shape))
    driver = replace(driver, timeline=silenced(driver.timeline))
    asked = Request(own, driver, TransferConfig())
    adapted = METHODS[bundle.method].adapt(target, asked).driver
    assert adapted is not None
    change = np.abs(adapted.params.expression - driver.params.expression).max()
    assert (change > 0.005) == (bundle.method == "reenact.face2face")

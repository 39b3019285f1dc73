"""One photo of the actor, moved by the actor's own clip, whose frames are the right answers."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from likeness.composite.color import LUMA
from likeness.condition.conditioner import select
from likeness.condition.matte import fill_holes
from likeness.decode import Decoder
from likeness.errors import ConfigError, ContractError
from likeness.face3d.camera import camera_points, pixels
from likeness.fit.transfer import rest_frame
from likeness.methods.photo.animation import AnimateConfig, Animation, Photo, fitted_picture
from likeness.methods.photo.layers import one_body, polygon
from likeness.methods.photo.mesh import PhotoMesh
from likeness.methods.photo.motion import Head, Motion, MotionConfig, bound, move
from likeness.methods.photo.mouth import MouthLight
from likeness.methods.photo.paint import _fill_mouth
from likeness.methods.photo.plain import plain_warp
from likeness.methods.photo.residual import Residual
from likeness.methods.swap.outline import tracked_vertices
from likeness.metrics.image import psnr
from likeness.metrics.regions import face_hull
from likeness.store import load_face_model
from likeness.track.matte import guided_filter
from likeness.types import FaceTrack, Floats, Shot, Window


def photo_of(shot: Shot, index: int) -> Photo:
    """Take frame `index` of a shot for a photo, with the true landmarks and params."""
    with Decoder(shot.clip) as decoder:
        picture = decoder.read(Window(index, index + 1))[0]
    track, one = shot.track, slice(index, index + 1)
    found = FaceTrack(
        index, track.boxes[one], track.landmarks[one], track.scores[one], track.observed[one]
    )
    return Photo(picture, found, select(shot.params, np.array([index])))


@settings(max_examples=20, deadline=None)
@given(turns=st.integers(0, 3), seed=st.integers(0, 99))
def test_a_mouth_is_filled_alike_whichever_way_a_head_lies(turns: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    side = 48
    mouth = random.random((side, side, 4)).astype(np.float32)
    mouth[..., 3] = 0
    teeth = np.ones((side, side), np.float32)
    layers = SimpleNamespace(mouth=mouth, teeth=teeth, light=1.0, tone=None, whitest=0.8)
    places = np.moveaxis(np.indices((side, side), np.float32)[::-1], 0, -1)
    driver = gaussian_filter(random.random((side, side, 3)), (2, 2, 0)).astype(np.float32)
    driver[:24] += 0.4
    share = np.zeros((side, side), np.float32)
    share[14:34, 10:38] = 1

    def filled(turned: int) -> Floats:
        maps = np.zeros((11, side, side), np.float32)
        maps[2:4] = np.moveaxis(np.rot90(places, turned) - places, -1, 0)
        maps[5], maps[6:9] = np.rot90(share, turned), np.moveaxis(np.rot90(driver, turned), -1, 0)
        colors = np.zeros((side, side, 3), np.float32)
        _fill_mouth(colors, layers, maps)  # type: ignore[arg-type]
        return np.rot90(colors, -turned)

    np.testing.assert_allclose(filled(turns), filled(0), atol=1e-6)


@pytest.fixture(scope="module")
def rest(actor_shot: Shot) -> int:
    return rest_frame(actor_shot.params)


@pytest.fixture(scope="module")
def photo(actor_shot: Shot, rest: int) -> Photo:
    return photo_of(actor_shot, rest)


def test_a_gray_photo_is_given_no_color_by_its_driver(photo: Photo, actor_shot: Shot) -> None:
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    gray = (photo.picture * luma).sum(0, keepdim=True).expand(3, -1, -1).contiguous()
    wide = int(actor_shot.params.column("jawOpen").argmax())
    made = drawn(Animation(replace(photo, picture=gray), actor_shot), wide)
    assert float((made - made.mean(-3, keepdim=True)).abs().max()) < 0.5 / 255


def test_a_gray_driver_lends_no_gray_tongue(photo: Photo, actor_shot: Shot, rest: int) -> None:
    model = load_face_model(photo.params.model)
    picture = photo.picture.permute(1, 2, 0).numpy()
    places = tracked_vertices(photo.track.landmarks[0], model)
    gray = np.repeat((picture @ LUMA)[..., None], 3, 2).astype(np.float32)
    light = MouthLight.between(gray, places, picture, places, model)
    tongue, tooth = (np.full((2, 2, 3), value, np.float32) for value in (0.3, 0.9))
    shown = light.on(np.concatenate([tongue, tooth]))
    # Flesh is red, as lips are; teeth are not.
    assert (shown[0, 0, 0] - shown[0, 0, 1]) / shown[0, 0, 0] > 0.1
    assert np.ptp(shown[3, 0]) < 0.02
    assert MouthLight.between(picture, places, picture, places, model).flesh is None


@pytest.fixture(scope="module")
def animation(photo: Photo, actor_shot: Shot) -> Animation:
    return Animation(photo, actor_shot)


def drawn(animation: Animation, index: int) -> torch.Tensor:
    return animation.draw(
        animation.condition([index], looked_at(animation, Window(index, index + 1)))
    )


def looked_at(animation: Animation, window: Window) -> torch.Tensor | None:
    """The driver's frames of a window of its track, where its clip is there."""
    if not animation.driver.clip.path.exists():
        return None
    first = animation.driver.track.start
    with Decoder(animation.driver.clip) as decoder:
        return decoder.read(Window(first + window.start, first + window.stop))


def test_at_rest_the_photo_is_what_it_was(animation: Animation, photo: Photo, rest: int) -> None:
    result = drawn(animation, rest)
    assert result.shape == (1, 3, 128, 128)
    assert psnr(result, photo.picture[None])[0] > 32


def test_the_mesh_stands_on_the_photos_landmarks(animation: Animation, photo: Photo) -> None:
    head = animation.mesh.head
    off = head.at_rest(head.vertices)[:, :2] - animation.layers.points[:468]
    assert np.abs(off).max() < 0.02
    # Only lids and lips were moved, and by little.
    moved = np.abs(animation.layers.points - photo.track.landmarks[0, :, :2]).max(1)
    assert (moved > 0.01).sum() <= 14 + 18
    assert moved.max() < 2


def test_it_beats_the_unmoved_photo_and_the_plain_warp(
    animation: Animation, photo: Photo, actor_shot: Shot
) -> None:
    frames = np.arange(0, len(actor_shot.track), 4)
    points = actor_shot.track.landmarks
    with Decoder(actor_shot.clip) as decoder:
        real = torch.cat([decoder.read(Window(int(i), int(i) + 1)) for i in frames])
    ours = torch.cat([drawn(animation, int(i)) for i in frames])
    origin = photo.track.landmarks[0, :468, :2]
    plain = [plain_warp(photo.picture, origin, points[i, :468, :2]) for i in frames]
    still = photo.picture[None].expand(len(frames), -1, -1, -1)
    hull = face_hull(points[frames], (128, 128))
    scores = [psnr(result, real, hull).mean() for result in (ours, torch.stack(plain), still)]
    assert scores[0] > scores[1] + 0.1
    assert scores[0] > scores[2] + 3


def test_windows_do_not_change_the_picture(animation: Animation) -> None:
    whole = animation.draw(animation.condition(range(10, 13), looked_at(animation, Window(10, 13))))
    singly = torch.cat([drawn(animation, index) for index in range(10, 13)])
    assert torch.equal(whole, singly)


def test_the_wall_stands_still(animation: Animation, photo: Photo) -> None:
    background = torch.from_numpy(animation.layers.person[..., 3] == 0)
    # Shoulders give way a little; beside and above the head nothing may move.
    background[100:] = False
    background[:, 16:112] = False
    assert background.sum() > 500
    for index in (0, 20, 40):
        apart = (drawn(animation, index)[0] - photo.picture).abs()
        # Bit for bit, but for the matte's faintest fringe that passes.
        assert (apart[:, background] > 1e-6).float().mean() < 0.05
        assert apart[:, background].max() < 2 / 255


def test_a_shut_eye_is_shut(actor_shot: Shot, photo: Photo) -> None:
    animation = Animation(photo, actor_shot)
    motion = animation.motion
    lids = np.repeat(np.linspace(0, 1.3, 14, dtype=np.float32)[:, None], 2, 1)
    frames = np.full(14, motion.rest)
    asked = replace(
        motion,
        expression=np.zeros_like(motion.expression[frames]),
        rotation=np.repeat(photo.params.rotation, 14, 0),
        translation=np.repeat(photo.params.translation, 14, 0),
        gaze=np.repeat(photo.params.gaze, 14, 0),
        held=motion.held[frames],
        lids=lids,
    )
    regions = animation.model.regions
    opening = []
    for index in range(14):
        face = animation.mesh.head.pose(asked, index).vertices
        gap = face[regions["right_lid_lower"]] - face[regions["right_lid_upper"]]
        opening.append(float(np.linalg.norm(gap[:, :2], axis=1).mean()))
    assert opening[0] < 0.15
    assert np.all(np.diff(opening) > 0)
    # Linear in what was asked for.
    assert np.corrcoef(lids[:, 0], opening)[0, 1] > 0.999


def test_lips_never_cross(animation: Animation) -> None:
    regions = animation.model.regions
    upper, lower = regions["lip_upper_inner"], regions["lip_lower_inner"]
    head = animation.mesh.head
    head_up = [head.pose(animation.motion, i).inside for i in range(len(animation))]
    assert min(float((places[lower, 1] - places[upper, 1]).min()) for places in head_up) > -0.5


def test_what_the_fit_leaves_is_carried_and_noise_is_not(actor_shot: Shot, rest: int) -> None:
    model = load_face_model(actor_shot.params.model)
    known = np.flatnonzero(model.landmark_vertices[:468] >= 0)
    chosen = model.landmark_vertices[known]
    params, size = actor_shot.params, actor_shot.clip.size
    vertices = model.vertices(params.shape, params.expression)
    # The mouth's corner lies 3 mm further up, and everything trembles by a tenth of a millimetre.
    corner = int(model.regions["mouth_corners"][0])
    late = np.arange(len(params)) > rest + 6
    if late.sum() < 14:
        late = np.arange(len(params)) < rest - 6
    vertices[late, corner, 1] -= 3
    vertices += np.random.default_rng(0).normal(0, 0.1, vertices.shape)
    image = pixels(camera_points(vertices, params.rotation, params.translation), params.focal, size)
    landmarks = actor_shot.track.landmarks.copy()
    landmarks[:, known, :2] = image[:, chosen, :2]
    seen = replace(actor_shot, track=replace(actor_shot.track, landmarks=landmarks))
    residual = Residual.of(seen, model, rest)
    middle = int(np.flatnonzero(late).mean())
    found = residual.read(middle)
    # The photo's plane is all that landmarks tell of: 3 mm up, less what noise may have made of it.
    assert 2.5 < -found[corner, 1] < 3.2
    assert np.abs(np.delete(found, corner, 0)).max() == 0
    assert np.abs(residual.read(rest)[corner]).max() < 0.3
    lost = replace(seen.track, observed=np.zeros(len(params), bool))
    assert not Residual.of(replace(seen, track=lost), model, rest).read(middle).any()


def test_a_toothy_smile_opens_by_less(animation: Animation) -> None:
    head, motion = animation.mesh.head, animation.motion
    gaps = [head.parting(head.vertices + _jaw(head, motion, i)) for i in range(len(motion))]
    widest = int(np.argmax(gaps))
    opened = gaps[widest] - head.parting(head.vertices)
    assert opened > 3
    own = replace(motion, parted=0.0)
    for parted, less in ((0.0, 0.0), (opened, 0.6 * (2 - np.sqrt(2)) * opened)):
        smiling = replace(motion, parted=parted)
        lower = head.model.regions["lip_lower_inner"]
        apart = [head.pose(m, widest).vertices[lower, 1].mean() for m in (own, smiling)]
        scale = head.params.focal * head.scale / motion.translation[widest, 2]
        moved = (apart[0] - apart[1]) / scale
        # The upper lip goes along a little, and heads turn.
        assert moved == pytest.approx(less, abs=0.15 * less + 1e-5)


def _jaw(head: Head, motion: Motion, index: int) -> Floats:
    return np.tensordot(motion.expression[index], head.model.expression, 1).astype(np.float32)


def test_turning_is_limited_and_told(actor_shot: Shot, photo: Photo) -> None:
    narrow = move(actor_shot, photo.params, MotionConfig(turn_limit=2.0))
    wide = move(actor_shot, photo.params, MotionConfig(turn_limit=60.0))
    assert narrow.held.any()
    assert not wide.held.any()
    away = narrow.rotation - narrow.rotation[narrow.rest]
    assert np.degrees(np.abs(away[:, :2])).max() < 2.2
    still = move(actor_shot, photo.params, MotionConfig(pose=0))
    assert np.allclose(still.rotation, photo.params.rotation, atol=1e-5)


def test_another_face_model_is_refused(actor_shot: Shot, photo: Photo) -> None:
    params = replace(
        actor_shot.params,
        expression=actor_shot.params.expression[:, :3],
        expression_names=actor_shot.params.expression_names[:3],
        model="other",
    )
    with pytest.raises(ContractError, match="'other'"):
        move(replace(actor_shot, params=params), photo.params, MotionConfig())


def test_a_driver_without_pixels_gives_a_dark_mouth(actor_shot: Shot, photo: Photo) -> None:
    gone = replace(actor_shot.clip, path=actor_shot.clip.path.with_name("gone.mp4"))
    animation = Animation(photo, replace(actor_shot, clip=gone))
    assert drawn(animation, 3).isfinite().all()


def test_the_fade_ends_before_the_border(animation: Animation) -> None:
    mesh: PhotoMesh = animation.mesh
    outside = (mesh.rest < 0).any(1) | (mesh.rest > np.array(mesh.size[::-1])).any(1)
    assert mesh.follow[outside & (mesh.rest[:, 1] < mesh.size[0])].max(initial=0) == 0
    assert mesh.follow.max() == pytest.approx(1, abs=0.02)


@settings(max_examples=60)
@given(st.floats(-200, 200), st.floats(1, 60))
def test_a_bound_is_kept_and_small_motion_is_not_touched(value: float, limit: float) -> None:
    held = float(bound(np.array([value], np.float32), np.float32(limit))[0])
    assert abs(held) <= limit * 1.0001
    assert held * value >= 0
    if abs(value) <= 0.6 * limit:
        assert held == pytest.approx(value)


@settings(max_examples=20)
@given(st.integers(20, 90), st.integers(20, 90), st.integers(24, 120))
def test_sizes_come_out_even(height: int, width: int, most: int) -> None:
    picture, scale = fitted_picture(torch.rand(3, height, width), max(most, 64))
    assert picture.shape[1] % 2 == picture.shape[2] % 2 == 0
    assert abs(picture.shape[1] - height * scale) < 2
    assert max(picture.shape[1:]) <= max(most, 64)


def test_holes_are_filled_from_around() -> None:
    ramp = np.linspace(0.2, 0.8, 64, dtype=np.float32)[None, :, None].repeat(48, 0).repeat(3, 2)
    known = np.ones((48, 64), np.float32)
    known[16:32, 20:44] = 0
    spoiled = ramp.copy()
    spoiled[known == 0] = 9
    filled = fill_holes(spoiled, known)
    assert np.abs(filled - ramp)[known == 1].max() < 1e-5
    assert np.abs(filled - ramp).max() < 0.12


def test_only_the_body_with_the_face_moves() -> None:
    matte = polygon(np.array([[10, 10], [30, 10], [30, 60], [10, 60]], np.float32), (64, 100))
    both = np.maximum(
        matte, polygon(np.array([[70, 10], [90, 10], [90, 60], [70, 60]], np.float32), (64, 100))
    )
    body = one_body(both, np.array([20, 30]))
    assert body[30, 20] > 0.99
    assert body[30, 80] == 0


def test_a_guided_filter_follows_the_guide() -> None:
    guide = np.zeros((40, 40), np.float32)
    guide[:, 20:] = 1
    values = np.clip((np.arange(40) - 14) / 12, 0, 1).astype(np.float32)[None].repeat(40, 0)
    sharp = guided_filter(guide, values, 6)
    assert sharp[20, 22] - sharp[20, 17] > values[20, 22] - values[20, 17] + 0.1
    flat = guided_filter(guide, np.full_like(guide, 0.3), 6)
    assert np.allclose(flat, 0.3, atol=1e-4)


def test_settings_are_checked() -> None:
    for wrong in ({"wrinkles": 3.0}, {"max_side": 10}):
        with pytest.raises(ConfigError):
            AnimateConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        MotionConfig(turn_limit=0)

from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.condition import choose_keyframes, cut, pick_keyframes, portrait_crop
from likeness.condition.body import Bodies
from likeness.condition.conditioner import PortraitConditioner, select
from likeness.condition.gallery import Features, distances
from likeness.condition.paint import cover, lit_colors, paint
from likeness.condition.warp import displacements, facing
from likeness.decode import stream
from likeness.methods.portrait.model import conditioner_of
from likeness.synthesize.portrait import sample
from likeness.types import Shot


@pytest.fixture(scope="module")
def conditioner(actor_shot: Shot) -> PortraitConditioner:
    crop = portrait_crop(actor_shot.track, actor_shot.clip.size, 128)
    return conditioner_of(actor_shot, np.arange(32), crop.crop_from_frame[0], 128)


def _paint(conditioner: PortraitConditioner, shot: Shot, frames: np.ndarray) -> np.ndarray:
    params = select(shot.params, frames)
    posed = conditioner.mesh.pose(params, conditioner.crop_from_frame, conditioner.frame_size)
    colors = lit_colors(conditioner.mesh, posed, conditioner.skin, conditioner.light)
    return paint(conditioner.mesh, posed, colors, conditioner.side, conditioner.side)[0]


def test_guides_repeat_to_the_bit_and_stay_in_range(
    conditioner: PortraitConditioner, actor_shot: Shot
) -> None:
    first = _paint(conditioner, actor_shot, np.array([3, 9]))
    again = _paint(conditioner, actor_shot, np.array([9]))
    assert np.array_equal(first[1], again[0])
    assert first.min() >= 0
    assert first.max() <= 1
    assert (first[:, 3:6].max(1) > 0).mean() > 0.05  # the face covers a part of the crop


def test_guides_lie_on_the_face(conditioner: PortraitConditioner, actor_shot: Shot) -> None:
    painted = _paint(conditioner, actor_shot, np.array([0]))[0]
    ys, xs = np.nonzero(painted[5] > 0)
    scale = conditioner.crop_from_frame[0, 0]
    x0, y0, x1, y1 = (
        actor_shot.track.boxes[0] * scale + conditioner.crop_from_frame[[0, 1, 0, 1], 2]
    )
    assert abs(xs.min() - x0) < 4
    assert abs(xs.max() - x1) < 4
    assert abs(ys.min() - y0) < 4
    assert abs(ys.max() - y1) < 4


def test_closed_lids_leave_no_iris(conditioner: PortraitConditioner, actor_shot: Shot) -> None:
    params = select(actor_shot.params, np.array([0, 0]))
    expression = np.zeros_like(params.expression)
    names = params.expression_names
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        expression[1, names.index(name)] = 1
    blinking = replace(params, expression=expression)
    shot = replace(actor_shot, params=select(blinking, np.arange(2).repeat(24)))
    painted = _paint(conditioner, shot, np.array([0, 24]))
    iris = painted[:, 8].sum((1, 2))
    assert iris[0] > 10
    assert iris[1] < 0.2 * iris[0]


def test_a_face_is_no_way_from_itself(conditioner: PortraitConditioner, actor_shot: Shot) -> None:
    params = select(actor_shot.params, np.array([4]))
    posed = conditioner.mesh.pose(params, conditioner.crop_from_frame, conditioner.frame_size)
    coverage = cover(conditioner.mesh, posed.vertices[0], conditioner.side, 64)
    xy = posed.vertices[0, :, :2]
    flow, valid = displacements(
        conditioner.mesh, coverage, xy, xy[None], facing(conditioner.mesh, posed), conditioner.side
    )
    assert np.abs(flow).max() < 1e-4
    assert valid.min() >= 0
    assert valid.max() < 1 + 1e-5


def test_the_outer_ring_stands_still(conditioner: PortraitConditioner, actor_shot: Shot) -> None:
    posed = conditioner.mesh.pose(
        actor_shot.params, conditioner.crop_from_frame, conditioner.frame_size
    )
    moved = np.ptp(posed.vertices[..., :2], axis=0).max(1)
    face, ring = len(conditioner.mesh.model.mean), len(conditioner.mesh.rings) // 3
    assert moved[:face].max() > 10
    assert moved[face + 2 * ring : -2].max() < 1e-3
    # The inner ring goes with the head, the middle one less.
    assert moved[face : face + ring].mean() > moved[face + ring : face + 2 * ring].mean() > 1


def test_warping_brings_a_keyframe_onto_the_wanted_face(
    conditioner: PortraitConditioner, actor_shot: Shot
) -> None:
    pictures = torch.cat([frames for _, frames in stream(actor_shot.clip)])
    distance = np.abs(actor_shot.params.rotation - actor_shot.params.rotation[0]).sum(1)
    other = int(distance.argmax())
    params = select(actor_shot.params, np.array([0, other]))
    posed = conditioner.mesh.pose(params, conditioner.crop_from_frame, conditioner.frame_size)
    coverage = cover(conditioner.mesh, posed.vertices[0], conditioner.side, conditioner.side)
    flow, _ = displacements(
        conditioner.mesh,
        coverage,
        posed.vertices[0, :, :2],
        posed.vertices[1:, :, :2],
        facing(conditioner.mesh, posed)[1:],
        conditioner.side,
    )
    wanted, keyframe = cut(pictures[[0, other]], conditioner.crop(2))
    warped = sample(keyframe[None], torch.from_numpy(flow))[0]
    face = torch.from_numpy(coverage.kinds == 0)
    before = (keyframe - wanted)[:, face].square().mean()
    after = (warped - wanted)[:, face].square().mean()
    assert after < 0.5 * before


def test_farthest_point_search_takes_the_odd_one() -> None:
    points = np.zeros((50, 6), np.float32)
    points[:, 0] = np.linspace(0, 1, 50)
    points[17, 3] = 9
    described = Features(points, np.zeros((50, 4), np.float32), np.zeros((50, 4), np.float32))
    nowhere = Bodies(np.zeros((50, 4, 3), np.float32), np.ones((50, 4), np.float32))
    picked = pick_keyframes(described, 3, nowhere)
    assert picked[1] == 17
    assert len(set(picked.tolist())) == 3


def test_chosen_keyframes_are_near_and_not_banned(
    conditioner: PortraitConditioner, actor_shot: Shot
) -> None:
    times = np.arange(0, 48, 6)
    pictures = torch.zeros(len(times), 3, 128, 128, dtype=torch.uint8)
    params = select(actor_shot.params, times)
    gallery = conditioner.gallery(params, pictures, times)
    described = conditioner.describe(params)
    every = np.arange(len(times))
    body_keyframes = (every + 3) % len(times)
    free = choose_keyframes(gallery, described, body_keyframes)
    assert np.array_equal(free[:, 0], every)
    assert np.array_equal(free[:, -1], body_keyframes)
    assert all(len(set(row)) == len(row) for row in free.tolist())
    banned = np.abs(times - times[:, None]) <= 6
    kept = choose_keyframes(gallery, described, body_keyframes, banned)
    assert (np.abs(times[kept] - times[:, None]) > 6).all()


def test_a_blink_does_not_bring_another_mouth(
    conditioner: PortraitConditioner, actor_shot: Shot
) -> None:
    """Of two kept faces, one with open eyes and this mouth, one with shut eyes and another."""
    times = np.array([0, 1, 2, 3, 4, 5])
    params = select(actor_shot.params, np.zeros(6, np.int64))
    expression = params.expression.copy()
    blinks = [params.expression_names.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    jaw = params.expression_names.index("jawOpen")
    expression[:, [*blinks, jaw]] = 0
    expression[1:, jaw] = 0.6
    expression[1, blinks] = 0.9
    pictures = torch.zeros(len(times), 3, 128, 128, dtype=torch.uint8)
    gallery = conditioner.gallery(replace(params, expression=expression), pictures, times)
    wanted = select(params, np.array([0]))
    shut = np.zeros_like(expression[:1])
    shut[:, blinks] = 0.9
    described = conditioner.describe(replace(wanted, expression=shut))
    eyes, mouth = (
        distances(getattr(described, n), getattr(gallery, n))[0] for n in ("eyes", "mouth")
    )
    # The shut eyes are nearer in all, were it not that eyes have a keyframe of their own.
    assert eyes[0] > 40
    assert eyes[1] < 0.1
    assert mouth[1] + eyes[1] < mouth[0] + eyes[0]
    chosen = choose_keyframes(gallery, described, np.array([5]))[0]
    assert chosen[0] == 0
    assert 1 in chosen[1:4]


def test_windows_do_not_change_conditions(
    conditioner: PortraitConditioner, actor_shot: Shot
) -> None:
    times = np.arange(0, 48, 6)
    pictures = torch.randint(0, 255, (len(times), 3, 128, 128), dtype=torch.uint8)
    gallery = conditioner.gallery(select(actor_shot.params, times), pictures, times)
    body_keyframes = conditioner.choose_body_keyframes(gallery, actor_shot.params)[10:16]
    whole = conditioner.from_keyframes(
        gallery, select(actor_shot.params, np.arange(10, 16)), body_keyframes
    )
    for n in range(6):
        params = select(actor_shot.params, np.array([10 + n]))
        single = conditioner.from_keyframes(gallery, params, body_keyframes[n : n + 1])
        torch.testing.assert_close(single.maps[0], whole.maps[n], atol=1e-3, rtol=0)
        assert torch.equal(single.keyframes[0], whole.keyframes[n])

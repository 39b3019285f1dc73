"""The actor: distinct, repeatable, found by the tracker, true to its numbers."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from likeness.actor import EXPRESSIONS, Actor, Film, Motion, RenderConfig, frames, render, truth
from likeness.actor.appearance import look_from_seed
from likeness.errors import ContractError
from likeness.types import Window

INNER_LIPS = [13, 14, 78, 308, 82, 312, 87, 317]
LIDS = [33, 133, 159, 145, 160, 158, 263, 362, 386, 374, 387, 385]
IRISES = [468, 473]


@functools.cache
def actor_of(seed: int) -> Actor:
    return Actor.from_seed(seed)


@functools.cache
def motion_of(seed: int) -> Motion:
    return Motion.from_seed(seed, 6.0, style="expressive")


def test_first_ten_looks_are_distinct() -> None:
    looks = [look_from_seed(seed, 30) for seed in range(10)]
    assert len({(look.hair_style, look.hair) for look in looks}) == 10
    assert len({look.plate for look in looks}) == 5
    assert len({look.garment for look in looks}) == 5
    shapes = np.array([look.shape for look in looks])
    apart = np.linalg.norm(shapes[:, None] - shapes[None], axis=-1) + 10 * np.eye(10)
    assert apart.min() > 2.0


def test_rendered_faces_are_distinct() -> None:
    motion = Motion.from_seed(1, 0.2, style="still")
    config = RenderConfig(size=(64, 64))
    shots = [render(actor_of(seed), motion, 0, config) for seed in (0, 1, 2, 3, 8)]
    for index, one in enumerate(shots):
        for other in shots[:index]:
            both = (one.head > 0.5) & (other.head > 0.5)
            gap = ((one.image - other.image).abs() * both).sum() / (3 * both.sum())
            assert float(gap) > 0.05


def test_same_seeds_give_the_same_bits() -> None:
    config = RenderConfig(size=(96, 80), noise=0.02)
    first = render(Actor.from_seed(5), Motion.from_seed(4, 1.0), 7, config)
    film = Film(Actor.from_seed(5), Motion.from_seed(4, 1.0), config)
    film.shoot(3)
    again = film.shoot(7)
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.person, again.person)


def test_frames_stream_what_render_gives() -> None:
    config, motion = RenderConfig(size=(64, 64)), motion_of(2).cut(Window(0, 5))
    batches = list(frames(actor_of(2), motion, config, length=2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    picture = torch.cat(batches)
    assert picture.dtype == torch.float32
    assert 0 <= float(picture.min()) < float(picture.max()) <= 1
    assert torch.equal(picture[4], render(actor_of(2), motion, 4, config).image)


@pytest.mark.parametrize("seed", [0, 1, 3, 8])
def test_tracker_finds_actor_and_agrees_with_truth(seed: int) -> None:
    face_mesh = pytest.importorskip("mediapipe").solutions.face_mesh
    motion = motion_of(seed)
    film = Film(actor_of(seed), motion, RenderConfig())
    found, known = [], []
    with face_mesh.FaceMesh(refine_landmarks=True) as mesh:
        for index in range(0, 76, 2):
            image = film.shoot(index).image.permute(1, 2, 0).numpy()
            answer = mesh.process((image * 255 + 0.5).astype(np.uint8)).multi_face_landmarks
            assert answer is not None, f"frame {index} of actor {seed}: no face found"
            found.append([(p.x * 256, p.y * 256) for p in answer[0].landmark])
            known.append(film.landmarks(Window(index, index + 1))[0, :, :2])
    error = np.linalg.norm(np.array(found) - np.array(known), axis=-1)
    assert error[:, LIDS].mean() < 2.2
    assert error[:, INNER_LIPS].mean() < 2.2
    assert error[:, IRISES].mean() < 1.8
    assert error[:, :468].mean() < 2.8


def test_eyes_close_fully_in_a_blink() -> None:
    motion = motion_of(3)
    blink = motion.column("eyeBlinkLeft")
    assert blink.max() > 0.99
    film = Film(actor_of(3), motion, RenderConfig())
    open_, shut = int(np.argmin(blink)), int(np.argmax(blink))
    gaps = []
    for index in (open_, shut):
        points = film.landmarks(Window(index, index + 1))[0]
        gaps.append(np.linalg.norm(points[386, :2] - points[374, :2]))
    assert gaps[1] < 0.35 * gaps[0]


def test_shadow_moves_and_the_rest_of_the_wall_stands_still() -> None:
    motion = motion_of(3)
    film = Film(actor_of(3), motion, RenderConfig(size=(160, 160)))
    yaw = motion.angles[:, 0]
    left, right = film.shoot(int(np.argmin(yaw))), film.shoot(int(np.argmax(yaw)))
    wall = (left.person + right.person) == 0
    assert float((left.shadow - right.shadow).abs()[wall].max()) > 0.03
    plate = truth(actor_of(3), motion.cut(Window(0, 1)), film.config).plate
    for shot in (left, right):
        untouched = (shot.person == 0) & (shot.shadow == 1)
        assert float(untouched.float().mean()) > 0.1
        difference = (shot.image - plate).abs() * untouched
        assert float(difference.max()) == 0.0
        assert float((shot.face - shot.head).max()) <= 1e-6
        assert float((shot.head - shot.person).max()) <= 1e-6


def test_motion_blur_softens_a_turn_and_leaves_stillness_alone() -> None:
    motion = motion_of(1)
    speed = np.abs(np.diff(motion.angles[:, 0]))
    fast = int(np.argmax(speed))
    sharp = render(actor_of(1), motion, fast, RenderConfig(size=(128, 128)))
    config = RenderConfig(size=(128, 128), shutter=1.0, exposures=4)
    soft = render(actor_of(1), motion, fast, config)
    inside = (sharp.face[0] > 0.99).numpy()

    def energy(image: torch.Tensor) -> float:
        gradient = np.diff(image.mean(0).numpy(), axis=1)[:, :127]
        return float((gradient[inside[:, 1:]] ** 2).mean())

    assert energy(soft.image) < 0.97 * energy(sharp.image)


def test_noise_has_the_asked_strength() -> None:
    motion = motion_of(1)
    clean = render(actor_of(1), motion, 0, RenderConfig(size=(128, 128))).image
    noisy = render(actor_of(1), motion, 0, RenderConfig(size=(128, 128), noise=0.02)).image
    deviation = float((noisy - clean).std())
    assert 0.006 < deviation < 0.02


def test_motion_stays_in_its_range_and_is_alive() -> None:
    motion = Motion.from_seed(11, 30.0, style="expressive")
    assert len(motion) == 750
    degrees = np.rad2deg(np.abs(motion.angles).max(0))
    assert np.all(degrees < [25.01, 12.01, 8.01])
    assert np.all(degrees > [15, 7, 3])
    assert motion.expression.min() >= 0
    assert motion.expression.max() <= 1
    blink = motion.column("eyeBlinkRight") > 0.9
    starts = int((np.diff(blink.astype(int)) == 1).sum())
    assert 5 <= starts <= 16
    jaw = motion.column("jawOpen") - motion.column("jawOpen").mean()
    spectrum = np.abs(np.fft.rfft(jaw)) ** 2
    rate = np.fft.rfftfreq(len(jaw), 1 / 25)
    band = (rate > 3) & (rate < 6)
    assert spectrum[band].sum() > 0.25 * spectrum[rate > 0.5].sum()


def test_motion_does_not_depend_on_the_frame_rate() -> None:
    slow, fast = Motion.from_seed(2, 4.0, fps=25), Motion.from_seed(2, 4.0, fps=50)
    assert np.abs(fast.angles[::2] - slow.angles).max() < 1e-5


def test_two_actors_share_a_motion() -> None:
    motion = motion_of(1).cut(Window(0, 10))
    one, other = (truth(actor_of(seed), motion).params for seed in (1, 8))
    assert np.array_equal(one.expression, other.expression)
    assert np.array_equal(one.rotation, other.rotation)
    assert not np.array_equal(one.shape, other.shape)
    assert one.expression_names[: len(EXPRESSIONS)] == EXPRESSIONS


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ContractError, match="seconds"):
        Motion.from_seed(1, 0.0)
    with pytest.raises(ContractError, match="samples"):
        RenderConfig(samples=9)
    with pytest.raises(ContractError, match="does not exist"):
        render(actor_of(1), motion_of(1), 5000)

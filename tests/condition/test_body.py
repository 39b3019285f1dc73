import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from likeness.condition.body import Bodies, bodies, choose_body_keyframes

_HEAD = np.array([[[24, 12], [40, 12], [24, 40], [40, 40]]], np.float32)


def _scene(shoulders: int) -> torch.Tensor:
    """(1,3,64,64): a wall, and something dark from row `shoulders` down."""
    picture = torch.full((1, 3, 64, 64), 0.8)
    picture[:, :, shoulders:] = 0.2
    return picture


def test_bodies_differ_by_their_shoulders_and_not_by_the_head() -> None:
    low, high = _scene(56), _scene(48)
    face = low.clone()
    face[:, :, :40, 24:40] = torch.rand(3, 40, 16)
    one = bodies(low, _HEAD)
    assert one.apart(bodies(face, _HEAD))[0, 0] < 1e-3
    steps = one.apart(bodies(high, _HEAD))[0, 0]
    # Two of sixteen rows of cells changed by 0.6.
    assert steps > 50
    assert np.isclose(steps, bodies(high, _HEAD).apart(one)[0, 0])


def test_what_a_head_ever_covers_is_no_coordinate() -> None:
    described = bodies(torch.cat([_scene(56), _scene(48)]), np.repeat(_HEAD, 2, 0))
    steady = described.steadily()
    assert steady.shape[1] % 3 == 0
    distance = np.square(steady[0] - steady[1]).sum()
    assert np.isclose(distance, described.apart(described)[0, 1], rtol=1e-3)


def test_a_body_is_kept_until_the_pose_has_really_changed() -> None:
    apart = np.array([[0, 6], [6, 0]], np.float32)
    unlike = np.zeros((60, 2), np.float32)
    unlike[:, 1] = 2.0
    unlike[20:23] = unlike[20:23, ::-1]
    assert (choose_body_keyframes(unlike, apart) == 0).all()  # three frames are no reason
    unlike[30:] = unlike[30:, ::-1]
    chosen = choose_body_keyframes(unlike, apart)
    assert np.array_equal(chosen, np.repeat([0, 1], 30))


@given(st.integers(0, 2**32 - 1))
def test_no_other_choice_is_cheaper(seed: int) -> None:
    random = np.random.default_rng(seed)
    unlike = random.uniform(0, 60, (5, 3)).astype(np.float32)
    apart = random.uniform(0, 3, (3, 3)).astype(np.float32)
    apart = apart + apart.T
    np.fill_diagonal(apart, 0)

    def price(choice: np.ndarray) -> float:
        moved = choice[1:] != choice[:-1]
        switches = 1.0 + 2.0 * apart[choice[:-1], choice[1:]]
        return float(unlike[np.arange(5), choice].sum() + switches[moved].sum())

    every = np.stack(np.meshgrid(*[np.arange(3)] * 5), -1).reshape(-1, 5)
    best = min(price(choice) for choice in every)
    assert np.isclose(price(choose_body_keyframes(unlike, apart)), best, rtol=1e-5)


def test_a_single_keyframe_lends_every_body() -> None:
    assert (
        choose_body_keyframes(np.ones((4, 1), np.float32), np.zeros((1, 1), np.float32)) == 0
    ).all()
    assert len(Bodies(np.zeros((2, 4, 3), np.float32), np.ones((2, 4), np.float32))) == 2

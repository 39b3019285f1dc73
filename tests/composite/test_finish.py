"""The finish of a swap: what must hold whatever is drawn."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.actor import Film, Motion, RenderConfig
from likeness.composite.color import LUMA, bring_color, low_pass, toned
from likeness.composite.finish import FinishConfig, FrameFacts, finish, hidden, prepared
from likeness.composite.mask import face_hull, hull, regions, to_hairline
from likeness.errors import ConfigError
from likeness.types import Floats, Window
from tests.stage import actor

Pair = tuple[torch.Tensor, torch.Tensor, torch.Tensor, Floats]
STEADY = FinishConfig(grain=0.0, motion_blur=0.0)


@lru_cache(maxsize=1)
def pair() -> Pair:
    """Three frames of a target without a fringe, a source over it, alpha, landmarks; 160 px."""
    motion = Motion.from_seed(5, 0.6)
    config = RenderConfig(size=(160, 160))
    target, source = (Film(actor(seed), motion, config) for seed in (5, 3))
    shots = [(target.shoot(i), source.shoot(i)) for i in (0, 5, 10)]
    under = torch.stack([one.image for one, _ in shots])
    over = torch.stack([one.image for _, one in shots])
    alpha = (torch.stack([one.face for _, one in shots]) > 0).float()
    landmarks = np.concatenate([target.landmarks(Window(i, i + 1)) for i in (0, 5, 10)])
    return under, over, alpha, landmarks


def painted(under: torch.Tensor, layer: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    rgb, alpha = layer
    return torch.where(alpha > 0, under + alpha * (rgb - under), under)


@pytest.mark.parametrize("blend", ["alpha", "multiband", "poisson"])
def test_a_source_that_is_the_target_changes_nothing(blend: str) -> None:
    under, _, alpha, landmarks = pair()
    config = FinishConfig(blend=blend, motion_blur=0.0)  # type: ignore[arg-type]
    result = painted(under, finish(under, alpha, under, landmarks, config))
    assert (result - under).abs().max() < 2e-3
    if blend == "multiband":
        plain = FinishConfig(color="none", motion_blur=0.0, grain=0.0)
        assert torch.equal(painted(under, finish(under, alpha, under, landmarks, plain)), under)


@pytest.mark.parametrize("blend", ["alpha", "multiband", "poisson"])
@pytest.mark.parametrize("mask", ["hull", "region", "learned", "full"])
def test_what_is_in_front_or_forbidden_stays_bit_for_bit(blend: str, mask: str) -> None:
    under, over, alpha, landmarks = pair()
    config = FinishConfig(blend=blend, mask=mask)  # type: ignore[arg-type]
    seen = torch.ones_like(alpha)
    seen[..., 70:90, 60:100] = 0
    none = FrameFacts.none(3)
    facts = FrameFacts(none.numbers, none.motion, none.degrees, visible=seen)
    result = painted(under, finish(over, alpha, under, landmarks, config, facts))
    assert torch.equal(result[..., 70:90, 60:100], under[..., 70:90, 60:100])
    assert (result - under).abs().max() > 0.05
    facts = FrameFacts(none.numbers, none.motion, none.degrees, allowed=torch.zeros_like(alpha))
    assert not finish(over, alpha, under, landmarks, config, facts)[1].any()
    assert not finish(over, torch.zeros_like(alpha), under, landmarks, config)[1].any()


@pytest.mark.parametrize("blend", ["alpha", "multiband"])
def test_a_face_that_fills_its_crop_ends_softly(blend: str) -> None:
    under, over, alpha, landmarks = pair()
    config = FinishConfig(blend=blend, mask="learned", color="none", grain=0, motion_blur=0)  # type: ignore[arg-type]
    layer = finish(over, torch.ones_like(alpha), under, landmarks, config)[1]
    assert not layer[..., 0, :].any()
    assert not layer[..., -1].any()
    assert layer[..., 40:-40, 40:-40].min() == 1
    assert layer[0, 0].diff(dim=0).abs().max() < 0.5


def test_a_frame_is_finished_alike_alone_and_in_company() -> None:
    under, over, alpha, landmarks = pair()
    motion = np.repeat(np.array([[[1, 0, 4.0], [0, 1, 1.0]]], np.float32), 3, 0)
    facts = FrameFacts(np.arange(3), motion, np.array([0, 70, 20], np.float32))
    noisy = (under + 0.02 * torch.randn(under.shape, generator=torch.manual_seed(0))).clamp(0, 1)
    together = finish(over, alpha, noisy, landmarks, FinishConfig(), facts)
    for n in range(3):
        run = slice(n, n + 1)
        alone = finish(
            over[run], alpha[run], noisy[run], landmarks[run], FinishConfig(), facts.cut(run)
        )
        assert torch.equal(alone[0], together[0][run])
        assert torch.equal(alone[1], together[1][run])


def skin_of(picture: torch.Tensor, mask: Floats) -> tuple[Floats, Floats]:
    pixels = picture.permute(1, 2, 0).numpy().astype(np.float64)
    mean = (pixels * mask[..., None]).sum((0, 1)) / mask.sum()
    apart = (pixels - mean).reshape(-1, 3)
    return mean, (apart * mask.reshape(-1, 1)).T @ apart / mask.sum()


@pytest.mark.parametrize("mode", ["lct", "mkl", "idt", "sot", "hist-match", "rct"])
def test_transfers_reach_the_statistics_of_the_target(mode: str) -> None:
    under, over, _, landmarks = pair()
    size = (160, 160)
    mask = hull(landmarks[0], size, 0.05, -0.06)
    mask[:76] = 0
    own, like = (np.ascontiguousarray(one[0].permute(1, 2, 0)) for one in (over, under))
    like = np.clip(like * np.array([0.8, 0.7, 0.9], np.float32), 0, 1)
    answer = torch.from_numpy(bring_color(mode, own, like, mask)).permute(2, 0, 1)  # type: ignore[arg-type]
    wanted_mean, wanted = skin_of(torch.from_numpy(like).permute(2, 0, 1), mask)
    mean, found = skin_of(answer, mask)
    before_mean, before = skin_of(over[0], mask)
    close = 0.012 if mode in ("rct", "sot") else 0.006
    assert np.abs(mean - wanted_mean).max() < close < np.abs(before_mean - wanted_mean).max()
    if mode in ("lct", "mkl", "idt"):
        assert np.abs(found - wanted).max() < 0.25 * np.abs(before - wanted).max() + 2e-4


def test_the_literal_transfer_counts_what_is_outside_as_black() -> None:
    under, over, _, landmarks = pair()
    own, like = (np.ascontiguousarray(one[0].permute(1, 2, 0)) for one in (over, under))
    mask = hull(landmarks[0], (160, 160), 0.05, -0.06)
    literal, masked = (bring_color(mode, own, like, mask) for mode in ("rct-literal", "rct"))
    lab, black = (cv2.cvtColor(one, cv2.COLOR_RGB2LAB) for one in (own, like))
    outside = mask < 0.5
    lab_zero, like_zero = lab.copy(), black.copy()
    lab_zero[outside], like_zero[outside] = 0, 0
    scale = like_zero.std((0, 1)) / lab_zero.std((0, 1))
    wanted = (lab - lab_zero.mean((0, 1))) * scale + like_zero.mean((0, 1))
    inner = mask > 0.9
    found = cv2.cvtColor(literal, cv2.COLOR_RGB2LAB)
    assert np.abs(found - wanted)[inner].mean() < 0.3
    assert np.abs(literal - masked)[inner].mean() > 1e-3


def test_low_pass_takes_over_light_and_leaves_detail() -> None:
    under, _, alpha, landmarks = pair()
    shade = torch.linspace(0.5, 1.0, 160)[None, None, None]
    lit = under * shade * torch.tensor([1.0, 0.9, 0.7])[:, None, None]
    config = FinishConfig(blend="alpha", motion_blur=0.0, grain=0.0)
    rgb, _ = finish(under, alpha, lit, landmarks, config)
    inner = face_hull(landmarks, (160, 160), 0.05, -0.15) > 0.99
    error = ((rgb - lit).abs() * inner).sum() / inner.sum() / 3
    before = ((under - lit).abs() * inner).sum() / inner.sum() / 3
    assert error < 0.15 * before


@pytest.mark.parametrize("mode", ["low-pass", "relight", "rct", "lct", "mkl", "idt", "sot"])
@given(
    tint=st.tuples(*[st.floats(0.6, 1.0)] * 3),
    bend=st.floats(0.7, 1.4),
    level=st.sampled_from([0.2, 1.0]),
)
@settings(max_examples=6, deadline=None)
def test_a_gray_or_tinted_target_gets_a_face_of_its_tint(
    mode: str, tint: tuple[float, float, float], bend: float, level: float
) -> None:
    under, over, alpha, landmarks = pair()
    gray = (level * (under * LUMA[:, None, None]).sum(1, keepdim=True)) ** bend
    film = gray * torch.tensor(tint)[:, None, None]
    config = FinishConfig(color=mode, motion_blur=0.0, grain=0.0)  # type: ignore[arg-type]
    result = painted(film, finish(over, alpha, film, landmarks, config))
    apart = result / torch.tensor(tint)[:, None, None]
    # Two levels of 255: the bands of the blend clip where a channel is full.
    assert float((apart - apart.mean(1, keepdim=True)).abs().quantile(0.999)) < 2.5 / 255
    # And there is a face in it, another one.
    assert float((result - film).abs().amax(1)[alpha[:, 0] > 0].mean()) > 0.01 * level


@pytest.mark.parametrize("level", [0.15, 0.5, 1.0])
def test_a_face_in_dim_light_is_in_color(level: float) -> None:
    under, over, alpha, _ = pair()
    for one, like, weight in zip(over, under, alpha, strict=True):
        # As eight bits hold it.
        dim = np.round(like.permute(1, 2, 0).numpy() * level * 255).astype(np.float32) / 255
        rgb = np.ascontiguousarray(one.permute(1, 2, 0).numpy())
        assert toned(rgb, dim, weight[0].numpy()) is rgb


def test_grain_makes_up_for_what_is_missing_and_no_more() -> None:
    under, over, alpha, landmarks = pair()
    noisy = under + 0.03 * torch.randn(under.shape, generator=torch.manual_seed(1))[:, :1]
    grainy = FinishConfig(blend="alpha", motion_blur=0.0)
    with_grain = finish(over, alpha, noisy.clamp(0, 1), landmarks, grainy)[0]
    without = finish(over, alpha, noisy.clamp(0, 1), landmarks, STEADY)[0]
    added = (with_grain - without)[..., 90:110, 60:100]
    assert 0.02 < float(added.std()) < 0.04
    assert float(added.mean().abs()) < 0.004
    clean = finish(noisy.clamp(0, 1), alpha, under, landmarks, grainy)[0]
    still = finish(noisy.clamp(0, 1), alpha, under, landmarks, STEADY)[0]
    assert torch.allclose(clean[..., 90:110, 60:100], still[..., 90:110, 60:100], atol=2e-3)


def test_motion_blurs_along_the_way_and_only_where_there_is_one() -> None:
    under, over, alpha, landmarks = pair()
    config = FinishConfig(grain=0.0, color="none", motion_blur=0.5)
    motion = np.repeat(np.array([[[1, 0, 16.0], [0, 1, 0.0]]], np.float32), 3, 0)
    facts = FrameFacts(np.arange(3), motion, np.zeros(3, np.float32))
    inner = np.s_[:, :, 72:104, 64:96]
    moving = prepared(over, alpha, under, landmarks, config, facts)[0][inner]
    still = prepared(over, alpha, under, landmarks, config)[0][inner]
    assert torch.equal(still, over[inner])
    across, down = (lambda p: p.diff(dim=3).abs().mean()), (lambda p: p.diff(dim=2).abs().mean())
    assert across(moving) < 0.6 * across(still)
    assert down(moving) > 0.75 * down(still)


def test_a_turned_head_fades_by_the_rule() -> None:
    under, over, alpha, landmarks = pair()
    none = FrameFacts.none(3)
    facts = FrameFacts(none.numbers, none.motion, np.array([64.0, 75.0, 85.0], np.float32))
    matte = prepared(over, alpha, under, landmarks, STEADY, facts)[1]
    assert matte.amax((1, 2, 3)).tolist() == pytest.approx([1.0, 0.5, 0.0])


def test_the_mask_ends_at_the_hairline() -> None:
    under, _, _, landmarks = pair()
    bare = np.ascontiguousarray(under[0].permute(1, 2, 0))
    plain = hull(landmarks[0], (160, 160), 0.05, 0.0)
    high = to_hairline(landmarks[0], bare, 0.05, 0.0)
    fringe = bare.copy()
    brow = int(landmarks[0][[105, 334], 1].min())
    fringe[: brow - 8] *= 0.2
    low = to_hairline(landmarks[0], fringe, 0.05, 0.0)
    x = int(landmarks[0][10, 0])
    tops = [int(np.argmax(mask[:, x] > 0.5)) for mask in (high, plain, low)]
    assert tops[0] <= tops[1] < tops[2]
    assert brow - 14 < tops[2] < brow
    # Below the brows nothing depends on color.
    assert np.array_equal(high[brow + 8 :], plain[brow + 8 :])


def test_regions_are_named_parts_and_what_is_left_out_of_them() -> None:
    landmarks = pair()[3][0]
    size = (160, 160)
    face, eyes = (regions(landmarks, [name], size, 0.05) for name in ("face", "eyes"))
    without = regions(landmarks, ["face", "-eyes"], size, 0.05)
    x, y = landmarks[468, :2].astype(int)
    assert (face[y, x], eyes[y, x], without[y, x]) == pytest.approx((1, 1, 0), abs=0.02)
    np.testing.assert_allclose(without, face * (1 - eyes), atol=1e-6)
    with pytest.raises(ConfigError, match="ears"):
        FinishConfig(mask="region", regions=("ears",))


@pytest.mark.parametrize("how", ["blur", "blank"])
def test_a_hidden_face_shows_nothing_of_it(how: str) -> None:
    under, _, _, landmarks = pair()
    rgb, alpha = hidden(under, landmarks, how)  # type: ignore[arg-type]
    result = painted(under, (rgb, alpha))
    inner = (face_hull(landmarks, (160, 160), 0.05) > 0.9).expand_as(under)
    detail = (under - torch.nn.functional.avg_pool2d(under, 9, 1, 4))[inner].std()
    left = (result - torch.nn.functional.avg_pool2d(result, 9, 1, 4))[inner].std()
    assert left < 0.15 * detail
    assert torch.equal(result[..., :20, :20], under[..., :20, :20])


def test_grain_of_a_dark_face_is_not_brightened_with_it() -> None:
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.02, (1, 3, 96, 96))).float()
    dark, bright = torch.full((1, 3, 96, 96), 0.18), torch.full((1, 3, 96, 96), 0.6)
    everywhere = torch.ones(1, 1, 96, 96)
    answer = low_pass(dark + noise, bright, everywhere)
    assert float(answer.mean()) == pytest.approx(0.6, abs=0.02)
    assert 1.2 < float(answer.std()) / float(noise.std()) < 1.3

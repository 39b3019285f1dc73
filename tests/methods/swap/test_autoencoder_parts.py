"""What one-to-one training is made of: warps, draws, each term of the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness import geometry
from likeness.condition.face_types import face_crop
from likeness.errors import ConfigError, ContractError, TrackError
from likeness.methods.swap.autoencoder.augment import (
    SwapAugmentConfig,
    draw_move,
    random_warp,
    recolored,
    taken,
)
from likeness.methods.swap.autoencoder.data import (
    Batch,
    Faces,
    FacesConfig,
    collect,
    thinned,
    turn_of,
)
from likeness.methods.swap.autoencoder.losses import (
    SwapLossConfig,
    blurred,
    blurred_outside,
    face_weight,
    pointing,
    reconstruction,
    style,
    variation,
)
from likeness.methods.swap.autoencoder.marks import marks_of, rarity
from likeness.synthesize.autoencoder import Face
from likeness.training.losses import dssim
from likeness.types import Clip
from tests.methods.swap.toys import person, points_in

STILL = SwapAugmentConfig(turn=0, zoom=1, shift=0)


def test_a_warp_moves_the_inside_and_leaves_the_border() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        ways = random_warp(random, 32)
        assert ways.shape == (32, 32, 2)
        # A quarter of the largest cell.
        assert 0 < np.abs(ways).max() <= 0.24 * 16
        assert np.abs(ways[0]).max() < np.abs(ways).max() / 2
    assert np.abs(random_warp(random, 32, 0.0)).max() == 0
    first, second = (random_warp(np.random.default_rng(3), 32) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_what_shall_come_out_is_unwarped() -> None:
    y, x = np.mgrid[0:48, 0:48]
    ramp = np.stack([x * 5, y * 5, x * 0 + 60], -1).astype(np.uint8)
    inner = np.array([[1, 0, -8], [0, 1, -8]], np.float32)
    move = draw_move(np.random.default_rng(1), STILL, inner, 32)
    real, warped = (taken(ramp, move, flag) for flag in (False, True))
    # The target is the inner square itself, to the bit.
    np.testing.assert_array_equal(real, ramp[8:40, 8:40].astype(np.float32) / 255)
    # The input shows what the warp points at: on a ramp, the way is the change of color.
    shown = (warped - real)[..., :2] * 255 / 5
    np.testing.assert_allclose(shown, move.warp, atol=0.25)
    assert np.abs(shown).max() > 0.5


@pytest.mark.parametrize("mirrored", [0.0, 1.0])
def test_points_move_with_the_picture(mirrored: float) -> None:
    how = SwapAugmentConfig(turn=30, zoom=1.2, shift=0.1, mirrored=mirrored)
    picture = np.zeros((96, 96, 3), np.uint8)
    picture[36:48, 56:68] = 255
    inner = np.array([[1, 0, -16], [0, 1, -16]], np.float32)
    for seed in range(4):
        move = draw_move(np.random.default_rng(seed), how, inner, 64)
        assert np.sign(np.linalg.det(move.crop_from_larger[:, :2])) == (-1 if mirrored else 1)
        found = taken(picture, move, warped=False)[..., 0]
        y, x = np.mgrid[0:64, 0:64] + 0.5
        middle = np.array([(x * found).sum(), (y * found).sum()]) / found.sum()
        expected = geometry.apply(move.crop_from_larger, np.array([[62.0, 42.0]]))[0]
        np.testing.assert_allclose(middle, expected, atol=0.1)


def test_colors_stray_and_stay_colors() -> None:
    picture = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    strayed = recolored(picture, np.random.default_rng(1), 0.2)
    assert 0 <= strayed.min() <= strayed.max() <= 1
    assert 0.01 < np.abs(strayed - picture).mean() < 0.3
    np.testing.assert_allclose(
        recolored(picture, np.random.default_rng(1), 0.0), picture, atol=1e-4
    )


def test_a_batch_shows_face_mask_and_features_in_one_place() -> None:
    batch = person("anna").draw(np.random.default_rng(0), 6, SwapAugmentConfig())
    for part, channels in (("warped", 3), ("real", 3), ("mask", 1), ("features", 1)):
        assert getattr(batch, part).shape == (6, channels, 32, 32)
    inside, outside = batch.mask > 0.99, batch.mask < 0.01
    red = batch.real[:, :1]
    assert float(red[inside].median()) > 0.6
    assert float(red[outside].median()) < 0.3
    assert float((batch.features * (batch.mask < 0.01)).mean()) < 0.02
    assert not torch.equal(batch.warped, batch.real)
    again = person("anna").draw(np.random.default_rng(0), 6, SwapAugmentConfig())
    assert torch.equal(batch.warped, again.warped)


def test_a_smaller_person_is_the_same_person() -> None:
    small = person("anna", 64).sized(32)
    batch = small.draw(np.random.default_rng(0), 2, STILL)
    assert batch.real.shape == (2, 3, 32, 32)
    expected = person("anna").draw(np.random.default_rng(0), 2, STILL)
    assert float((batch.real - expected.real).abs().mean()) < 0.03


def test_turned_faces_are_told_apart() -> None:
    points = np.repeat(points_in(100)[None], 3, 0)
    points[1, 30, 0] += 8
    points[2, 30, 0] -= 8
    front, right, left = turn_of(points)
    assert left < front < right
    assert abs(front) < 0.1


def test_marks_tell_what_a_face_does_not_whose_it_is() -> None:
    points = np.repeat(points_in(100)[None], 5, 0)
    points[:, 66, 1] += [0, 2, 4, 6, 8]
    irises = np.zeros((5, 2, 2), np.float32) + 40
    irises[2] = np.nan
    irises[4, :, 0] += 4
    told = marks_of(points, irises, 100).reshape(5, 70, 2)
    np.testing.assert_allclose(told[:, 66, 1], [-2, -1, 0, 1, 2], atol=1e-5)
    np.testing.assert_allclose(told[[0, 4], 68, 0], [-0.5, 1.5], atol=1e-5)
    assert np.isnan(told[2, 68:]).all()
    assert np.isfinite(told[2, :68]).all()
    # Another person: wider, elsewhere in the picture, the same motion.
    other = marks_of(points + np.array([3, -2]), irises + 7, 100)
    np.testing.assert_allclose(other, told.reshape(5, 140), atol=1e-5)


def test_rare_faces_weigh_more() -> None:
    points = np.repeat(points_in(100)[None], 40, 0)
    points[36:, 66, 1] += 12
    weight = rarity(points)
    assert weight.mean() == pytest.approx(1)
    # Nine times as rare: the root of it.
    assert weight[39] / weight[0] == pytest.approx(3, rel=1e-3)


def test_pointing_leaves_out_what_is_not_known() -> None:
    marks = torch.tensor([[0.0, 2.0, torch.nan, 1.0]])
    told = torch.tensor([[0.5, 5.0, 100.0, 1.0]])
    assert float(pointing(told, marks)) == pytest.approx((0.125 + 2.5 + 0) / 3)
    assert float(pointing(told, torch.full_like(marks, torch.nan))) == 0


def test_thinning_keeps_times_and_points_together(plain_clip: object) -> None:
    from likeness.decode import open_clip

    clip: Clip = open_clip(plain_clip)  # type: ignore[arg-type]
    points = np.arange(60, dtype=np.float32)[:, None, None] + np.zeros((60, 68, 2), np.float32)
    parts = [Faces(clip, np.arange(40), points[:40]), Faces(clip, np.arange(50, 70), points[40:])]
    kept = thinned(parts, 9)
    assert sum(len(part) for part in kept) == 9
    np.testing.assert_array_equal(kept[0].points[:, 0, 0], kept[0].times)
    np.testing.assert_array_equal(kept[1].points[:, 0, 0], kept[1].times - 10)
    assert thinned(parts, 60)[0] is parts[0]
    config = FacesConfig(32, "full", 100, 1.0, False)
    few = Faces(clip, np.arange(3), points[:3])
    with pytest.raises(TrackError, match="person 2 is seen in 3 frames"):
        collect([parts, [few]], config, clip.path.with_suffix(".crops"))


def test_stored_crops_hold_the_networks_crop_in_their_middle() -> None:
    points = np.repeat(points_in(100)[None] * 3, 2, 0)
    one = person("anna")
    inner = face_crop(points, "full", 32).crop_from_frame[0].astype(np.float64)
    larger = face_crop(points, "full", one.bank.crop.size[0], 1.3).crop_from_frame[0]
    through = geometry.compose(one.inner.astype(np.float64), larger.astype(np.float64))
    np.testing.assert_allclose(through, inner, atol=2e-4)


def test_dssim_is_its_formula() -> None:
    torch.manual_seed(0)
    x, y = torch.rand(2, 1, 12, 12), torch.rand(2, 1, 12, 12)
    places = torch.arange(5.0) - 2
    taps = torch.exp(-places.square() / 4.5)
    window = torch.outer(taps, taps) / taps.sum().square()
    total, count = 0.0, 0
    for n in range(2):
        for i in range(8):
            for j in range(8):
                a, b = x[n, 0, i : i + 5, j : j + 5], y[n, 0, i : i + 5, j : j + 5]
                ma, mb = (window * a).sum(), (window * b).sum()
                va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
                cov = (window * (a - ma) * (b - mb)).sum()
                ssim = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
                total += float(ssim / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
                count += 1
    assert float(dssim(x, y, 5)) == pytest.approx((1 - total / count) / 2, abs=1e-5)
    assert float(dssim(x, x, 5)) == pytest.approx(0, abs=1e-6)
    assert dssim(x, y, 4).shape == ()
    with pytest.raises(ContractError, match="expected one that fits"):
        dssim(x, y, 13)


def batch_of(seed: int, side: int = 32) -> Batch:
    torch.manual_seed(seed)
    mask = torch.zeros(2, 1, side, side)
    mask[..., 8:24, 8:24] = 1
    features = torch.zeros_like(mask)
    features[..., 12:16, 12:16] = 1
    real = torch.rand(2, 3, side, side)
    return Batch(torch.rand_like(real), real, mask, features, torch.full((2, 140), torch.nan))


def test_reconstruction_is_the_sum_of_its_terms() -> None:
    batch = batch_of(0)
    drawn = Face(torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32))
    weight = (2 * blurred(batch.mask, 1.0)).clamp(max=1)
    x, y = drawn.rgb * weight, batch.real * weight
    expected = (
        10 * dssim(x, y, 3)
        + 10 * functional.mse_loss(x, y)
        + 300 * ((drawn.rgb - batch.real).abs() * batch.features).mean()
        + 10 * functional.mse_loss(drawn.mask, batch.mask)
    )
    found = reconstruction(drawn, batch, SwapLossConfig(eyes_mouth=300))
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    perfect = reconstruction(Face(batch.real, batch.mask), batch, SwapLossConfig(eyes_mouth=300))
    assert float(perfect) == pytest.approx(0, abs=1e-5)


def test_only_the_face_counts_where_it_is_masked() -> None:
    batch = batch_of(0)
    wrong = batch.real.clone()
    wrong[..., :3, :3] = 1 - wrong[..., :3, :3]
    face = Face(wrong, batch.mask)
    assert float(reconstruction(face, batch, SwapLossConfig())) == pytest.approx(0, abs=1e-5)
    assert float(reconstruction(face, batch, SwapLossConfig(masked=False))) > 0.05
    weight = face_weight(batch.mask)
    assert float(weight[..., 10:22, 10:22].min()) == pytest.approx(1, abs=1e-4)
    assert float(weight[..., :4, :4].max()) == 0


def test_the_surroundings_are_blurred_without_the_face() -> None:
    batch = batch_of(0, 128)
    real = torch.full_like(batch.real, 0.25)
    real[..., 8:24, 8:24] = 1.0
    soft = blurred_outside(real, batch.mask)
    # No white of the face has bled into the gray around it.
    torch.testing.assert_close(soft, real, atol=1e-5, rtol=0)
    noisy = blurred_outside(batch.real, batch.mask)
    assert torch.equal(noisy[..., 8:24, 8:24], batch.real[..., 8:24, 8:24])
    assert float(noisy[..., 40:, 40:].std()) < 0.7 * float(batch.real[..., 40:, 40:].std())


def test_style_and_variation() -> None:
    batch = batch_of(1)
    assert float(style(batch.real, batch.real)) == 0
    # Moving all colors by a tenth moves the means by a tenth and leaves contrast.
    assert float(style(batch.real + 0.1, batch.real)) == pytest.approx(0.01, rel=1e-3)
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    assert float(variation(ramp)) == pytest.approx(1.0)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="below 0"):
        SwapLossConfig(mask=-1)
    with pytest.raises(ConfigError, match="both 0"):
        SwapLossConfig(structure=0, pixels=0)
    with pytest.raises(ConfigError, match="a factor from 1 on"):
        SwapAugmentConfig(zoom=0.5)
    with pytest.raises(ConfigError, match="mirrored is 2"):
        SwapAugmentConfig(mirrored=2)

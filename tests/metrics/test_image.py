"""Picture measures against scikit-image and against values worked out by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.errors import ContractError
from likeness.metrics import image, regions


def noisy_pair(size=(40, 56), noise=0.1, count=2):
    generator = np.random.default_rng(0)
    real = generator.random((count, 3, *size)).astype(np.float32)
    result = np.clip(real + noise * generator.standard_normal(real.shape), 0, 1).astype(np.float32)
    return torch.from_numpy(result), torch.from_numpy(real)


def test_psnr_of_known_errors():
    real = torch.full((2, 3, 8, 8), 0.5)
    result = real.clone()
    result[0] += 0.1
    assert image.psnr(result, real) == pytest.approx([20, image.PSNR_CEILING], abs=1e-4)


def test_masked_psnr_looks_inside_only():
    real = torch.zeros(3, 3, 8, 8)
    result = real.clone()
    result[:, :, :4] = 0.1
    result[:, :, 4:] = 0.01
    mask = np.zeros((3, 8, 8), bool)
    mask[0, :4], mask[1, 4:] = True, True
    found = image.psnr(result, real, mask)
    assert found[:2] == pytest.approx([20, 40], abs=1e-3)
    assert np.isnan(found[2])


def test_psnr_agrees_with_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    result, real = noisy_pair()
    wanted = [
        metrics.peak_signal_noise_ratio(b.numpy(), a.numpy(), data_range=1)
        for a, b in zip(result, real, strict=True)
    ]
    assert image.psnr(result, real) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.3])
def test_ssim_agrees_with_scikit_image(noise):
    metrics = pytest.importorskip("skimage.metrics")
    result, real = noisy_pair(noise=noise)
    wanted = [
        metrics.structural_similarity(
            a.numpy().astype(np.float64),
            b.numpy().astype(np.float64),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=0,
        )
        for a, b in zip(result, real, strict=True)
    ]
    assert image.ssim(result, real) == pytest.approx(wanted, abs=1e-6)


@settings(max_examples=20)
@given(st.floats(0, 1), st.floats(0, 1))
def test_ssim_of_flat_pictures_is_the_luminance_term(a, b):
    flat = [torch.full((1, 3, 12, 12), v) for v in (a, b)]
    wanted = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    assert image.ssim(flat[0], flat[1])[0] == pytest.approx(wanted, abs=1e-4)


def test_sharpness_of_a_scaled_detail_is_the_scale():
    generator = torch.Generator().manual_seed(0)
    detail = torch.randn(1, 1, 32, 32, generator=generator).expand(1, 3, 32, 32)
    real, half = 0.5 + 0.1 * detail, 0.5 + 0.05 * detail
    hull = np.zeros((1, 32, 32), bool)
    hull[:, 4:28, 4:28] = True
    assert image.sharpness(half, real, hull) == pytest.approx([0.5], rel=1e-4)
    assert image.sharpness(real, real, hull) == pytest.approx([1.0])


def test_sharpness_ignores_what_happens_at_the_hulls_border():
    real = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    hull = np.zeros((1, 32, 32), bool)
    hull[:, 8:24, 8:24] = True
    cut = real * torch.from_numpy(hull)[:, None]
    assert image.sharpness(cut, real, hull) == pytest.approx([1.0])


def test_blur_lowers_sharpness_more_than_psnr():
    real = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    blurred = torch.nn.functional.avg_pool2d(real, 3, 1, 1)
    assert image.sharpness(blurred, real, np.ones((1, 64, 64), bool))[0] < 0.25


def test_shapes_that_differ_are_refused():
    with pytest.raises(ContractError, match="must both be"):
        image.psnr(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9))
    with pytest.raises(ContractError, match="11x11"):
        image.ssim(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))


def test_polygon_counts_pixel_centers():
    square = np.array([[2, 3], [7, 3], [7, 9], [2, 9]], np.float32)
    mask = regions.fill_convex(square, (12, 10))
    wanted = np.zeros((12, 10), bool)
    wanted[3:9, 2:7] = True
    assert (mask == wanted).all()
    assert not regions.fill_convex(np.zeros((5, 2), np.float32), (4, 4)).any()


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_polygon_agrees_with_a_point_in_triangle_test(seed):
    points = np.random.default_rng(seed).uniform(-5, 25, (3, 2))
    y, x = np.mgrid[:20, :20] + 0.5
    sides = [
        (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])
        for a, b in zip(points, np.roll(points, -1, 0), strict=True)
    ]
    inside = (np.min(sides, 0) > 0) | (np.max(sides, 0) < 0)
    assert (regions.fill_convex(points, (20, 20)) != inside).sum() == 0


def test_hull_has_the_ellipses_area_and_scales_with_the_picture(face):
    hull = regions.face_hull(face()[None], (128, 128))
    assert hull.sum() == pytest.approx(np.pi * 40 * 52, rel=0.01)
    large = regions.face_hull(2 * face()[None], (256, 256))
    assert large.sum() == pytest.approx(4 * hull.sum(), rel=0.01)


def test_eye_and_mouth_regions_cover_shut_lids_and_lips(face):
    size = (128, 128)
    for openness in (0.3, 0.0):
        eyes = regions.eye_mask(face(openness=openness)[None], size)[0]
        # Right at the lids, 5 px above them, not at the nose, not in the mouth.
        assert eyes[52, 44]
        assert eyes[52, 84]
        assert eyes[47, 44]
        assert not eyes[52, 64]
        assert not eyes[90, 64]
    mouth = regions.mouth_mask(face(mouth=0.2)[None], size)[0]
    assert mouth[90, 64]
    assert mouth[77, 64]
    assert not mouth[64, 64]


def test_lost_faces_have_empty_regions(face):
    landmarks = np.stack([face(), np.full((478, 3), np.nan, np.float32)])
    for region in (regions.face_hull, regions.eye_mask, regions.mouth_mask, regions.head_zone):
        found = region(landmarks, (128, 128))
        assert found[0].any()
        assert not found[1].any()
    with pytest.raises(ContractError, match="478"):
        regions.face_hull(landmarks[:, :468], (8, 8))


def test_shrinking_takes_pixels_off_every_side():
    mask = np.zeros((2, 20, 20), bool)
    mask[:, 5:15, 5:15] = True
    mask[1] = True
    small = regions.shrink(mask, 2)
    assert small.sum((1, 2)).tolist() == [36, 256]

"""Single stages: alignment, zones, tuning, stitching, inversion, pasting."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from likeness.condition.ffhq import squares_of
from likeness.methods.edit.crops import AlignConfig, smoothed_squares
from likeness.methods.edit.generator import open_generator
from likeness.methods.edit.invert import InvertConfig, invert
from likeness.methods.edit.losses import LossConfig, PictureLoss
from likeness.methods.edit.paste import PasteConfig, Paster
from likeness.methods.edit.stages import state_digest
from likeness.methods.edit.stitch import StitchingConfig, stitch_one, zones
from likeness.methods.edit.tune import TuneConfig, tuned, with_state
from likeness.types import Crop, Shot
from tests.methods.edit.tiny import SIDE, eigenfaces, stylegan

RANDOM = np.random.default_rng(0)


def pictures(count: int = 24) -> np.ndarray:
    """(M,3,16,16) smooth pictures."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = RANDOM.uniform(-3, 3, (count, 3, 2))
    angle = waves[:, :, 0, None, None] * x + waves[:, :, 1, None, None] * y
    return (127 + 90 * np.sin(angle)).astype(np.uint8)


def disc(radius: float = 5.0) -> torch.Tensor:
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    inside = np.hypot(x - SIDE / 2, y - SIDE / 2) < radius
    return torch.from_numpy(inside.astype(np.float32))[None, None]


def test_centers_and_axes_are_smoothed_each_by_its_own(actor_shot: Shot) -> None:
    landmarks = actor_shot.track.landmarks + RANDOM.normal(0, 0.5, (48, 478, 3)).astype(np.float32)
    raw = squares_of(landmarks)
    smooth = smoothed_squares(landmarks, np.ones(48, bool), AlignConfig())
    np.testing.assert_allclose(
        smooth.center, gaussian_filter1d(raw.center.astype(float), 1.0, axis=0), atol=1e-3
    )
    np.testing.assert_allclose(
        smooth.axis, gaussian_filter1d(raw.axis.astype(float), 3.0, axis=0), atol=1e-3
    )
    still = smoothed_squares(landmarks, np.ones(48, bool), AlignConfig(0, 0))
    np.testing.assert_array_equal(still.center, raw.center)


def test_nothing_is_smoothed_across_frames_without_a_face(actor_shot: Shot) -> None:
    landmarks = actor_shot.track.landmarks.copy()
    landmarks[24:, :, 0] += 500
    present = np.ones(48, bool)
    present[20:24] = False
    smooth = smoothed_squares(landmarks, present, AlignConfig(3, 3))
    assert smooth.center[:20, 0].max() < 200
    assert smooth.center[24:, 0].min() > 400


def test_zones_divide_the_crop() -> None:
    config = StitchingConfig(border=0.25, feather=0.125)
    zone = zones(disc(), config)
    assert torch.equal(zone.full, ((zone.border + zone.content) > 0).float())
    assert (zone.border * zone.content == 0).all()
    assert zone.full.sum() > disc().sum()
    assert (zone.alpha[zone.full == 0] == 0).all()
    assert float(zone.alpha[0, 0, SIDE // 2, SIDE // 2]) == pytest.approx(1, abs=1e-5)
    edge = (zone.alpha > 0) & (zone.alpha < 1)
    assert edge.any()


def test_the_foreground_at_the_crops_edge_belongs_to_the_border() -> None:
    zone = zones(torch.ones(1, 1, SIDE, SIDE), StitchingConfig(border=0.25))
    assert (zone.border[..., 0, :] == 1).all()
    assert (zone.content[..., 4:-4, 4:-4] == 1).all()


def test_stitching_meets_the_border_and_keeps_the_content() -> None:
    generator = open_generator(stylegan())
    code = generator.sample(1, torch.Generator().manual_seed(0))
    crop = torch.from_numpy(pictures(1)).float() / 255
    zone = zones(disc(), StitchingConfig(border=0.2))
    plain = stitch_one(generator, code, crop, zone, StitchingConfig(steps=0))
    before = state_digest(generator.module.state_dict())
    config = StitchingConfig(steps=150, learning_rate=2e-2, content=0.1)
    met = stitch_one(generator, code, crop, zone, config)
    assert state_digest(generator.module.state_dict()) == before
    assert met.before == pytest.approx(plain.after)
    assert met.after < 0.1 * met.before
    kept = (met.rgb - plain.rgb).square() * zone.content[0]
    changed = (crop[0] - plain.rgb).square() * zone.content[0]
    assert float(kept.sum()) < 0.5 * float(changed.sum())


def test_stitching_stops_where_the_border_is_good_enough() -> None:
    generator = open_generator(stylegan())
    code = generator.sample(1, torch.Generator().manual_seed(0))
    crop = torch.from_numpy(pictures(1)).float() / 255
    zone = zones(disc(), StitchingConfig())
    config = StitchingConfig(steps=200, learning_rate=2e-2)
    whole = stitch_one(generator, code, crop, zone, config)
    enough = (whole.before + whole.after) / 2
    early = stitch_one(generator, code, crop, zone, replace(config, enough=enough))
    assert 0 < early.steps < whole.steps == 200
    assert whole.after < early.after <= enough


def test_tuning_draws_the_clip_and_leaves_the_generator() -> None:
    generator = open_generator(stylegan())
    pixels = pictures(6)
    codes = generator.sample(6, torch.Generator().manual_seed(0)).numpy()
    before = state_digest(generator.module.state_dict())
    loss = PictureLoss()
    state = tuned(generator, pixels, codes, TuneConfig(epochs=60, learning_rate=2e-2), loss)
    shown, told = torch.from_numpy(pixels).float() / 255, torch.from_numpy(codes)
    with torch.no_grad():
        first = float(loss(generator.draw(told), shown).mean())
        last = float(loss(with_state(generator, state).draw(told), shown).mean())
    assert last < 0.35 * first
    assert state_digest(generator.module.state_dict()) == before


def test_features_count_where_they_are_given() -> None:
    a, b = (torch.from_numpy(pictures(2)).float() / 255).split(1)
    plain, told = PictureLoss(), PictureLoss(LossConfig(features=2.0), lambda x: x.mean((2, 3)))
    more = float(told(a, b) - plain(a, b))
    assert more == pytest.approx(2 * float((a.mean((2, 3)) - b.mean((2, 3))).norm()), rel=1e-4)


def test_without_an_encoder_codes_are_searched() -> None:
    generator = open_generator(stylegan(encoder=False))
    code = generator.sample(1, torch.Generator().manual_seed(5))
    with torch.no_grad():
        shown = generator.draw(code)
    found = invert(generator, shown, InvertConfig(alone=120, learning_rate=0.1), PictureLoss())
    with torch.no_grad():
        start = generator.draw(generator.average()[None])
        again = generator.draw(found)
    assert (again - shown).square().mean() < 0.2 * (start - shown).square().mean()


def test_eigenfaces_draw_again_what_they_span() -> None:
    pixels = pictures(10)
    generator = open_generator(eigenfaces(pixels, 9))
    shown = torch.from_numpy(pixels).float() / 255
    codes = generator.encode(shown)
    assert codes is not None
    torch.testing.assert_close(generator.draw(codes), shown, atol=1e-4, rtol=0)
    assert float(codes.std()) == pytest.approx(1, abs=0.15)


def test_the_frames_own_detail_stays_where_the_edit_leaves_the_face() -> None:
    frames = torch.from_numpy(RANDOM.uniform(0, 1, (1, 3, 64, 64)).astype(np.float32))
    matrix = np.array([[[0.25, 0, 0], [0, 0.25, 0]]], np.float32)
    low = torch.nn.functional.avg_pool2d(frames, 4)
    faces = torch.cat([low, torch.ones(1, 1, SIDE, SIDE)], 1).half().numpy()
    crop = Crop((SIDE, SIDE), matrix)
    kept = Paster(crop, faces, 4, PasteConfig()).layer(frames, np.array([0]))
    assert kept.crop.size == (64, 64)
    torch.testing.assert_close(kept.rgb, frames, atol=2e-3, rtol=0)
    faces[:, :3] = 1 - faces[:, :3]
    changed = Paster(crop, faces, 4, PasteConfig()).layer(frames, np.array([0]))
    plain = Paster(crop, faces, 4, PasteConfig(detail=0)).layer(frames, np.array([0]))
    far = (low - 0.5).abs().amin(1, keepdim=True).repeat_interleave(4, 2).repeat_interleave(4, 3)
    strong = (far > 0.2).expand_as(frames)
    if strong.any():
        torch.testing.assert_close(changed.rgb[strong], plain.rgb[strong], atol=0.05, rtol=0)
    none = Paster(crop, faces, 4, PasteConfig()).layer(frames, np.array([-1]))
    assert (none.alpha == 0).all()

"""What a coding explains is a weak sign at most, and the coding is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.decode import open_clip, stream
from likeness.metrics.regions import face_hull
from likeness.types import Floats, Shot
from likeness.verify import Scene
from likeness.verify.background import BackgroundSignal
from likeness.verify.coding import MOST, ColorCount, coding_of, on_grid
from likeness.verify.signals import CLEAR
from likeness.verify.spectrum import SpectrumSignal
from tests.conftest import write_clip
from tests.verify.test_signals import SIZE, clip_of, noise, standing, watch

CODINGS = {
    "mjpeg": (".avi", "mjpeg", "yuvj420p", {"qmin": "6", "qmax": "6"}),
    "mjpeg poor": (".avi", "mjpeg", "yuvj420p", {"qmin": "20", "qmax": "20"}),
    "mpeg1": (".mpg", "mpeg1video", "yuv420p", {"qmin": "8", "qmax": "8"}),
    "mpeg2": (".mpg", "mpeg2video", "yuv420p", {"qmin": "8", "qmax": "8"}),
    "mpeg4": (".avi", "mpeg4", "yuv420p", {"qmin": "12", "qmax": "12"}),
    "flash": (".flv", "flv", "yuv420p", {"b": "150000"}),
    "windows media": (".avi", "wmv2", "yuv420p", {"b": "150000"}),
    "h264 poor": (".mp4", "libx264", "yuv420p", {"crf": "40"}),
    "gif": (".gif", "gif", "rgb8", {}),
    "gif few colors": (".gif", "gif", "rgb4_byte", {}),
}


def textured(count: int, points: Floats) -> torch.Tensor:
    """(n,3,H,W) a smooth face of skin's own grain before a plain wall, as a camera sees them."""
    generator = torch.Generator().manual_seed(4)
    frames = noise(count, 1.5 / 255)
    hull = torch.from_numpy(face_hull(points[None], SIZE))
    grain = torch.nn.functional.avg_pool2d(torch.randn((1, 1, *SIZE), generator=generator), 3, 1, 1)
    skin = torch.tensor([0.75, 0.55, 0.45]).view(3, 1, 1) + 0.06 * grain[0]
    return torch.where(hull[None], 0.3 * frames + 0.7 * skin, frames).clamp(0, 1)


@pytest.mark.parametrize("name", CODINGS)
def test_a_recording_coded_anew_is_never_accused_clearly(
    name: str, actor_shot: Shot, tmp_path: Path
) -> None:
    face = standing(actor_shot, 24)
    frames = textured(24, face.landmarks[0])
    suffix, codec, pixels, options = CODINGS[name]
    pictures = (frames * 255 + 0.5).byte().permute(0, 2, 3, 1).numpy()
    path = write_clip(
        tmp_path / f"a{suffix}", pictures, codec=codec, pix_fmt=pixels, options=options
    )
    clip = open_clip(path)
    decoded = torch.cat([part for _, part in stream(clip, 8)])
    count = min(len(clip), 24)
    for signal in (SpectrumSignal, BackgroundSignal):
        found = watch(signal(Scene(clip, face)), decoded[:count])
        assert found.score is None or found.score < CLEAR, found.finding
        assert not found.score or coding_of(clip).name in found.finding


def traced(frames: torch.Tensor, hull: torch.Tensor, cycles: float) -> torch.Tensor:
    """Lay a regular trace of so many cycles per pixel on the face."""
    wave = 0.006 * torch.cos(2 * np.pi * cycles * torch.arange(SIZE[1]))
    return torch.where(hull, frames + wave, frames)


@pytest.mark.parametrize(
    ("codec", "cycles", "most", "named"),
    [
        ("", 0.5, 1.0, ""),
        ("ffv1", 0.5, 1.0, ""),
        ("mjpeg", 0.5, MOST, "The blocks of a coder (Motion JPEG) may have left it."),
        ("mpeg2video", 0.25, MOST, "(MPEG-2)"),
        ("jpg", 0.375, MOST, "(JPEG)"),
        ("mjpeg", 0.34375, 1.0, ""),
        ("gif", 0.34375, MOST, "A palette and its dithering (GIF) may have left it."),
    ],
)
def test_a_trace_counts_as_far_as_the_coding_does_not_explain_it(
    codec: str, cycles: float, most: float, named: str, actor_shot: Shot
) -> None:
    face = standing(actor_shot, 24)
    hull = torch.from_numpy(face_hull(face.landmarks[:1], SIZE))[:, None]
    scene = Scene(replace(clip_of(24), codec=codec), face)
    found = watch(SpectrumSignal(scene), traced(noise(24), hull, cycles))
    assert found.score == pytest.approx(most, abs=0.15 if most == 1 else 1e-9)
    assert (found.score or 0) <= most
    assert named in found.finding
    assert found.numbers["cycles_across"] == cycles


def test_a_grid_all_over_the_picture_was_left_by_a_coder_before(actor_shot: Shot) -> None:
    face = standing(actor_shot, 24)
    hull = torch.from_numpy(face_hull(face.landmarks[:1], SIZE))[:, None]
    everywhere = noise(24) + 0.002 * torch.cos(2 * np.pi * 0.25 * torch.arange(SIZE[1]))
    scene = Scene(replace(clip_of(24), codec="ffv1"), face)
    found = watch(SpectrumSignal(scene), traced(everywhere, hull, 0.5))
    assert found.score == MOST
    assert "The blocks of a coder may have left it." in found.finding


def test_frozen_surroundings_are_a_weak_sign_where_coders_freeze(actor_shot: Shot) -> None:
    frames, face = noise(30), standing(actor_shot, 30, width=90)
    low, high = face.boxes[0, :2], face.boxes[0, 2:]
    reach = slice(max(0, int(low[1] - 60)), None), slice(int(low[0] - 42), int(high[0] + 42))
    frames[:, :, reach[0], reach[1]] = frames[:1, :, reach[0], reach[1]]
    plain = watch(BackgroundSignal(Scene(clip_of(30), face)), frames)
    coded = watch(BackgroundSignal(Scene(replace(clip_of(30), codec="mpeg4"), face)), frames)
    assert (plain.score, coded.score) == (1, MOST)
    assert "MPEG-4 may have done it" in coded.finding


def test_a_palette_shows_through_a_lossless_coder() -> None:
    few, many = ColorCount(), ColorCount()
    generator = torch.Generator().manual_seed(0)
    colors = torch.rand((3, 200), generator=generator)
    few.look(colors[:, torch.randint(0, 200, (40, 50), generator=generator)][None])
    many.look(torch.rand((1, 3, 40, 50), generator=generator))
    gray = ColorCount()
    gray.look(noise(1))
    assert (few.few, many.few, gray.few) == (True, False, False)


def test_the_grid_is_multiples_of_an_eighth() -> None:
    grid = on_grid(32)
    assert grid.sum() == 64
    assert grid[16, 16]
    assert grid[16 + 4, 16 - 8]
    assert not grid[16 + 2, 16]

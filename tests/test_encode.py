"""What goes out comes back: time stamps, sound, color, depth, sizes, marks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.decode import open_clip, read_marks, stream
from likeness.encode import EncodeConfig, encode, encoders
from likeness.errors import ConfigError, ContractError, MediaError
from likeness.provenance import Ingredient, Manifest, sidecar_of
from likeness.provenance.watermark import Stamp, Watermark
from likeness.types import Clip, ColorTags, Timeline

MANIFEST = Manifest(
    "test",
    "reenact",
    (Ingredient("target", "a.mp4", "00" * 32),),
    created="2026-01-01T00:00:00+00:00",  # made before any fixture stops the clock
)


def make_like(size: tuple[int, int], count: int = 6, **changes) -> Clip:
    """A clip without a file, whose facts the output takes over."""
    like = Clip(
        Path("nowhere.mp4"), "00" * 32, size, np.arange(count, dtype=np.int64), Fraction(1, 25), 1,
        color=ColorTags(1, 1, 1),
    )  # fmt: skip
    return replace(like, **changes)


def smooth(count: int, size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """(T,3,H,W) soft colors, as cameras see them."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((count, 3, 3, 3), generator=generator)
    return torch.nn.functional.interpolate(coarse, size, mode="bicubic").clamp(0.02, 0.98)


def read(path: Path) -> torch.Tensor:
    return torch.cat([part for _, part in stream(open_clip(path))])


def marked(frames: torch.Tensor) -> torch.Tensor:
    """What is to be expected in a file: the frames with their watermark."""
    return Watermark(Stamp.of(MANIFEST).payload()).embed(frames)


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


def test_pass_through_keeps_pixels_time_and_sound(plain_clip, tmp_path, packets):
    clip = open_clip(plain_clip)
    output = tmp_path / "out.mp4"
    original = read(plain_clip)
    with encode(output, like=clip, manifest=MANIFEST) as video:
        for start in range(0, 90, 16):
            video.append(original[start : start + 16])
    copy = open_clip(output)
    assert np.array_equal(copy.pts * copy.time_base, clip.pts * clip.time_base)
    assert copy.last_duration * copy.time_base == clip.last_duration * clip.time_base
    assert psnr(read(output), original) > 36
    sound = packets(output)
    assert len(sound) == 2
    assert sound == packets(plain_clip)
    assert [f.name for f in tmp_path.iterdir() if f.name.startswith(".")] == []


@settings(max_examples=15)
@given(
    st.lists(st.integers(1, 900), min_size=1, max_size=12),
    st.integers(1, 700),
    st.integers(0, 5000),
    st.sampled_from([Fraction(1, 90000), Fraction(1, 12800), Fraction(1001, 30000)]),
)  # fmt: skip
def test_any_timeline_is_exact_in_mp4(tmp_path_factory, steps, last, first, tick):
    pts = np.cumsum([first, *steps])
    timeline = Timeline(pts, tick, last, None)
    output = tmp_path_factory.mktemp("vfr") / "o.mp4"
    with encode(output, make_like((32, 32)), MANIFEST, timeline) as video:
        video.append(smooth(len(pts), (32, 32)))
    copy = open_clip(output)
    # The source's clock may start anywhere; an output starts at zero.
    assert [int(p) * copy.time_base for p in copy.pts] == [int(p - first) * tick for p in pts]
    assert copy.last_duration * copy.time_base == last * tick


def test_steady_rate_uses_b_frames_and_stays_exact(tmp_path):
    output = tmp_path / "o.mp4"
    like = make_like((64, 64), 50, time_base=Fraction(1001, 30000))
    with encode(output, like=like, manifest=MANIFEST) as video:
        video.append(smooth(1, (64, 64)).expand(50, -1, -1, -1))
    copy = open_clip(output)
    assert copy.fps == Fraction(30000, 1001)
    assert copy.pts[0] == 0
    with av.open(str(output)) as container:
        assert container.streams.video[0].codec_context.has_b_frames


@pytest.mark.parametrize("matrix", [1, 5, 6, 7, 9])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("depth", [8, 10])
def test_color_comes_back(tmp_path, matrix, full, depth):
    tags = ColorTags(9 if matrix == 9 else 1, 13, matrix, full)
    frames = smooth(2, (64, 64))
    output = tmp_path / "o.mp4"
    like = make_like((64, 64), 2, color=tags, bit_depth=depth)
    with encode(output, like=like, manifest=MANIFEST, config=EncodeConfig(quality=4)) as video:
        video.append(frames)
    copy = open_clip(output)
    assert copy.color == tags
    assert copy.bit_depth == depth
    difference = (read(output) - marked(frames)) * 255
    assert float(difference.abs().mean()) < (1.5 if depth == 8 else 0.7)
    assert float(difference.mean().abs()) < 0.25


def test_ten_bit_gradient_keeps_its_steps(tmp_path):
    ramp = torch.linspace(0.2, 0.45, 512).expand(1, 3, 32, 512)
    output = tmp_path / "o.mp4"
    like = make_like((32, 512), 1, bit_depth=10)
    with encode(output, like=like, manifest=MANIFEST, config=EncodeConfig(quality=1)) as video:
        video.append(ramp)
    row = read(output)[0, 1, 16]
    # 8 bits would leave 64 levels here.
    assert len(torch.unique(row)) > 160
    assert float((row - marked(ramp)[0, 1, 16]).abs().max()) < 4 / 1023


@pytest.mark.parametrize("size", [(33, 47), (48, 47), (33, 48)])
@pytest.mark.parametrize("name", ["o.mp4", "o.webm"])
def test_odd_sizes_keep_every_pixel(tmp_path, size, name):
    frames = smooth(3, size)
    with encode(tmp_path / name, like=make_like(size, 3), manifest=MANIFEST) as video:
        video.append(frames)
    assert open_clip(tmp_path / name).size == size
    assert psnr(read(tmp_path / name), frames) > 35


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
@pytest.mark.parametrize("depth", [8, 10])
def test_codecs(tmp_path, codec, depth):
    if codec == "vp9" and depth == 10:
        with pytest.raises(MediaError, match="bit_depth = 8"), encode(
            tmp_path / "o.mp4", make_like((64, 64), 6, bit_depth=10), MANIFEST, None,
            EncodeConfig(codec="vp9"),
        ):  # fmt: skip
            pass
        return
    frames = smooth(6, (64, 64))
    for name in ("o.mp4", "o.mkv"):
        like = make_like((64, 64), 6, bit_depth=depth)
        with encode(tmp_path / name, like, MANIFEST, None, EncodeConfig(codec=codec)) as video:
            video.append(frames)
        copy = open_clip(tmp_path / name)
        assert (len(copy), copy.bit_depth, copy.color.matrix) == (6, depth, 1)
        assert [p * copy.time_base * 25 for p in copy.pts.tolist()] == list(range(6))
        assert psnr(read(tmp_path / name), frames) > 34


def test_encoders_of_this_build():
    assert encoders() == {"h264": True, "hevc": True, "vp9": True, "av1": True}


def test_one_frame(tmp_path):
    with encode(tmp_path / "o.mp4", like=make_like((64, 64), 1), manifest=MANIFEST) as video:
        video.append(smooth(1, (64, 64)))
    clip = open_clip(tmp_path / "o.mp4")
    assert (len(clip), clip.last_duration * clip.time_base) == (1, Fraction(1, 25))


def test_pixel_aspect_and_size(tmp_path):
    like = make_like((64, 64), 1, pixel_aspect=Fraction(64, 45))
    with encode(
        tmp_path / "o.mp4", like=like, manifest=MANIFEST, config=EncodeConfig(size=(32, 96))
    ) as video:
        video.append(smooth(1, (32, 96)))
    copy = open_clip(tmp_path / "o.mp4", square=False)
    assert (copy.size, copy.pixel_aspect) == ((32, 96), Fraction(64, 45))


@pytest.mark.parametrize("name", ["o.mp4", "o.mkv", "o.webm", "o.mov"])
def test_marks_are_in_the_container_and_beside_it(tmp_path, name):
    with encode(tmp_path / name, like=make_like((64, 64), 1), manifest=MANIFEST) as video:
        video.append(smooth(1, (64, 64)))
    marks = read_marks(tmp_path / name)
    sidecar = sidecar_of(tmp_path / name).read_text()
    assert Manifest.parse(sidecar) == MANIFEST
    assert json.loads(marks["description"]) == json.loads(sidecar)
    assert hashlib.sha256(marks["description"].encode()).hexdigest() in marks["comment"]


def test_without_manifest_it_is_a_type_error(tmp_path):
    with pytest.raises(TypeError):
        encode(tmp_path / "o.mp4", like=make_like((64, 64)))
    with pytest.raises(TypeError, match="expected a Manifest"):
        encode(tmp_path / "o.mp4", like=make_like((64, 64)), manifest=None)


@pytest.mark.parametrize(
    ("name", "depth", "tolerance"),
    [("p%03d.png", 8, 0.51 / 255), ("p%03d.png", 16, 0.51 / 65535), ("p%d.tif", 8, 0.51 / 255),
     ("p%d.tif", 16, 0.51 / 65535), ("p%d.exr", 16, 1e-6), ("folder", 8, 0.51 / 255)],
)  # fmt: skip
def test_picture_sequences(tmp_path, name, depth, tolerance):
    frames = smooth(11, (33, 46))
    like = make_like((33, 46), 11, bit_depth=depth, color=ColorTags(matrix=0, full_range=True))
    output = tmp_path / name
    for _ in range(2):
        with encode(output, like=like, manifest=MANIFEST) as video:
            video.append(frames)
    assert len(open_clip(output)) == 11
    assert float((read(output) - marked(frames)).abs().max()) <= tolerance + 1e-6
    assert psnr(marked(frames), frames) > 42
    assert Manifest.parse(sidecar_of(output).read_text()) == MANIFEST


def test_shorter_sequence_replaces_a_longer_one(tmp_path):
    for count in (5, 2):
        with encode(tmp_path / "p%d.png", make_like((8, 8), count), MANIFEST) as video:
            video.append(smooth(count, (8, 8)))
    assert sorted(f.name for f in tmp_path.glob("*.png")) == ["p0.png", "p1.png"]


def test_single_picture(tmp_path):
    with encode(tmp_path / "one.png", like=make_like((9, 7), 1), manifest=MANIFEST) as video:
        video.append(smooth(1, (9, 7)))
    assert open_clip(tmp_path / "one.png").size == (9, 7)
    with pytest.raises(MediaError, match="hold one picture"), encode(
        tmp_path / "two.png", like=make_like((9, 7), 2), manifest=MANIFEST
    ):  # fmt: skip
        pass


def test_pictures_become_video(tmp_path):
    frames = smooth(4, (48, 48))
    like = make_like((48, 48), 4, color=ColorTags(matrix=0, full_range=True))
    with encode(tmp_path / "in", like=like, manifest=MANIFEST) as video:
        video.append(frames)
    clip = open_clip(tmp_path / "in", frame_rate=12)
    with encode(tmp_path / "o.mp4", like=clip, manifest=MANIFEST) as video:
        video.append(read(tmp_path / "in"))
    copy = open_clip(tmp_path / "o.mp4")
    assert (copy.fps, copy.color.matrix, copy.color.full_range) == (12, 6, False)
    assert psnr(read(tmp_path / "o.mp4"), frames) > 35


@pytest.mark.parametrize(
    "config",
    [EncodeConfig(codec="h265"), EncodeConfig(quality=-1), EncodeConfig(bit_depth=9),
     EncodeConfig(size=(0, 4))],
)  # fmt: skip
def test_settings_out_of_range(tmp_path, config):
    with pytest.raises(ConfigError, match="expected"), encode(
        tmp_path / "o.mp4", make_like((64, 64)), MANIFEST, None, config
    ):  # fmt: skip
        pass


def test_wrong_frames(tmp_path):
    output = tmp_path / "o.mp4"
    for bad, message in (
        (torch.zeros(1, 3, 64, 32), r"expected \(n"),
        (torch.full((1, 3, 64, 64), float("nan")), "not finite"),
    ):
        with pytest.raises(ContractError, match=message), encode(
            output, like=make_like((64, 64)), manifest=MANIFEST
        ) as video:  # fmt: skip
            video.append(bad)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("start", [-7, 50])
def test_part_of_a_clip_stays_in_step_with_its_sound(plain_clip, tmp_path, packets, start):
    clip = open_clip(plain_clip)
    timeline = Timeline(np.arange(20) + start, Fraction(1, 25), 1, clip)
    output = tmp_path / "o.mp4"
    with encode(output, clip, MANIFEST, timeline) as video:
        video.append(smooth(20, (48, 64)))
    copy = open_clip(output)
    assert len(copy) == 20
    assert copy.pts[0] * copy.time_base == Fraction(max(start, 0), 25)
    before, after = packets(plain_clip)[0], packets(output)[0]
    assert [data for _, data in before] == [data for _, data in after]
    moved = {round((b - a) / 40000) for (a, _), (b, _) in zip(before, after, strict=True)}
    assert moved == {max(-start, 0)}

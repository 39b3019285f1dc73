"""Facts and pixels of clips: time stamps, rotation, color, depth, random access, pictures."""

from __future__ import annotations

import gc
import logging
import struct
import weakref
from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.decode import Decoder, open_clip, read_marks, stream
from likeness.decode.prefetch import prefetch
from likeness.errors import ContractError, MediaError
from likeness.provenance.manifest import sha256_of
from likeness.types import Clip, ColorTags, Window


def all_frames(clip: Clip) -> torch.Tensor:
    return torch.cat([part for _, part in stream(clip)])


def reference(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


def test_facts(plain_clip):
    clip = open_clip(plain_clip)
    assert (len(clip), clip.size, clip.fps) == (90, (48, 64), 25)
    assert clip.seconds == pytest.approx(3.6)
    assert clip.codec == "h264"
    assert clip.bit_depth == 8
    assert [(a.codec, a.sample_rate, a.channels) for a in clip.audio] == [("aac", 44100, 2)] * 2
    assert clip.digest == sha256_of(plain_clip)
    assert read_marks(plain_clip)["major_brand"] == "isom"


def test_pixels_are_what_was_coded(plain_clip, frames):
    decoded = all_frames(open_clip(plain_clip))
    assert decoded.dtype == torch.float32
    assert psnr(decoded, reference(frames(90))) > 32


def test_variable_rate_and_last_duration_are_kept(tmp_path, frames, make_clip):
    pts = [0, 3, 4, 11, 12, 40, 41, 100]
    path = make_clip(
        tmp_path / "v.mp4", frames(8), pts=pts, time_base=Fraction(1, 600), options={"bf": "0"}
    )
    clip = open_clip(path)
    assert clip.time_base == Fraction(1, 600)
    assert clip.pts.tolist() == pts


def test_start_time_is_kept(tmp_path, frames, make_clip):
    path = make_clip(tmp_path / "v.mkv", frames(5), pts=[200, 240, 280, 320, 360],
                     time_base=Fraction(1, 1000))  # fmt: skip
    assert open_clip(path).pts.tolist() == [200, 240, 280, 320, 360]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_display_matrix_makes_frames_upright(tmp_path, frames, make_clip, turn, mirrored):
    upright = frames(3)
    path = tmp_path / "r.mp4"
    # The container says: turn counterclockwise by `turn`, then mirror. Undo that for the coded.
    coded = upright[:, :, ::-1] if mirrored else upright
    coded = np.ascontiguousarray(np.rot90(coded, -turn // 90, (1, 2)))
    make_clip(path, coded, rotation=turn, mirrored=mirrored, aspect=Fraction(4, 3))
    clip = open_clip(path, square=False)
    assert clip.size == (48, 64)
    assert clip.pixel_aspect == (Fraction(3, 4) if turn in (90, 270) else Fraction(4, 3))
    if not mirrored:
        assert clip.rotation == (360 - turn) % 360
    assert psnr(all_frames(clip), reference(upright)) > 30


@pytest.mark.parametrize("matrix", [1, 5, 6, 7, 9])
@pytest.mark.parametrize("value_range", [1, 2])
def test_color_is_read_and_undone(tmp_path, frames, make_clip, matrix, value_range):
    flat = np.full((2, 32, 32, 3), (200, 40, 90), np.uint8)
    swscale = 5 if matrix == 6 else matrix
    path = make_clip(tmp_path / "c.mp4", flat, color=(1, 13, swscale, value_range))
    clip = open_clip(path)
    assert (clip.color.primaries, clip.color.transfer) == (1, 13)
    assert clip.color.matrix == swscale
    assert clip.color.full_range == (value_range == 2)
    error = (all_frames(clip) - reference(flat)).abs().mean() * 255
    assert float(error) < 1.5


def test_unspecified_matrix_is_guessed_by_lines_and_said(tmp_path, make_clip, caplog):
    flat = np.full((1, 720, 32, 3), (200, 40, 90), np.uint8)
    path = make_clip(tmp_path / "hd.mp4", flat, color=(2, 2, 1, 1))
    untagged = replace(open_clip(path), color=ColorTags())
    with caplog.at_level(logging.INFO, logger="likeness.color"):
        decoded = all_frames(untagged)
    assert "BT.709 is assumed" in caplog.text
    assert float((decoded - reference(flat)).abs().mean() * 255) < 1.5


def test_ten_bit_gradient_keeps_its_steps(tmp_path):
    levels = np.linspace(64, 940, 512).round().astype(np.uint16)
    path = tmp_path / "ten.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25, width=512, height=16)
        video.pix_fmt = "yuv420p10le"
        video.codec_context.colorspace, video.codec_context.color_range = 1, 1
        frame = av.VideoFrame(512, 16, "yuv420p10le")
        for index, plane in enumerate(frame.planes):
            rows = np.frombuffer(memoryview(plane), np.uint16).reshape(plane.height, -1)
            rows[:, : plane.width] = levels if index == 0 else 512
        frame.pts = 0
        container.mux(video.encode(frame))
        container.mux(video.encode(None))
    clip = open_clip(path)
    assert clip.bit_depth == 10
    row = all_frames(clip)[0, :, 8]
    expected = torch.from_numpy((levels.astype(np.float32) - 64) / 876)
    assert float((row - expected).abs().max()) < 1e-4
    assert len(torch.unique(row[0])) == len(np.unique(levels))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_bands_of_deep_pictures_join_without_a_seam(
    tmp_path, frames, make_clip, monkeypatch, turn, mirrored
):
    upright = frames(2)
    coded = upright[:, :, ::-1] if mirrored else upright
    coded = np.ascontiguousarray(np.rot90(coded, -turn // 90, (1, 2)))
    path = make_clip(
        tmp_path / "deep.mp4", coded, rotation=turn, mirrored=mirrored, pix_fmt="yuv420p10le"
    )
    clip = open_clip(path)
    assert (clip.bit_depth, clip.size) == (10, (48, 64))
    whole = all_frames(clip)
    assert psnr(whole, reference(upright)) > 30
    for pixels in (1, 64 * 7, 64 * 48):
        monkeypatch.setattr("likeness.decode.pixels._BAND", pixels)
        assert torch.equal(all_frames(clip), whole)


def test_a_closed_decoder_is_no_garbage(plain_clip):
    """What it holds is large: it goes with the last name and not when garbage is collected."""
    clip = open_clip(plain_clip)
    gc.collect()
    gc.disable()
    try:
        decoder = Decoder(clip)
        decoder.read(Window(20, 22))
        decoder.read(Window(3, 5))
        held = weakref.ref(decoder._source)
        decoder.close()
        decoder.close()
        del decoder
        assert held() is None
        for _ in stream(clip, 4, Window(0, 8), reuse=True):
            pass
        assert not [one for one in gc.get_objects() if type(one).__name__ == "_Video"]
    finally:
        gc.enable()


def test_random_access_equals_sequential(plain_clip):
    clip = open_clip(plain_clip)
    sequential = all_frames(clip)
    order = np.random.default_rng(0).permutation(90)[:40]
    with Decoder(clip) as decoder:
        for index in order.tolist():
            assert torch.equal(decoder.read(Window(index, index + 1))[0], sequential[index])


def test_cold_seeks_equal_sequential(plain_clip):
    clip = open_clip(plain_clip)
    sequential = all_frames(clip)
    for index in (89, 25, 24, 23, 12, 11, 1):
        with Decoder(clip) as decoder:
            assert torch.equal(decoder.read(Window(index, index + 1))[0], sequential[index])


@settings(max_examples=15)
@given(st.integers(1, 40), st.integers(0, 89), st.integers(0, 89))
def test_windows_of_any_length_give_the_same_frames(plain_clip, length, a, b):
    clip = open_clip(plain_clip)
    part = Window(min(a, b), max(a, b) + 1)
    pieces = list(stream(clip, length, part))
    reused = [(window, frames.clone()) for window, frames in stream(clip, length, part, reuse=True)]
    assert all(
        a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in zip(pieces, reused, strict=True)
    )
    assert [i for window, _ in pieces for i in window] == list(part)
    with Decoder(clip) as decoder:
        assert torch.equal(torch.cat([f for _, f in pieces]), decoder.read(part))


@pytest.mark.parametrize("open_gop", ["0", "1"])
def test_open_groups_of_pictures(tmp_path, frames, make_clip, open_gop):
    path = make_clip(
        tmp_path / "g.mp4",
        frames(40),
        options={"x264-params": f"keyint=10:min-keyint=10:bframes=3:b-adapt=0:open-gop={open_gop}"},
    )
    clip = open_clip(path)
    assert len(clip) == 40
    sequential = all_frames(clip)
    assert psnr(sequential, reference(frames(40))) > 32
    for index in (29, 19, 9, 10, 8, 31):
        with Decoder(clip) as decoder:
            assert torch.equal(decoder.read(Window(index, index + 1))[0], sequential[index])


@pytest.mark.parametrize(
    ("name", "codec"), [("a.avi", "mpeg4"), ("a.avi", "libx264"), ("a.ts", "libx264"),
                        ("a.webm", "libvpx"), ("a.webm", "libvpx-vp9"), ("a.h264", "libx264")]
)  # fmt: skip
def test_other_containers(tmp_path, frames, make_clip, name, codec):
    options = {"b": "2000000"} if codec != "libx264" else {"bf": "2"}
    clip = open_clip(make_clip(tmp_path / name, frames(30), codec=codec, options=options))
    assert len(clip) == 30
    assert np.all(np.diff(clip.pts) > 0)
    sequential = all_frames(clip)
    assert psnr(sequential, reference(frames(30))) > 25
    with Decoder(clip) as decoder:
        decoder.read(Window(28, 30))
        assert torch.equal(decoder.read(Window(3, 5)), sequential[3:5])


def test_two_buffers_take_turns(plain_clip):
    seen = [frames.data_ptr() for _, frames in stream(open_clip(plain_clip), 16, reuse=True)]
    assert len(seen) == 6
    assert seen[::2] == seen[:1] * 3
    assert seen[1::2] == seen[1:2] * 3
    assert seen[0] != seen[1]


def test_working_ahead_closes_what_it_reads():
    closed = []

    def count(end: int) -> Generator[int, None, None]:
        try:
            yield from range(1, end)
            raise MediaError("here it ends")
        finally:
            closed.append(end)

    with pytest.raises(MediaError, match="here it ends"):
        list(prefetch(count(5)))
    for number in prefetch(count(100)):
        if number == 3:
            break
    assert closed == [5, 100]


def test_working_ahead_gives_what_came_before_an_error():
    def fail() -> Generator[int, None, None]:
        yield 1
        yield 2
        raise MediaError("damaged")

    coming = prefetch(fail())
    assert [next(coming), next(coming)] == [1, 2]
    with pytest.raises(MediaError, match="damaged"):
        next(coming)


def test_window_beyond_the_clip(plain_clip):
    with Decoder(open_clip(plain_clip)) as decoder, pytest.raises(ContractError, match="90 frames"):
        decoder.read(Window(80, 91))
    with pytest.raises(ContractError, match="expected 1 or more"):
        next(stream(open_clip(plain_clip), 0))


def save_pictures(folder: Path, pictures: np.ndarray, name: str, codec: str, pix_fmt: str) -> None:
    folder.mkdir(exist_ok=True)
    for number, picture in enumerate(pictures):
        context = av.CodecContext.create(codec, "w")
        context.width, context.height = picture.shape[1], picture.shape[0]
        context.pix_fmt, context.time_base, context.thread_count = pix_fmt, Fraction(1, 25), 1
        source = "rgb24" if picture.dtype == np.uint8 else "rgb48le"
        frame = av.VideoFrame.from_ndarray(picture, format=source).reformat(format=pix_fmt)
        frame.pts = 0
        (folder / (name % number)).write_bytes(b"".join(map(bytes, context.encode(frame))))


@pytest.mark.parametrize(
    ("ending", "codec", "pix_fmt"),
    [("png", "png", "rgb24"), ("tif", "tiff", "rgb24"), ("png", "png", "rgba")],
)
def test_pictures_by_folder_and_pattern(tmp_path, frames, ending, codec, pix_fmt):
    pictures = frames(12, (33, 47))
    save_pictures(tmp_path / "in", pictures, f"f_%d.{ending}", codec, pix_fmt)
    for path in (tmp_path / "in", tmp_path / "in" / f"f_%d.{ending}"):
        clip = open_clip(path, frame_rate=Fraction(30000, 1001))
        assert (len(clip), clip.size, clip.fps) == (12, (33, 47), Fraction(30000, 1001))
        # Numbers count as numbers: 10 comes after 9.
        assert torch.allclose(all_frames(clip), reference(pictures), atol=1e-6)


def test_sixteen_bit_picture_is_exact(tmp_path):
    picture = np.random.default_rng(0).integers(0, 65536, (1, 20, 31, 3)).astype(np.uint16)
    save_pictures(tmp_path / "in", picture, "p%d.png", "png", "rgb48be")
    clip = open_clip(tmp_path / "in" / "p0.png")
    assert (len(clip), clip.bit_depth) == (1, 16)
    expected = torch.from_numpy(picture[0].astype(np.float32)).permute(2, 0, 1) / 65535
    assert torch.allclose(all_frames(clip)[0], expected, atol=1e-6)


def test_missing_numbers_leave_the_picture_before_standing(tmp_path, frames):
    save_pictures(tmp_path / "in", frames(6), "f_%05d.png", "png", "rgb24")
    (tmp_path / "in" / "f_00003.png").unlink()
    clip = open_clip(tmp_path / "in" / "f_%05d.png")
    assert clip.pts.tolist() == [0, 1, 2, 4, 5]


def test_real_clips(shared_data):
    for path in sorted((shared_data / "clips").glob("*.mp4")):
        clip = open_clip(path)
        assert clip.fps == 25
        sequential = torch.cat([f for _, f in stream(clip, 10, Window(0, 30))])
        with Decoder(clip) as decoder:
            decoder.read(Window(len(clip) - 1, len(clip)))
            assert torch.equal(decoder.read(Window(17, 30)), sequential[17:30])


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(MediaError, match="does not exist"):
        open_clip(tmp_path / "none.mp4")
    with pytest.raises(MediaError, match="no pictures"):
        open_clip(tmp_path)
    with pytest.raises(MediaError, match="no file is called like"):
        open_clip(tmp_path / "x%05d.png")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_photographs(tmp_path, frames, orientation):
    upright = frames(1, (32, 48))[0]
    turns, mirrored = {1: (0, 0), 2: (0, 1), 3: (2, 0), 4: (2, 1), 5: (3, 1), 6: (1, 0), 7: (1, 1),
                       8: (3, 0)}[orientation]  # fmt: skip
    coded = np.rot90(upright, turns)
    coded = np.ascontiguousarray(coded[:, ::-1] if mirrored else coded)
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = coded.shape[1], coded.shape[0], "yuvj444p"
    context.time_base, context.thread_count = Fraction(1, 25), 1
    context.options = {"qmin": "1", "qmax": "1"}
    frame = av.VideoFrame.from_ndarray(coded, format="rgb24")
    frame = frame.reformat(format="yuvj444p", dst_colorspace=5, dst_color_range=2)
    data = b"".join(map(bytes, context.encode(frame)))
    entry = struct.pack(">HHIHH", 0x112, 3, 1, orientation, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + b"\0\0\0\0"
    path = tmp_path / "photo.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    clip = open_clip(path)
    assert clip.size == (32, 48)
    assert psnr(all_frames(clip)[0], reference(upright[None])[0]) > 30

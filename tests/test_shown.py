"""What is shown of a coded picture: aspect, clean aperture, transparency, changes of size."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from likeness.decode import Decoder, open_clip, stream
from likeness.decode.aperture import clean_aperture
from likeness.decode.limits import WINDOW_BYTES, window_length
from likeness.encode import EncodeConfig, encode
from likeness.errors import MediaError
from likeness.provenance import Manifest
from likeness.types import Timeline, Window
from tests.media_written import CLAP_WAY, clap, insert_box

MANIFEST = Manifest("test", "reenact", created="2026-01-01T00:00:00+00:00")


def all_frames(path: Path) -> torch.Tensor:
    return torch.cat([part for _, part in stream(open_clip(path))])


def reference(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


def disk(size: tuple[int, int], radii: tuple[float, float]) -> np.ndarray:
    """(1,H,W,3) a white ellipse with these radii (down, across) on black."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
    inside = ((y - size[0] / 2) / radii[0]) ** 2 + ((x - size[1] / 2) / radii[1]) ** 2 < 1
    return np.repeat((inside * 255).astype(np.uint8)[None, ..., None], 3, 3)


def extents(frame: torch.Tensor) -> tuple[float, float]:
    """Height and width of what is bright in a (3,H,W) frame."""
    bright = frame.mean(0)
    return float(bright[:, bright.shape[1] // 2].sum()), float(bright[bright.shape[0] // 2].sum())


@pytest.mark.parametrize(
    ("aspect", "turn", "size"),
    [
        (Fraction(64, 45), 0, (144, 256)),
        (Fraction(2), 0, (144, 360)),
        (Fraction(8, 9), 0, (162, 180)),
        (Fraction(64, 45), 90, (256, 144)),
        (Fraction(8, 9), 270, (180, 162)),
        (Fraction(1279, 1280), 0, (144, 180)),
    ],
)
def test_what_is_round_is_round(tmp_path, make_clip, aspect, turn, size):
    """A disk that a camera with such pixels saw has one width and height again."""
    coded = disk((144, 180), (40 * min(1, aspect), 40 * min(1, 1 / aspect)))
    path = make_clip(tmp_path / "a.mp4", coded, aspect=aspect, rotation=turn)
    clip = open_clip(path)
    assert clip.size == size
    assert abs(clip.pixel_aspect - 1) < Fraction(1, 100)
    down, across = extents(all_frames(path)[0])
    assert down / across == pytest.approx(1, abs=0.02)


def test_how_a_file_was_coded_can_still_be_asked(tmp_path, frames, make_clip):
    path = make_clip(tmp_path / "a.mp4", frames(3), aspect=Fraction(4, 3))
    coded = open_clip(path, square=False)
    assert (coded.size, coded.pixel_aspect) == ((48, 64), Fraction(4, 3))
    with Decoder(coded) as decoder:
        assert psnr(decoder.read(Window(0, 3)), reference(frames(3))) > 30


def test_an_output_is_shown_as_its_source_was(tmp_path, frames, make_clip):
    path = make_clip(tmp_path / "a.mp4", frames(3, (48, 60)), aspect=Fraction(16, 15))
    clip = open_clip(path)
    out = tmp_path / "o.mp4"
    timeline = Timeline(clip.pts, clip.time_base, clip.last_duration, None)
    with encode(out, clip, MANIFEST, timeline, EncodeConfig(quality=4)) as video:
        video.append(all_frames(path))
    written = open_clip(out)
    assert (written.size, written.pixel_aspect) == ((48, 64), 1)


@pytest.mark.parametrize("aspect", [Fraction(20), Fraction(1, 30)])
def test_nonsense_is_taken_as_square_and_said(tmp_path, frames, make_clip, aspect, caplog):
    path = make_clip(tmp_path / "a.mp4", frames(2), aspect=aspect)
    assert (open_clip(path).size, open_clip(path).pixel_aspect) == ((48, 64), 1)
    assert "taken as square" in caplog.text


def test_density_of_print_is_no_aspect(tmp_path, frames):
    """Scanners and coders write it both ways round; every viewer leaves it aside."""
    Image.fromarray(frames(1)[0]).save(tmp_path / "a.png", dpi=(100, 200))
    assert open_clip(tmp_path / "a.png").size == (48, 64)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_clean_aperture_before_turn_and_mirror(tmp_path, frames, make_clip, turn, mirrored):
    upright = frames(3, (48, 64))
    shown = upright[:, :, ::-1] if mirrored else upright
    shown = np.ascontiguousarray(np.rot90(shown, -turn // 90, (1, 2)))
    border = ((0, 0), (6, 10), (8, 4), (0, 0))
    coded = np.pad(shown, border)
    path = make_clip(tmp_path / "a.mp4", coded, rotation=turn, mirrored=mirrored)
    height, width = shown.shape[1:3]
    path.write_bytes(insert_box(path.read_bytes(), CLAP_WAY, clap(width, height, 4, -4)))
    assert open_clip(path).size == (48, 64)
    assert psnr(all_frames(path), reference(upright)) > 28


@pytest.mark.parametrize(
    "new", [clap(4000, 4000), clap(10, 10, 900), clap(0, 0), clap(10, 10)[:20]]
)
def test_an_aperture_outside_of_the_picture_is_ignored(tmp_path, frames, make_clip, new):
    path = make_clip(tmp_path / "a.mp4", frames(2))
    path.write_bytes(insert_box(path.read_bytes(), CLAP_WAY, new))
    assert open_clip(path).size == (48, 64)


def element(kind: int, content: bytes) -> bytes:
    """One EBML element."""
    return (
        kind.to_bytes((kind.bit_length() + 7) // 8, "big") + bytes([0x80 | len(content)]) + content
    )


def test_matroska_crops_its_picture(tmp_path):
    crops = element(0x54CC, b"\4") + element(0x54DD, b"\6") + element(0x54BB, b"\2")
    tracks = element(0xAE, b"") + element(0xAE, element(0xE0, crops))
    path = tmp_path / "a.mkv"
    path.write_bytes(
        element(0x1A45DFA3, b"") + b"\x18\x53\x80\x67\xff" + element(0x1654AE6B, tracks)
    )
    assert clean_aperture(path, "matroska,webm", 1, (48, 64)) == (4, 2, 54, 46)
    assert clean_aperture(path, "matroska,webm", 0, (48, 64)) == (0, 0, 64, 48)
    assert clean_aperture(path, "matroska,webm", 7, (48, 64)) == (0, 0, 64, 48)
    assert clean_aperture(path, "avi", 1, (48, 64)) == (0, 0, 64, 48)


def cut_out(size: tuple[int, int] = (32, 48)) -> np.ndarray:
    """(H,W,4) a gray picture, opaque on the left, magenta hidden behind nothing on the right."""
    picture = np.full((*size, 4), 255, np.uint8)
    picture[:, : size[1] // 2, :3] = 90, 120, 60
    picture[:, size[1] // 2 :] = 255, 0, 255, 0
    return picture


def check_cut_out(path: Path, caplog: pytest.LogCaptureFixture, tolerance: float = 0.02) -> None:
    with caplog.at_level(logging.WARNING):
        found = all_frames(path)
    left, right = found[0, :, :, 2:20], found[0, :, :, 28:46]
    color = torch.tensor([90, 120, 60]) / 255
    assert torch.allclose(left.mean((1, 2)), color, atol=tolerance)
    assert float(right.min()) > 1 - tolerance
    told = [r for r in caplog.records if "transparent parts" in r.message]
    assert len(told) == 1


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "gray.png", "palette.png", "a.gif"])
def test_hidden_color_never_shows_in_pictures(tmp_path, caplog, name):
    picture = Image.fromarray(cut_out())
    path = tmp_path / name
    if name == "gray.png":
        hidden = np.stack([np.full((32, 48), 100, np.uint8), cut_out()[..., 3]], -1)
        Image.fromarray(hidden).save(path)
        with caplog.at_level(logging.WARNING):
            found = all_frames(path)[0]
        assert float(found[:, :, 28:].min()) == 1
        assert float(found[:, :, 2:20].mean()) == pytest.approx(100 / 255, abs=1e-3)
        return
    if name in ("palette.png", "a.gif"):
        flat = Image.new("P", (48, 32), 1)
        flat.putpalette([90, 120, 60, 255, 0, 255])
        flat.paste(0, (0, 0, 24, 32))
        flat.save(path, transparency=1)
    else:
        picture.save(path, **({"lossless": True, "exact": True} if name == "a.webp" else {}))
    check_cut_out(path, caplog)


def test_half_transparent_is_half_white(tmp_path):
    picture = np.zeros((8, 8, 4), np.uint8)
    picture[..., 3] = 51
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert torch.allclose(all_frames(tmp_path / "a.png"), torch.tensor(0.8), atol=1e-6)


def test_sixteen_bits_of_transparency(tmp_path):
    picture = np.zeros((8, 8, 4), np.uint16)
    picture[..., 3] = 13107
    frame = av.VideoFrame.from_ndarray(picture, format="rgba64le").reformat(format="rgba64be")
    context = av.CodecContext.create("png", "w")
    context.width, context.height, context.pix_fmt = 8, 8, "rgba64be"
    context.time_base, context.thread_count, frame.pts = Fraction(1, 25), 1, 0
    (tmp_path / "a.png").write_bytes(b"".join(map(bytes, context.encode(frame))))
    assert torch.allclose(all_frames(tmp_path / "a.png"), torch.tensor(0.8), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mov", "qtrle", "argb"),
        ("a.mkv", "ffv1", "yuva420p"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.webm", "libvpx", "yuva420p"),
        ("a.mov", "png", "rgba"),
    ],
)
def test_hidden_color_never_shows_in_clips(tmp_path, caplog, name, codec, pix_fmt):
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        s = container.add_stream(codec, rate=25, width=48, height=32)
        s.pix_fmt = pix_fmt
        if codec.startswith("libvpx"):
            s.metadata["alpha_mode"] = "1"
            s.options = {"auto-alt-ref": "0", "b": "4M"}
        for n in range(3):
            frame = av.VideoFrame.from_ndarray(cut_out(), format="rgba").reformat(format=pix_fmt)
            frame.pts, frame.time_base = n, Fraction(1, 25)
            container.mux(s.encode(frame))
        container.mux(s.encode(None))
    check_cut_out(path, caplog, 0.04)


def test_an_opaque_alpha_channel_changes_nothing(tmp_path, frames, caplog):
    picture = np.dstack([frames(1)[0], np.full((48, 64), 255, np.uint8)])
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert torch.allclose(all_frames(tmp_path / "a.png"), reference(frames(1)), atol=1e-6)
    assert "transparent" not in caplog.text


def test_cut_out_of_a_user(shared_data):
    path = shared_data / "odd" / "cutout.png"
    if not path.exists():
        pytest.skip("no odd inputs")
    frame = all_frames(path)[0]
    assert float(frame[:, :20, :20].min()) == 1


def test_a_size_change_says_where(tmp_path, frames, make_clip):
    """Two transport streams one after the other, as a broadcast changes its format."""
    first = make_clip(tmp_path / "a.ts", frames(10, (48, 64)), options={"bf": "0"})
    second = make_clip(
        tmp_path / "b.ts", frames(10, (64, 96)), pts=range(10, 20), options={"bf": "0"}
    )
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(MediaError, match=r"frame \d+ \(0\.400 seconds.*96x64.*64x48"):
        all_frames(both)


def test_windows_are_sized_in_bytes(tmp_path, frames, make_clip):
    clip = open_clip(make_clip(tmp_path / "a.mp4", frames(9)))
    frame = 48 * 64 * 3 * 4
    assert window_length(clip, 4 * frame + 1) == 4
    assert window_length(clip, 1) == 1
    assert window_length(clip) == WINDOW_BYTES // frame


@pytest.mark.parametrize("reuse", [False, True])
def test_a_stream_keeps_within_its_bytes(tmp_path, frames, make_clip, monkeypatch, reuse):
    clip = open_clip(make_clip(tmp_path / "a.mp4", frames(9)))
    whole = torch.cat([part.clone() for _, part in stream(clip)])
    for budget, longest in ((4.5, 2), (2, 1), (1, 1)):
        monkeypatch.setattr("likeness.decode.frames.WINDOW_BYTES", int(budget * 48 * 64 * 12))
        parts = [(len(w), part.clone()) for w, part in stream(clip, 16, reuse=reuse)]
        assert max(length for length, _ in parts) == longest
        assert torch.equal(torch.cat([part for _, part in parts]), whole)

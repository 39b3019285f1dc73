"""HEIC: grids of tiles, crops, turns and transparency; which stream is the picture."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from likeness.decode import open_clip, stream
from likeness.errors import MediaError
from tests.media_written import box, clap, write_heic


def picture_of(path: Path) -> torch.Tensor:
    """(3,h,w) of the first frame."""
    return next(iter(stream(open_clip(path))))[1][0]


def reference(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


def padded(picture: np.ndarray, side: int) -> list[np.ndarray]:
    """Tiles of (side,side), row by row, the last ones padded with green."""
    height, width = picture.shape[:2]
    rows, columns = -(-height // side), -(-width // side)
    large = np.zeros((rows * side, columns * side, 3), np.uint8)
    large[..., 1] = 255
    large[:height, :width] = picture
    return [
        large[r * side : (r + 1) * side, c * side : (c + 1) * side]
        for r in range(rows)
        for c in range(columns)
    ]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("size", [(100, 150), (101, 131), (64, 64)])
def test_a_grid_is_put_together_at_its_size(tmp_path, frames, size, pix_fmt):
    picture = frames(1, size)[0]
    tiles = padded(picture, 64)
    path = write_heic(
        tmp_path / "grid.heic", tiles, columns=-(-size[1] // 64), size=size, pix_fmt=pix_fmt
    )
    clip = open_clip(path)
    assert (clip.size, len(clip), clip.rotation) == (size, 1, 0)
    assert clip.bit_depth == (10 if "10" in pix_fmt else 8)
    assert psnr(picture_of(path), reference(picture)) > (27 if "420" in pix_fmt else 38)


@pytest.mark.parametrize(
    ("transforms", "undo"),
    [
        ((), lambda p: p),
        ((box(b"irot", b"\1"),), lambda p: np.rot90(p, 1)),
        ((box(b"irot", b"\3"),), lambda p: np.rot90(p, 3)),
        ((box(b"imir", b"\1"),), lambda p: p[:, ::-1]),
        ((box(b"imir", b"\0"),), lambda p: p[::-1]),
        ((box(b"irot", b"\1"), box(b"imir", b"\1")), lambda p: np.rot90(p, 1)[:, ::-1]),
        ((box(b"irot", b"\3"), box(b"imir", b"\0")), lambda p: np.rot90(p, 3)[::-1]),
        ((clap(40, 60, 10, -4),), lambda p: p[0:60, 41:81]),
        ((clap(40, 60), box(b"irot", b"\2")), lambda p: np.rot90(p[2:62, 36:76], 2)),
    ],
)
def test_crop_turn_and_mirror_of_one_picture(tmp_path, frames, transforms, undo):
    picture = frames(1, (64, 112))[0]
    picture[:20, :20] = 255, 0, 0
    path = write_heic(tmp_path / "one.heic", [picture], transforms=transforms)
    expected = undo(picture)
    assert open_clip(path).size == expected.shape[:2]
    assert psnr(picture_of(path), reference(expected)) > 35


def test_transparency_beside_the_picture_is_laid_over_white(tmp_path, frames, caplog):
    picture = frames(1, (64, 80))[0]
    alpha = np.full((64, 80), 255, np.uint8)
    alpha[:, 40:] = 0
    path = write_heic(tmp_path / "cut.heic", [picture], alpha=alpha)
    found = picture_of(path)
    assert float(found[:, :, 44:].min()) > 0.98
    assert psnr(found[..., :36], reference(picture)[..., :36]) > 35
    assert "transparent parts" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.replace(b"hvc1", b"iovl", 1).replace(b"grid", b"iovl", 1), "not read here"),
        (lambda d: d.replace(struct.pack(">BBBBHH", 0, 0, 1, 1, 120, 100),
                             struct.pack(">BBBBHH", 0, 0, 1, 9, 120, 100)), "4 tiles"),
        (lambda d: d.replace(struct.pack(">BBBBHH", 0, 0, 1, 1, 120, 100),
                             struct.pack(">BBBBHH", 0, 0, 1, 1, 60000, 60000)), "60000x60000"),
        (lambda d: d.replace(struct.pack(">BBBBHH", 0, 0, 1, 1, 120, 100),
                             struct.pack(">BBBBHH", 0, 0, 1, 1, 900, 900)), "cover only"),
        (lambda d: d.replace(b"pitm\0\0\0\0\0\5", b"pitm\0\0\0\0\0\x09"), "not read here"),
        (lambda d: d.replace(b"pitm", b"xitm"), "pitm is missing"),
        (lambda d: d[: len(d) - 3000], "tile|truncated"),
        (lambda d: d[:300], "HEIC|index"),
    ],
)  # fmt: skip
def test_damaged_grids_are_sentences(tmp_path, frames, change, message):
    tiles = padded(frames(1, (100, 120))[0], 64)
    path = write_heic(tmp_path / "grid.heic", tiles, columns=2, size=(100, 120))
    open_clip(path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(MediaError, match=message):
        open_clip(path)


def test_items_that_stand_for_each_other_end(tmp_path, frames):
    path = write_heic(tmp_path / "a.heic", padded(frames(1, (64, 64))[0], 64), size=(64, 64))
    data = path.read_bytes().replace(b"grid", b"iden", 1)
    # The tile becomes another derived item that is made of the first.
    data = data.replace(b"hvc1", b"iden", 1)
    data = data.replace(struct.pack(">HHH", 2, 1, 1), struct.pack(">HHH", 2, 1, 2))
    path.write_bytes(data)
    with pytest.raises(MediaError, match="circle"):
        open_clip(path)


def test_the_default_stream_is_the_clip(tmp_path, frames, make_clip):
    """A preview that stands first in the file is not what a player shows."""
    small, large = frames(5, (16, 16)), frames(5, (48, 64))
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = []
        for pictures, disposition in ((small, 0), (large, 1)):
            s = container.add_stream("ffv1", rate=25, width=pictures.shape[2],
                                     height=pictures.shape[1])  # fmt: skip
            s.pix_fmt = "bgr0"
            s.disposition = disposition
            streams.append((s, pictures))
        for n in range(5):
            for s, pictures in streams:
                frame = av.VideoFrame.from_ndarray(pictures[n], format="rgb24")
                frame = frame.reformat(format="bgr0")
                frame.pts, frame.time_base = n, Fraction(1, 25)
                container.mux(s.encode(frame))
        for s, _ in streams:
            container.mux(s.encode(None))
    assert open_clip(path).size == (48, 64)
    assert torch.allclose(picture_of(path), reference(large[0]), atol=1e-6)


@pytest.mark.parametrize(("name", "size"), [("iphone", (1536, 1230)), ("single", (512, 400))])
def test_photographs_of_a_phone(shared_data, name, size):
    path = shared_data / "odd" / f"{name}.heic"
    if not path.exists():
        pytest.skip("no odd inputs")
    assert open_clip(path).size == size
    assert float(picture_of(path).std()) > 0.1


def test_an_animated_webp_is_told(tmp_path, frames):
    from PIL import Image

    pictures = [Image.fromarray(p) for p in frames(3)]
    path = tmp_path / "moving.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    with pytest.raises(MediaError, match="animated WebP.*convert"):
        open_clip(path)
    pictures[0].save(tmp_path / "still.webp", lossless=True)
    assert open_clip(tmp_path / "still.webp").size == (48, 64)


def test_an_animated_png_is_a_clip(tmp_path, frames):
    from PIL import Image

    pictures = [Image.fromarray(p) for p in frames(4)]
    path = tmp_path / "moving.png"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40)
    clip = open_clip(path)
    assert (len(clip), clip.size) == (4, (48, 64))
    read = torch.cat([part for _, part in stream(clip)])
    assert torch.allclose(read[3], reference(frames(4)[3]), atol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "a.avif"])
def test_orientation_in_every_format(tmp_path, frames, name, orientation):
    from PIL import Image, ImageOps

    exif = Image.Exif()
    exif[0x112] = orientation
    picture = Image.fromarray(frames(1)[0])
    how = {"a.webp": {"lossless": True}, "a.avif": {"quality": 95}}.get(name, {})
    try:
        picture.save(tmp_path / name, exif=exif, **how)
    except OSError:
        pytest.skip("this build of Pillow does not write it")
    picture.getexif()[0x112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(picture))
    assert open_clip(tmp_path / name).size == expected.shape[:2]
    assert psnr(picture_of(tmp_path / name), reference(expected)) > 28


def test_an_animated_avif_is_a_clip(tmp_path, frames):
    from PIL import Image, features

    if not features.check("avif"):
        pytest.skip("this build of Pillow has no AVIF")
    pictures = [Image.fromarray(p) for p in frames(4)]
    path = tmp_path / "moving.avif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40)
    assert (len(open_clip(path)), open_clip(path).size) == (4, (48, 64))

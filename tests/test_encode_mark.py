"""No public setting writes a video in which the mark is not found."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.decode import open_clip, stream
from likeness.encode import EncodeConfig, encode
from likeness.encode import writer as module
from likeness.errors import MediaError
from likeness.provenance import Manifest
from likeness.provenance.watermark import Detector, WatermarkReading
from likeness.types import Clip

MANIFEST = Manifest("test", "reenact", created="2026-01-01T00:00:00+00:00")


def like(size: tuple[int, int], count: int) -> Clip:
    pts = np.arange(count, dtype=np.int64)
    return Clip(Path("nowhere.mp4"), "00" * 32, size, pts, Fraction(1, 25), 1)


def pan(size: tuple[int, int], count: int) -> torch.Tensor:
    """Soft colors that move behind the frame, with a camera's noise."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand((1, 3, 3, 4), generator=generator)
    whole = torch.nn.functional.interpolate(coarse, (size[0], size[1] + 2 * 20), mode="bicubic")
    at = [2 * (i % 20) for i in range(count)]
    frames = torch.cat([whole[..., x : x + size[1]] for x in at])
    return (frames + 0.01 * torch.randn(frames.shape, generator=generator)).clamp(0.05, 0.95)


def reading(path: Path) -> WatermarkReading:
    clip = open_clip(path)
    detector = Detector(clip.size)
    for _, frames in stream(clip):
        detector.add(frames)
    return detector.read()


@pytest.mark.parametrize(
    ("name", "size", "config"),
    [("o.mp4", (128, 160), EncodeConfig(quality=51)),
     ("o.mp4", (64, 96), EncodeConfig(quality=40, preset="ultrafast")),
     ("o.mkv", (96, 96), EncodeConfig(codec="hevc", quality=51)),
     ("o.webm", (96, 128), EncodeConfig(quality=63))],
)  # fmt: skip
def test_a_quality_that_erases_the_mark_is_raised(
    tmp_path: Path, name: str, size: tuple[int, int], config: EncodeConfig
) -> None:
    video = encode(tmp_path / name, like(size, 20), MANIFEST, config=config)
    with video:
        video.append(pan(size, 20))
    assert reading(tmp_path / name).present
    assert any("would erase the watermark" in note for note in video.notes)
    assert sum(1 for _ in open_clip(tmp_path / name).pts) == 20


def test_qualities_that_keep_the_mark_are_used_as_asked(tmp_path: Path) -> None:
    sizes = {}
    for quality in (12.0, 20.0):
        path = tmp_path / f"{quality}.mp4"
        video = encode(path, like((128, 160), 20), MANIFEST, config=EncodeConfig(quality=quality))
        with video:
            video.append(pan((128, 160), 20))
        assert video.notes == ()
        sizes[quality] = path.stat().st_size
    assert sizes[20.0] < sizes[12.0]


def test_what_is_found_erased_at_the_end_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "frames_to_try", lambda *_: 0)
    for count in (20, 300):
        with pytest.raises(MediaError, match=r"cannot be found .* at quality 51 \(p = "), encode(
            tmp_path / "o.mp4", like((64, 64), count), MANIFEST, config=EncodeConfig(quality=51)
        ) as video:  # fmt: skip
            video.append(pan((64, 64), count))
    assert list(tmp_path.iterdir()) == []


def test_long_clips_are_tested_in_places(tmp_path: Path) -> None:
    frames = pan((64, 96), 300)
    video = encode(tmp_path / "o.mkv", like((64, 96), 300), MANIFEST)
    with video:
        video.append(frames)
    assert video.notes == ()
    assert reading(tmp_path / "o.mkv").present


def test_frames_too_small_or_plain_for_a_mark(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"30x64 pixels cannot carry the watermark"), encode(
        tmp_path / "o.mp4", like((64, 30), 4), MANIFEST
    ):  # fmt: skip
        pass
    video = encode(tmp_path / "o.mp4", like((36, 36), 12), MANIFEST)
    with video:
        video.append(pan((36, 36), 12))
    assert len(video.notes) == 1
    assert "the manifest alone says" in video.notes[0]

"""Small media of many containers and coders, and how the program reads a medium; see `hostile`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from likeness.decode import open_clip, read_marks, stream
from likeness.decode.sound import has_pictures, open_sound, read_sound
from likeness.errors import LikenessError
from likeness.types import Window

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.media_written import CLAP_WAY, clap, insert_box, write_heic, write_sound, write_wave

_FRAMES = 8
_VIDEOS: Sequence[tuple[str, str, str, str | None]] = (
    ("a.mp4", "libx264", "yuv420p", "aac"),
    ("hevc.mp4", "libx265", "yuv420p", "ac3"),
    ("alpha.mov", "prores_ks", "yuva444p10le", "pcm_s24le"),
    ("run.mov", "qtrle", "argb", None),
    ("a.mkv", "ffv1", "yuv420p", "flac"),
    ("a.webm", "libvpx-vp9", "yuva420p", "libopus"),
    ("eight.webm", "libvpx", "yuv420p", "libopus"),
    ("a.avi", "mjpeg", "yuvj420p", "pcm_s16le"),
    ("raw.avi", "rawvideo", "yuv420p", "mp3"),
    ("huff.avi", "ffvhuff", "yuv420p", None),
    ("a.ts", "mpeg2video", "yuv420p", "mp2"),
    ("late.ts", "libx264", "yuv420p", "aac"),
    ("a.mpg", "mpeg2video", "yuv420p", "mp2"),
    ("a.flv", "flv1", "yuv420p", "aac"),
    ("a.wmv", "wmv2", "yuv420p", "wmav2"),
    ("a.mxf", "mpeg2video", "yuv422p", None),
    ("a.nut", "mpeg4", "yuv420p", "aac"),
    ("a.ogg", "libtheora", "yuv420p", "libopus"),
    ("a.gif", "gif", "rgb8", None),
    ("a.apng", "apng", "rgba", None),
    ("a.y4m", "wrapped_avframe", "yuv420p", None),
    ("a.ivf", "libvpx", "yuv420p", None),
    ("a.h264", "libx264", "yuv420p", None),
    ("a.mjpeg", "mjpeg", "yuvj420p", None),
)
_SOUNDS: Sequence[tuple[str, str, str]] = (
    ("a.flac", "flac", "7.1"),
    ("a.m4a", "aac", "7.1"),
    ("a.mp3", "libmp3lame", "stereo"),
    ("a.aac", "aac", "stereo"),
    ("a.ac3", "ac3", "5.1"),
    ("a.eac3", "eac3", "5.1"),
    ("a.opus", "libopus", "7.1"),
    ("a.wv", "wavpack", "7.1"),
    ("a.tta", "tta", "stereo"),
    ("a.aiff", "pcm_s16be", "stereo"),
    ("a.caf", "pcm_s24le", "7.1"),
    ("a.w64", "pcm_f32le", "7.1"),
    ("a.au", "pcm_s16be", "mono"),
    ("a.wma", "wmav2", "stereo"),
)
_PICTURES = ("png", "jpg", "tif", "bmp", "webp", "gif", "dpx", "exr", "jpeg")


def _drawn(number: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    return np.stack([x * 4, y * 5, (x + y + 9 * number) % 256, 255 - x], -1).astype(np.uint8)


def _write_video(path: Path, codec: str, pix_fmt: str, sound: str | None) -> None:
    with av.open(str(path), "w") as container:
        pictures = container.add_stream(codec, rate=25, width=64, height=48)
        pictures.pix_fmt = pix_fmt
        if codec == "libx265":
            pictures.options = {"x265-params": "log-level=none:pools=none:frame-threads=1"}
        heard = None
        if sound:
            heard = container.add_stream(sound, rate=48000, layout="stereo")
            heard.bit_rate = 128000
        start = 90 if path.name.startswith("late") else 0
        for n in range(_FRAMES):
            frame = av.VideoFrame.from_ndarray(_drawn(n), format="rgba").reformat(format=pix_fmt)
            frame.pts, frame.time_base = n + start * 25, Fraction(1, 25)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        if heard is not None:
            step = heard.codec_context.frame_size or 1024
            resampler = av.AudioResampler(heard.format, "stereo", 48000, frame_size=step)
            wave = (0.3 * np.sin(np.arange(2 * 15360) / 20)).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="flt", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start * 48000, Fraction(1, 48000)
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(heard.encode(piece))
            container.mux(heard.encode(None))


def _write_coded(path: Path, codec: str, pix_fmt: str) -> None:
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = 64, 48, pix_fmt
    context.time_base, context.thread_count = Fraction(1, 25), 1
    frame = av.VideoFrame.from_ndarray(_drawn(0), format="rgba").reformat(format=pix_fmt)
    frame.pts = 0
    path.write_bytes(b"".join(map(bytes, context.encode(frame))))


def _write_picture(path: Path) -> None:
    kind = path.suffix[1:]
    if kind in ("dpx", "exr"):
        _write_coded(path, kind, "rgb48be" if kind == "dpx" else "gbrpf32le")
        return
    image = Image.fromarray(_drawn(0))
    image.convert("RGB" if kind in ("jpg", "jpeg", "bmp") else "RGBA").save(path)


def seeds(folder: Path) -> list[Path]:
    """Write one small medium of every kind that this build of PyAV can write."""
    tone = 0.3 * np.sin(np.arange(9600) / 20)
    made = []
    for name, codec, pix_fmt, sound in _VIDEOS:
        made.append(
            _made(folder / name, lambda p, c=codec, f=pix_fmt, s=sound: _write_video(p, c, f, s))
        )
    for name, codec, layout in _SOUNDS:
        channels = av.AudioLayout(layout).nb_channels
        samples = np.repeat(tone[:, None], channels, 1)
        made.append(
            _made(
                folder / name,
                lambda p, s=samples, c=codec, y=layout: write_sound(p, s, 48000, codec=c, layout=y),
            )
        )
    for kind in _PICTURES:
        made.append(_made(folder / f"still.{kind}", _write_picture))
    rgb = _drawn(0, (64, 64))[..., :3]
    tiles = [rgb] * 4
    made.append(write_heic(folder / "grid.heic", tiles, columns=2, size=(100, 120)))
    made.append(
        write_heic(folder / "cut.heic", [rgb], alpha=rgb[..., 0], transforms=[clap(40, 30)])
    )
    made.append(write_wave(folder / "eight.wav", np.repeat(tone[:, None] * 9000, 8, 1), 48000))
    made.append(write_wave(folder / "many.wav", np.repeat(tone[:, None] * 9000, 24, 1), 16000))
    movie = folder / "a.mp4"
    if movie in made:
        cropped = folder / "clap.mp4"
        cropped.write_bytes(insert_box(movie.read_bytes(), CLAP_WAY, clap(40, 30, 2, 2)))
        made.append(cropped)
    return [path for path in made if path is not None]


def _made(path: Path, write: object) -> Path | None:
    """Write a seed; None where this build lacks its coder."""
    try:
        write(path)  # type: ignore[operator]
    except (av.error.FFmpegError, ValueError, OSError) as error:
        logging.getLogger(__name__).warning("no seed %s: %s", path.name, error)
        return None
    return path


def attempt(path: Path) -> None:
    """Read a medium in every way that the program does: facts, frames, sound, notes.

    Raises:
        LikenessError: Neither its pictures nor its sound can be read; every way was tried.
    """
    logging.disable(logging.CRITICAL)
    refused: dict[object, LikenessError] = {}
    for way in (_pictures, read_sound, open_sound, has_pictures, read_marks):
        try:
            way(path)
        except LikenessError as error:
            refused[way] = error
    if _pictures in refused and read_sound in refused:
        raise refused[_pictures]


def _pictures(path: Path) -> None:
    clip = open_clip(path)
    for _ in stream(clip, 4, Window(0, min(len(clip), 32))):
        pass

"""Fixtures for all tests: real data where it is at hand, and small clips made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from likeness.provenance import clock
from likeness.types import Shot
from tests.stage import film

REPOSITORY = Path(__file__).resolve().parents[1]
TODAY = date.today()


@pytest.fixture(scope="session", autouse=True)
def one_day() -> Iterator[None]:
    """Hold the day of consents still: tests may run over midnight."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "today", lambda: TODAY)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with clips and portraits of real people, which are not part of the repository."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no test data at ../shared/data")
    return folder


def moving_frames(count: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """(T,H,W,3) uint8: a colored gradient, and a bright bar whose place tells the number."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width]
    frames = np.empty((count, height, width, 3), np.uint8)
    for t in range(count):
        frames[t, ..., 0] = 40 + 100 * x / width
        frames[t, ..., 1] = 60 + 90 * y / height
        frames[t, ..., 2] = 120 + 2 * (t % 40)
        column = (t * 3) % (width - 4)
        frames[t, : height // 3, column : column + 4] = 220
    return frames


@pytest.fixture(scope="session")
def frames() -> Callable[..., np.ndarray]:
    """The function `moving_frames(count, size)`."""
    return moving_frames


def _tone(stream: av.AudioStream, seconds: float, pitch: float) -> list[av.AudioFrame]:
    rate = stream.rate
    t = np.arange(int(seconds * rate)) / rate
    wave = (0.3 * np.sin(2 * np.pi * pitch * t)).astype(np.float32)
    sound = []
    for start in range(0, len(wave), 1024):
        part = np.stack([wave[start : start + 1024]] * 2)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
        frame.rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        sound.append(frame)
    return sound


def write_clip(
    path: Path,
    pictures: np.ndarray,
    *,
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    aspect: Fraction | None = None,
    color: tuple[int, int, int, int] | None = None,
    tones: Sequence[float] = (),
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a clip with PyAV alone; `color` is primaries, transfer, matrix, range (1 or 2)."""
    scale = {"video_track_timescale": str(time_base.denominator)}
    chosen = container_options or (scale if path.suffix == ".mp4" else {})
    with av.open(str(path), "w", options=chosen) as container:
        stream = container.add_stream(
            codec,
            rate=25,
            options={"crf": "4", **(options or {})} if codec == "libx264" else options or {},
            width=pictures.shape[2],
            height=pictures.shape[1],
            time_base=time_base,
        )
        stream.pix_fmt = pix_fmt
        if color:
            context = stream.codec_context
            context.color_primaries, context.color_trc = color[0], color[1]
            context.colorspace, context.color_range = color[2], color[3]
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation or mirrored:
            stream.set_display_rotation(rotation, hflip=mirrored)
        sounds = [container.add_stream("aac", rate=44100, layout="stereo") for _ in tones]
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            extra = {"dst_colorspace": color[2], "dst_color_range": color[3]} if color else {}
            frame = frame.reformat(format=pix_fmt, **extra)
            frame.pts = index if pts is None else int(pts[index])
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for sound, pitch in zip(sounds, tones, strict=True):
            for tone in _tone(sound, len(pictures) / 25, pitch):
                container.mux(sound.encode(tone))
            container.mux(sound.encode(None))
    return path


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., Path]:
    """The function `write_clip(path, pictures, ...)`."""
    return write_clip


@pytest.fixture(scope="session")
def plain_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 frames of 64x48, key frames every 12, B-frames, two audio tracks."""
    path = tmp_path_factory.mktemp("clips") / "plain.mp4"
    return write_clip(path, moving_frames(90), options={"g": "12", "bf": "2"}, tones=(440.0, 660.0))


def packet_bytes(path: Path, kind: str = "audio") -> list[list[tuple[int | None, bytes]]]:
    """Per stream of a kind: (pts in microseconds, payload) of each packet."""
    with av.open(str(path)) as container:
        streams = [s for s in container.streams if s.type == kind]
        found: dict[int, list[tuple[int | None, bytes]]] = {s.index: [] for s in streams}
        for packet in container.demux(streams):
            if packet.size:
                time = None if packet.pts is None else round(packet.pts * packet.time_base * 10**6)
                found[packet.stream_index].append((time, bytes(packet)))
    return list(found.values())


@pytest.fixture(scope="session")
def packets() -> Callable[..., list[list[tuple[int | None, bytes]]]]:
    """The function `packet_bytes(path, kind)`."""
    return packet_bytes


@pytest.fixture(scope="session")
def actor_shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    """48 frames of 128x128 of a procedural actor, with the true track and params."""
    return film(tmp_path_factory.mktemp("stage"))

"""Files that lie: about what they are, how large they are, how long they last."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from likeness.decode import Decoder, open_clip, read_marks, stream
from likeness.decode.container import open_container
from likeness.decode.limits import LONGEST_GAP, MOST_CHANNELS, MOST_SAMPLES
from likeness.decode.sound import has_pictures, open_sound, read_sound
from likeness.errors import MediaError
from likeness.types import Window
from tests.media_written import write_sound, write_wave

READERS: tuple[Callable[[Path], object], ...] = (open_clip, open_sound, read_sound, has_pictures)


# --- sound -------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 6, 8, 9, 16, 24, MOST_CHANNELS])
def test_any_number_of_channels_is_mixed_down(tmp_path, channels):
    """PyAV counts the planes of planar sound past their end from eight channels on."""
    rng = np.random.default_rng(channels)
    samples = rng.integers(-9000, 9000, (8000, channels))
    path = write_wave(tmp_path / "a.wav", samples, 16000)
    found = read_sound(path)
    assert np.allclose(found, samples.mean(1) / 32768, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.flac", "flac"), ("a.m4a", "aac"), ("a.mka", "libopus"), ("a.wv", "wavpack")],
)
def test_eight_planar_channels(tmp_path, codec, name):
    tone = 0.25 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    samples = np.repeat(tone[:, None], 8, 1)
    container = "matroska" if name == "a.wv" else None
    path = write_sound(tmp_path / name, samples, 48000, codec=codec, layout="7.1",
                       container=container)  # fmt: skip
    assert open_sound(path).audio[0].channels == 8
    found = read_sound(path)
    # AAC leaves 440 Hz out of the channel for low frequencies.
    assert float(np.sqrt(np.mean(found[4000:12000] ** 2))) == pytest.approx(0.25 / 2**0.5, rel=0.15)


def test_a_layout_that_changes_goes_on(tmp_path):
    tone = 0.25 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    parts = []
    for layout, count in (("mono", 1), ("7.1", 8), ("stereo", 2)):
        part = tmp_path / f"{count}.aac"
        write_sound(part, np.repeat(tone[:, None], count, 1), 48000, codec="aac", layout=layout,
                    container="adts")  # fmt: skip
        parts.append(part.read_bytes())
    path = tmp_path / "all.aac"
    path.write_bytes(b"".join(parts))
    found = read_sound(path)
    assert len(found) / 16000 == pytest.approx(3, abs=0.15)
    for middle in (8000, 24000, 40000):
        loud = float(np.sqrt(np.mean(found[middle - 3000 : middle + 3000] ** 2)))
        assert loud == pytest.approx(0.25 / 2**0.5, rel=0.15)


@pytest.mark.parametrize("rate", [1, 999, 10_000_000])
def test_rates_that_no_recorder_has(tmp_path, rate):
    path = write_wave(tmp_path / "a.wav", np.zeros((4000, 1)), rate)
    for reader in (open_sound, read_sound):
        with pytest.raises(MediaError, match=f"{rate} samples per second, expected 1000 to"):
            reader(path)


def test_more_channels_than_a_recorder_has(tmp_path):
    path = write_wave(tmp_path / "a.wav", np.zeros((100, 200)), 16000)
    with pytest.raises(MediaError, match="200 channels, expected 1 to 64|cannot|no sound"):
        read_sound(path)


def spoken(path: Path, starts: tuple[float, ...]) -> Path:
    tone = 0.25 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    return write_sound(path, tone[:, None], 16000, codec="pcm_s16le", layout="mono", starts=starts)


def test_a_short_gap_is_silence(tmp_path):
    found = read_sound(spoken(tmp_path / "a.mka", (0, 5)))
    assert len(found) / 16000 == pytest.approx(6, abs=0.1)
    assert float(np.abs(found[20000:78000]).max()) == 0
    assert float(np.abs(found[81000:90000]).max()) > 0.2


@pytest.mark.parametrize("starts", [(0.0, 3600.0), (0.0, 1.0, LONGEST_GAP + 5), (0.0, 1e6)])
def test_an_hour_of_nothing_is_refused_before_memory_is_asked_for(tmp_path, starts):
    path = spoken(tmp_path / "a.mka", starts)
    tracemalloc.start()
    with pytest.raises(MediaError, match="stands still for"):
        read_sound(path)
    assert tracemalloc.get_traced_memory()[1] < 300_000_000
    tracemalloc.stop()


def test_a_sound_that_is_too_long_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("likeness.decode.limits.MOST_SAMPLES", 30000)
    with pytest.raises(MediaError, match=r"hours, expected at most"):
        read_sound(spoken(tmp_path / "a.mka", (0, 1, 2, 3)))
    assert MOST_SAMPLES * 4 < 2**30


@pytest.mark.parametrize("name", ["a.mka", "a.ts"])
def test_a_clock_that_starts_anywhere(tmp_path, name):
    """A recording that was cut out of a longer one begins where its own sound begins."""
    path = spoken(tmp_path / "a.mka", (36000.0,))
    found = read_sound(path)
    assert len(found) / 16000 == pytest.approx(1, abs=0.1)
    late = read_sound(path, since=Fraction(35999))
    assert len(late) - len(found) == 16000
    assert np.array_equal(late[16000:], found)
    cut = read_sound(path, since=Fraction(72001, 2))
    assert np.array_equal(cut, found[8000:])


# --- pixels ------------------------------------------------------------------------------------


def huge_gif() -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6) + (
        b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\2\2\x44\1\0;"
    )  # fmt: skip


def huge_bmp() -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 1000, 0, 54, 40, 30000, 30000, 1, 24, 0, 0, 0, 0,
                               0, 0) + bytes(900)  # fmt: skip


def huge_y4m() -> bytes:
    return b"YUV4MPEG2 W30000 H30000 F25:1 Ip A1:1 C420\nFRAME\n" + bytes(1000)


def huge_dpx() -> bytes:
    data = bytearray(4096)
    data[:4] = b"SDPX"
    data[4:8] = struct.pack(">I", 2048)
    data[768:780] = struct.pack(">HHII", 0, 1, 30000, 30000)
    data[800:804] = bytes([50, 0, 0, 10])
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.gif", huge_gif()), ("a.bmp", huge_bmp()), ("a.y4m", huge_y4m()), ("a.dpx", huge_dpx())],
)
def test_a_small_file_that_promises_a_gigapixel(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(MediaError):
        torch.cat([part for _, part in stream(open_clip(path))])


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_a_picture_larger_than_can_be_worked_on(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("likeness.decode.limits.LARGEST_PIXELS", 10000)
    Image.new("L", (120, 130)).save(tmp_path / f"a.{suffix}")
    with pytest.raises(MediaError, match="120x130 pixels, expected at most"):
        open_clip(tmp_path / f"a.{suffix}")


def test_the_real_limit_holds_before_pixels_are_decoded(tmp_path):
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = zlib.compressobj(9)
    line = bytes(2001)
    data = b"".join(rows.compress(line) for _ in range(16000)) + rows.flush()
    head = struct.pack(">IIBBBBB", 16000, 16000, 1, 0, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data)
                     + chunk(b"IEND", b""))  # fmt: skip
    assert path.stat().st_size < 100_000
    with pytest.raises(MediaError, match="256000000 pixels"):
        open_clip(path)


def test_a_clip_of_too_many_frames(tmp_path, make_clip, frames, monkeypatch):
    path = make_clip(tmp_path / "a.mp4", frames(9))
    monkeypatch.setattr("likeness.decode.limits.MOST_FRAMES", 8)
    with pytest.raises(MediaError, match="more than 8 frames"):
        open_clip(path)


# --- kinds -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.fifo.mp4", "a.fifo.png", "a.fifo.wav"])
def test_a_pipe_is_refused_at_once(tmp_path, name):
    path = tmp_path / name
    os.mkfifo(path)
    for reader in (*READERS, read_marks):
        with pytest.raises(MediaError, match="is a pipe"):
            reader(path)


def test_devices_sockets_and_folders_are_refused(tmp_path):
    for reader in READERS:
        with pytest.raises(MediaError, match="is a device"):
            reader(Path("/dev/zero"))
    with socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "s.mp4"))
        with pytest.raises(MediaError, match="is a socket"):
            open_clip(tmp_path / "s.mp4")
    for reader in READERS[1:]:
        with pytest.raises(MediaError, match="is a folder"):
            reader(tmp_path)


def test_a_pipe_among_pictures_is_refused(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    os.mkfifo(tmp_path / "2.png")
    with pytest.raises(MediaError, match=r"2\.png is .*pipe"):
        open_clip(tmp_path)


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{0}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{0}'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT4S"><Period><AdaptationSet><Representation id="1" '
    'mimeType="video/mp4"><BaseURL>{0}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    "subtitles": "1\n00:00:00,000 --> 00:00:01,000\nHello\n",
    "metadata": ";FFMETADATA1\ntitle=x\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{0}"/></svg>',
    "text": "\x1b[31mDear reader\x1b[0m, this is a drawing in text.\r\n" * 40,
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("suffix", ["png", "jpg", "mp4", "m3u8", "mov", "wav", "mpd", "txt", "ans"])
def test_nothing_that_opens_other_files_is_read_under_any_name(tmp_path, plain_clip, kind, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_text(PLAYLISTS[kind].format(plain_clip))
    for reader in READERS:
        with pytest.raises(MediaError, match="expected"):
            reader(path)


@pytest.mark.parametrize("name", ["a.png", "a.mp4", "a.jpg", "a", "a.wav", "a.heic"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_content_says_what_a_picture_is(tmp_path, frames, name, kind):
    Image.fromarray(frames(1)[0]).save(tmp_path / name, format=kind)
    clip = open_clip(tmp_path / name)
    assert (len(clip), clip.size) == (1, (48, 64))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a", "a.mkv", "a.heic"])
def test_content_says_what_a_clip_is(tmp_path, plain_clip, name):
    (tmp_path / name).write_bytes(plain_clip.read_bytes())
    assert len(open_clip(tmp_path / name)) == 90
    assert has_pictures(tmp_path / name)


def test_only_local_files_of_one_kind(plain_clip, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(MediaError, match="not read as video"), open_container(tmp_path / "a.png"):
        pass
    with pytest.raises(MediaError, match="not read as sound"), open_container(
        tmp_path / "a.png", "sound"
    ):  # fmt: skip
        pass


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["10:30.mp4", "take:2.mp4", "file:x.mp4", "-i.mp4", "a%03d.mp4", "http:..x.mp4", "ä ö.mp4",
     "concat:a|b.mp4", "a?b#c.mp4", " .mp4", "pipe:0"],
)  # fmt: skip
def test_names_that_mean_something_to_ffmpeg(tmp_path, plain_clip, monkeypatch, name):
    (tmp_path / name).write_bytes(plain_clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    for path in (Path(name), f"./{name}", tmp_path / name):
        clip = open_clip(path)
        with Decoder(clip) as decoder:
            assert decoder.read(Window(0, 1)).shape == (1, 3, 48, 64)
        assert open_sound(path).audio
        assert len(read_sound(path)) > 16000


@pytest.mark.parametrize("name", ["10:30.png", "%d.png", "-.png", "a%05d.png"])
def test_pictures_of_any_name(tmp_path, frames, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(frames(1)[0]).save(tmp_path / name)
    assert open_clip(name).size == (48, 64)


def test_the_cause_is_told(tmp_path):
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    (tmp_path / "file").write_text("x")
    cases = {
        "n" * 300 + ".mp4": "name is too long",
        "loop.mp4": "in a circle",
        "file/a.mp4": "not a folder",
        "a\0b.mp4": "no name of a file",
        "none.wav": "does not exist",
    }
    for name, cause in cases.items():
        for reader in READERS:
            with pytest.raises(MediaError, match=cause):
                reader(tmp_path / name)


def test_numbers_of_any_length(tmp_path):
    for name in ("1.png", "2.png", "9" * 30 + ".png", "²3.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert len(open_clip(tmp_path / "%d.png")) == 2
    assert len(open_clip(tmp_path)) == 4


@pytest.mark.parametrize("name", ["a.caf", "a.mov"])
def test_channels_in_an_order_of_their_own(tmp_path, name):
    """PyAV frees such a layout twice; in a process of its own, since that ends it."""
    samples = np.repeat(0.25 * np.ones((4800, 1)), 8, 1)
    path = write_sound(tmp_path / name, samples, 48000, codec="pcm_s24le", layout="7.1")
    program = f"""
import gc
from pathlib import Path
from likeness.decode.sound import open_sound, read_sound
import torch
from fractions import Fraction
import numpy as np
from likeness.encode import encode
from likeness.provenance import Manifest
from likeness.types import Clip, Timeline
path = Path({str(path)!r})
sound = open_sound(path)
samples = read_sound(path)
timeline = Timeline(np.arange(3), Fraction(1, 25), 1, sound)
like = Clip(path.with_name("none.mp4"), "", (64, 64), np.arange(3), Fraction(1, 25), 1)
with encode(path.with_name("coded.mp4"), like, Manifest("coded", "dub"), timeline) as video:
    video.append(torch.rand(3, 3, 64, 64))
gc.collect()
print(sound.audio[0].channels, len(samples), round(float(samples[500:1000].mean()), 3))
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.split()) == (0, ["8", "1365", "0.25"]), run.stderr


@pytest.mark.parametrize("size", [1, 8, 12, 16, 20, 21, 24])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
def test_what_is_cut_off_in_its_first_bytes(tmp_path, kind, size):
    path = tmp_path / "a.webp"
    Image.new("RGBA" if kind == "WEBP" else "RGB", (9, 9)).save(path, format=kind)
    path.write_bytes(path.read_bytes()[:size])
    for reader in (open_clip, read_sound):
        with pytest.raises(MediaError):
            reader(path)


def test_the_default_track_is_heard(tmp_path):
    path = tmp_path / "a.mka"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=16000, layout="mono") for _ in "ab"]
        streams[0].disposition = 0
        streams[1].disposition = 1
        for value, stream_ in zip((3000, 9000), streams, strict=True):
            frame = av.AudioFrame.from_ndarray(np.full((1, 1600), value, np.int16), layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
            container.mux(stream_.encode(frame))
    assert float(read_sound(path).mean()) == pytest.approx(9000 / 32768, rel=1e-3)

"""Damaged, strange and missing files; failures half way; memory."""

from __future__ import annotations

import shutil
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from likeness.decode import Decoder, open_clip, stream
from likeness.encode import EncodeConfig, encode
from likeness.errors import MediaError
from likeness.provenance import Manifest, sidecar_of
from likeness.types import Timeline, Window

MANIFEST = Manifest("test", "reenact", created="2026-01-01T00:00:00+00:00")


def read(path: Path) -> torch.Tensor:
    return torch.cat([part for _, part in stream(open_clip(path))])


def test_not_a_video(tmp_path):
    for name, content in (
        ("text.txt", b"Dear reader,\nthis is no video.\n" * 50),
        ("text.mp4", b"Dear reader,\nthis is no video.\n" * 50),
        ("noise.mp4", np.random.default_rng(0).bytes(5000)),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"),
        ("empty.mp4", b""),
        ("picture.png", b"\x89PNG\r\n\x1a\n then nothing"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(MediaError, match=name):
            open_clip(path)


def test_sound_only_has_no_video_stream(plain_clip, tmp_path):
    path = tmp_path / "sound.m4a"
    with av.open(str(plain_clip)) as source, av.open(str(path), "w", format="mp4") as target:
        copy = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = copy
                target.mux(packet)
    with pytest.raises(MediaError, match=r"no video stream \(found: audio\)"):
        open_clip(path)


def test_unknown_codec(plain_clip, tmp_path):
    data = plain_clip.read_bytes()
    path = tmp_path / "odd.mp4"
    path.write_bytes(data.replace(b"avc1", b"zzz9").replace(b"avcC", b"zzzC"))
    with pytest.raises(MediaError, match="unknown codec|cannot be decoded|no frame"):
        open_clip(path)


def test_truncated_without_index(plain_clip, tmp_path):
    # The index of this file stands at its end.
    path = tmp_path / "cut.mp4"
    path.write_bytes(plain_clip.read_bytes()[: plain_clip.stat().st_size // 2])
    with pytest.raises(MediaError, match="truncated"):
        open_clip(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_with_index_gives_what_is_there(plain_clip, tmp_path, share):
    clip = open_clip(plain_clip)
    whole = tmp_path / "whole.mp4"
    frames = read(plain_clip)
    timeline = Timeline(clip.pts, clip.time_base, clip.last_duration, None)
    with encode(whole, like=clip, manifest=MANIFEST, timeline=timeline) as video:
        video.append(frames)
    cut = tmp_path / "cut.mp4"
    content = whole.read_bytes()
    # Index and manifest stand before the media.
    media = content.rindex(b"mdat")
    cut.write_bytes(content[: media + int(share * (len(content) - media))])
    found = open_clip(cut)
    assert 0 < len(found) < 90
    decoded = read(cut)
    reference = read(whole)
    at = np.searchsorted(open_clip(whole).pts, found.pts)
    assert torch.allclose(decoded[: len(decoded) // 2], reference[at[: len(decoded) // 2]])
    with Decoder(found) as decoder:
        last = decoder.read(Window(len(found) - 1, len(found)))
    assert torch.equal(last[0], decoded[-1])


@pytest.mark.parametrize("name", ["c.mkv", "c.ts", "c.webm"])
def test_truncated_streams_give_what_is_there(tmp_path, frames, make_clip, name):
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    path = make_clip(tmp_path / name, frames(60), codec=codec)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    found = open_clip(path)
    assert 5 < len(found) < 60
    assert len(read(path)) == len(found)


def test_damage_in_the_middle_keeps_the_count(plain_clip, tmp_path):
    data = bytearray(plain_clip.read_bytes())
    start = data.index(b"mdat") + 2000
    data[start : start + 300] = b"\x55" * 300
    path = tmp_path / "hurt.mp4"
    path.write_bytes(data)
    clip = open_clip(path)
    assert len(clip) == 90
    decoded = read(path)
    assert decoded.shape == (90, 3, 48, 64)
    assert torch.equal(decoded[-12:], read(plain_clip)[-12:])


def test_changed_file_is_noticed(plain_clip, tmp_path, frames, make_clip):
    path = make_clip(tmp_path / "a.mp4", frames(10))
    clip = open_clip(path)
    make_clip(path, frames(12))
    with pytest.raises(MediaError, match="another file than the one"):
        Decoder(clip)


def test_no_audio_stays_without(tmp_path, frames, make_clip):
    clip = open_clip(make_clip(tmp_path / "a.mp4", frames(4)))
    assert clip.audio == ()
    with encode(tmp_path / "o.mp4", like=clip, manifest=MANIFEST) as video:
        video.append(read(clip.path))
    assert open_clip(tmp_path / "o.mp4").audio == ()


def test_sound_from_another_container(tmp_path, frames, make_clip, packets):
    clip = open_clip(make_clip(tmp_path / "a.mkv", frames(50), tones=(500.0,),
                               time_base=Fraction(1, 25)))  # fmt: skip
    with encode(tmp_path / "o.mp4", like=clip, manifest=MANIFEST) as video:
        video.append(read(clip.path))
    before, after = packets(clip.path)[0], packets(tmp_path / "o.mp4")[0]
    assert [data for _, data in before] == [data for _, data in after]
    drift = [abs(a[0] - b[0]) for a, b in zip(before, after, strict=True)]
    assert max(drift) <= 1000


@pytest.mark.parametrize("name", ["o.mp4", "o%d.png"])
@pytest.mark.parametrize("fault", ["raise", "too few", "too many"])
def test_failure_leaves_nothing_and_touches_nothing(tmp_path, plain_clip, name, fault):
    clip = replace(open_clip(plain_clip), audio=())
    frames = read(plain_clip)
    if "%" in name:
        one = Timeline(np.zeros(1, np.int64), clip.time_base, 1, None)
        # Of pictures, only those of an earlier run may be in the way.
        with encode(tmp_path / name, clip, MANIFEST, one) as old:
            old.append(frames[:1])
    else:
        (tmp_path / name).write_bytes(b"precious")
        sidecar_of(tmp_path / name).write_text("old manifest")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    expected = ValueError if fault == "raise" else MediaError
    message = "stop" if fault == "raise" else "expected 90"

    def work() -> None:
        with encode(tmp_path / name, like=clip, manifest=MANIFEST) as video:
            video.append(frames[:50])
            if fault == "raise":
                raise ValueError("stop")
            if fault == "too many":
                video.append(frames)

    with pytest.raises(expected, match=message):
        work()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert len(before) == 2


def test_input_is_never_overwritten(tmp_path, plain_clip):
    path = tmp_path / "in.mp4"
    shutil.copy(plain_clip, path)
    (tmp_path / "link.mp4").symlink_to(path)
    clip = open_clip(path)
    silent = Timeline.of(clip)
    for output, like, timeline in (
        (path, clip, None),
        (tmp_path / "link.mp4", clip, silent),
        (path, open_clip(plain_clip), Timeline.of(clip, sound=clip)),
    ):
        with pytest.raises(MediaError, match="never overwritten"), encode(
            output, like=like, manifest=MANIFEST, timeline=timeline
        ):  # fmt: skip
            pass
    assert path.read_bytes() == plain_clip.read_bytes()


def test_input_pictures_are_never_overwritten(tmp_path, frames, make_clip):
    clip = open_clip(make_clip(tmp_path / "a.mp4", frames(2)))
    folder = tmp_path / "pictures"
    with encode(folder, like=clip, manifest=MANIFEST) as video:
        video.append(read(clip.path))
    pictures = open_clip(folder)
    for output in (folder, folder / "%05d.png", folder / "frame_%05d.png"):
        with pytest.raises(MediaError, match="overwrit"), encode(
            output, like=pictures, manifest=MANIFEST
        ):  # fmt: skip
            pass
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(MediaError, match="other files"), encode(
        folder, like=clip, manifest=MANIFEST
    ):  # fmt: skip
        pass


def test_places_that_do_not_exist(tmp_path, plain_clip):
    clip = open_clip(plain_clip)
    for output, message in (
        (tmp_path / "no" / "o.mp4", "does not exist"),
        (tmp_path / "o.xyz", "no container"),
    ):
        with pytest.raises(MediaError, match=message), encode(
            output, like=clip, manifest=MANIFEST
        ):  # fmt: skip
            pass


def test_size_change_in_the_middle(tmp_path, frames):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, size in enumerate([(20, 20), (20, 22)]):
        frame = av.VideoFrame.from_ndarray(frames(1, size)[0], format="rgb24")
        frame.save(folder / f"{number}.png")
    with pytest.raises(MediaError, match="22x20"):
        read(folder)


def test_memory_does_not_grow_with_length(tmp_path, frames, make_clip):
    """Peaks of Python's and numpy's memory; av's own buffers are bounded by its reorder depth."""
    path = make_clip(tmp_path / "a.mp4", np.concatenate([frames(60)] * 5))
    clip = open_clip(path)

    def peak(count: int) -> int:
        part = Window(0, count)
        timeline = Timeline(clip.pts[:count], clip.time_base, clip.last_duration, None)
        tracemalloc.start()
        with encode(
            tmp_path / "o.mp4", clip, MANIFEST, timeline, EncodeConfig(preset="ultrafast")
        ) as video:
            for _, piece in stream(clip, 8, part):
                video.append(piece)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(32)
    assert peak(300) < 1.3 * peak(60) + 100_000

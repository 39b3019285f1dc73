"""Sound, subtitles, timecode and chapters: one rule per container; and a clock from zero."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from likeness.decode import open_clip, stream
from likeness.decode.sound import read_sound
from likeness.encode import encode
from likeness.provenance import Manifest, read_manifest
from tests.conftest import moving_frames, packet_bytes, write_clip

MANIFEST = Manifest("test", "reenact", created="2026-01-01T00:00:00+00:00")
SECRET = "Anna Musterfrau, room 7"  # noqa: S105


def pass_through(source: Path, output: Path) -> tuple[str, ...]:
    """Write the clip again, all in one."""
    clip = open_clip(source)
    video = encode(output, clip, MANIFEST)
    with video:
        video.append(torch.cat([frames for _, frames in stream(clip)]))
    assert read_manifest(output).valid
    return video.notes


def starts(path: Path) -> tuple[Fraction, Fraction | None]:
    """Seconds of the first picture and the first sound packet."""
    with av.open(str(path)) as container:
        first: dict[str, Fraction] = {}
        for packet in container.demux():
            if packet.size and packet.pts is not None and packet.stream.type in ("audio", "video"):
                time = packet.pts * packet.time_base
                first[packet.stream.type] = min(time, first.get(packet.stream.type, time))
    return first["video"], first.get("audio")


def film(
    path: Path, codec: str, layout: str = "stereo", rate: int = 48000,
    late: Fraction = Fraction(0), begins: int = 0,
) -> Path:  # fmt: skip
    """One second of picture and of a tone; sound is `late` behind the picture."""
    channels = len(av.AudioLayout(layout).channels)
    with av.open(str(path), "w") as container:
        video = container.add_stream(
            "libx264", rate=25, width=96, height=64, time_base=Fraction(1, 25), options={"bf": "0"}
        )
        video.pix_fmt = "yuv420p"
        sound = container.add_stream(codec, rate=rate, layout=layout)
        sound.bit_rate = 128000
        container.metadata["title"] = SECRET
        for stream in (video, sound):
            stream.metadata["title"] = stream.metadata["handler_name"] = SECRET
        sound.metadata["language"] = "fra"
        for index, picture in enumerate(moving_frames(25, (64, 96))):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = begins + index, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        # Rising, so that no shift in time looks like another.
        seconds = np.arange(rate) / rate
        tone = 0.3 * np.sin(2 * np.pi * (150 + 300 * seconds) * seconds)
        scaled = (tone * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(
            np.repeat(scaled, channels)[None], format="s16", layout=layout
        )
        frame.rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round((late + Fraction(begins, 25)) * rate)
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("name", ["s.ts", "s.mkv", "s.mp4", "s.mov", "s.nut"])
@pytest.mark.parametrize("output", ["o.mp4", "o.mkv"])
@pytest.mark.parametrize("sounding", [True, False])
def test_outputs_start_at_zero(tmp_path: Path, name: str, output: str, sounding: bool) -> None:
    source = tmp_path / name
    if sounding:
        film(source, "ac3", late=Fraction(1, 5), begins=90)
    else:
        write_clip(source, moving_frames(25, (64, 96)), pts=range(90, 115))
    before = starts(source)
    pass_through(source, tmp_path / output)
    after = starts(tmp_path / output)
    assert abs(after[0]) < Fraction(1, 500)
    if sounding:
        assert before[1] is not None
        assert after[1] is not None
        assert abs((after[1] - after[0]) - (before[1] - before[0])) < Fraction(1, 400)
        # Packets of 32 ms: what is heard is the same, bit for bit.
        assert [data for _, data in packet_bytes(source)[0]] == [
            data for _, data in packet_bytes(tmp_path / output)[0]
        ]


def test_sound_that_leads_is_kept_whole(tmp_path: Path) -> None:
    """A recording cut out of a stream: sound first, the picture when a key frame comes."""
    film(tmp_path / "s.mkv", "ac3", late=Fraction(-3, 5), begins=50)
    pass_through(tmp_path / "s.mkv", tmp_path / "o.mp4")
    picture, sound = starts(tmp_path / "o.mp4")
    assert sound is not None
    # The coder's run-in of 5 ms is hidden before zero.
    assert abs(sound) < Fraction(1, 100)
    assert picture == Fraction(3, 5)


def test_a_run_in_stays_before_zero(tmp_path: Path) -> None:
    film(tmp_path / "s.ts", "aac")
    pass_through(tmp_path / "s.ts", tmp_path / "o.mp4")
    picture, sound = starts(tmp_path / "o.mp4")
    assert picture == 0
    assert sound is not None
    assert abs(sound + Fraction(1024, 48000)) < Fraction(1, 1000)


RULES = [
    ("s.mov", "pcm_s24le", "o.mp4", "aac"), ("s.mov", "pcm_s24le", "o.mov", "pcm_s24le"),
    ("s.mov", "pcm_s16le", "o.mkv", "pcm_s16le"), ("s.mkv", "flac", "o.mp4", "flac"),
    ("s.mkv", "flac", "o.mov", "aac"), ("s.mkv", "libopus", "o.mov", "aac"),
    ("s.mp4", "aac", "o.webm", "opus"), ("s.mp4", "aac", "o.mov", "aac"),
    ("s.asf", "wmav2", "o.mp4", "aac"), ("s.asf", "wmav2", "o.webm", "opus"),
    ("s.mov", "pcm_s24be", "o.mkv", "flac"), ("s.mp4", "ac3", "o.mp4", "ac3"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "codec", "output", "expected"), RULES)
def test_one_rule_for_sound(
    tmp_path: Path, name: str, codec: str, output: str, expected: str
) -> None:
    source = film(tmp_path / name, codec)
    notes = pass_through(source, tmp_path / output)
    with av.open(str(tmp_path / output)) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.codec.canonical_name == expected
    same = packet_bytes(source)[0], packet_bytes(tmp_path / output)[0]
    copied = [data for _, data in same[0]] == [data for _, data in same[1]]
    told = [note for note in notes if "coded anew" in note]
    assert copied is not bool(told)
    # Matroska may move both; against the picture, the sound stays where it was.
    moved = starts(tmp_path / output)[0] - starts(source)[0]
    heard, was = read_sound(tmp_path / output), read_sound(source)
    late = round(16000 * moved)
    match = {
        lag: np.corrcoef(heard[2000 + late + lag : 14000 + late + lag], was[2000:14000])[0, 1]
        for lag in range(-400, 401)
    }
    best = max(match, key=lambda lag: match[lag])
    assert abs(best) <= 24, "1.5 ms: containers that count milliseconds round twice"
    assert match[best] > 0.98


@pytest.mark.parametrize("layout", ["mono", "5.1", "7.1"])
@pytest.mark.parametrize("codec", ["pcm_s16le", "flac"])
def test_any_number_of_channels(tmp_path: Path, layout: str, codec: str) -> None:
    film(tmp_path / "s.mkv", codec, layout)
    notes = pass_through(tmp_path / "s.mkv", tmp_path / "o.mov")
    with av.open(str(tmp_path / "o.mov")) as container:
        context = container.streams.audio[0].codec_context
        expected = {"mono": 1, "5.1": 6}.get(layout, 2) if codec == "flac" else None
        assert context.channels == (expected or len(av.AudioLayout(layout).channels))
    assert len(notes) == (codec == "flac")


def test_nobody_is_named_by_a_stream(tmp_path: Path) -> None:
    film(tmp_path / "s.mov", "aac")
    for output in ("o.mp4", "o.mov", "o.mkv"):
        pass_through(tmp_path / "s.mov", tmp_path / output)
        content = (tmp_path / output).read_bytes()
        assert b"Musterfrau" not in content
        with av.open(str(tmp_path / output)) as container:
            assert container.streams.audio[0].metadata["language"] in ("fra", "fre")


def add_words(path: Path, codec: str, words: bytes, timecode: str = "") -> Path:
    """A clip with subtitles, two chapters and a timecode."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(
            "libx264", rate=25, width=96, height=64, time_base=Fraction(1, 25)
        )
        video.pix_fmt = "yuv420p"
        if timecode:
            container.metadata["timecode"] = timecode
        text = container.add_stream(codec)
        text.codec_context.subtitle_header = b"[Script Info]\n"
        container.set_chapters([
            {"id": i, "start": i * 12, "end": i * 12 + 12, "time_base": Fraction(1, 25),
             "metadata": {"title": f"Part {i}"}} for i in range(2)
        ])  # fmt: skip
        for index, picture in enumerate(moving_frames(25, (64, 96))):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        packet = av.Packet(words)
        packet.pts = packet.dts = 200
        packet.duration, packet.time_base, packet.stream = 400, Fraction(1, 1000), text
        container.mux(packet)
    return path


def test_words_are_copied_where_they_have_a_place(tmp_path: Path) -> None:
    said = b"\x00\x05Hello"
    source = add_words(tmp_path / "s.mov", "mov_text", said, "01:02:03:04")
    for name, kept in (("o.mov", True), ("o.mp4", True), ("o.mkv", False)):
        notes = pass_through(source, tmp_path / name)
        with av.open(str(tmp_path / name)) as container:
            chapters = container.chapters()
            assert [c["metadata"]["title"] for c in chapters] == ["Part 0", "Part 1"]
            assert chapters[1]["start"] * chapters[1]["time_base"] == Fraction(12, 25)
            tagged = [*(s.metadata for s in container.streams), container.metadata]
            codes = {v for m in tagged for k, v in m.items() if k.lower() == "timecode"}
            assert codes == {"01:02:03:04"}
            assert len(container.streams.subtitles) == kept
        if kept:
            found = [data for _, data in packet_bytes(tmp_path / name, "subtitle")[0]]
            assert said in found
        assert len(notes) == (not kept)
    assert "does not hold mov_text subtitles: those of s.mov are left out" in notes[0]
    notes = pass_through(source, tmp_path / "o.webm")
    assert any("holds no timecode: 01:02:03:04 is left out" in note for note in notes)


def test_a_camera_whose_sound_plays_nowhere(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "odd" / "camera_pcm24.mov"
    if not source.is_file():
        pytest.skip("no odd inputs among the test data")
    notes = pass_through(source, tmp_path / "o.mp4")
    assert open_clip(tmp_path / "o.mp4").audio[0].codec == "aac"
    assert any("pcm_s24le" in note and ".mov or .mkv would keep it" in note for note in notes)
    pass_through(source, tmp_path / "o.mov")
    assert packet_bytes(tmp_path / "o.mov")[0] == packet_bytes(source)[0]

"""What became of a file is told: valid, changed, stripped, coded anew, or never marked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from likeness.decode import open_clip, read_marks
from likeness.encode import read_essence
from likeness.errors import MediaError
from likeness.provenance import ManifestReading, read_manifest, sidecar_of, trust_anchors
from likeness.provenance.signing import detached_of
from likeness.types import Clip, Timeline
from tests.provenance.conftest import CONSENT, write


def judge(path: Path) -> ManifestReading:
    """Read as `likeness verify` does, with all evidence."""
    return read_manifest(path, trust_anchors(), marks=read_marks(path), essence=read_essence(path))


def copied(source: Path, target: Path, codec: str | None = None, metadata: bool = True) -> Path:
    """Copy the pictures into a new container as other programs do, or code them anew."""
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        if metadata:
            writing.metadata.update(reading.metadata)
        stream = reading.streams.video[0]
        if codec is None:
            copy = writing.add_stream_from_template(stream)
            for packet in reading.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    writing.mux(packet)
            return target
        anew = writing.add_stream(codec, rate=25, width=stream.width, height=stream.height)
        anew.pix_fmt = "yuv420p"
        for frame in reading.decode(stream):
            frame.time_base, frame.pts = Fraction(1, 25), round(frame.time * 25)
            writing.mux(anew.encode(frame))
        writing.mux(anew.encode(None))
    return target


@pytest.fixture(scope="module")
def signed(camera_clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished reenactment."""
    return write(tmp_path_factory.mktemp("signed") / "out.mp4", camera_clip)


def altered(signed: Path, target: Path, change: Callable[[bytearray], None]) -> Path:
    data = bytearray(signed.read_bytes())
    change(data)
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.m4v", "o.mkv", "o.webm"])
def test_every_container_carries_a_valid_manifest(
    camera_clip: Clip, tmp_path: Path, name: str
) -> None:
    like = camera_clip
    if name.endswith("webm"):
        # WebM holds no AAC.
        like = Clip(**{**vars(camera_clip), "audio": ()})
    output = write(tmp_path / name, like)
    found = judge(output)
    beside = name.endswith(("mkv", "webm"))
    assert (found.finding, found.valid, found.trusted) == ("valid", True, True)
    assert found.source == ("sidecar" if beside else "embedded")
    assert detached_of(output).is_file() == beside
    assert found.actions[0] == "c2pa.opened"
    assert found.actions[1] == "c2pa.edited (compositeWithTrainedAlgorithmicMedia)"
    assert found.consent == (CONSENT,)
    assert [(i.role, i.sha256) for i in found.ingredients] == [
        ("target", "ab" * 32),
        ("driver", "cd" * 32),
    ]
    assert found.statement is not None
    assert found.statement.settings["strength"] == 0.5
    assert found.statement.json() == sidecar_of(output).read_text().rstrip("\n")
    assert (found.generator or "").startswith("likeness ")
    assert found.problems == ()
    stranger = read_manifest(output)
    assert (stranger.valid, stranger.trusted) == (True, False)
    assert "no trusted root" in stranger.problems[0]


@pytest.mark.parametrize("name", ["p%d.png", "p%d.tif", "p%d.exr", "folder"])
def test_every_picture_carries_a_valid_manifest(
    camera_clip: Clip, tmp_path: Path, name: str
) -> None:
    from likeness.provenance.reading import read_detached
    from likeness.provenance.signing import Content

    two = Clip(**{**vars(camera_clip), "pts": camera_clip.pts[:2]})
    write(tmp_path / name, two)
    pictures = sorted([*tmp_path.glob("p?.*"), *tmp_path.glob("folder/*")])
    assert len(pictures) == 2
    if name.endswith("exr"):
        beside = detached_of(tmp_path / name)
        found = read_detached(Content(tuple(pictures)), beside, trust_anchors())
        assert (found.source, found.trusted, found.consent) == ("sidecar", True, (CONSENT,))
        pictures.reverse()
        swapped = read_detached(Content(tuple(pictures)), beside, trust_anchors())
        assert swapped.finding == "content changed"
        return
    assert not detached_of(tmp_path / name).exists()
    for picture in pictures:
        found = read_manifest(picture, trust_anchors())
        assert (found.source, found.trusted, found.consent) == ("embedded", True, (CONSENT,))
    data = bytearray(pictures[0].read_bytes())
    data[len(data) // 2 if name.endswith("tif") else data.find(b"IDAT") + 60] ^= 1
    pictures[0].write_bytes(data)
    assert read_manifest(pictures[0], trust_anchors()).finding == "content changed"


def test_a_changed_pixel_is_told(signed: Path, tmp_path: Path) -> None:
    def change(data: bytearray) -> None:
        # In the middle of the largest coded picture.
        coded = max((packet[-1] for packet in everything(signed)[0]), key=len)
        data[data.find(coded) + len(coded) // 2] ^= 0x10

    found = judge(altered(signed, tmp_path / "t.mp4", change))
    assert (found.finding, found.present, found.valid) == ("content changed", True, False)
    assert "coded pictures differ" in found.problems[-1]


def test_changed_metadata_is_told_from_changed_pixels(signed: Path, tmp_path: Path) -> None:
    def change(data: bytearray) -> None:
        at = data.rfind(b"Synthetic media")
        data[at : at + 9] = b"Authentic"

    found = judge(altered(signed, tmp_path / "t.mp4", change))
    assert found.finding == "content changed"
    assert "coded pictures are untouched" in found.problems[-1]


@pytest.mark.parametrize("where", ["anna.mp4", CONSENT, "c2pa.edited", "c2pa.signature"])
def test_a_changed_manifest_is_told(signed: Path, tmp_path: Path, where: str) -> None:
    def change(data: bytearray) -> None:
        data[data.find(where.encode()) + 1] ^= 1

    found = judge(altered(signed, tmp_path / "t.mp4", change))
    assert (found.finding, found.present, found.valid) == ("manifest changed", True, False)
    assert found.problems


def test_a_stripped_manifest_is_told(signed: Path, tmp_path: Path) -> None:
    found = judge(copied(signed, tmp_path / "s.mp4"))
    assert (found.finding, found.present, found.valid) == ("stripped", False, False)
    assert "cut out" in found.problems[-1]
    assert found.statement is not None
    assert found.statement.consent == (CONSENT,)


def test_a_lost_sidecar_is_told(camera_clip: Clip, tmp_path: Path) -> None:
    output = write(tmp_path / "o.mkv", camera_clip)
    detached_of(output).unlink()
    found = judge(output)
    assert found.finding == "stripped"
    assert "cannot be told" in found.problems[-1]


def test_a_file_coded_anew_is_told(signed: Path, tmp_path: Path) -> None:
    found = judge(copied(signed, tmp_path / "r.mp4", codec="libx264"))
    assert (found.finding, found.present, found.valid) == ("re-encoded", False, False)
    assert "coded anew" in found.problems[-1]


def test_a_file_coded_anew_in_place_of_the_original_is_told(
    camera_clip: Clip, tmp_path: Path
) -> None:
    output = write(tmp_path / "o.mkv", camera_clip)
    shutil.move(copied(output, tmp_path / "n.mkv", codec="libx264"), output)
    found = judge(output)
    assert (found.finding, found.source) == ("content changed", "sidecar")


def test_without_metadata_only_the_record_beside_it_speaks(signed: Path, tmp_path: Path) -> None:
    bare = copied(signed, tmp_path / "b.mp4", metadata=False)
    assert judge(bare) == ManifestReading()
    shutil.copy(sidecar_of(signed), sidecar_of(bare))
    assert judge(bare).finding == "stripped"


def test_what_was_never_marked_has_none(camera_clip: Clip, tmp_path: Path) -> None:
    assert judge(camera_clip.path) == ManifestReading()
    text = tmp_path / "notes.mp4"
    text.write_text("no video at all")
    assert read_manifest(text).present is False
    with pytest.raises(MediaError, match="is no file"):
        read_manifest(tmp_path / "missing.mp4")


def test_real_clips_have_no_manifest(shared_data: Path) -> None:
    clips = sorted((shared_data / "clips").glob("*.mp4"))
    assert clips
    for clip in clips:
        assert judge(clip) == ManifestReading()
    pictures = sorted((shared_data / "portraits").glob("*.*"))[:3]
    for picture in pictures:
        assert read_manifest(picture).present is False


def test_a_cut_off_file_is_told(signed: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.mp4"
    short.write_bytes(signed.read_bytes()[: signed.stat().st_size * 4 // 5])
    found = read_manifest(short, trust_anchors())
    assert found.present
    assert not found.valid


def test_the_essence_survives_a_copy_and_nothing_else(signed: Path, tmp_path: Path) -> None:
    assert read_essence(copied(signed, tmp_path / "c.mkv")) == read_essence(signed)
    assert read_essence(copied(signed, tmp_path / "r.mp4", "libx264")) != read_essence(signed)
    assert read_essence(signed) in read_marks(signed)["comment"]
    with pytest.raises(MediaError, match="cannot be read as video"):
        read_essence(sidecar_of(signed))


def everything(path: Path) -> dict[int, list[tuple[object, ...]]]:
    """Per stream: time stamps, flags and bytes of each packet."""
    found: dict[int, list[tuple[object, ...]]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size:
                times = (packet.pts, packet.dts, packet.duration, packet.time_base)
                content = (packet.is_keyframe, bytes(packet))
                found.setdefault(packet.stream_index, []).append((*times, *content))
    return found


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v"])
def test_signing_leaves_time_and_sound_bit_for_bit(
    make_clip: Callable[..., Path], tmp_path: Path, suffix: str
) -> None:
    from likeness.provenance import load_credentials
    from likeness.provenance.signing import sign_into
    from tests.conftest import moving_frames
    from tests.provenance.conftest import statement

    pts = np.cumsum([0, 700, 900, 1001, 1, 3000] * 8)
    plain = make_clip(
        tmp_path / f"plain{suffix}",
        moving_frames(48),
        pts=[int(p) for p in np.unique(pts)] + list(range(90000, 90000 + 48 - len(np.unique(pts)))),
        time_base=Fraction(1, 30000),
        tones=(440.0, 660.0),
    )
    signed = tmp_path / f"signed{suffix}"
    sign_into(plain, signed, statement(), "ee" * 32, load_credentials())
    before, after = everything(plain), everything(signed)
    assert sorted(before) == [0, 1, 2]
    assert before == after
    assert np.array_equal(open_clip(plain).pts, open_clip(signed).pts)
    with av.open(str(plain)) as one, av.open(str(signed)) as two:
        assert one.duration == two.duration
        assert [s.start_time for s in one.streams] == [s.start_time for s in two.streams]


def test_encode_keeps_the_sound_of_its_timeline(camera_clip: Clip, signed: Path) -> None:
    sound = {i: [p[-1] for p in s] for i, s in everything(camera_clip.path).items()}[1]
    assert [packet[-1] for packet in everything(signed)[1]] == sound
    assert Timeline.of(camera_clip).pts.tolist() == open_clip(signed).pts.tolist()


def test_the_container_metadata_names_the_same_statement(signed: Path) -> None:
    found = judge(signed)
    assert found.statement is not None
    assert json.loads(read_marks(signed)["description"]) == json.loads(found.statement.json())


def test_no_changed_byte_passes_as_valid_with_other_pixels(
    camera_clip: Clip, tmp_path: Path
) -> None:
    from PIL import Image

    one = Clip(**{**vars(camera_clip), "pts": camera_clip.pts[:1]})
    picture = write(tmp_path / "p.tif", one)
    data, pixels = picture.read_bytes(), np.array(Image.open(picture))
    findings = set()
    for at in range(8, len(data), 149):
        changed = bytearray(data)
        changed[at] ^= 1
        picture.write_bytes(changed)
        found = read_manifest(picture, trust_anchors())
        findings.add(found.finding)
        # What a manifest leaves room for is not signed and holds nothing.
        assert not found.valid or np.array_equal(np.array(Image.open(picture)), pixels)
    assert {"content changed", "manifest changed"} <= findings

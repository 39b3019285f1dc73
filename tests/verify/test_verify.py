"""What `likeness verify` says of our own files, changed ones, foreign ones and broken ones."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from likeness.actor import Actor, Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.cli.app import run
from likeness.decode import open_clip, stream
from likeness.encode import encode
from likeness.errors import MediaError
from likeness.provenance import Manifest, trust_anchors
from likeness.provenance.watermark import Stamp
from likeness.types import Window
from likeness.verify import Verification, verify_file, write_report
from likeness.verify.words import headline
from tests.conftest import moving_frames, write_clip
from tests.provenance.test_reading import copied

FRAMES = 50


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of the actor, 256x256, as the program writes them."""
    path = tmp_path_factory.mktemp("ours") / "ours.mp4"
    motion = Motion.from_seed(1, FRAMES / 25, style="expressive")
    write_actor_clip(Actor.from_seed(3), motion, path, RenderConfig((256, 256), samples=1))
    return path


@pytest.fixture(scope="module")
def found(ours: Path) -> Verification:
    """Our own file, examined without any trusted root."""
    return verify_file(ours)


@pytest.fixture
def marks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the signals out, where a test is about manifest and watermark."""
    monkeypatch.setattr("likeness.verify.verification.SIGNALS", ())


def test_our_own_file_is_valid_and_marked(found: Verification) -> None:
    facts = found.json()
    assert facts["manifest"]["valid"]
    assert not facts["manifest"]["trusted"]
    assert facts["manifest"]["consent"] == []
    assert any("c2pa.created" in action for action in facts["manifest"]["actions"])
    assert facts["watermark"]["present"]
    assert facts["watermark"]["p_value"] < 1e-6
    assert found.manifest.statement is not None
    # Two seconds at this size always show the mark, not always its payload.
    expected = f"{Stamp.of(found.manifest.statement).payload():016x}"
    assert facts["watermark"]["payload"] in (None, expected)
    assert facts["verdict"].startswith("Marked as synthetic")


def test_the_answer_keeps_its_contract(found: Verification) -> None:
    facts = found.json()
    assert {"valid", "trusted", "actions", "consent"} <= facts["manifest"].keys()
    assert {"present", "p_value", "payload"} <= facts["watermark"].keys()
    forensics = facts["forensics"]
    assert {"score", "calibrated", "blind_spots"} <= forensics.keys()
    assert forensics["calibrated"] is False
    assert len(forensics["blind_spots"]) >= len(found.signals)
    assert list(forensics["signals"]) == ["blink", "head_pose", "spectrum", "background", "learned"]
    scores = [one["score"] for one in forensics["signals"].values() if one["score"] is not None]
    assert forensics["score"] == max(scores)
    assert facts["face_frames"] == FRAMES
    assert json.loads(json.dumps(facts)) == facts


def test_trust_comes_with_the_root_alone(ours: Path) -> None:
    from likeness.provenance import read_manifest

    assert not read_manifest(ours).trusted
    assert read_manifest(ours, trust_anchors()).trusted


@pytest.mark.usefixtures("marks_only")
def test_a_tampered_pixel_is_told(ours: Path, tmp_path: Path) -> None:
    data = bytearray(ours.read_bytes())
    # In the middle of the picture data, between the boxes that the manifest and the index fill.
    start = data.find(b"mdat") + 4
    data[start + 20_000] ^= 0x11
    path = tmp_path / "pixel.mp4"
    path.write_bytes(data)
    facts = verify_file(path).json()
    assert facts["manifest"]["finding"] == "content changed"
    assert not facts["manifest"]["valid"]
    assert facts["watermark"]["present"]
    assert facts["verdict"].startswith("Synthetic: it carries this program's watermark.")
    assert facts["verdict"].endswith("It was altered after it was signed.")
    assert facts["reasons"][0].startswith("Manifest: content changed. ")


@pytest.mark.usefixtures("marks_only")
def test_a_tampered_manifest_is_told(ours: Path, tmp_path: Path) -> None:
    data = ours.read_bytes()
    assert data.count(b"algorithmicMedia") >= 1
    path = tmp_path / "manifest.mp4"
    path.write_bytes(data.replace(b"type/algorithmicMedia", b"type/algorithmicMedlo"))
    facts = verify_file(path).json()
    assert facts["manifest"]["finding"] in ("manifest changed", "content changed")
    assert not facts["manifest"]["valid"]
    assert facts["watermark"]["present"]


@pytest.mark.usefixtures("marks_only")
def test_a_stripped_manifest_is_told(ours: Path, tmp_path: Path) -> None:
    facts = verify_file(copied(ours, tmp_path / "stripped.mp4")).json()
    assert facts["manifest"]["finding"] == "stripped"
    assert not facts["manifest"]["valid"]
    assert facts["watermark"]["present"]
    bare = verify_file(copied(ours, tmp_path / "bare.mp4", metadata=False)).json()
    assert bare["manifest"]["finding"] == "none"
    assert bare["watermark"]["present"]
    assert bare["verdict"] == "Synthetic: it carries this program's watermark."


@pytest.mark.usefixtures("marks_only")
def test_a_file_that_was_coded_anew_keeps_its_watermark(ours: Path, tmp_path: Path) -> None:
    facts = verify_file(copied(ours, tmp_path / "anew.mp4", codec="libx264")).json()
    assert facts["manifest"]["finding"] == "re-encoded"
    assert facts["watermark"]["present"]


def test_mark_and_manifest_are_compared(found: Verification) -> None:
    stated = found.manifest.statement
    assert stated is not None
    mark = replace(found.watermark, payload=Stamp.of(stated).payload())
    ours = replace(found, watermark=mark)
    assert "the same origin as the manifest" in " ".join(ours.json()["reasons"])
    assert ours.json()["watermark"]["created"] == Stamp.of(stated).created.isoformat()
    other = Manifest("other", "render", created="2026-01-01T00:00:00+00:00")
    borrowed = replace(ours, manifest=replace(found.manifest, statement=other))
    assert "another origin" in " ".join(borrowed.json()["reasons"])


def test_real_clips_have_no_manifest_and_no_mark(shared_data: Path) -> None:
    facts = verify_file(shared_data / "clips" / "man_speech_dim_5s.mp4").json()
    assert facts["manifest"]["finding"] == "none"
    assert not facts["watermark"]["present"]
    assert facts["watermark"]["p_value"] > 1e-3
    assert facts["watermark"]["payload"] is None
    assert facts["forensics"]["score"] < 0.25
    assert facts["verdict"] == "No sign found. That does not prove that it comes from a camera."


@pytest.mark.slow
@pytest.mark.parametrize("name", ["woman_expressions_34s.mp4", "man_talkingface_120s.mp4"])
def test_long_real_clips_have_no_manifest_and_no_mark(shared_data: Path, name: str) -> None:
    facts = verify_file(shared_data / "clips" / name).json()
    assert facts["manifest"]["finding"] == "none"
    assert not facts["watermark"]["present"]
    assert facts["forensics"]["score"] < 0.25


def test_a_real_photograph_is_examined(shared_data: Path) -> None:
    found = verify_file(shared_data / "portraits" / "congress_B000668.jpg")
    facts = found.json()
    assert (facts["frames"], facts["face_frames"], facts["seconds_of_video"]) == (1, 1, None)
    assert facts["manifest"]["finding"] == "none"
    assert not facts["watermark"]["present"]
    assert facts["forensics"]["signals"]["blink"]["score"] is None
    assert len(found.crops) == 1


@pytest.mark.usefixtures("marks_only")
def test_our_own_picture_is_valid_and_marked(ours: Path, tmp_path: Path) -> None:
    like = open_clip(ours)
    _, frames = next(stream(like, 1))
    path = tmp_path / "ours.png"
    one = replace(like, pts=like.pts[:1], audio=())
    with encode(path, one, Manifest("ours", "render")) as picture:
        picture.append(frames)
    facts = verify_file(path).json()
    assert facts["manifest"]["valid"]
    assert facts["watermark"]["present"]


def test_a_clip_without_a_face_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_clip(tmp_path / "bars.mp4", moving_frames(12, (96, 128)))
    capsys.readouterr()
    assert run(["verify", str(path), "--json", "--report", str(tmp_path / "bars.html")]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["forensics"]["score"] is None
    assert facts["forensics"]["strength"] == "could not be judged"
    assert facts["face_frames"] == 0
    assert "Nothing could be judged" in facts["verdict"]
    assert (tmp_path / "bars.html").stat().st_size > 5000


@pytest.mark.parametrize("content", [b"", b"no video at all", b"\0\0\0\x18ftypisom" + bytes(64)])
def test_a_file_that_is_no_video_is_a_sentence(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.mp4"
    path.write_bytes(content)
    assert run(["verify", str(path), "--json"]) == 1
    assert "odd.mp4" in json.loads(capsys.readouterr().out)["error"]
    with pytest.raises(MediaError):
        verify_file(tmp_path / "missing.mp4")


@pytest.mark.usefixtures("marks_only")
def test_a_file_that_is_cut_off_is_examined_as_far_as_it_goes(ours: Path, tmp_path: Path) -> None:
    whole = copied(ours, tmp_path / "whole.mkv", metadata=False)
    path = tmp_path / "half.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    found = verify_file(path)
    assert 10 < len(found.clip) < FRAMES
    assert found.watermark.frames == len(found.clip)


def test_pixels_are_held_by_the_window(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that looks at frames is given more than a few at once, or the same ones twice."""
    from likeness.verify import verification

    seen: list[Window] = []

    class Watcher:
        def look(self, window: Window, frames: torch.Tensor) -> None:
            assert len(frames) == len(window) <= 8
            seen.append(window)

        def read(self) -> Any:
            from likeness.verify import SignalReading

            return SignalReading("watcher", "Watcher", None, "saw", "everything else")

    monkeypatch.setattr(verification, "SIGNALS", (lambda scene: Watcher(),))
    found = verify_file(ours)
    assert [i for window in seen for i in window] == list(range(FRAMES))
    assert found.score is None
    assert "Watcher: everything else" in found.blind_spots


def test_the_report_stands_alone(found: Verification, tmp_path: Path) -> None:
    page = write_report(found, tmp_path / "r.html").read_text()
    for text in ("Timeline", "Face crops", *(signal.title for signal in found.signals)):
        assert text in page
    for signal in found.signals:
        assert signal.blind_spot.split(".")[0].replace("'", "&#39;") in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "<script" not in page
    assert page.count("data:image/png") >= len(found.crops) + 4


def test_no_sentence_says_that_anything_is_real(found: Verification) -> None:
    from likeness.provenance import ManifestReading
    from likeness.provenance.watermark import WatermarkReading

    none = replace(
        found,
        manifest=ManifestReading(),
        watermark=replace(found.watermark, present=False, payload=None, p_value=1.0),
    )
    assert isinstance(none.watermark, WatermarkReading)
    quiet = replace(none, signals=tuple(replace(s, score=0.0) for s in found.signals))
    loud = replace(none, signals=tuple(replace(s, score=0.9) for s in found.signals))
    assert headline(quiet) == "No sign found. That does not prove that it comes from a camera."
    assert headline(loud).startswith("Clear sign of manipulation")
    for one in (found, none, quiet, loud):
        facts = one.json()
        said = " ".join([facts["verdict"], *facts["reasons"]]).lower()
        assert not re.search(r"\b(is|looks|seems) (real|genuine|authentic|a recording)\b", said)


def test_people_get_a_table(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["verify", str(ours), "--trust-mine"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("Marked as synthetic")
    assert "leads to a trusted root" in said
    assert "What this cannot see" in said


def test_roots_are_given_as_certificates(ours: Path, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_text("\n".join(trust_anchors()))
    arguments = ["verify", str(ours), "--dry-run", "--json", "--trust"]
    assert run([*arguments, str(tmp_path / "root.pem")]) == 0
    (tmp_path / "odd.pem").write_text("no certificate")
    assert run([*arguments, str(tmp_path / "odd.pem")]) == 2
    assert run([*arguments, str(tmp_path / "missing.pem")]) == 2


@pytest.mark.usefixtures("marks_only")
def test_the_mark_is_found_at_another_frame_rate(ours: Path, tmp_path: Path) -> None:
    clip = open_clip(ours)
    pictures = np.concatenate(
        [frames.permute(0, 2, 3, 1).mul(255).byte().numpy() for _, frames in stream(clip)]
    )
    path = write_clip(
        tmp_path / "slow.mp4", pictures[::2], time_base=Fraction(1, 25), options={"crf": "23"}
    )
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == FRAMES // 2
    assert verify_file(path).watermark.present

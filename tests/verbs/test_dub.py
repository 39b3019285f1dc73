"""A portrait of one actor, among others, is dubbed by another actor and by sound alone."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.actor import Motion, RenderConfig, truth
from likeness.actor.voice import speak
from likeness.actor_clip import write_actor_clip
from likeness.cli.app import run
from likeness.composite import composite
from likeness.decode import Decoder, open_clip
from likeness.encode import encode
from likeness.errors import ConfigError, MediaError, TrackError
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.portrait.speech import SpeechTraining
from likeness.methods.portrait.tasks import FastConfig
from likeness.methods.table import METHODS
from likeness.people import chooser
from likeness.plan.plan import repetition
from likeness.provenance import read_manifest, trust_anchors
from likeness.provenance.manifest import RENDERED, Manifest
from likeness.provenance.permission import actor_entry
from likeness.store import load_bundle
from likeness.types import Clip, FaceTrack, Shot, Timeline, Window
from likeness.verbs.dub import DubConfig, dub
from likeness.verbs.train import train_portrait
from tests.stage import actor

SIDE, FRAMES = 128, 100
CAMERA = RenderConfig(size=(SIDE, SIDE), samples=1)
QUICK = SpeechTraining(steps=8, batch=8)


def filmed(path: Path, seed: int, motion: int, seconds: float = FRAMES / 25) -> Shot:
    """An actor who speaks, with true track and params."""
    performance = Motion.from_seed(motion, seconds)
    clip = write_actor_clip(actor(seed), performance, path, CAMERA, sound=True)
    known = truth(actor(seed), performance, CAMERA)
    xy = known.landmarks[..., :2]
    boxes = np.concatenate([xy.min(1), xy.max(1)], 1).astype(np.float32)
    n = len(clip)
    track = FaceTrack(0, boxes, known.landmarks, np.ones(n, np.float32), np.ones(n, bool))
    return Shot(clip, track, known.params)


def between_two_others(left: Clip, middle: Shot, path: Path) -> Shot:
    """The middle's actor with another on both sides, so that the camera stays centered."""
    manifest = Manifest(
        path.name, "render", people=(actor_entry(3, "target"),), digital_source_type=RENDERED
    )
    like = replace(middle.clip, size=(SIDE, 3 * SIDE))
    timeline = Timeline.of(middle.clip, middle.clip)
    with (
        Decoder(left) as one,
        Decoder(middle.clip) as other,
        encode(path, like, manifest, timeline) as video,
    ):
        for window in middle.clip.windows(20):
            sides, face = one.read(window), other.read(window)
            video.append(torch.cat([sides, face, sides], 3))
    track = middle.track
    landmarks = track.landmarks + np.array([SIDE, 0, 0], np.float32)
    boxes = track.boxes + np.array([SIDE, 0, SIDE, 0], np.float32)
    return Shot(open_clip(path), replace(track, boxes=boxes, landmarks=landmarks), middle.params)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """target.bundle of group.mp4 (three people, sound), speaker.mp4 (3 s) and speaker.wav."""
    folder = tmp_path_factory.mktemp("dub")
    other = filmed(folder / "other.mp4", 5, 8)
    alone = filmed(folder / "alone.mp4", 3, 7)
    shot = between_two_others(other.clip, alone, folder / "group.mp4")
    fast = FastConfig(batch=2, keyframes=24, apart=2, widths=(8, 8, 8, 8, 8))
    how = ReenactTraining(size=128, steps=4, holdout="none", method=fast)
    train_portrait(shot, folder / "target.bundle", how)
    filmed(folder / "speaker.mp4", 6, 9, 3.0)
    with wave.open(str(folder / "speaker.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        samples = speak(Motion.from_seed(9, 5.0))
        file.writeframes((samples * 30000).astype(np.int16).tobytes())
    return folder


def test_only_the_lower_face_is_touched_and_others_are_left_alone(place: Path) -> None:
    bundle = load_bundle(place / "target.bundle")
    assert bundle.shot is not None
    shot = bundle.shot
    track = replace(shot.track, observed=np.arange(FRAMES) != 42)
    own = repetition(replace(shot, track=track))
    wide = replace(shot.params, expression=shot.params.expression + 0.3)
    plan = replace(own, params=wide, underlay=shot.params, lower_face=True)
    method = METHODS[bundle.method].open(bundle, plan, torch.device("cpu"))
    window = Window(40, 44)
    with Decoder(shot.clip) as decoder:
        frames = decoder.read(window)
    painted = composite(frames, method.synthesize(method.condition(window, frames)))
    changed = (painted != frames).any(1).numpy()
    # The frame in which the face was not seen stays as it is, and so do the people beside.
    assert changed.any((1, 2)).tolist() == [True, True, False, True]
    assert not changed[:, :, :SIDE].any()
    assert not changed[:, :, 2 * SIDE :].any()
    for index in (0, 1, 3):
        points = shot.track.landmarks[40 + index, :, :2]
        rows = np.flatnonzero(changed[index].any(1))
        # Nothing as high as the lower lids, and the whole mouth.
        assert rows.min() > points[[145, 374], 1].max()
        x, y = points[[13, 14, 61, 291]].astype(int).T
        assert changed[index][y, x].all()


def test_a_speakers_mouth_arrives_with_the_sound(
    place: Path, packets: Callable[..., list[list[tuple[int | None, bytes]]]]
) -> None:
    output = place / "dubbed.mp4"
    report = dub(place / "target.bundle", place / "speaker.mp4", output)
    result, target = open_clip(output), open_clip(place / "group.mp4")
    assert report.driven_by == "face"
    assert report.frames == len(result) == FRAMES
    assert np.array_equal(result.pts * result.time_base, target.pts * target.time_base)
    assert result.size == (SIDE, 3 * SIDE)
    assert (report.sound, report.sound_cut_seconds) == ("copied", 0)
    assert packets(output) == packets(place / "speaker.mp4")
    # Three seconds of speech on four of the target: the mouth rests in the last one.
    assert report.overrun == 25
    assert any("rests in the last 25 frames" in warning for warning in report.warnings)
    assert report.av_offset_against == "reference"
    assert report.av_offset_ms == pytest.approx(0, abs=40)
    manifest = read_manifest(output, trust_anchors())
    assert manifest.trusted
    assert manifest.statement is not None
    assert manifest.statement.action == "dub"
    assert [part.role for part in manifest.statement.ingredients] == ["bundle", "target", "driver"]


def test_sound_alone_moves_the_mouth(place: Path) -> None:
    output = place / "said.mp4"
    config = DubConfig(speech=QUICK)
    report = dub(place / "target.bundle", place / "speaker.wav", output, config)
    assert report.driven_by == "sound"
    assert report.frames == FRAMES
    # PCM has no place in MP4, and five seconds none in four.
    assert report.sound == "coded anew"
    assert report.sound_cut_seconds == pytest.approx(1.0, abs=0.01)
    assert len(report.warnings) >= 2
    (track,) = open_clip(output).audio
    assert track.codec == "aac"
    kept = list((place / ".likeness").glob("*.bundle"))
    assert len(kept) == 1
    assert load_bundle(kept[0]).method == "speech"
    again = dub(place / "target.bundle", place / "speaker.wav", place / "again.mkv", config)
    assert again.sound == "copied"
    assert list((place / ".likeness").glob("*.bundle")) == kept


def test_a_target_without_speech_says_what_to_do(place: Path, tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    performance = Motion.from_seed(2, 1.0)
    clip = write_actor_clip(actor(3), performance, silent, CAMERA)
    known = truth(actor(3), performance, CAMERA)
    xy = known.landmarks[..., :2]
    boxes = np.concatenate([xy.min(1), xy.max(1)], 1).astype(np.float32)
    track = FaceTrack(0, boxes, known.landmarks, np.ones(25, np.float32), np.ones(25, bool))
    fast = FastConfig(batch=1, keyframes=4, apart=1, widths=(8, 8, 8, 8, 8))
    how = ReenactTraining(size=64, steps=1, holdout="none", method=fast)
    train_portrait(Shot(clip, track, known.params), tmp_path / "s.bundle", how)
    with pytest.raises(MediaError, match=r"has no sound.*give a clip in which the dubbing actor"):
        dub(tmp_path / "s.bundle", place / "speaker.wav", tmp_path / "no.mp4")
    assert not (tmp_path / "no.mp4").exists()
    silent.unlink()
    with pytest.raises(MediaError, match="is gone"):
        dub(tmp_path / "s.bundle", place / "speaker.wav", tmp_path / "no.mp4")


def test_the_speaker_is_chosen_by_number(place: Path) -> None:
    shots = [filmed(place / f"choice{seed}.mp4", seed, 1, 0.2) for seed in (5, 6)]
    assert chooser("largest")(shots) is shots[0]
    assert chooser("1")(shots) is shots[1]
    with pytest.raises(TrackError, match="from 0 to 1"):
        chooser("2")(shots)
    with pytest.raises(ConfigError, match="largest, a number"):
        chooser("left")(shots)
    with pytest.raises(MediaError, match="has no pictures"):
        dub(
            place / "target.bundle",
            place / "speaker.wav",
            place / "no.mp4",
            DubConfig(by="face"),
        )


def test_the_command_plans_and_reports(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    arguments = [
        *("dub", str(place / "target.bundle"), str(place / "speaker.mp4")),
        *("-o", str(place / "command.mp4"), "--json"),
    ]
    assert run([*arguments, "--dry-run", "--from", "sound", "--minutes", "2"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["plan"]["by"] == "sound"
    assert plan["settings"]["speech"]["minutes"] == 2
    assert not (place / "command.mp4").exists()
    assert run(arguments) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {
        *("output", "frames", "fallback_frames", "seconds", "peak_rss_mb", "av_offset_ms"),
        *("driven_by", "sound", "fps"),
    } <= facts.keys()
    assert facts["fallback_frames"] == []


def test_a_late_first_frame_keeps_sound_and_lips_together(place: Path) -> None:
    speaker = open_clip(place / "speaker.mp4")
    late = place / "late.mp4"
    manifest = Manifest(
        late.name, "render", people=(actor_entry(6, "target"),), digital_source_type=RENDERED
    )
    # The picture starts 0.2 s into the sound, and shows what belongs there.
    timeline = Timeline(speaker.pts[5:], speaker.time_base, speaker.last_duration, speaker)
    with Decoder(speaker) as decoder, encode(late, speaker, manifest, timeline) as video:
        for start in range(5, len(speaker), 10):
            video.append(decoder.read(Window(start, min(start + 10, len(speaker)))))
    assert open_clip(late).pts[0] * open_clip(late).time_base == Fraction(1, 5)
    report = dub(place / "target.bundle", late, place / "late_dub.mp4")
    assert report.av_offset_ms == pytest.approx(0, abs=40)
    result = open_clip(place / "late_dub.mp4")
    assert result.pts[0] * result.time_base == Fraction(1, 5)

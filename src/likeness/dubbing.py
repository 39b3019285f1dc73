"""Dubbing: somebody's mouth, or sound alone, moves the mouth of a portrait, in step with it."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from likeness import config as settings
from likeness.controls import Values
from likeness.decode import open_clip
from likeness.decode.sound import SPEECH_RATE, has_pictures, open_sound, read_sound
from likeness.encode import EncodeConfig, Signed
from likeness.encode.sound import can_copy, recode
from likeness.errors import ConfigError, MediaError, TrackError
from likeness.fit.seen_range import Seen
from likeness.fit.transfer import Transfer, TransferConfig, transfer
from likeness.geometry import whole_square
from likeness.methods.dub import Dub
from likeness.methods.dub_speech import SpeechTraining, mouth_columns, speech_of, spoken
from likeness.methods.dub_timing import keep_closures, lip_gap, resting_after
from likeness.methods.reenact import CPU, PortraitModel, open_portrait
from likeness.metrics.lips import heard, middles, seen
from likeness.metrics.sound import Offset, at_rate, sync_offset
from likeness.performance import Performance, performance_of
from likeness.pipeline import (
    AnalyzeConfig,
    RunReport,
    analyze,
    choose_shot,
    peak_rss_mb,
    run,
    target_frames,
)
from likeness.provenance.consent import Consent
from likeness.provenance.manifest import Ingredient, sha256_of
from likeness.provenance.motion import driven_by
from likeness.provenance.permission import permit_synthesis
from likeness.store import load_bundle, load_face_model
from likeness.track.measure import mouth_openness
from likeness.types import Bools, FaceParams, Progress, Shot, Sound, Timeline, silent

log = logging.getLogger(__name__)

By = Literal["auto", "face", "sound"]
Laid = Literal["copied", "coded anew", "none"]


@dataclass(frozen=True)
class DubConfig:
    """Settings of `likeness dub`."""

    by: By = "auto"
    """What moves the mouth: the face in the new clip, its sound alone, or the face where there is
    one."""
    face: str = "largest"
    """Who speaks in the new clip: largest, or the number of a person as likeness track counts."""
    transfer: TransferConfig = field(default_factory=lambda: TransferConfig(mode="mouth"))
    speech: SpeechTraining = field(default_factory=SpeechTraining)
    analyze: AnalyzeConfig = field(default_factory=AnalyzeConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)

    def __post_init__(self) -> None:
        if self.transfer.mode != "mouth":
            raise ConfigError(
                f"transfer.mode is {self.transfer.mode!r} in a dub; expected 'mouth'. For more of "
                "the driver use likeness reenact"
            )


@dataclass(frozen=True)
class DubReport(RunReport):
    """What `likeness dub` has to say."""

    driven_by: Literal["face", "sound"] = "face"
    sound: Laid = "none"
    """How the new sound came into the output; copied is bit for bit."""
    sound_cut_seconds: float = 0.0
    """How much of the new sound is left out, because the target's clip ends before it."""
    av_offset_ms: float | None = None
    """How late the sound comes after the lips, measured in the written file; None where it can't
    be told."""
    av_offset_confidence: float | None = None
    av_offset_against: str | None = None
    """The "reference" is the dubbing actor; "own lips" compares the sound with the lips it gave."""


@dataclass(frozen=True, eq=False)
class Mouth:
    """What the target's mouth shall do over its clip, and where that comes from."""

    moved: Transfer
    guessed: Bools
    """(M,) frames in which the speaker's face was not seen."""
    ends: float
    """Seconds from the target's first frame at which the speech is over."""
    begins: Fraction
    """Moment of the new sound's own clock that goes with the target's first frame."""
    shot: Shot | None
    """The speaker, where a face was followed."""


def dub(
    bundle: Path,
    speech: Path,
    output: Path,
    config: DubConfig | None = None,
    progress: Progress = silent,
    *,
    consents: Sequence[Consent] = (),
    device: torch.device = CPU,
) -> DubReport:
    """Let the mouth of a portrait's clip follow new speech, and lay that under it.

    The output runs on the target's timeline. Speech that is longer is cut; after speech that is
    shorter the mouth rests. Pixels outside the lower face are those that were decoded.

    Args:
        bundle: NAME.bundle of `likeness train reenact`; its clip has to be where it was.
        speech: a clip in which somebody speaks, or a sound file.
        output: video to write.
        config: settings.
        progress: called as (stage, done, total).
        consents: records besides those in the bundle: a newer one of the target, the speaker's.
        device: where the generator runs.

    Raises:
        ConsentError: the target's consent is missing, over or revoked, or does not cover dubbing.
        MediaError: the target's clip is gone or, by sound alone, holds no speech to learn from.
        BundleError, TrackError, FitError, ConfigError: an input is not usable.
    """
    config = config or DubConfig()
    began = time.monotonic()
    portrait = open_portrait(load_bundle(bundle), device)
    # Before the speaker is analyzed, which takes time; their own consent is looked at below.
    permit_synthesis(portrait.people, "dub", consents)
    _check_frames(portrait)
    speaker = _speaker(speech, config, progress)
    heard_file = speaker.clip.path if speaker else speech
    sound = _sound(heard_file)
    whose = driven_by(speech, speaker.clip) if speaker else sound
    permission = permit_synthesis(portrait.people, "dub", consents, whose)
    own = performance_of(portrait.shot, "target")
    if speaker:
        mouth = by_face(portrait, own, speaker, config.transfer)
    else:
        mouth = by_sound(portrait, own, speech, config.speech, progress)
    moved, theirs = mouth.moved.params, (portrait.target, portrait.observed)
    params, resting = resting_after(moved, own.seconds, mouth.ends, *theirs)
    by = Ingredient("driver" if speaker else "sound", heard_file.name, _digest(speaker, sound))
    whole = Ingredient("bundle", bundle.name, sha256_of(bundle / "bundle.json"))
    used, seen_in = (whole, own.ingredient, by), ~own.guessed
    method = Dub(portrait, own.params, params, seen_in, permission, used, settings.to_json(config))
    written = _write(method, own, mouth, sound, output, config.encode, progress)
    offset = measure(output, portrait, speaker, progress) if written.how != "none" else None
    report = _report(output, own, mouth, written, offset, resting)
    for warning in report.warnings:
        log.warning("%s", warning)
    return replace(report, seconds=time.monotonic() - began)


def _check_frames(portrait: PortraitModel) -> None:
    if not portrait.shot.clip.path.exists():
        raise MediaError(
            f"{portrait.shot.clip.path} is gone, and dubbing paints into its frames; put it back "
            "where it was"
        )


@dataclass(frozen=True)
class _Written:
    """What became of the output."""

    signed: Signed
    how: Laid
    cut: float
    """Seconds of the new sound that were left out."""
    codec: str
    """Of the new sound."""


def _write(
    method: Dub,
    own: Performance,
    mouth: Mouth,
    sound: Sound | None,
    output: Path,
    encoding: EncodeConfig,
    progress: Progress,
) -> _Written:
    """Paint and encode; sound that the container can't copy is coded anew beside it first."""
    clip = method.portrait.shot.clip
    with tempfile.TemporaryDirectory(prefix="likeness-") as folder:
        laid, how = _laid(sound, output, Path(folder))
        timeline = _timeline(own, mouth, laid)
        frames = target_frames(method.portrait, timeline)
        signed = run(method, frames, output, clip, timeline, encoding, progress)
    if sound is None:
        return _Written(signed, how, 0.0, "")
    cut = max(0.0, sound.seconds - float(mouth.begins) - clip.seconds)
    return _Written(signed, how, cut, sound.audio[0].codec)


def _report(
    output: Path,
    own: Performance,
    mouth: Mouth,
    written: _Written,
    offset: Offset | None,
    resting: int,
) -> DubReport:
    return DubReport(
        output=str(output),
        frames=len(own),
        fallback_frames=tuple(int(i) for i in np.flatnonzero(mouth.guessed | own.guessed)),
        seconds=0.0,
        peak_rss_mb=peak_rss_mb(),
        manifest=written.signed.where,
        clamped=mouth.moved.clamped,
        clamped_share=tuple(round(float(share), 4) for share in mouth.moved.clamped_share),
        overrun=resting,
        warnings=(*mouth.moved.warnings, *_told(own, written, resting, output)),
        driven_by="face" if mouth.shot else "sound",
        sound=written.how,
        sound_cut_seconds=round(written.cut, 3),
        av_offset_ms=round(offset.ms, 1) if offset else None,
        av_offset_confidence=round(offset.confidence, 3) if offset else None,
        av_offset_against=offset.against if offset else None,
    )


def _digest(speaker: Shot | None, sound: Sound | None) -> str:
    if speaker:
        return speaker.clip.digest
    return sound.digest if sound else ""


def _speaker(speech: Path, config: DubConfig, progress: Progress) -> Shot | None:
    """Find who speaks in the new clip; None where sound alone shall move the mouth."""
    if config.by == "sound":
        return None
    pictures = speech.suffix == ".shot" or has_pictures(speech)
    if not pictures and config.by == "auto":
        return None
    if not pictures:
        raise MediaError(
            f"{speech.name} has no pictures, and --from face was asked for; give a clip in which "
            "the speaker's face is seen, or leave the flag out to dub by sound alone"
        )
    try:
        return choose_shot(analyze(speech, config.analyze, progress), config.face)
    except TrackError as error:
        if config.by == "face":
            raise
        log.warning("%s; dubbing by sound alone", error)
        return None


def by_face(
    portrait: PortraitModel, own: Performance, speaker: Shot, config: TransferConfig
) -> Mouth:
    """Take the mouth's part of a speaker's expression, on the target's timeline."""
    theirs = performance_of(speaker, "driver")
    at = theirs.positions(own.seconds, "hold")
    gap = lip_gap(theirs.params, load_face_model(theirs.params.model))
    at = keep_closures(at, gap)
    seen = Seen(~theirs.guessed, portrait.observed)
    moved = transfer(theirs.params, portrait.target, config, own.params, at, seen)
    clip = speaker.clip
    return Mouth(
        moved,
        theirs.guessed[np.round(at).astype(np.int64)],
        clip.seconds,
        int(clip.pts[0]) * clip.time_base,
        speaker,
    )


def by_sound(
    portrait: PortraitModel,
    own: Performance,
    speech: Path,
    config: SpeechTraining,
    progress: Progress = silent,
) -> Mouth:
    """Let the target's own way of speaking answer to a sound."""
    samples = read_sound(speech)
    if len(samples) == 0:
        raise MediaError(f"the sound of {speech.name} is empty; expected speech")
    model = load_face_model(own.params.model)
    network = speech_of(portrait.shot, model, config, portrait.people, progress)
    shown = own.seconds + _half_a_frame(own)
    expression = own.params.expression.copy()
    columns = mouth_columns(own.params)
    expression[:, columns] = spoken(network, samples, shown)
    wanted: FaceParams = replace(own.params, expression=expression)
    how = TransferConfig(mode="mouth", absolute=True)
    seen = Seen(None, portrait.observed)
    moved = transfer(wanted, portrait.target, how, own.params, seen=seen)
    nothing = np.zeros(len(own), np.bool_)
    return Mouth(moved, nothing, len(samples) / SPEECH_RATE, Fraction(0), None)


def _half_a_frame(own: Performance) -> Values:
    """(M,) seconds from when each frame appears to the middle of its time on screen."""
    ends = np.append(own.seconds[1:], own.seconds[-1] + _last(own.timeline))
    return np.asarray((ends - own.seconds) / 2, np.float64)


def _last(timeline: Timeline) -> float:
    return float(timeline.last_duration * timeline.time_base)


def _sound(speech: Path) -> Sound | None:
    """The new sound; None, with a warning, where a clip of a face has none."""
    try:
        return open_sound(speech)
    except MediaError:
        if not has_pictures(speech):
            raise
        log.warning("%s has no sound; the output will be silent", speech.name)
        return None


def _laid(sound: Sound | None, output: Path, folder: Path) -> tuple[Sound | None, Laid]:
    if sound is None or output.suffix.lower() not in (".mp4", ".mov", ".m4v", ".mkv", ".webm"):
        return None, "none"
    if can_copy(sound, output.suffix):
        return sound, "copied"
    return recode(sound, folder, output.suffix), "coded anew"


def _timeline(own: Performance, mouth: Mouth, sound: Sound | None) -> Timeline:
    """The target's times, moved to where the new sound's clock starts, so that it can be copied."""
    was = own.timeline
    pts = was.pts - was.pts[0] + round(mouth.begins / was.time_base)
    until = (int(pts[-1]) + was.last_duration) * was.time_base
    return Timeline(pts, was.time_base, was.last_duration, sound, until)


def _told(own: Performance, written: _Written, resting: int, output: Path) -> tuple[str, ...]:
    """Say what became of speech of another length, and of sound that a container can't copy."""
    told = []
    if written.how == "none":
        told.append("there is no new sound to lay under it, so the output is silent")
    if written.cut > 0.05:
        lasts = own.seconds[-1] + _last(own.timeline)
        told.append(
            f"the new sound is {written.cut:.2f} s longer than {own.ingredient.name} "
            f"({lasts:.2f} s) and was cut there; dub a longer part of the target to keep it"
        )
    if resting:
        told.append(f"the speech ends early: the mouth rests in the last {resting} frames")
    if written.how == "coded anew":
        told.append(
            f"{output.suffix} does not take {written.codec} as it is, so the sound was coded anew; "
            ".mkv or .mov keep it bit for bit"
        )
    return tuple(told)


def measure(
    output: Path, portrait: PortraitModel, speaker: Shot | None, progress: Progress = silent
) -> Offset | None:
    """Measure in a written dub how late the sound comes after the lips.

    Against the speaker where a face was followed: same sound, and lips that did the same.

    Args:
        output: the dub.
        portrait: whose face it shows.
        speaker: who was followed.
        progress: called as ("listen", done, total).
    """
    result = open_clip(output)
    sound = heard(result)
    if sound is None:
        return None
    square = whole_square(portrait.conditioner.crop(1), result.size)
    lips = seen(result, square, progress)
    if speaker is None or not speaker.clip.path.exists():
        return sync_offset(lips, sound)
    opened = np.full(len(speaker.clip), np.nan, np.float32)
    track = speaker.track
    opened[track.start : track.start + len(track)] = mouth_openness(track.landmarks)
    theirs = at_rate(middles(speaker.clip), opened)
    return sync_offset(lips, sound, theirs, heard(speaker.clip))

"""The new speech of a dub: who speaks, how its sound is laid, and what is said of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from likeness.decode.sound import has_pictures, open_sound
from likeness.encode.containers import can_copy
from likeness.encode.place import is_pictures
from likeness.errors import MediaError, TrackError
from likeness.metrics.sound import Offset
from likeness.people import find_person
from likeness.pipeline import AnalyzeConfig
from likeness.plan.dub import Mouth
from likeness.plan.performance import Performance
from likeness.plan.report import RunReport
from likeness.types import Progress, Shot, Sound
from likeness.verbs.given import shows_pictures

log = logging.getLogger(__name__)

By = Literal["auto", "face", "sound"]
Laid = Literal["copied", "coded anew", "none"]


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


def find_speaker(
    speech: Path, by: By, face: str, config: AnalyzeConfig, progress: Progress
) -> Shot | None:
    """Find who speaks in the new clip; None where sound alone shall move the mouth."""
    if by == "sound":
        return None
    pictures = shows_pictures(speech)
    if not pictures and by == "auto":
        return None
    if not pictures:
        raise MediaError(
            f"{speech.name} has no pictures, and --from face was asked for; give a clip in which "
            "the speaker's face is seen, or leave the flag out to dub by sound alone"
        )
    try:
        return find_person(speech, face, config, progress)
    except TrackError as error:
        if by == "face":
            raise
        log.warning("%s; dubbing by sound alone", error)
        return None


def new_sound(speech: Path) -> Sound | None:
    """The new sound; None, with a warning, where a clip of a face has none."""
    try:
        return open_sound(speech)
    except MediaError:
        if not has_pictures(speech):
            raise
        log.warning("%s has no sound; the output will be silent", speech.name)
        return None


def lay(sound: Sound | None, output: Path) -> tuple[Sound | None, Laid]:
    """Tell how a sound comes into an output: as it is where players take it, else coded anew."""
    if sound is None or is_pictures(output):
        return None, "none"
    return sound, "copied" if can_copy(sound, output.suffix) else "coded anew"


def reported(
    report: RunReport,
    own: Performance,
    mouth: Mouth,
    sound: Sound | None,
    how: Laid,
    offset: Offset | None,
) -> DubReport:
    """Say what became of a dub, and of speech of another length.

    Args:
        report: of the render.
        own: what the target does.
        mouth: what its mouth does now.
        sound: the new sound as it was given.
        how: it came into the output.
        offset: of lips and sound, as measured in the output.
    """
    lasts = float(own.seconds[-1]) + own.lasting
    cut = max(0.0, sound.seconds - float(mouth.begins) - lasts) if sound else 0.0
    told = []
    if how == "none":
        told.append("there is no new sound to lay under it, so the output is silent")
    if cut > 0.05:
        told.append(
            f"the new sound is {cut:.2f} s longer than {own.ingredient.name} "
            f"({lasts:.2f} s) and was cut there; dub a longer part of the target to keep it"
        )
    if report.overrun:
        told.append(f"the speech ends early: the mouth rests in the last {report.overrun} frames")
    if how == "coded anew" and sound is not None:
        told.append(
            f"{Path(report.output).suffix} does not take {sound.audio[0].codec} as it is, so the "
            "sound was coded anew; .mkv or .mov keep it bit for bit"
        )
    known = {field.name: getattr(report, field.name) for field in fields(report)}
    known["warnings"] = (*report.warnings, *told)
    return DubReport(
        **known,
        driven_by="face" if mouth.shot else "sound",
        sound=how,
        sound_cut_seconds=round(cut, 3),
        av_offset_ms=round(offset.ms, 1) if offset else None,
        av_offset_confidence=round(offset.confidence, 3) if offset else None,
        av_offset_against=offset.against if offset else None,
    )

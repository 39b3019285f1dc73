"""`likeness dub` as a function: a portrait's mouth follows new speech."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from likeness import config as settings
from likeness.encode import EncodeConfig, MarkedFile, inputs_of, prove_place
from likeness.errors import ConfigError
from likeness.fit.transfer import TransferConfig
from likeness.methods.portrait.model import CPU
from likeness.methods.portrait.speech import SpeechTraining
from likeness.methods.portrait.voice import by_sound
from likeness.methods.table import recipe_of
from likeness.metrics.dub_sync import measure_sync
from likeness.people import check_face
from likeness.pipeline import AnalyzeConfig, render
from likeness.plan.dub import by_face, check_frames, plan_dub
from likeness.plan.performance import performance_of
from likeness.plan.target import Target
from likeness.provenance.consent import Consent
from likeness.provenance.manifest import Ingredient, sha256_of
from likeness.provenance.permission import permit_synthesis
from likeness.store import load_bundle
from likeness.types import Progress, silent
from likeness.verbs.dub_speech import By, DubReport, find_speaker, lay, new_sound, reported
from likeness.verbs.given import speech_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DubConfig:
    """Settings of `likeness dub`."""

    by: By = "auto"
    """What moves the mouth: the face in the new clip, its sound alone, or the face where there is
    one."""
    face: str = "largest"
    """Who speaks in the new clip: largest, a number as likeness track counts, or like=PHOTO."""
    transfer: TransferConfig = field(default_factory=lambda: TransferConfig(mode="mouth"))
    speech: SpeechTraining = field(default_factory=SpeechTraining)
    analyze: AnalyzeConfig = field(default_factory=AnalyzeConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)

    def __post_init__(self) -> None:
        check_face(self.face)
        if self.transfer.mode != "mouth":
            raise ConfigError(
                f"transfer.mode is {self.transfer.mode!r} in a dub; expected 'mouth'. For more of "
                "the driver use likeness reenact"
            )


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
    began, read = time.monotonic(), inputs_of((bundle, speech))
    prove_place(output, read)
    loaded = load_bundle(bundle)
    recipe, target = recipe_of(loaded, "reenact"), Target.of(loaded)
    permission = permit_synthesis(target.people, "dub", consents, speech_of(speech))
    check_frames(target)
    speaker = find_speaker(speech, config.by, config.face, config.analyze, progress)
    heard = speaker.clip.path if speaker else speech
    sound = new_sound(heard)
    whose = speaker.clip if speaker else sound
    own = performance_of(target.shot, "target")
    mouth = (
        by_face(target, own, speaker, config.transfer)
        if speaker
        else by_sound(target, own, speech, config.speech, progress)
    )
    by = Ingredient("driver" if speaker else "sound", heard.name, whose.digest if whose else "")
    used = Ingredient("bundle", bundle.name, sha256_of(bundle / "bundle.json"))
    laid, how = lay(sound, output)
    plan = plan_dub(target, own, mouth, laid, (used, own.ingredient, by), settings.to_json(config))
    method = recipe.open(loaded, plan, device)
    report = render(plan, [method], permission, MarkedFile(output, config.encode, read), progress)
    there = how != "none"
    offset = measure_sync(output, target.square, speaker, progress) if there else None
    told = reported(report, own, mouth, sound, how, offset)
    _warn(told.warnings)
    return replace(told, seconds=time.monotonic() - began)


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        log.warning("%s", warning)

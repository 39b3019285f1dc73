"""Learning what a person's mouth does to sound as it does, from the person's own clip.

Suwajanakorn et al., *Synthesizing Obama* (SIGGRAPH 2017), section 4.2, with minutes of video in
place of hours: the answer is a few modes of this person's own mouth, so little can go wrong.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from likeness import config as settings
from likeness.decode import find_stored
from likeness.decode.sound import read_sound
from likeness.errors import BundleError, ConfigError, MediaError
from likeness.face3d.model import FaceModel
from likeness.fit.parts import mouth_columns
from likeness.metrics.lips import middles
from likeness.metrics.sound import at_rate, envelope, sync_offset
from likeness.nets.speech import Speech, SpeechConfig
from likeness.nets.speech_features import (
    CEPSTRA,
    RATE,
    frame_seconds,
    speech_features,
    voice_mean,
    voiced,
)
from likeness.networks import build
from likeness.store import load_bundle, save_bundle
from likeness.store.bundles import INDEX
from likeness.store.shots import optional, shot_cache
from likeness.track.measure import mouth_openness
from likeness.training.footage import weights_of
from likeness.training.loop import LoopConfig, Losses, train
from likeness.types import Bundle, Floats, Progress, Shot, Weights, silent

METHOD = "speech"
_REVISION = 1
"""Raised when features or training change what is learned, so that kept networks are made anew."""
_LEAST_VOICE = 1.5
"""Seconds of voice without which nothing can be learned."""
_FARTHEST_MS = 300.0
"""Offset of lips and sound beyond which the sound is not this mouth's."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpeechTraining:
    """How a voice is learned."""

    minutes: float | None = 1.0
    """Wall-clock budget; the network is small."""
    steps: int | None = None
    """Step budget instead of minutes; repeatable to the bit."""
    batch: int = 64
    """Sequences per step; 100 in the paper."""
    sequence: int = 100
    """Steps of 10 ms per sequence, as in the paper."""
    hidden: int = 60
    delay: int = 20
    """Steps heard ahead."""
    modes: int = 20
    """Most modes of the mouth; 20 in the paper."""
    variance: float = 0.99
    """Share of the lips' motion that the modes have to hold, as in the paper."""
    noise: float = 0.7
    """Noise on standardized features: a short clip is learned by heart without it."""
    learning_rate: float = 3e-3
    """1e-3 in the paper, which trains a hundred times longer."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sequence < 10 or self.batch < 1 or not 0 < self.variance <= 1:
            raise ConfigError(
                f"sequence, batch and variance are {self.sequence}, {self.batch}, {self.variance}; "
                "expected at least 10, at least 1, and within (0, 1]"
            )


class SpeechTask:
    """Mean square error on lip modes, in mm^2 (section 4.2)."""

    def __init__(
        self, features: Floats, modes: Floats, network: Speech, how: SpeechTraining
    ) -> None:
        self._features = torch.from_numpy(features)
        self._modes = torch.from_numpy(modes)
        self._how = how
        self.generator = network
        self.discriminator: nn.Module | None = None

    def sample(self, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draw sequences from anywhere, each with the delay's worth of sound more."""
        length = self._how.sequence + self._how.delay
        starts = random.integers(0, len(self._features) - length + 1, self._how.batch)
        rows = torch.from_numpy(starts[:, None] + np.arange(length))
        heard = self._features[rows]
        noise = random.normal(0, self._how.noise, heard.shape).astype(np.float32)
        heard = heard + torch.from_numpy(noise) * self.generator.scale
        return heard, self._modes[rows[:, : self._how.sequence]]

    def losses(self, sample: tuple[Tensor, Tensor], progress: float) -> Losses:
        """Compare the answer at t + delay with the mouth at t."""
        heard, wanted = sample
        return Losses((self.generator(heard)[:, self._how.delay :] - wanted).square().mean())


def speech_of(
    shot: Shot,
    model: FaceModel,
    config: SpeechTraining,
    people: Sequence[Mapping[str, Any]],
    progress: Progress = silent,
) -> Speech:
    """Return what turns sound into a person's mouth; learned from the clip once, then kept.

    It is kept as a bundle in `.likeness/` beside the clip, else in the user's cache, like shots.

    Args:
        shot: the person, in a clip with speech.
        model: the face model of the shot's params.
        config: settings; a change of any of them learns anew.
        people: who is shown, for the record in the bundle.
        progress: called as ("train", done, total).

    Raises:
        MediaError: the clip is gone, has no sound, no voice, or somebody else's voice.
    """
    known = hashlib.sha256(shot.params.expression.tobytes()).hexdigest()
    digest = settings.digest(config, shot.clip.digest, known, _REVISION, model.name)
    place = shot_cache(shot.clip, digest)
    place = place.with_name(f"{place.name}.bundle")
    if (place / INDEX).is_file():
        try:
            kept = load_bundle(place)
            return cast(Speech, build(kept.networks[METHOD], METHOD))
        except (BundleError, KeyError) as error:
            log.warning("learning the voice of %s again: %s", shot.clip.path.name, error)
            shutil.rmtree(place, ignore_errors=True)
    features, times = heard_in(shot)
    network, modes = prepare(features, _at(shot, times), shot, model, config)
    task = SpeechTask(features, modes, network, config)
    torch.manual_seed(config.seed)
    loop = LoopConfig(
        minutes=config.minutes,
        steps=config.steps,
        learning_rate=config.learning_rate,
        average=0.99,
        seed=config.seed,
        save_minutes=1e9,
    )
    outcome = train(task, loop, None, digest, False, progress)
    record: dict[str, Any] = {
        "clip": shot.clip.digest,
        "steps": outcome.steps,
        "losses": list(outcome.losses),
    }
    weights = weights_of(METHOD, network.config, outcome.weights)
    record["settings"] = settings.to_json(config)
    with optional(f"the voice of {shot.clip.path.name}"):
        save_bundle(_bundle(weights, record, people), place)
    return cast(Speech, build(weights, METHOD))


def _bundle(
    weights: Weights, record: Mapping[str, Any], people: Sequence[Mapping[str, Any]]
) -> Bundle:
    return Bundle(
        method=METHOD,
        networks={METHOD: weights},
        input={"rate": RATE},
        training=record,
        license="of the person heard; see people",
        people=tuple(people),
    )


def heard_in(shot: Shot) -> tuple[Floats, Floats]:
    """Describe the sound of a shot's clip over its track.

    Returns:
        (T,28) features and (T,) their moments, in seconds from the clip's first frame.

    Raises:
        MediaError: the clip is gone, or its sound can't teach anything; the message says why.
    """
    clip = shot.clip
    otherwise = (
        "dubbing by sound learns the mouth from the target's own speech: give a clip in which the "
        "dubbing actor's face is seen instead, or train the portrait on a clip with speech"
    )
    if find_stored(clip) is None:
        raise MediaError(f"{clip.path} is gone; put it back where it was: {otherwise}")
    if not clip.audio:
        raise MediaError(f"{clip.path.name} has no sound, and {otherwise}")
    samples = read_sound(clip, since=int(clip.pts[0]) * clip.time_base)
    spoken = float(voiced(samples).mean() * len(samples) / RATE) if len(samples) else 0.0
    if spoken < _LEAST_VOICE:
        raise MediaError(
            f"{clip.path.name} holds {spoken:.1f} seconds of voice, expected at least "
            f"{_LEAST_VOICE}, and {otherwise}"
        )
    shown = middles(clip)[shot.track.start : shot.track.start + len(shot.track)]
    opened = np.full(len(clip), np.nan, np.float32)
    rows = np.arange(len(shot.track)) + shot.track.start
    opened[rows] = np.where(shot.track.observed, mouth_openness(shot.track.landmarks), np.nan)
    found = sync_offset(at_rate(middles(clip), opened), envelope(samples, RATE))
    if found is None or abs(found.ms) > _FARTHEST_MS:
        told = "don't go together at all" if found is None else f"are {found.ms:.0f} ms apart"
        raise MediaError(
            f"the sound and the lips of {clip.path.name} {told}, so it is music, a voice-over or "
            f"out of step, and {otherwise}"
        )
    features = speech_features(samples)
    times = frame_seconds(len(features))
    inside = (times >= shown[0]) & (times <= shown[-1])
    return features[inside], times[inside].astype(np.float32)


def prepare(
    features: Floats, expression: Floats, shot: Shot, model: FaceModel, config: SpeechTraining
) -> tuple[Speech, Floats]:
    """Build the untrained network of a mouth, and what it shall answer.

    The modes are the principal components of the motion of the lips, in millimetres; each stands
    for the mouth coefficients that most often go with it.

    Args:
        features: (T,28).
        expression: (T,E) at the same moments.
        shot, model, config: as in `speech_of`.

    Returns:
        The network and (T,modes) millimetres.

    Raises:
        MediaError: the speech is shorter than a training sequence.
    """
    least = config.sequence + config.delay
    if len(features) < least:
        raise MediaError(
            f"{shot.clip.path.name} shows the face for {len(features) / 100:.1f} seconds of sound, "
            f"expected at least {least / 100:.1f}; train the portrait on a longer clip"
        )
    columns = mouth_columns(shot.params)
    mouths = expression[:, columns].astype(np.float64)
    rest = mouths.mean(0)
    lips = model.expression[columns][:, model.regions["lips"]].reshape(len(columns), -1)
    moved = (mouths - rest) @ lips.astype(np.float64) / np.sqrt(lips.shape[1] / 3)
    _, strength, directions = np.linalg.svd(moved, full_matrices=False)
    held = np.cumsum(strength**2) / max(float((strength**2).sum()), 1e-12)
    needed = int(np.searchsorted(held, config.variance)) + 1
    count = min(config.modes, len(strength), needed)
    modes = moved @ directions[:count].T
    # A trace of ridge: a mode that hardly moves must not ask for huge coefficients.
    ridge = 1e-3 * np.trace(modes.T @ modes) / count * np.eye(count)
    basis = np.linalg.solve(modes.T @ modes + ridge, modes.T @ (mouths - rest))
    names = tuple(np.array(shot.params.expression_names)[columns].tolist())
    torch.manual_seed(config.seed)
    network = Speech(SpeechConfig(count, names, config.hidden, config.delay))
    network.center.copy_(torch.from_numpy(features.mean(0)))
    network.scale.copy_(torch.from_numpy(features.std(0) + 1e-3))
    network.voice.copy_(torch.from_numpy(_voice(features)))
    network.rest.copy_(torch.from_numpy(rest.astype(np.float32)))
    network.basis.copy_(torch.from_numpy(basis.astype(np.float32)))
    return network, modes.astype(np.float32)


def spoken(network: Speech, samples: Floats, seconds: Floats) -> Floats:
    """Return what the mouth does at given moments to sound like this.

    The recording's mean over its voice is moved onto that of the clip that was learned from, so
    that another microphone, which adds a constant to all cepstra, is no other mouth.

    Args:
        network: from `speech_of`.
        samples: (S,) mono in [-1,1] at RATE.
        seconds: (N,) moments in the sound; those after its end hear silence.

    Returns:
        (N,M) mouth coefficients.
    """
    wanted = int(np.ceil(float(seconds[-1]) * RATE)) + RATE
    padded = np.concatenate([samples, np.zeros(max(0, wanted - len(samples)), np.float32)])
    features = speech_features(padded)
    voice = voice_mean(features)
    if voice is not None:
        features[:, : len(voice)] += network.voice.numpy() - voice
    mouths = network.mouth(torch.from_numpy(features)).numpy()
    times = frame_seconds(len(mouths))
    columns = [np.interp(seconds, times, column) for column in mouths.T]
    return np.stack(columns, 1).astype(np.float32)


def _voice(features: Floats) -> Floats:
    found = voice_mean(features)
    return features[:, : CEPSTRA + 1].mean(0) if found is None else found


def _at(shot: Shot, seconds: Floats) -> Floats:
    """(T,E) expression of a shot at moments counted from the clip's first frame."""
    shown = middles(shot.clip)[shot.track.start : shot.track.start + len(shot.track)]
    columns = [np.interp(seconds, shown, column) for column in shot.params.expression.T]
    return np.stack(columns, 1).astype(np.float32)

"""A mouth that answers to sound alone, in the target's own way of speaking."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from likeness.controls import Values
from likeness.decode.sound import SPEECH_RATE, read_sound
from likeness.errors import MediaError
from likeness.fit.parts import mouth_columns
from likeness.fit.seen_range import Seen
from likeness.fit.transfer import TransferConfig, transfer
from likeness.methods.portrait.speech import SpeechTraining, speech_of, spoken
from likeness.plan.dub import Mouth
from likeness.plan.performance import Performance
from likeness.plan.target import Target
from likeness.store import load_face_model
from likeness.types import FaceParams, Progress, silent


def by_sound(
    target: Target,
    own: Performance,
    speech: Path,
    config: SpeechTraining,
    progress: Progress = silent,
) -> Mouth:
    """Let the target's own way of speaking answer to a sound.

    Args:
        target: whose mouth; its clip has to hold speech.
        own: what the target does in it.
        speech: a clip or a sound file.
        config: how the voice is learned, once per clip.
        progress: called as ("voice", done, total).

    Raises:
        MediaError: there is no sound, or nothing to learn from.
    """
    samples = read_sound(speech)
    if len(samples) == 0:
        raise MediaError(f"the sound of {speech.name} is empty; expected speech")
    model = load_face_model(own.params.model)
    network = speech_of(target.shot, model, config, target.people, progress)
    shown = own.seconds + _half_a_frame(own)
    expression = own.params.expression.copy()
    columns = mouth_columns(own.params)
    expression[:, columns] = spoken(network, samples, shown)
    wanted: FaceParams = replace(own.params, expression=expression)
    how = TransferConfig(mode="mouth", absolute=True)
    seen = Seen(None, target.observed)
    moved = transfer(wanted, target.params, how, own.params, seen=seen)
    nothing = np.zeros(len(own), np.bool_)
    return Mouth(moved, nothing, len(samples) / SPEECH_RATE, Fraction(0), None)


def _half_a_frame(own: Performance) -> Values:
    """(M,) seconds from when each frame appears to the middle of its time on screen."""
    ends = np.append(own.seconds[1:], own.seconds[-1] + own.lasting)
    return np.asarray((ends - own.seconds) / 2, np.float64)

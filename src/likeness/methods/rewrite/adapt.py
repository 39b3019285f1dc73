"""What a method that changes the target's own frames can do of what it is asked for.

Such methods keep the target's pose and gaze, so that what is asked for in full becomes the
expression, or the mouth alone.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from likeness.decode import find_stored
from likeness.decode.sound import read_sound
from likeness.decode.stored import exists
from likeness.errors import ConfigError, MediaError
from likeness.fit.deformation import DeformationTransfer
from likeness.fit.resample import resample
from likeness.methods.rewrite.retiming import motion, retime, voiced
from likeness.plan.performance import Performance
from likeness.plan.reenactment import Request
from likeness.plan.target import Target
from likeness.store import load_face_model
from likeness.types import Clip, Floats, Sound

_LOG = logging.getLogger(__name__)
_RATE = 16000


def adapt_face2face(target: Target, asked: Request) -> Request:
    """Put the driver's expressions on the target's mesh (Face2Face, section 6).

    Raises:
        ConfigError: pose or gaze alone were asked for.
        MediaError: the target's clip, which is to be changed, is gone.
    """
    _check(target, asked)
    driver = asked.driver
    if driver is None:
        return asked
    if asked.transfer.mode != "mouth":
        asked = replace(asked, transfer=replace(asked.transfer, mode="expression"))
    _LOG.info("%s takes the driver's %s only", target.method, asked.transfer.mode)
    deform = DeformationTransfer.of(load_face_model(target.shot.params.model))
    params = driver.params
    moved = deform(params.expression, params.shape, target.shot.params.shape)
    return replace(asked, driver=replace(driver, params=replace(params, expression=moved)))


def adapt_obama(target: Target, asked: Request) -> Request:
    """Take the driver's mouth; where the driver speaks, retime the target to the speech.

    Raises:
        ConfigError: pose or gaze alone were asked for.
        MediaError: the target's clip, which is to be changed, is gone.
    """
    _check(target, asked)
    driver = asked.driver
    if driver is None:
        return asked
    _LOG.info("%s takes the driver's mouth only", target.method)
    asked = replace(asked, transfer=replace(asked.transfer, mode="mouth"))
    sound = _speech(driver)
    if sound is None or len(driver) > 2 * len(target.shot.track):
        return asked
    return _retimed(target, asked, driver, sound)


def _check(target: Target, asked: Request) -> None:
    clip = target.shot.clip
    if find_stored(clip) is None:
        raise MediaError(
            f"{clip.path} is gone, and {target.method} changes that clip's own frames; put it "
            "back there, or train another preset"
        )
    if asked.transfer.mode in ("pose", "gaze"):
        raise ConfigError(
            f"{target.method} keeps the target's pose and gaze, and --transfer "
            f"{asked.transfer.mode} was asked for; expected expression or mouth, or a portrait of "
            "another preset"
        )


def _speech(driver: Performance) -> Clip | Sound | None:
    sound = driver.timeline.sound
    return sound if sound is not None and sound.audio and exists(sound) else None


def _retimed(target: Target, asked: Request, driver: Performance, sound: Clip | Sound) -> Request:
    """Show the target's frames on the driver's timeline, at rest where the driver pauses."""
    fps = (len(driver) - 1) / max(float(driver.seconds[-1]), 1e-6)
    track, own = target.shot.track, asked.own
    path = retime(voiced(power(driver, sound), fps), motion(track)) + track.start
    played = Performance(
        resample(own.params, path.astype(np.float64)),
        driver.timeline,
        own.guessed[path],
        own.ingredient,
        None if own.cut_after is None else own.cut_after[path],
    )
    return replace(asked, own=played, shown=path)


def power(driver: Performance, sound: Clip | Sound) -> Floats:
    """Return (N,) the mean square of the samples under each frame of a speaker's timeline."""
    first = int(driver.timeline.pts[0]) * driver.timeline.time_base
    samples = read_sound(sound, _RATE, since=first)
    squares = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    edges = np.append(driver.seconds, driver.seconds[-1] + driver.lasting)
    at = (edges * _RATE).astype(np.int64).clip(0, len(samples))
    return np.asarray(np.diff(squares[at]) / np.maximum(np.diff(at), 1), np.float32)

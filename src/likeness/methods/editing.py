"""How a method that changes the target's own frames takes part in reenactment."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from likeness.decode.sound import read_sound
from likeness.errors import ConfigError, MediaError
from likeness.fit.resample import resample
from likeness.fit.transfer import TransferConfig
from likeness.methods.obama import Obama
from likeness.methods.reenact import PortraitModel
from likeness.methods.retiming import motion, retime, voiced
from likeness.performance import Performance
from likeness.types import Floats, Ints, Timeline

_LOG = logging.getLogger(__name__)
_RATE = 16000


@dataclass(frozen=True, eq=False)
class Arranged:
    """What a reenactment goes on with."""

    portrait: PortraitModel
    own: Performance
    """The target's, on the timeline on which it is shown."""
    driver: Performance | None
    transfer: TransferConfig
    shown: Ints | None = None
    """(M,) frame of the target's clip under each frame of the output, where it is retimed."""


def arrange(
    portrait: PortraitModel,
    own: Performance,
    driver: Performance | None,
    transfer: TransferConfig,
) -> Arranged:
    """Make a reenactment one that an editor can do; for other methods change nothing.

    Editors keep the target's pose and gaze, so that what is asked for in full becomes the
    expression alone. Drivers are adapted to the target's face. Where the driver speaks, Obama's
    target is retimed to the speech.

    Raises:
        ConfigError: pose or gaze alone were asked for.
        MediaError: the target's clip, which is to be changed, is gone.
    """
    editor = portrait.editor
    if editor is None:
        return Arranged(portrait, own, driver, transfer)
    clip = portrait.shot.clip
    if not clip.path.exists():
        raise MediaError(
            f"{clip.path} is gone, and {portrait.method} changes that clip's own frames; put it "
            "back there, or train another preset"
        )
    if transfer.mode in ("pose", "gaze"):
        raise ConfigError(
            f"{portrait.method} keeps the target's pose and gaze, and --transfer {transfer.mode} "
            "was asked for; expected expression or mouth, or a portrait of another preset"
        )
    if driver is None:
        return Arranged(portrait, own, driver, transfer)
    mouth = isinstance(editor, Obama) or transfer.mode == "mouth"
    _LOG.info("%s takes the driver's %s only", portrait.method, "mouth" if mouth else "expression")
    transfer = replace(transfer, mode="mouth" if mouth else "expression")
    driver = replace(driver, params=editor.adapt(driver.params))
    if (
        isinstance(editor, Obama)
        and _speaks(driver)
        and len(driver) <= 2 * len(portrait.shot.track)
    ):
        return _retimed(portrait, editor, own, driver, transfer)
    return Arranged(portrait, own, driver, transfer)


def _speaks(driver: Performance) -> bool:
    sound = driver.timeline.sound
    return sound is not None and len(sound.audio) > 0 and sound.path.exists()


def _retimed(
    portrait: PortraitModel,
    editor: Obama,
    own: Performance,
    driver: Performance,
    transfer: TransferConfig,
) -> Arranged:
    """Show the target's frames on the driver's timeline, at rest where the driver pauses."""
    fps = (len(driver) - 1) / max(float(driver.seconds[-1]), 1e-6)
    track = portrait.shot.track
    path = retime(voiced(power(driver), fps), motion(track)) + track.start
    played = Performance(
        resample(own.params, path.astype(np.float64)),
        driver.timeline,
        own.guessed[path],
        own.ingredient,
    )
    changed = replace(portrait, editor=replace(editor, shown=path))
    return Arranged(changed, played, driver, transfer, path)


def power(driver: Performance) -> Floats:
    """Return (N,) the mean square of the samples under each frame of a speaker's timeline."""
    sound = driver.timeline.sound
    assert sound is not None  # noqa: S101 - asked before
    samples = read_sound(sound, _RATE)
    squares = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    edges = np.append(driver.seconds, driver.seconds[-1] + _lasting(driver.timeline))
    at = (edges * _RATE).astype(np.int64).clip(0, len(samples))
    return np.asarray(np.diff(squares[at]) / np.maximum(np.diff(at), 1), np.float32)


def _lasting(timeline: Timeline) -> float:
    return float(timeline.last_duration * timeline.time_base)

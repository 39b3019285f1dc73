"""Relative transfer as it happens: from a rest that is learned on the way.

Offline, the driver's rest is found in the whole performance (`fit.transfer`). Here it is found in
what was seen so far, and moves slowly to what is found anew, so that nothing jumps.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from likeness.controls import controls_of, with_controls
from likeness.errors import ContractError
from likeness.fit.seen_range import SeenRange, seen_rows
from likeness.fit.transfer import (
    Lids,
    Rest,
    TransferConfig,
    lids_of,
    relative,
    rest_of,
)
from likeness.fit.upright import quarters_of, turned, turned_place, turned_rotation
from likeness.fit.vergence import vergence_of, with_vergence
from likeness.types import Bools, FaceParams, Floats

_APART = 0.2
"""Seconds between frames that are remembered."""
_REMEMBERED = 600
"""Frames that are remembered: two minutes."""
_ANEW = 1.0
"""Seconds after which the rest is looked for anew."""
_SLOW = 8.0
"""Seconds in which the rest has gone most of the way to what was found anew."""


class Following:
    """A target that follows a driver, frame by frame."""

    def __init__(
        self,
        target: FaceParams,
        observed: Bools,
        driver: FaceParams,
        config: TransferConfig | None = None,
    ) -> None:
        """Begin from what was seen of both.

        Args:
            target: (T) what the target does in its clip.
            observed: (T,) where its face was seen there.
            driver: (N) the driver's first frames.
            config: settings; whole performances are taken (mode "full").

        Raises:
            ContractError: the two were fitted with different face models.
        """
        if driver.expression_names != target.expression_names:
            raise ContractError(
                f"driver was fitted with face model {driver.model!r}, target with "
                f"{target.model!r}; expected the same"
            )
        self._config = config or TransferConfig()
        rows = seen_rows(len(target), observed)
        self._like = replace(
            target,
            light=target.light[rows].mean(0, keepdims=True),
            expression=target.expression[:1],
            rotation=target.rotation[:1],
            translation=target.translation[:1],
            gaze=target.gaze[:1],
        )
        self._reach = SeenRange.of(target, observed)
        # How the cameras are held is settled once, so that nothing jumps.
        self._turned = quarters_of(driver, np.arange(len(driver)))
        self._theirs_turned = quarters_of(target, rows)
        standing = turned(target, -self._theirs_turned)
        self._their = rest_of(standing, self._config.neutral_target, "target", observed)
        self._their_lids = lids_of(target, self._their, observed)
        self._apart = vergence_of(driver), vergence_of(target, observed)
        self._known = driver = turned(driver, -self._turned)
        self._rest = rest_of(driver, None, "driver")
        self._lids: Lids = lids_of(driver, self._rest)
        self._found = self._rest
        self._remembered = self._looked = self._last = -np.inf

    def __call__(self, driver: FaceParams, seconds: float) -> FaceParams:
        """Return what the target does at a moment.

        Args:
            driver: one frame.
            seconds: when; not before the last.
        """
        standing = turned(driver, -self._turned)
        self._learn(standing, seconds)
        if self._config.absolute:
            gaze = with_vergence(driver.gaze, *self._apart)
            moved = (driver.expression, driver.rotation, driver.translation, gaze)
        else:
            moved = relative(standing, self._rest, self._their, self._lids, self._their_lids)
            turn = turned_rotation(moved[1], self._theirs_turned)
            moved = (moved[0], turn, turned_place(moved[2], self._theirs_turned), moved[3])
        expression, rotation, translation, gaze = (np.asarray(part, np.float32) for part in moved)
        params = replace(
            self._like,
            expression=expression,
            rotation=rotation,
            translation=translation,
            gaze=gaze,
        )
        held = self._reach.held(controls_of(params), self._config.margin)
        return with_controls(params, held)

    def _learn(self, driver: FaceParams, seconds: float) -> None:
        """Remember a frame now and then, and let the rest follow what is known by now."""
        if seconds - self._remembered >= _APART:
            self._remembered = seconds
            self._known = _appended(self._known, driver)
        if seconds - self._looked >= _ANEW:
            self._looked = seconds
            self._found = rest_of(self._known, None, "driver")
            self._lids = lids_of(self._known, self._rest)
        share = 0.0
        if np.isfinite(self._last):
            share = 1 - float(np.exp(-(seconds - self._last) / _SLOW))
        self._last = seconds
        self._rest = Rest(
            **{
                part.name: _toward(
                    getattr(self._rest, part.name), getattr(self._found, part.name), share
                )
                for part in fields(Rest)
            }
        )


def _toward(now: Floats, then: Floats, share: float) -> Floats:
    return np.asarray(now + share * (then - now), np.float32)


def _appended(known: FaceParams, one: FaceParams) -> FaceParams:
    """Put a frame behind others; of too many, the oldest is forgotten."""
    names = ("expression", "rotation", "translation", "light", "gaze")
    parts = {
        name: np.concatenate([getattr(known, name), getattr(one, name)])[-_REMEMBERED:]
        for name in names
    }
    return replace(known, **parts)

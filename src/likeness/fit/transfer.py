"""The driver's motion on the target's identity (Deep Video Portraits, section 4.2).

Identity, albedo and light stay the target's; pose, expression and gaze come from the driver.
Relative transfer moves the target from its own rest by what the driver moves from theirs: people
hold their heads and mouths differently, and a copied rest would be a lasting error. Everything is
then held within what the target's clip has shown, because a generator draws nothing unseen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from likeness import geometry
from likeness.errors import ContractError
from likeness.types import FaceParams, Floats

_BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")


@dataclass(frozen=True)
class TransferConfig:
    """How the driver's motion is taken over."""

    absolute: bool = False
    """Copy the driver's values instead of their change from rest."""
    margin: float = 0.1
    """How far beyond the target's seen range a value may go, in units of that range."""


@dataclass(frozen=True, eq=False)
class Transfer:
    """Params to draw, and how much of the driver's motion the target could not follow."""

    params: FaceParams
    """M frames of the target's identity doing the driver's motion."""
    clamped: dict[str, float]
    """Share of frames in which each value was held back; only values that ever were."""


def rest_frame(params: FaceParams) -> int:
    """Return the frame that comes nearest to doing nothing.

    The frame whose expression, gaze and pose are nearest to their medians over the clip, with lids
    and lips pulled toward open and closed: a median mouth of a speaker is half open.
    """
    expression = params.expression
    still = np.median(expression, 0)
    names = params.expression_names
    for name in (*_BLINKS, "jawOpen"):
        if name in names:
            column = names.index(name)
            still[column] = np.percentile(expression[:, column], 10)
    distance = np.square(expression - still).sum(1)
    for values, unit in (
        (params.rotation, np.deg2rad(10)),
        (params.gaze.reshape(len(params), -1), np.deg2rad(10)),
        (params.translation, 50.0),
    ):
        distance = distance + np.square((values - np.median(values, 0)) / unit).mean(1)
    return int(distance.argmin())


def transfer(
    driver: FaceParams, target: FaceParams, config: TransferConfig | None = None
) -> Transfer:
    """Let the target do what the driver does: pose, expression, gaze and blinks.

    Args:
        driver: M frames that give the motion.
        target: the target's clip: its identity, its rest and its seen range.
        config: settings.

    Returns:
        M frames with the target's shape, albedo, focal and mean light.

    Raises:
        ContractError: the two were fitted with different face models.
    """
    config = config or TransferConfig()
    if driver.expression_names != target.expression_names:
        raise ContractError(
            f"driver was fitted with face model {driver.model!r}, target with {target.model!r}; "
            "expected the same; track one of them again with the other's model"
        )
    if config.absolute:
        moved = (driver.expression, driver.rotation, driver.translation, driver.gaze)
    else:
        moved = _relative(driver, target)
    held = [
        _hold(values, seen, config.margin)
        for values, seen in zip(
            moved,
            (target.expression, target.rotation, target.translation, target.gaze),
            strict=True,
        )
    ]
    (expression, _), (rotation, _), (translation, _), (gaze, _) = held
    light = np.repeat(target.light.mean(0, keepdims=True), len(driver), 0)
    params = replace(
        target,
        expression=expression,
        rotation=rotation,
        translation=translation,
        gaze=gaze,
        light=light,
    )
    return Transfer(params, _shares(target, [share for _, share in held]))


def _relative(driver: FaceParams, target: FaceParams) -> tuple[Floats, Floats, Floats, Floats]:
    """Change from the driver's rest, applied to the target's rest.

    delta = delta_d - delta_d0 + delta_t0; R = R_d R_d0^T R_t0; t = t_d - t_d0 + t_t0.
    """
    d, t = rest_frame(driver), rest_frame(target)
    expression = driver.expression - driver.expression[d] + target.expression[t]
    for name in _BLINKS:
        if name in target.expression_names:
            column = target.expression_names.index(name)
            expression[:, column] = _stretched(
                driver.expression[:, column], target.expression[:, column], d, t
            )
    turned = geometry.rotation_matrix(driver.rotation)
    rests = geometry.rotation_matrix(np.stack([driver.rotation[d], target.rotation[t]]))
    rotation = geometry.axis_angle(turned @ rests[0].T @ rests[1])
    translation = driver.translation - driver.translation[d] + target.translation[t]
    gaze = driver.gaze - driver.gaze[d] + target.gaze[t]
    return expression, rotation, translation, gaze


def _stretched(driver: Floats, target: Floats, d: int, t: int) -> Floats:
    """Map the driver's way from open to closed lid onto the target's.

    A lid that is shut has to be shut on the target too, whatever weight that is in either fit, so
    blinks are mapped by the two ends of each person's own range rather than by difference.
    """
    shut_driver = max(float(np.percentile(driver, 99.5)), float(driver[d]) + 0.2)
    shut_target = max(float(np.percentile(target, 99.5)), float(target[t]) + 0.2)
    gain = (shut_target - target[t]) / (shut_driver - driver[d])
    # A driver who never blinks has no closed end; do not blow up noise.
    stretched: Floats = target[t] + min(float(gain), 3.0) * (driver - driver[d])
    return stretched


def _hold(values: Floats, seen: Floats, margin: float) -> tuple[Floats, Floats]:
    """Clamp per coefficient to the seen range; also return the share of frames clamped."""
    low, high = np.percentile(seen, 0.2, axis=0), np.percentile(seen, 99.8, axis=0)
    slack = margin * (high - low)
    held = np.clip(values, low - slack, high + slack).astype(np.float32)
    return held, (np.abs(held - values) > 1e-4).mean(0)


def _shares(target: FaceParams, shares: list[Floats]) -> dict[str, float]:
    names = [
        list(target.expression_names),
        ["rotation_x", "rotation_y", "rotation_z"],
        ["translation_x", "translation_y", "translation_z"],
        ["right_gaze_x", "right_gaze_y", "left_gaze_x", "left_gaze_y"],
    ]
    flat = [
        (name, float(share))
        for group, values in zip(names, shares, strict=True)
        for name, share in zip(group, values.reshape(-1), strict=True)
    ]
    return {name: share for name, share in flat if share > 0}

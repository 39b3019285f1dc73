"""The driver's motion on the target's identity (Deep Video Portraits, section 4.2).

Identity, albedo and light stay the target's; of pose, expression and gaze, the driver gives those
that the mode names, and the rest is what the target did itself. Relative transfer moves the target
from its own rest by what the driver moves from theirs: people hold their heads and mouths
differently, and a copied rest would be a lasting error. What is taken is then held within what the
target's clip has shown, because a generator draws nothing unseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from likeness import geometry
from likeness.controls import GAZE, POSE, Values, control_names, controls_of, with_controls
from likeness.errors import ConfigError, ContractError
from likeness.fit.denoise import denoise
from likeness.fit.parts import PARTS, Part, belongs, one_sided
from likeness.fit.resample import resample
from likeness.fit.seen_range import Seen, SeenRange, seen_rows, shares, warnings_of
from likeness.fit.upright import quarters_of, turned, turned_place, turned_rotation
from likeness.fit.vergence import vergence_of, with_vergence
from likeness.types import Bools, FaceParams, Floats, check

Mode = Literal["full", "expression", "pose", "gaze", "mouth"]

TAKES: Mapping[Mode, tuple[Part | Literal["pose"], ...]] = {
    "full": ("pose", *PARTS),
    "expression": ("mouth", "brows", "lids", "nose"),
    "pose": ("pose",),
    "gaze": ("gaze",),
    "mouth": ("mouth",),
}
"""What each mode takes from the driver; "gaze" is the eyes and the skin that follows them."""

_BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")
Lids: TypeAlias = Mapping[str, float]
"""Weights at which lids are shut, by the name of the expression."""
_LIVELY = 0.1
"""How far above its tenth percentile a weight of the calmest face may be and still be its rest."""
_PARTING = ("jawOpen", "mouthLowerDown", "mouthUpperUp")
"""Beginnings of what parts the lips."""


@dataclass(frozen=True)
class TransferConfig:
    """How the driver's motion is taken over."""

    mode: Mode = "full"
    """What is taken from the driver; the rest stays the target's own performance."""
    absolute: bool = False
    """Copy the driver's values instead of their change from rest; of gaze, what both eyes share."""
    smooth: float = 1.0
    """How much of the driver's jitter is smoothed away: a factor on its own noise level; 0 takes
    the driver as measured."""
    margin: float = 0.1
    """How far beyond the target's seen range a value may go, in units of that range."""
    neutral_driver: int | None = None
    """Frame of the driver in which the face does nothing; None finds one."""
    neutral_target: int | None = None
    """Frame of the target in which the face does nothing; None finds one."""
    extrapolation: Literal["loop", "hold"] = "loop"
    """What the shorter performance does when it is over: go back and forth, or stand still."""

    def __post_init__(self) -> None:
        for name in ("margin", "smooth"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 0")


@dataclass(frozen=True, eq=False)
class Transfer:
    """Params to draw, and how much of the driver's motion the target could not follow."""

    params: FaceParams
    """M frames of the target's identity doing the driver's motion."""
    clamped: dict[str, float]
    """Share of frames in which each value was held back; only values that ever were."""
    clamped_share: Floats
    """(M,) share of the taken values that were held back, per frame."""
    warnings: tuple[str, ...] = ()
    """The same in words, most frequent first."""


def rest_frame(params: FaceParams, observed: Bools | None = None) -> int:
    """Return the frame whose face comes nearest to doing nothing, among those that were seen.

    One-sided weights rest low: each is compared with its own tenth percentile, because a median
    mouth of a speaker is half open and a median face of a comedian is a grimace. Detail modes go
    both ways and are compared with their median.

    Args:
        params: N frames.
        observed: (N,) frames in which a face was seen; None is all.
    """
    rows = seen_rows(len(params), observed)
    expression, rotation = params.expression[rows], _alike(params.rotation[rows])
    still = np.where(
        one_sided(params.expression_names),
        np.percentile(expression, 10, axis=0),
        np.median(expression, 0),
    )
    # Parted lips count most: a mouth that starts half open stays so through all closures.
    parting = np.array([name.startswith(_PARTING) for name in params.expression_names])
    distance = np.abs(expression - still) @ np.where(parting, 4.0, 1.0)
    # Where faces are alike, the one that looks ahead is the surer measurement.
    turned = np.square((rotation - np.median(rotation, 0)) / np.deg2rad(15)).mean(1)
    return int(rows[(distance + turned).argmin()])


def transfer(
    driver: FaceParams,
    target: FaceParams,
    config: TransferConfig | None = None,
    own: FaceParams | None = None,
    at: Values | None = None,
    seen: Seen | None = None,
) -> Transfer:
    """Let the target do what the driver does, wholly or in part.

    Args:
        driver: N frames that give the motion.
        target: the target's clip: its identity, its rest and its seen range.
        config: settings.
        own: M frames of what the target does itself on the output's timeline, for what is not
            taken from the driver; the target's clip where its length is the output's.
        at: (M,) fractional driver frames on the output's timeline; the driver's own by default.
        seen: frames of both in which a face was seen; others count as evidence of nothing.

    Returns:
        M frames with the target's shape, albedo and focal.

    Raises:
        ContractError: the two were fitted with different face models, or the model's coefficients
            tell no part of the face and a part was asked for.
    """
    config, seen = config or TransferConfig(), seen or Seen()
    moved, sides = retarget(driver, target, config, seen)
    told = np.ones(len(moved), np.bool_) if seen.driver is None else seen.driver
    if at is not None:
        moved = resample(moved, at)
        nearest = np.round(at).astype(np.int64)
        sides, told = sides[nearest], told[nearest]
    if own is None:
        own = target if config.mode != "full" else moved
    params = combine(moved, own, config.mode)
    names, takes = control_names(target), taken(config.mode, target.expression_names)
    return Transfer(
        params,
        shares(sides[told], names, takes),
        (sides[:, takes] != 0).mean(1, dtype=np.float32),
        warnings_of(sides[told], names, takes),
    )


def taken(mode: Mode, expression_names: tuple[str, ...]) -> Bools:
    """Tell for each of K controls whether a mode takes it from the driver, (K,)."""
    what = TAKES[mode]
    pose, gaze = np.full(len(POSE), "pose" in what), np.full(len(GAZE), "gaze" in what)
    if mode in ("full", "pose"):
        # Whole or nothing: this needs no names that tell parts of the face.
        expression = np.full(len(expression_names), mode == "full")
    else:
        expression = belongs(expression_names, [part for part in what if part != "pose"])
    return np.concatenate([pose, gaze, expression])


def combine(moved: FaceParams, own: FaceParams, mode: Mode) -> FaceParams:
    """Take what the mode names from one performance and the rest from another, frame by frame.

    Args:
        moved: M frames of the driver's motion on the target's identity.
        own: M frames of the target's own performance.
        mode: what is taken.
    """
    check(
        len(moved) == len(own),
        f"the driver's motion has {len(moved)} frames and the target's {len(own)}; expected both "
        "on one timeline",
    )
    takes = taken(mode, own.expression_names)
    pose, gaze, expression = takes[0], takes[len(POSE)], takes[len(POSE) + len(GAZE) :]
    return replace(
        own,
        expression=np.where(expression, moved.expression, own.expression),
        rotation=moved.rotation if pose else own.rotation,
        translation=moved.translation if pose else own.translation,
        gaze=moved.gaze if gaze else own.gaze,
    )


def retarget(
    driver: FaceParams, target: FaceParams, config: TransferConfig, seen: Seen | None = None
) -> tuple[FaceParams, NDArray[np.int8]]:
    """Put all of the driver's motion on the target's identity, held within what it has shown.

    Returns:
        N frames with the target's shape, albedo, focal and mean light, and (N,K) which controls
        were held back: 1 from above, -1 from below.

    Raises:
        ContractError: the two were fitted with different face models.
    """
    if driver.expression_names != target.expression_names:
        raise ContractError(
            f"driver was fitted with face model {driver.model!r}, target with {target.model!r}; "
            "expected the same; track one of them again with the other's model"
        )
    seen = seen or Seen()
    if config.absolute:
        driver = denoise(driver, config.smooth, seen.driver)
        apart = vergence_of(driver, seen.driver), vergence_of(target, seen.target)
        gaze = with_vergence(driver.gaze, *apart)
        moved = (driver.expression, driver.rotation, driver.translation, gaze)
    else:
        moved = _relative_upright(driver, target, config, seen)
    expression, rotation, translation, gaze = moved
    params = replace(
        target,
        expression=expression,
        rotation=rotation,
        translation=translation,
        gaze=gaze,
        light=np.repeat(
            target.light[seen_rows(len(target), seen.target)].mean(0, keepdims=True), len(driver), 0
        ),
    )
    reach, values = SeenRange.of(target, seen.target), controls_of(params)
    held = with_controls(params, reach.held(values, config.margin))
    return held, reach.sides(values, config.margin)


def _relative_upright(
    driver: FaceParams, target: FaceParams, config: TransferConfig, seen: Seen
) -> tuple[Floats, Floats, Floats, Floats]:
    """Move the target from rest to rest (`relative`), however either camera was held."""
    held = quarters_of(driver, seen_rows(len(driver), seen.driver))
    driver = denoise(turned(driver, -held), config.smooth, seen.driver)
    held = quarters_of(target, seen_rows(len(target), seen.target))
    standing = turned(target, -held)
    rests = (
        rest_of(driver, config.neutral_driver, "driver", seen.driver),
        rest_of(standing, config.neutral_target, "target", seen.target),
    )
    shut = lids_of(driver, rests[0], seen.driver), lids_of(target, rests[1], seen.target)
    expression, rotation, translation, gaze = relative(driver, *rests, *shut)
    return expression, turned_rotation(rotation, held), turned_place(translation, held), gaze


@dataclass(frozen=True, eq=False)
class Rest:
    """What a face does when it does nothing."""

    expression: Floats
    """(E,)."""
    rotation: Floats
    """(3,)."""
    translation: Floats
    """(3,)."""
    gaze: Floats
    """(2,2)."""


def rest_of(
    params: FaceParams, chosen: int | None, who: str, observed: Bools | None = None
) -> Rest:
    """Return the rest at a chosen frame, or the calmest face and the usual pose and gaze.

    The calmest face of a lively clip may belong to a head that is turned away, so that pose and
    gaze are not taken from its frame; and it may still raise its brows, so that no weight rests far
    above what the clip shows of it at its least.
    """
    if chosen is None:
        calm, rows = rest_frame(params, observed), seen_rows(len(params), observed)
        values = (_alike(params.rotation[rows]), params.translation[rows], params.gaze[rows])
        usual = (np.median(v, 0) for v in values)
        least = np.percentile(params.expression[rows], 10, axis=0) + _LIVELY
        most = np.where(one_sided(params.expression_names), least, np.inf)
        return Rest(np.minimum(params.expression[calm], most).astype(np.float32), *usual)
    if not 0 <= chosen < len(params):
        raise ConfigError(
            f"neutral_{who} is frame {chosen}; the {who} has frames 0 to {len(params) - 1}"
        )
    of_frame = (params.rotation, params.translation, params.gaze)
    return Rest(params.expression[chosen], *(values[chosen] for values in of_frame))


def _alike(rotation: Floats) -> Floats:
    """Return (N,3) axis-angles written like the first: near half a turn each has two ways."""
    angle = np.maximum(np.linalg.norm(rotation, axis=1, keepdims=True), 1e-9)
    other = rotation * (1 - 2 * np.pi / angle)
    nearer = np.linalg.norm(other - rotation[0], axis=1) < np.linalg.norm(
        rotation - rotation[0], axis=1
    )
    return np.where(nearer[:, None], other, rotation).astype(np.float32)


def relative(
    driver: FaceParams, d: Rest, t: Rest, d_shut: Lids, t_shut: Lids
) -> tuple[Floats, Floats, Floats, Floats]:
    """Change from the driver's rest, applied to the target's rest, frame by frame.

    delta = delta_d - delta_d0 + delta_t0; R = R_d R_d0^T R_t0; t = t_d - t_d0 + t_t0, in pictures
    that stand upright (`fit.upright`).

    Args:
        driver: N frames.
        d, t: what driver and target do at rest.
        d_shut, t_shut: at which weights their lids are shut.

    Returns:
        (N,E) expression, (N,3) rotation, (N,3) translation and (N,2,2) gaze of the target.
    """
    expression = driver.expression - d.expression + t.expression
    # A weight that cannot go below 0 goes there together: lips that the driver closes from a parted
    # rest are closed on the target, wherever its own rest is.
    below = one_sided(driver.expression_names) & (driver.expression < d.expression)
    share = driver.expression / np.maximum(d.expression, 1e-6)
    expression = np.where(below, t.expression * share, expression)
    for name in d_shut.keys() & t_shut.keys():
        i = driver.expression_names.index(name)
        ends = float(d.expression[i]), float(t.expression[i])
        shut = d_shut[name], t_shut[name]
        expression[:, i] = _stretched(driver.expression[:, i], ends, shut)
    turned = geometry.rotation_matrix(driver.rotation)
    first = geometry.rotation_matrix(np.stack([d.rotation, t.rotation]))
    rotation = geometry.axis_angle(turned @ first[0].T @ first[1])
    translation = driver.translation - d.translation + t.translation
    return expression, rotation, translation, driver.gaze - d.gaze + t.gaze


def lids_of(params: FaceParams, rest: Rest, observed: Bools | None = None) -> Lids:
    """Return at which weight each of a person's lids is shut, by the name of the expression."""
    names = params.expression_names
    return {
        name: _shut(params.column(name), float(rest.expression[names.index(name)]), observed)
        for name in _BLINKS
        if name in names
    }


def _shut(lid: Floats, rest: float, observed: Bools | None) -> float:
    """Return the weight at which a person's lid is shut, from the frames in which it was seen."""
    return max(float(np.percentile(lid[seen_rows(len(lid), observed)], 99.5)), rest + 0.2)


def _stretched(driver: Floats, ends: tuple[float, float], shut: tuple[float, float]) -> Floats:
    """Map the driver's way from open to closed lid onto the target's.

    A lid that is shut has to be shut on the target too, whatever weight that is in either fit, so
    blinks are mapped by the two ends of each person's own range rather than by difference.

    Args:
        driver: (N,) weights.
        ends: of driver and target at rest.
        shut: of driver and target when shut.
    """
    gain = (shut[1] - ends[1]) / (shut[0] - ends[0])
    # A driver who never blinks has no closed end; do not blow up noise.
    stretched: Floats = ends[1] + min(gain, 3.0) * (driver - ends[0])
    return stretched

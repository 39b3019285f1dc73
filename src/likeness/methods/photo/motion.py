"""What the photo's face does: the driver's motion on a mesh that fits the photo exactly.

The paper moves 2D landmarks by the driver's displacements. Here the photo's landmarks are lifted to
the fitted 3D face, which turns in space; the displacement of expression, lids and lips is relative,
as in the paper: what the driver adds to their own rest is added to what the photo shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.errors import ConfigError, ContractError
from likeness.face3d.camera import camera_points, pixels
from likeness.face3d.model import FaceModel
from likeness.fit.seen_range import seen_rows
from likeness.fit.transfer import rest_frame
from likeness.fit.upright import quarters_of, turned
from likeness.geometry import axis_angle, rotation_matrix
from likeness.methods.photo.layers import EYE_NAMES, IRIS_CENTERS
from likeness.track import eye_openness
from likeness.types import Bools, FaceParams, Floats, Shot

_BLINKS = ("eyeBlinkRight", "eyeBlinkLeft")
_SHUT = 0.11
"""Openness of a shut eye, for drivers who never blink."""
_SPARED = 0.6
"""Share of the opening that a photo spares whose lips are parted already: at 0 a talker's mouth on
a toothy smile is a shout, at 1 small openings are not seen."""
_ALL_SHUT = 0.10
"""Lids this near, in units of their distance at rest, are shut: a slit left over is a stare."""


@dataclass(frozen=True)
class MotionConfig:
    """How far a photo may be moved."""

    pose: float = 1.0
    """Share of the driver's head motion that is taken over."""
    expression: float = 1.0
    """Share of the driver's expression, gaze and lid motion that is taken over."""
    residual: float = 1.0
    """Share of the driver's landmark motion beyond its fitted face that is taken over."""
    turn_limit: float = 25.0
    """Degrees of yaw and pitch that the photo is turned at most; motion is taken over wholly up to
    0.6 of it, and less and less residual: what a photo doesn't show has to be made up."""
    roll_limit: float = 30.0
    """The same for roll, in degrees; nothing new is seen in it, but the neck twists."""
    shift_limit: float = 55.0
    """Millimetres that the head moves at most; the shoulders stay."""

    def __post_init__(self) -> None:
        if min(self.pose, self.expression, self.residual) < 0:
            raise ConfigError("pose, expression and residual are shares; expected 0 or more")
        for name in ("turn_limit", "roll_limit", "shift_limit"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected more than 0")


@dataclass(frozen=True, eq=False)
class Motion:
    """What the photo's face does in M frames of the driver."""

    expression: Floats
    """(M,E) change of expression weights from the photo's, blinks left out."""
    rotation: Floats
    """(M,3) axis-angle, head to camera."""
    translation: Floats
    """(M,3) millimetres."""
    lids: Floats
    """(M,2) distance of the lids in units of the photo's own; 0 is shut."""
    gaze: Floats
    """(M,2,2) radians."""
    held: Bools
    """(M,) True where the head would have turned beyond what a photo bears."""
    rest: int
    """The driver's frame that stands for doing nothing."""
    parted: float = 0.0
    """Millimetres that the photo's lips stand further apart than the driver's at rest."""

    def __len__(self) -> int:
        return len(self.rotation)


def move(driver: Shot, photo: FaceParams, config: MotionConfig, rest: int | None = None) -> Motion:
    """Put the driver's change from rest on the photo (the paper's motion transfer).

    R = R_d R_d0^T R_p and t = z/z_0 (t_p + t_d - t_d0), both held within limits and with the
    driver's picture stood upright; expression is
    added; lids go by the ratio of openness, from each driver's own shut to own rest.

    Args:
        driver: M frames.
        photo: one frame.
        config: settings.
        rest: frame in which the driver does nothing; None finds one.

    Raises:
        ContractError: the two were fitted with different face models.
    """
    params = driver.params
    if params.expression_names != photo.expression_names:
        raise ContractError(
            f"driver was fitted with face model {params.model!r}, photo with {photo.model!r}; "
            "expected the same; track the driver again"
        )
    # A driver who was filmed lying or upside down nods about their own axis.
    rows = seen_rows(len(params), driver.track.observed) if rest is None else np.array([rest])
    params = turned(params, -quarters_of(params, rows))
    rest = rest_frame(params, driver.track.observed) if rest is None else rest
    rotation, held = _turn(params, photo, rest, config)
    expression = config.expression * (params.expression - params.expression[rest])
    full = photo.expression[0] + expression
    named = ~np.array([name.startswith("detail") for name in photo.expression_names])
    full[:, named] = np.clip(full[:, named], 0, 1.1)
    expression = full - photo.expression[0]
    for name in _BLINKS:
        if name in photo.expression_names:
            expression[:, photo.expression_names.index(name)] = 0
    gaze = photo.gaze[0] + config.expression * (params.gaze - params.gaze[rest])
    return Motion(
        expression.astype(np.float32),
        rotation,
        _shift(params, photo, rest, config),
        lid_openness(driver, rest, config.expression),
        gaze.astype(np.float32),
        held,
        rest,
    )


def _turn(
    params: FaceParams, photo: FaceParams, rest: int, config: MotionConfig
) -> tuple[Floats, Bools]:
    turned = rotation_matrix(params.rotation)
    change = axis_angle(turned @ turned[rest].T) * config.pose
    limits = np.radians([config.turn_limit, config.turn_limit, config.roll_limit])
    bounded = bound(change, limits.astype(np.float32))
    held = (np.abs(change) > limits).any(1)
    own = rotation_matrix(photo.rotation)[0]
    return axis_angle(rotation_matrix(bounded) @ own), held


def _shift(params: FaceParams, photo: FaceParams, rest: int, config: MotionConfig) -> Floats:
    moved = params.translation
    beside = bound((moved[:, :2] - moved[rest, :2]) * config.pose, np.float32(config.shift_limit))
    nearer = bound(np.log(moved[:, 2:] / moved[rest, 2]) * config.pose, np.float32(0.15))
    own = photo.translation[0]
    ahead = np.exp(nearer)
    # A head that comes nearer grows where it stands, it does not drift to the frame's center.
    xy = (own[:2] + beside) * ahead
    return np.concatenate([xy, own[2] * ahead], 1, dtype=np.float32)


def bound(values: Floats, limit: Floats | np.float32) -> Floats:
    """Hold values within +-limit: unchanged up to 0.6 of it, then ever less (smooth)."""
    knee = 0.6 * limit
    size = np.abs(values)
    excess = np.maximum(size - knee, 0)
    soft = knee + (limit - knee) * np.tanh(excess / (limit - knee))
    return np.asarray(np.where(size > knee, np.sign(values) * soft, values), np.float32)


def lid_openness(driver: Shot, rest: int, share: float = 1.0) -> Floats:
    """Return (M,2) openness of the driver's eyes over openness at rest, shut made wholly shut.

    Args:
        driver: M frames.
        rest: frame in which they do nothing.
        share: of the lids' motion that is taken.
    """
    openness = eye_openness(driver.track.landmarks)
    seen = openness[seen_rows(len(openness), driver.track.observed)]
    usual = np.median(seen, 0)
    # A rest frame in the middle of a blink would make every other frame a stare.
    own = np.maximum(np.maximum(openness[rest], 0.7 * usual), _SHUT + 0.05)
    shut = np.minimum(np.percentile(seen, 0.5, axis=0), _SHUT)
    ratio = (openness - shut) / (own - shut)
    ratio = np.where(ratio < 1, (ratio - _ALL_SHUT) / (1 - _ALL_SHUT), ratio)
    return np.asarray(np.clip(1 + share * (ratio - 1), 0, 1.3), np.float32)


@dataclass(frozen=True, eq=False)
class Posed:
    """The photo's face in one frame of the output, in output pixels."""

    vertices: Floats
    """(V,3) x y in pixels, z in millimetres."""
    inside: Floats
    """(V,2) where in the photo the part of the skull stands that each vertex now lies over: what
    is seen in eyes and mouth stays with the skull when lids and lips move."""
    irises: Floats
    """(2,2) how far the irises move in the photo, pixels."""


@dataclass(frozen=True, eq=False)
class Head:
    """The photo's own 3D face: the fitted one, bent so that it projects onto the landmarks."""

    model: FaceModel
    vertices: Floats
    """(V,3) head space, millimetres, doing what the photo shows."""
    params: FaceParams
    size: tuple[int, int]
    """(H, W) of the photo as it was tracked."""
    scale: float
    """Output pixels per pixel of the photo as it was tracked."""

    @staticmethod
    def lifted(
        model: FaceModel, params: FaceParams, size: tuple[int, int], points: Floats, scale: float
    ) -> Head:
        """Lift (468,2) output pixels to the depth of the fitted face.

        Args:
            model: the face model of params; its vertices are the tracker's landmarks where it has
                them, others keep their fitted place.
            params: one frame.
            size: (H, W) of the photo as it was tracked.
            points: (478,2) output pixels.
            scale: output pixels per tracked pixel.
        """
        fitted = model.vertices(params.shape, params.expression)[0]
        camera = camera_points(fitted[None], params.rotation, params.translation)[0]
        known = np.flatnonzero(model.landmark_vertices[:468] >= 0)
        chosen = model.landmark_vertices[known]
        center = np.array([size[1] / 2, size[0] / 2], np.float32)
        ray = (points[known] / scale - center) / params.focal
        camera[chosen, :2] = ray * camera[chosen, 2:]
        turn = rotation_matrix(params.rotation)[0]
        return Head(model, (camera - params.translation[0]) @ turn, params, size, scale)

    def project(self, points: Floats, rotation: Floats, translation: Floats) -> Floats:
        """Project head-space points (P,3) to output pixels and depth, (P,3)."""
        camera = camera_points(points[None], rotation[None], translation[None])
        image: Floats = pixels(camera, self.params.focal, self.size)[0]
        image[:, :2] *= self.scale
        return image

    def at_rest(self, points: Floats) -> Floats:
        """Project head-space points (P,3) as the photo's camera saw the head, (P,3)."""
        return self.project(points, self.params.rotation[0], self.params.translation[0])

    def pose(self, motion: Motion, index: int, residual: Floats | None = None) -> Posed:
        """Let the face do what `motion` says of one frame, and move `beyond` (V,3) millimetres."""
        modes = self.model.expression
        change = np.tensordot(motion.expression[index], modes, 1)
        moved = self.vertices + change.astype(np.float32)
        if residual is not None:
            moved = moved + residual
        moved = self._spare(moved, motion.parted)
        for eye in range(2):
            moved = self._close(moved, eye, float(motion.lids[index, eye]))
        moved = self._part(moved)
        image = self.project(moved, motion.rotation[index], motion.translation[index])
        irises = self._look(motion.gaze[index])
        return Posed(image, self._inside(moved), irises)

    def _inside(self, moved: Floats) -> Floats:
        """(V,2) photo places of what the eyes' and the mouth's contours lie over.

        Eyeballs stay with the skull. Upper teeth would, too, but then a smile would uncover gums
        that nobody has seen: they go with the upper lip, and the lower lip slides over them.
        """
        places = self.at_rest(moved)[:, :2]
        own = self.at_rest(self.vertices)[:, :2]
        upper, lower = (self.model.regions[f"lip_{side}_inner"] for side in ("upper", "lower"))
        corners = self.model.regions["mouth_corners"]
        gap = places[lower] - places[upper]
        places[upper], places[lower] = own[upper], own[upper] + gap
        places[corners] = own[corners]
        return places

    def _close(self, moved: Floats, eye: int, openness: float) -> Floats:
        """Bring one eye's lids to `openness` of their distance in the photo.

        The blink mode carries lid and fold along by as much as the mean distance asks for; what is
        left at each pair of lid points is given to the upper one, so that shut is shut.
        """
        name = EYE_NAMES[eye]
        upper, lower = (self.model.regions[f"{name}_lid_{side}"] for side in ("upper", "lower"))
        gap = self.vertices[lower] - self.vertices[upper]
        own = np.maximum(np.linalg.norm(gap, axis=1), 1e-3)
        way = gap / own[:, None]
        now = ((moved[lower] - moved[upper]) * way).sum(1)
        if _BLINKS[eye] in self.params.expression_names:
            mode = self.model.expression[self.params.expression_names.index(_BLINKS[eye])]
            closing = ((mode[lower] - mode[upper]) * way).sum(1)
            weight = float((openness * own - now).sum() / min(float(closing.sum()), -1e-3))
            moved = moved + np.float32(np.clip(weight, -0.5, 1.5)) * mode
            now = ((moved[lower] - moved[upper]) * way).sum(1)
        moved[upper] += ((now - openness * own)[:, None] * way).astype(np.float32)
        return moved

    def parting(self, vertices: Floats) -> float:
        """Mean way from upper to lower inner lip in (V,3) head space, millimetres."""
        upper, lower = (self.model.regions[f"lip_{side}_inner"] for side in ("upper", "lower"))
        return float((vertices[lower, 1] - vertices[upper, 1]).mean())

    def _spare(self, moved: Floats, parted: float) -> Floats:
        """Open lips that the photo parts already by less: jaws of p and d open to near |(p, d)|."""
        opened = self.parting(moved) - self.parting(self.vertices)
        if parted <= 0 or opened <= 0 or "jawOpen" not in self.params.expression_names:
            return moved
        less = _SPARED * (parted + opened - float(np.hypot(parted, opened)))
        mode = self.model.expression[self.params.expression_names.index("jawOpen")]
        spared = np.float32(less / max(self.parting(mode), 1e-3))
        return np.asarray(moved - spared * mode, np.float32)

    def _part(self, moved: Floats) -> Floats:
        """Let lips that crossed each other meet halfway."""
        upper, lower = (self.model.regions[f"lip_{side}_inner"] for side in ("upper", "lower"))
        crossed = np.maximum(moved[upper, 1] - moved[lower, 1], 0) / 2
        moved[upper, 1] -= crossed
        moved[lower, 1] += crossed
        return moved

    def _look(self, gaze: Floats) -> Floats:
        both = np.stack([self.params.gaze[0], gaze])
        irises = self.model.irises(self.params.shape, both)[:, [c - 468 for c in IRIS_CENTERS]]
        before, after = (self.at_rest(row)[:, :2] for row in irises)
        return np.asarray(after - before, np.float32)

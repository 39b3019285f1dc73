"""How near a performance is to the real one: landmarks, gaze, blinks, mouth, jitter, jumps.

Series are (n,...) over the frames of one clip; NaN marks frames where no face was found.
"""

from __future__ import annotations

import numpy as np

from likeness import geometry
from likeness.track.measure import EYE_CORNERS, iris_offsets
from likeness.types import Bools, Floats, Ints, check

MESH_POINTS = 468
STILL_OPENNESS = 0.01
"""Standard deviation of eye openness (lid gap over eye width) below which nothing blinked."""
STILL_MOUTH = 0.004
"""Standard deviation of mouth openness below which nobody spoke."""
_DEVIATION_PER_MEDIAN = 1.4826
# Of the absolute value of a normal variable.
_SINE_PER_OFFSET = 1.25
# Half an eye's width (15 mm) over the radius of the eyeball (12 mm).


def landmark_error(result: Floats, real: Floats) -> Floats:
    """Mean distance of the 468 mesh points, irises left out.

    Args:
        result, real: (n,478,>=2) in pixels of the same crop.

    Returns:
        (n,) pixels.

    Raises:
        ContractError: the tracks differ in length.
    """
    check(len(result) == len(real), f"{len(result)} and {len(real)} frames of landmarks")
    gap = result[:, :MESH_POINTS, :2] - real[:, :MESH_POINTS, :2]
    distance: Floats = np.linalg.norm(gap, axis=-1).mean(-1).astype(np.float32)
    return distance


def gaze_from_landmarks(landmarks: Floats) -> Floats:
    """Estimate gaze angles from where the irises sit between the eye corners.

    sin(yaw) is the iris' offset along the eye over the radius of an average eyeball, sin(pitch) the
    offset across it. Biased by each person's anatomy and by the tracker: fit for differences
    between two pictures of one person, not for absolute angles.

    Args:
        landmarks: (n,478,>=2) pixels.

    Returns:
        (n,2,2) per eye (yaw, pitch) in radians, eye 0 the person's right; as `FaceParams.gaze`.
    """
    sine = np.clip(iris_offsets(landmarks) * _SINE_PER_OFFSET, -1, 1)
    angles: Floats = np.arcsin(sine).astype(np.float32)
    return angles


def gaze_error_deg(result: Floats, real: Floats) -> Floats:
    """Angle between two gazes, mean of both eyes.

    Args:
        result, real: (n,2,2) per eye (yaw, pitch) in radians, from `gaze_from_landmarks` or
            `FaceParams.gaze`.

    Returns:
        (n,) degrees.
    """
    a, b = (geometry.gaze_direction(gaze).astype(np.float64) for gaze in (result, real))
    # arctan2 keeps small angles exact, where arccos of the dot product loses half the digits.
    angle = np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1))
    degrees: Floats = np.degrees(angle).mean(-1).astype(np.float32)
    return degrees


def correlation(result: Floats, real: Floats, still: float = 0.0) -> float | None:
    """Pearson correlation of two (n,) series over the frames where both are known.

    Returns:
        In [-1,1]; None when the real series hardly moves (standard deviation up to `still`) or
        fewer than three frames are known, because then there is nothing to follow; 0 when only the
        result stands still.
    """
    known = np.isfinite(result) & np.isfinite(real)
    a, b = result[known].astype(np.float64), real[known].astype(np.float64)
    if len(b) < 3 or b.std() <= still:
        return None
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if a.std() > 1e-9 else 0.0


def gain(result: Floats, real: Floats, still: float = 0.0) -> float | None:
    """Slope of the regression of one (n,) series on another over the frames where both are known.

    Returns:
        1 where the result moves as far as the real series, 0 where it does not follow at all; None
        as for `correlation`.
    """
    known = np.isfinite(result) & np.isfinite(real)
    a, b = result[known].astype(np.float64), real[known].astype(np.float64)
    if len(b) < 3 or b.std() <= still:
        return None
    b = b - b.mean()
    return float((a - a.mean()) @ b / (b @ b))


def blink_correlation(result: Floats, real: Floats) -> float | None:
    """Correlation of eye openness, mean of both eyes.

    Args:
        result, real: (n,2) from `track.measure.eye_openness`.

    Returns:
        As `correlation`; None when the real eyes neither blink nor narrow.
    """
    return correlation(result.mean(-1), real.mean(-1), STILL_OPENNESS)


def mouth_correlation(result: Floats, real: Floats) -> float | None:
    """Correlation of (n,) mouth openness; None when the real mouth doesn't move."""
    return correlation(result, real, STILL_MOUTH)


def closed_eyes(openness: Floats) -> Bools:
    """Mark frames in which irises cannot be seen: an eye under half of its usual openness.

    Args:
        openness: (n,2).

    Returns:
        (n,) True where either eye is shut or unknown.
    """
    if not np.isfinite(openness).any():
        return np.ones(len(openness), np.bool_)
    shut: Bools = ~(openness > 0.5 * np.nanmedian(openness, axis=0)).all(-1)
    return shut


def jitter(series: Floats) -> float | None:
    """Estimate frame-to-frame noise under a smooth motion.

    The third difference cancels constant, steady and evenly accelerated motion and multiplies the
    variance of white noise by 1 + 9 + 9 + 1 = 20; taking the median absolute value over time makes
    single jumps and blinks harmless.

    Args:
        series: (n,...) positions.

    Returns:
        Standard deviation of the noise, root mean square over coordinates, in the series' unit;
        None below four frames.
    """
    if len(series) < 4:
        return None
    third = np.diff(np.asarray(series, np.float64), 3, axis=0).reshape(len(series) - 3, -1)
    third = third[np.isfinite(third).all(-1)]
    if len(third) == 0:
        return None
    deviation = _DEVIATION_PER_MEDIAN * np.median(np.abs(third), axis=0) / np.sqrt(20)
    return float(np.sqrt((deviation**2).mean()))


def jumps(landmarks: Floats, factor: float = 6.0, floor: float = 0.06) -> Ints:
    """Find frames at which the whole face leaps.

    Args:
        landmarks: (n,478,>=2) pixels.
        factor: how many times the median step of the 12 frames around makes a leap.
        floor: least leap, in distances between the outer eye corners.

    Returns:
        Indices i such that the step from i-1 to i is a leap.
    """
    xy = np.asarray(landmarks, np.float64)[:, :, :2]
    if len(xy) < 2:
        return np.empty(0, np.int64)
    step = np.median(np.linalg.norm(np.diff(xy, axis=0), axis=-1), axis=-1)
    corners = xy[:, EYE_CORNERS[:, 0]]
    scale = float(np.nanmedian(np.linalg.norm(corners[:, 0] - corners[:, 1], axis=-1)))
    reach = 6
    usual = np.array(
        [np.nanmedian(step[max(0, i - reach) : i + reach + 1]) for i in range(len(step))]
    )
    leaps: Ints = np.flatnonzero((step > factor * usual) & (step > floor * scale)) + 1
    return leaps


def nearest_frames(training: Floats, wanted: Floats) -> Ints:
    """Find, for every wanted face, the training frame whose landmarks lie nearest.

    The distance is the mean over all 478 points, irises included, in the image plane.

    Args:
        training: (M,478,>=2) pixels of the crop.
        wanted: (n,478,>=2) pixels of the same crop.

    Returns:
        (n,) indices into `training`.

    Raises:
        ContractError: there is no training frame with a face.
    """
    known = np.flatnonzero(np.isfinite(training).all((1, 2)))
    check(len(known) > 0, "no training frame has landmarks, expected at least one")
    x, y = (np.ascontiguousarray(training[known, :, axis], np.float32) for axis in (0, 1))
    nearest = np.empty(len(wanted), np.int64)
    for index, face in enumerate(np.asarray(wanted, np.float32)):
        distance = np.sqrt((x - face[:, 0]) ** 2 + (y - face[:, 1]) ** 2).mean(1)
        nearest[index] = known[np.argmin(distance)]
    return nearest

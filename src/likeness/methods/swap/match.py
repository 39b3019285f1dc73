"""How well faces of a library fit a target: pose, light, seam and size (Bitouk et al., section 4).

Light is compared as shading of one and the same face, seams by the colors of strips along the
outline as they are after relighting. The paper drops what is too far away and ranks the rest by the
seam; here all of it is one cost, so that a small library answers, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from likeness.condition.conditioner import select
from likeness.decode import Decoder, find_stored
from likeness.errors import ConfigError
from likeness.face3d.camera import camera_points
from likeness.face3d.light import irradiance, shade, solve_light, vertex_normals
from likeness.face3d.model import FaceModel
from likeness.geometry import euler_from_rotation, rotation_matrix
from likeness.methods.photo.driver import pixels_last
from likeness.methods.swap.outline import tracked_vertices
from likeness.methods.swap.photo_views import SourceView, colors_at
from likeness.types import Bools, FaceParams, Floats, Ints, Shot, Window

DARKEST = 0.1
"""Least shading that is divided by, in units of a white face's."""
_SIDEWAYS = np.array([1, 1, 1, -1, -1, 1, 1, -1, 1], np.float32)
"""Signs of the nine harmonics in the mirror."""
_STRIP = 0.9
"""Where strips along the seam are read, from the middle of the face to its outline."""
_STRIPS = 12
_SAMPLES = 12
"""Frames of the target that are looked at."""
_EVEN = 0.03
"""Ridge of the light's eight uneven coefficients."""
_STRONGEST = 4.0
"""Most by which a channel is changed either way: beyond it noise and banding are seen."""
_FORM = 0.7
"""Most by which the form of the light is changed, as a logarithm."""
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_FAR = 25.0
"""Most that one difference can cost: beyond it, a face fits no less."""


@dataclass(frozen=True)
class MatchConfig:
    """What difference between a face of the library and the target costs one."""

    turn: float = 6.0
    """Degrees of yaw or pitch."""
    light: float = 0.07
    """Deviation of the two shadings from each other, in units of their mean."""
    color: float = 0.25
    """Logarithm of the factor by which a channel has to be changed."""
    seam: float = 0.08
    """Distance of colors along the seam, in [0,1]."""
    shape: float = 1.0
    """Deviations of the face model's identity, root mean square: how far a face is bent."""
    size: float = 1.0
    """Octaves by which a face has fewer pixels than the target's."""
    change: float = 12.0
    """What it costs to change the stand-in from one frame to the next."""

    def __post_init__(self) -> None:
        for name in ("turn", "light", "color", "seam", "shape", "size"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected more than 0")
        if self.change < 0:
            raise ConfigError(f"change is {self.change}; expected 0 or more")


@dataclass(frozen=True, eq=False)
class Candidate:
    """What is known of a face of the library, without its pixels."""

    photo: int
    mirrored: bool
    pose: Floats
    """(2,) yaw and pitch, degrees."""
    light: Floats
    """(9,3) as if its skin were white."""
    seam: Floats
    """(O,3) colors along the outline, light taken off."""
    shape: Floats
    """(S,) identity coefficients."""
    width: float
    """Pixels of the face in the photo as it was given."""

    def flipped(self, model: FaceModel) -> Candidate:
        """The same in the mirror."""
        outline = model.regions["face_oval"]
        order = [int(np.flatnonzero(outline == v)[0]) for v in model.regions["twin"][outline]]
        return replace(
            self,
            mirrored=not self.mirrored,
            pose=self.pose * np.array([-1, 1], np.float32),
            light=mirrored_light(self.light),
            seam=self.seam[order],
        )


@dataclass(frozen=True, eq=False)
class TargetLook:
    """What is compared of the target, in S frames that are spread over its clip."""

    rows: Ints
    """(S,) of the track."""
    light: Floats
    """(S,9,3) as if its skin were white."""
    normals: Floats
    """(S,O,3) along the outline."""
    seam: Floats | None
    """(S,O,3) colors along the outline; None where the clip is gone."""

    def lights(self, count: int) -> Floats:
        """(N,9,3) light in all `count` frames of the track: between looks it changes evenly."""
        every = np.arange(count)
        flat = self.light.reshape(len(self.rows), -1)
        columns = [np.interp(every, self.rows, column) for column in flat.T]
        return np.stack(columns, 1, dtype=np.float32).reshape(count, 9, 3)


def mirrored_light(light: Floats) -> Floats:
    """Return (9,3) light as it is seen in the mirror."""
    return np.asarray(light * _SIDEWAYS[:, None], np.float32)


def candidate(
    index: int, view: SourceView, params: FaceParams, model: FaceModel, width: float
) -> Candidate:
    """Describe photo `index`, in which a face is `width` pixels wide."""
    light = white(view.colors(), view.face.normals, view.trust > 0.5)
    outline = model.regions["face_oval"]
    colors = colors_at(view.picture[..., :3], _strip(view.face.places, model))
    lit = np.maximum(irradiance(view.face.normals[outline], light), DARKEST)
    return Candidate(index, False, _pose(params)[0], light, colors / lit, params.shape, width)


def look_at(shot: Shot, model: FaceModel) -> TargetLook:
    """Look at a target in frames that are spread over its clip.

    Where the clip is gone, its fitted albedo and light say what would be seen.
    """
    seen = np.flatnonzero(shot.track.observed)
    seen = seen if len(seen) else np.arange(len(shot.track))
    spread = np.linspace(0, len(seen) - 1, min(_SAMPLES, len(seen)))
    rows = np.unique(seen[spread.astype(np.int64)])
    found = [_fitted(select(shot.params, rows[n : n + 1]), model) for n in range(len(rows))]
    seam = []
    if find_stored(shot.clip) is not None:
        with Decoder(shot.clip) as decoder:
            for n, row in enumerate(rows.tolist()):
                at = shot.track.start + row
                frame = pixels_last(decoder.read(Window(at, at + 1))[0])
                places = tracked_vertices(shot.track.landmarks[row], model)
                found[n] = (colors_at(frame, places), found[n][1])
                seam.append(colors_at(frame, _strip(places, model)))
    light = [white(colors, normals, normals[:, 2] < -0.2) for colors, normals in found]
    normals = np.stack([normal[model.regions["face_oval"]] for _, normal in found])
    return TargetLook(rows, np.stack(light), normals, np.stack(seam) if seam else None)


def _fitted(params: FaceParams, model: FaceModel) -> tuple[Floats, Floats]:
    """Return colors (F,3) and normals (F,3) of one frame's fitted face."""
    head = model.vertices(params.shape, params.expression)
    points = camera_points(head, params.rotation, params.translation)
    normals = vertex_normals(points, model.triangles)[0]
    return shade(model.colors(params.albedo), normals, params.light[0]), normals


def white(colors: Floats, normals: Floats, shown: Bools) -> Floats:
    """Return the light (9,3) that explains (F,3) colors by skin that is white.

    The pull to an even light is strong: brows, lips and the few places that look aside would bend
    nine coefficients.
    """
    return solve_light(colors, np.ones_like(colors), normals, shown, ridge=_EVEN)


def gain(wanted: Floats, own: Floats) -> Floats:
    """Return factors (F,3) from one white face's shading (F,3) to another's.

    The color is one for the whole face, the form of the light is that of the luma, and both stay
    within what a photo bears.
    """
    tint = np.clip(wanted.mean(0) / own.mean(0), 1 / _STRONGEST, _STRONGEST)
    form = (wanted @ _LUMA / (wanted.mean(0) @ _LUMA)) / (own @ _LUMA / (own.mean(0) @ _LUMA))
    bounded = np.exp(_FORM * np.tanh(np.log(np.maximum(form, 1e-3)) / _FORM))
    return np.asarray(bounded[:, None] * tint, np.float32)


def costs(
    candidates: Sequence[Candidate],
    shot: Shot,
    look: TargetLook,
    model: FaceModel,
    how: MatchConfig,
) -> Floats:
    """Return (N,K): what each of K candidates costs in each of N frames of the target's track.

    c = (dyaw^2 + dpitch^2) / turn^2 + sum_i d_i^2 / s_i^2 over light, color, seam, shape and size,
    where the s are the settings and none of the terms is above `_FAR`.
    """
    pose = _pose(shot.params)
    own = np.stack([c.pose for c in candidates])
    turned = np.square(pose[:, None] - own[None]).sum(-1) / how.turn**2
    rows = np.arange(len(pose))
    nearest = np.abs(rows[:, None] - look.rows[None]).argmin(1)
    still = np.stack([_still_cost(look, c, model, how) for c in candidates], 1)
    width = float(np.median(shot.track.boxes[:, 2] - shot.track.boxes[:, 0]))
    lacking = np.array([max(0.0, np.log2(max(width, 1) / max(c.width, 1))) for c in candidates])
    size = np.minimum(np.square(lacking / how.size), _FAR)
    shapes = np.stack([c.shape for c in candidates])
    unlike = np.square(shapes - shot.params.shape).mean(1) / how.shape**2
    size = size + np.minimum(unlike, _FAR)
    total = np.minimum(turned, _FAR) + still[nearest] + size
    return np.asarray(total, np.float32)


def _still_cost(look: TargetLook, one: Candidate, model: FaceModel, how: MatchConfig) -> Floats:
    """(S,): light, color and seam."""
    normals = vertex_normals(model.mean, model.triangles)
    theirs = [_shading(light, normals) for light in look.light]
    apart = [np.square(_shading(one.light, normals) - their).mean() for their in theirs]
    total = np.minimum(np.array(apart) / how.light**2, _FAR)
    colors = np.stack([irradiance(normals, light).mean(0) for light in (one.light, *look.light)])
    factors = np.log(np.maximum(colors[1:], 1e-3) / np.maximum(colors[0], 1e-3))
    total += np.minimum(np.square(factors).mean(1) / how.color**2, _FAR)
    if look.seam is None:
        return total.astype(np.float32)
    for s, (light, outline) in enumerate(zip(look.light, look.normals, strict=True)):
        relit = one.seam * np.maximum(irradiance(outline, light), DARKEST)
        both = np.stack([relit, look.seam[s]]).reshape(2, _STRIPS, -1, 3).mean(2)
        distance = np.square(both[0] - both[1]).sum(-1).mean()
        total[s] += min(float(distance) / how.seam**2, _FAR)
    return total.astype(np.float32)


def steadiest(cost: Floats, change: float) -> Ints:
    """Choose one of K for each of N frames so that costs and changes together are least, (N,).

    Dynamic programming over time (Viterbi 1967): a change costs `change`.
    """
    count = len(cost)
    total = cost[0].astype(np.float64)
    came = np.zeros(cost.shape, np.int64)
    for n in range(1, count):
        best = int(total.argmin())
        stay = total <= total[best] + change
        came[n] = np.where(stay, np.arange(cost.shape[1]), best)
        total = np.where(stay, total, total[best] + change) + cost[n]
    chosen = np.zeros(count, np.int64)
    chosen[-1] = int(total.argmin())
    for n in range(count - 1, 0, -1):
        chosen[n - 1] = came[n, chosen[n]]
    return chosen


def _shading(light: Floats, normals: Floats) -> Floats:
    """(F,) luma of a white face, in units of its mean."""
    luma = irradiance(normals, light) @ _LUMA
    return np.asarray(luma / max(float(luma.mean()), 1e-3), np.float32)


def _strip(places: Floats, model: FaceModel) -> Floats:
    """(O,2) places just within the outline."""
    outline = places[model.regions["face_oval"]]
    middle = outline.mean(0)
    return np.asarray(middle + _STRIP * (outline - middle), np.float32)


def _pose(params: FaceParams) -> Floats:
    """(N,2) yaw and pitch, degrees."""
    yaw, pitch, _ = euler_from_rotation(rotation_matrix(params.rotation))
    return np.asarray(np.degrees(np.stack([yaw, pitch], 1)), np.float32)

"""Photos of a source, made ready to be drawn from, and which of them to draw from when.

A photo that shows little of a cheek is helped out by its mirror image: faces are nearly symmetric,
and a smeared cheek is not. Of several photos those are chosen whose pose and expression are near
the target's, and neighbors in time are faded into each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from likeness.condition.matte import fill_holes
from likeness.errors import BundleError
from likeness.face3d.raster import visible_vertices
from likeness.geometry import euler_from_rotation, rotation_matrix
from likeness.methods.photo.animation import Photo
from likeness.methods.swap.evened import evened
from likeness.methods.swap.outline import Outline
from likeness.methods.swap.skin import clear_of_hair, skin_likeness
from likeness.methods.swap.surface import FaceSurface, SeenFace
from likeness.methods.swap.view import following_crop
from likeness.track.matte import at_edges, person_likelihoods
from likeness.types import Bools, FaceParams, Floats, Shot

_DENSER = 1.25
"""Pixels of a photo per pixel of the target: more would alias, fewer would blur."""
_AROUND = 0.35
"""Share of the face's size that is kept around it."""
_LOOKED_AT = 512
"""Longest side in pixels of what is asked whether it shows a person."""
_SLACK = 6.0
"""Millimetres that skin may lie behind other skin and still be seen: the fit is no scan."""
_SEEN = (0.12, 0.45)
"""Cosines between skin and line of sight from which on a photo begins to show it, and does."""
_SLANTED = 0.25
"""Cosine up to which lips, lids and nostrils may turn away and still be seen."""
_TURN = np.radians(9.0)
"""Difference of yaw or pitch that makes a photo fit less by a factor of e."""
_GESTURE = 0.35
"""The same for what mouth, lids and brows do, in weights."""
_FADE = 3.0
"""Frames (deviation of a Gaussian) over which one photo gives way to another."""
_LEAST = 0.06
"""Share below which a photo is not drawn from: a faint third picture only blurs."""
_GESTURES = {
    "jawOpen": 1.0,
    "mouthSmile": 0.7,
    "mouthPucker": 0.7,
    "mouthFunnel": 0.5,
    "browInnerUp": 0.6,
    "browDown": 0.6,
    "noseSneer": 0.6,
    "cheekPuff": 0.6,
    "eyeBlink": 0.4,
}
"""Expressions that change the skin itself, and by how much each counts."""


@dataclass(frozen=True, eq=False)
class SourceView:
    """One photo of the source, about as dense as the target's crops."""

    picture: Floats
    """(h,w,4) RGB in [0,1] of the face and a little around it, and how likely it is skin."""
    face: SeenFace
    """In pixels of `picture`."""
    trust: Floats
    """(F,) in [0,1]: how well the photo shows each vertex."""
    features: Floats
    """(D,) pose and expression, in units in which a distance of one is much."""
    mirrored: bool = False

    def colors(self) -> Floats:
        """(F,3) colors at the vertices, means over a few pixels."""
        return colors_at(self.picture[..., :3], self.face.places[: len(self.trust)])


def colors_at(picture: Floats, places: Floats) -> Floats:
    """Return (P,3) colors of a picture (h,w,3) at (P,2) places, means over a few pixels."""
    import cv2

    soft = np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.2), np.float32)
    height, width = soft.shape[:2]
    column = np.floor(places[:, 0]).astype(int).clip(0, width - 1)
    row = np.floor(places[:, 1]).astype(int).clip(0, height - 1)
    return np.asarray(soft[row, column], np.float32)


def source_views(
    photos: Sequence[Photo], surface: FaceSurface, face: float, mirror: bool = True
) -> tuple[SourceView, ...]:
    """Make photos ready, light from one side taken off, each followed by its mirror image.

    Args:
        photos: of one person.
        surface: of the face model that they and the target were fitted with.
        face: width of the target's face in crop pixels.
        mirror: whether mirror images are made.

    Raises:
        BundleError: a photo was fitted with another face model.
    """
    for photo in photos:
        _expect_model(photo, surface)
    views = _harmonized([source_view(evened(photo), surface, face) for photo in photos])
    pairs = ((view, filling(view, surface)) for view in views)
    return tuple(one for pair in pairs for one in (pair if mirror else pair[:1]))


def target_width(shot: Shot) -> float:
    """Return the usual width of a target's face in crop pixels."""
    boxes, observed = shot.track.boxes, shot.track.observed
    seen = boxes[observed] if observed.any() else boxes
    density = float(following_crop(shot.track).crop_from_frame[0, 0, 0])
    return float(np.median(seen[:, 2] - seen[:, 0])) * density


def source_view(photo: Photo, surface: FaceSurface, face: float) -> SourceView:
    """Make one photo ready; see `source_views`.

    Raises:
        BundleError: the photo was fitted with another face model.
    """
    _expect_model(photo, surface)
    landmarks = photo.track.landmarks[0]
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    margin = _AROUND * float((high - low).max())
    extent = np.array(photo.picture.shape[:0:-1])
    first = np.floor(low - margin).clip(0, extent - 2).astype(int)
    last = np.ceil(high + margin).clip(first + 2, extent).astype(int)
    part = photo.picture[:, first[1] : last[1], first[0] : last[0]]
    scale = min(1.0, _DENSER * face / max(float((high - low)[0]), 1.0))
    size = (max(8, round(part.shape[1] * scale)), max(8, round(part.shape[2] * scale)))
    size = size if scale < 1 else (part.shape[1], part.shape[2])
    if scale < 1:
        part = torch.nn.functional.interpolate(
            part[None], size=size, mode="bicubic", align_corners=False, antialias=True
        )[0].clamp(0, 1)
    factor = np.array(part.shape[:0:-1]) / (last - first)
    matrix = np.concatenate([np.diag(factor), -(factor * first)[:, None]], 1).astype(np.float32)
    placed = (landmarks[:, :2] - first) * factor
    frame = (photo.picture.shape[1], photo.picture.shape[2])
    seen = surface.seen(placed.astype(np.float32), photo.params, frame, matrix)
    picture = np.ascontiguousarray(part.permute(1, 2, 0).numpy(), np.float32)
    trust = _trust(seen, surface, picture.shape[:2])
    around = (int(first[0]), int(first[1]), int(last[0]), int(last[1]))
    picture = _without_wall(
        picture, seen.places[: len(trust)], _person(photo.picture, around, size)
    )
    edge = _edge(seen, surface, (picture.shape[0], picture.shape[1]))
    likely = skin_likeness(picture, seen.places, surface.model, edge)
    likely = clear_of_hair(likely, float(np.ptp(seen.places[:, 0])))
    stacked = np.concatenate([picture, likely[..., None]], -1, dtype=np.float32)
    return SourceView(stacked, seen, trust, features(photo.params)[0])


def _expect_model(photo: Photo, surface: FaceSurface) -> None:
    if photo.params.model != surface.model.name:
        raise BundleError(
            f"a photo was fitted with face model {photo.params.model!r}, the target with "
            f"{surface.model.name!r}; expected the same, track the target again"
        )


def _person(picture: torch.Tensor, box: tuple[int, int, int, int], size: tuple[int, int]) -> Floats:
    """(h,w) in [0,1]: how likely a person is seen in a box x0 y0 x1 y1 of a picture (3,H,W)."""
    import cv2

    scale = _LOOKED_AT / max(picture.shape[1:])
    small = (picture * 255 + 0.5).byte().permute(1, 2, 0).numpy()
    if scale < 1:
        small = np.asarray(
            cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        )
    found = next(person_likelihoods([small]))
    whole = cv2.resize(found, (picture.shape[2], picture.shape[1]))
    part = np.ascontiguousarray(whole[box[1] : box[3], box[0] : box[2]])
    return np.asarray(cv2.resize(part, (size[1], size[0])), np.float32)


def _without_wall(picture: Floats, places: Floats, person: Floats) -> Floats:
    """Continue skin over what is seen of the wall within the face's outline, (h,w,3).

    The tracker's outline lies a few pixels beside the cheek, and the wall would come along.
    """
    import cv2

    hull = np.zeros(person.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.round(places).astype(np.int32)), (1,))
    matte = at_edges((picture * 255 + 0.5).astype(np.uint8), person)
    side = 2 * max(1, round(0.008 * max(person.shape))) + 1
    sure = np.asarray(cv2.erode((matte > 0.9).astype(np.uint8), np.ones((side, side))), np.float32)
    if (sure * hull).sum() < 0.7 * hull.sum():
        # A painting or a rendered person may not be taken for one.
        return picture
    filled = fill_holes(picture, sure * hull)
    wall = np.asarray(cv2.GaussianBlur((1 - sure) * hull, (0, 0), 1.0), np.float32)[..., None]
    return np.asarray(picture + wall * (filled - picture), np.float32)


def _edge(face: SeenFace, surface: FaceSurface, size: tuple[int, int]) -> Floats:
    """(h,w) in [0,1]: how much of the face's outline each pixel of a photo shows."""
    edge = np.zeros(size, np.float32)
    cover = surface.cover(face, size)
    if cover is not None:
        share = Outline(surface.model).share[:, None]
        edge[cover.box] = surface.carry(cover, surface.spread(share))[..., 0]
    return edge


def _trust(face: SeenFace, surface: FaceSurface, size: tuple[int, ...]) -> Floats:
    """(F,): skin that faces the camera inside the picture; lips and nostrils turn away and are
    seen all the same."""
    low, high = _SEEN
    trust = np.clip((face.facing - low) / (high - low), 0, 1)
    turned = trust[surface.model.regions["cheeks"]].mean()
    slanted = np.clip((_SLANTED - face.normals[:, 2]) / _SLANTED, 0, 1)
    for name in ("mouth", "nose", "eyes"):
        region = surface.model.regions[name]
        trust[region] = np.maximum(trust[region], slanted[region] * min(1.0, float(turned)))
    count = len(trust)
    corners = np.concatenate([face.places[:count], face.depth[:count, None]], 1)
    seen = visible_vertices(corners, surface.model.triangles, (size[0], size[1]), slack=_SLACK)
    return np.asarray(trust * seen, np.float32)


def flipped(view: SourceView, surface: FaceSurface) -> SourceView:
    """Look at a photo in the mirror."""
    every = surface.mirrored()
    twin = every[: len(view.trust)]
    places = view.face.places[every]
    places[:, 0] = view.picture.shape[1] - places[:, 0]
    normals = view.face.normals[twin] * np.array([-1, 1, 1], np.float32)
    return SourceView(
        np.ascontiguousarray(view.picture[:, ::-1]),
        SeenFace(places, view.face.depth[every], normals),
        view.trust[twin],
        view.features,
        mirrored=True,
    )


def filling(view: SourceView, surface: FaceSurface) -> SourceView:
    """Look at a photo in the mirror, counting only where the photo itself shows nothing."""
    other = flipped(view, surface)
    return replace(other, trust=other.trust * (1 - view.trust))


def features(params: FaceParams) -> Floats:
    """Describe N faces for comparison, (N,D): what turns the head, and what creases the skin."""
    yaw, pitch, _ = euler_from_rotation(rotation_matrix(params.rotation))
    columns = [yaw / _TURN, pitch / _TURN]
    for name, weight in _GESTURES.items():
        both = [n for n in (name, f"{name}Left", f"{name}Right") if n in params.expression_names]
        if both:
            mean = np.mean([params.column(n) for n in both], 0)
            columns.append(np.asarray(mean * weight / _GESTURE, np.float32))
    return np.stack(columns, 1, dtype=np.float32)


def shares(views: Sequence[SourceView], params: FaceParams, observed: Bools) -> Floats:
    """Decide how much each of K photos counts in each of N frames of a target's clip, (N,K).

    w = exp(-d^2 / 2) of the distance d between photo and frame beyond the nearest photo's, faded
    over time and cut at `_LEAST`. Mirror images go with their photos.
    """
    wanted, own = features(params), np.stack([view.features for view in views])
    distance = np.square(wanted[:, None] - own[None]).sum(-1)
    plain = ~np.array([view.mirrored for view in views])
    return faded(np.exp(-0.5 * (distance - distance.min(1, keepdims=True))), plain, observed)


def faded(weight: Floats, plain: Bools, observed: Bools) -> Floats:
    """Fade (N,K) weights of photos over time and drop small ones.

    Those of the photos proper, `plain` (K,), sum to one; mirror images go with them.
    """
    weight = weight.astype(np.float64)
    weight[~observed] = 0
    weight = gaussian_filter1d(weight, _FADE, axis=0, mode="nearest")
    # Far from all seen frames any choice will do, as long as it is one.
    weight = np.where(weight.sum(1, keepdims=True) > 1e-6, weight, 1.0)
    weight /= weight[:, plain].sum(1, keepdims=True)
    weight = np.maximum(weight - _LEAST, 0)
    return np.asarray(weight / weight[:, plain].sum(1, keepdims=True), np.float32)


def _harmonized(views: Sequence[SourceView]) -> tuple[SourceView, ...]:
    """Bring photos to the colors of the first, so that no cut between them is seen.

    A gain per channel: the ratio of median skin colors.
    """
    shown = views[0].trust > 0.5
    if not shown.any():
        return tuple(views)
    first = np.median(views[0].colors()[shown], 0)
    answers = []
    for view in views:
        both = view.colors()[(view.trust > 0.5) & shown]
        if len(both) < 20:
            answers.append(view)
            continue
        gain = np.ones(4, np.float32)
        gain[:3] = np.clip((first + 0.02) / (np.median(both, 0) + 0.02), 0.5, 2.0)
        answers.append(replace(view, picture=np.clip(view.picture * gain, 0, 1)))
    return tuple(answers)

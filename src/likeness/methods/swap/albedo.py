"""A source's shape and skin, made from photos: the face at rest, and its albedo unrolled.

Each photo's light is solved on the face model's mean albedo and divided out; what is left is
unrolled onto the atlas (`condition.atlas`). Photos count by how well they show a place, mirror
images fill in what none of them shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from likeness.condition.atlas import Atlas
from likeness.condition.matte import fill_holes
from likeness.condition.mesh import PortraitMesh, with_eyes
from likeness.face3d.light import irradiance, solve_light
from likeness.face3d.model import FaceModel
from likeness.geometry import euler_from_rotation, rotation_matrix
from likeness.methods.photo.animation import Photo
from likeness.methods.photo.motion import Head
from likeness.methods.swap.photo_views import SourceView
from likeness.methods.swap.surface import FaceSurface
from likeness.synthesize.mouth_texture import weighted_median
from likeness.types import Floats

_DARKEST = 0.15
"""Least irradiance that a photo is divided by: in shade its noise would be blown up."""
_ENOUGH = (0.1, 0.5)
"""Trust in all photos together from which on skin begins to be known, and is."""
_OFF = 0.008
"""How far known skin is kept off what is not, in sides of the atlas."""
_FRONTAL = np.radians(8.0)
"""Yaw or pitch at which a photo counts less for the shape by a factor of e to the half."""
_ROUNDS = 3
_SPREAD = 0.08
"""Usual distance of a color from what albedo modes and nine harmonics say."""
_MANY = 5
"""Photos from which on skin is their median and not their mean: hair and shine drop out."""


@dataclass(frozen=True, eq=False)
class Skin:
    """A source's shape and unrolled albedo."""

    neutral: Floats
    """(F,3) the face at rest, head space, millimetres."""
    texture: Floats
    """(s,s,4) albedo, and in [0,1] how well the photos show it."""
    places: Floats
    """(V,2) texels of the surface's vertices."""


def unrolled(
    photos: Sequence[Photo], views: Sequence[SourceView], surface: FaceSurface, texels: int
) -> Skin:
    """Make shape and skin from photos of one person.

    Args:
        photos: with the faces fitted in them.
        views: the same made ready, with mirror images.
        surface: of their face model.
        texels: side of the unrolled skin.
    """
    model = surface.model
    shape = np.mean([photo.params.shape for photo in photos], 0).astype(np.float32)
    mesh = PortraitMesh.of(model, shape)
    # An open mouth gives both lips their own place.
    weights = np.zeros(len(model.expression), np.float32)
    if "jawOpen" in model.expression_names:
        weights[model.expression_names.index("jawOpen")] = 0.7
    atlas = Atlas.of(mesh, texels, weights)
    colors, known = zip(*(_unlit(view, atlas) for view in views), strict=True)
    many, shown = torch.cat(colors), torch.cat(known)
    total = shown.sum(0)
    if len(photos) >= _MANY:
        albedo = weighted_median(many, shown + 1e-6)
    else:
        albedo = (many * shown).sum(0) / (total + 1e-6)
    flat = np.ascontiguousarray(albedo.permute(1, 2, 0).numpy())
    trust = _feathered(total[0].numpy())
    filled = fill_holes(flat, trust)
    face = len(model.mean)
    ring = face + len(model.regions["face_oval"])
    places = np.concatenate([atlas.places[:ring], atlas.places[-2:]])
    texture = np.concatenate([filled, trust[..., None]], -1, dtype=np.float32)
    return Skin(_neutral(photos, model), texture, places)


def _feathered(total: Floats) -> Floats:
    """(s,s) in [0,1]: where skin is known, kept off the edges of hair and fading toward them."""
    import cv2

    low, high = _ENOUGH
    known = np.asarray(np.clip((total - low) / (high - low), 0, 1), np.float32)
    side = 2 * max(1, round(_OFF * len(total))) + 1
    inner = cv2.erode(known, np.ones((side, side)), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.GaussianBlur(inner, (0, 0), side / 3), np.float32)


def light_of(view: SourceView, model: FaceModel) -> Floats:
    """(9,3) light of a photo, solved in turns with the albedo of the model that explains it.

    min over beta, gamma of sum |c - (mean + beta . modes) sum_b gamma_b Y_b(n)|^2 + |beta|^2, as in
    the fit of a clip (`fit.appearance.solve_albedo`), so that one's skin and the other's light are
    told apart by the same rule.
    """
    colors, shown = view.colors(), view.trust > 0.5
    count = len(model.albedo)
    modes = model.albedo.reshape(count, -1, 3)[:, shown].astype(np.float64)
    albedo = model.albedo_mean
    for _ in range(_ROUNDS):
        light = solve_light(colors, albedo, view.face.normals, shown)
        lit = np.maximum(irradiance(view.face.normals, light), 0.02)[shown]
        rows = (modes * lit).reshape(count, -1)
        left = (colors[shown] - model.albedo_mean[shown] * lit).reshape(-1)
        pull = np.eye(count) * _SPREAD**2 * 8
        beta = np.linalg.solve(rows @ rows.T + pull, rows @ left)
        albedo = model.colors(np.clip(beta, -3, 3).astype(np.float32))
    return solve_light(colors, albedo, view.face.normals, shown)


def _neutral(photos: Sequence[Photo], model: FaceModel) -> Floats:
    """(F,3): the fitted faces, bent so that they project onto the landmarks, at rest.

    Frontal photos count most: lifted from a turned head, an error of the fitted depth is one of
    the face's width.
    """
    still, weights = [], []
    for photo in photos:
        size = (photo.picture.shape[1], photo.picture.shape[2])
        head = Head.lifted(model, photo.params, size, photo.track.landmarks[0, :, :2], 1.0)
        still.append(head.vertices - model.moved(photo.params.expression)[0])
        yaw, pitch, _ = euler_from_rotation(rotation_matrix(photo.params.rotation))
        turned = np.square(yaw[0] / _FRONTAL) + np.square(pitch[0] / _FRONTAL)
        weights.append(float(np.exp(-0.5 * turned)) + 1e-6)
    return np.asarray(np.average(np.stack(still), 0, weights), np.float32)


def _unlit(view: SourceView, atlas: Atlas) -> tuple[torch.Tensor, torch.Tensor]:
    """Unroll one photo and take its light off: (1,3,s,s) albedo and (1,1,s,s) weight."""
    mesh, count = atlas.mesh, len(view.trust)
    light = light_of(view, mesh.model)
    lit = np.maximum(irradiance(view.face.normals, light), _DARKEST)
    values = with_eyes(np.concatenate([lit, view.trust[:, None]], 1), mesh, 1)
    oval = mesh.model.regions["face_oval"]
    values[count : count + len(oval)] = values[oval]
    carried = torch.from_numpy(atlas.carry(values).transpose(2, 0, 1))[None]
    # Of the portrait mesh's rings only the first is drawn.
    outer = np.zeros((len(mesh.rings) - len(oval), 2), np.float32)
    places = np.concatenate([view.face.places[:-2], outer, view.face.places[-2:]])
    picture = torch.from_numpy(view.picture).permute(2, 0, 1)[None]
    read = atlas.unroll(picture, places[None])
    weight = (carried[:, 3:] * read[:, 3:]).square()
    return read[:, :3] / carried[:, :3].clamp_min(_DARKEST), weight

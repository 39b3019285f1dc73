"""Both faces fitted, the source's shape and skin under the target's pose, expression and light.

Papers: Exchanging Faces in Images (Blanz, Scherbaum, Vetter, Seidel; Eurographics 2004) and
3D-Model-Based Face Replacement in Video (Cheng, Tseng, Chuang, Ouhyoung; SIGGRAPH posters 2009).
Three layers: the target's frame, the rendered skin, and the target's own eyes and mouth, moved to
where the source's lids and lips are. docs/methods/swap.md has the equations and what differs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from likeness import config as settings
from likeness import geometry
from likeness.condition.align import similarity
from likeness.condition.conditioner import select
from likeness.condition.mesh import EYE, MOUTH
from likeness.errors import ConfigError
from likeness.face3d.camera import camera_points, pixels
from likeness.face3d.light import irradiance, vertex_normals
from likeness.face3d.model import FaceModel
from likeness.fit.transfer import rest_frame
from likeness.methods.photo.residual import Residual
from likeness.methods.swap.albedo import Skin, light_of, unrolled
from likeness.methods.swap.method import Swapped, swapped
from likeness.methods.swap.photo_views import source_views, target_width
from likeness.methods.swap.source import photos_of
from likeness.methods.swap.surface import IRISES, Cover, FaceSurface, SeenFace, read
from likeness.methods.swap.view import SwapFace, TargetView
from likeness.plan.plan import Plan
from likeness.store import load_face_model
from likeness.types import Bundle, FaceParams, Floats, Shot

_STEADY = 4.0
"""Frames (deviation of a Gaussian) over which the source's place in the target is smoothed."""


@dataclass(frozen=True)
class MeshConfig:
    """Settings of the rendered face."""

    texels: int = 512
    """Side of the unrolled skin."""
    outline: float = 1.0
    """How far the source's outline is bent onto the target's: at 0 a narrow face on a wide one
    leaves some of the cheeks."""
    inward: float = 0.45
    """How far inward from the outline bending reaches, in half widths of the face."""
    light: float = 1.0
    """Share of the target's light; at 0 the photo's light stays."""

    def __post_init__(self) -> None:
        if not 64 <= self.texels <= 4096:
            raise ConfigError(f"texels is {self.texels}; expected 64 to 4096")
        if not 0 < self.inward <= 1:
            raise ConfigError(f"inward is {self.inward}; expected above 0, at most 1")
        for name in ("outline", "light"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 to 1")


@dataclass(frozen=True, eq=False)
class MeshSwapper:
    """A source's shape and skin, ready for one target."""

    surface: FaceSurface
    skin: Skin
    placed: Floats
    """(rows of the target's track, 2, 3) from where the source's head would be seen to where it
    replaces the target's, pixels of the frame."""
    residual: Residual
    """What the target's skin does beyond its fitted expression."""
    bending: Floats
    """(F,O) how far each vertex follows each of the outline's where these are pulled."""
    own_light: Floats
    """(9,3) of the first photo."""
    config: MeshConfig

    def draw(self, view: TargetView) -> SwapFace:
        """Render the source's face doing what the target does in N frames."""
        rgb, alpha = view.pixels.clone(), torch.zeros_like(view.pixels[:, :1])
        size = (view.frames.shape[2], view.frames.shape[3])
        for n in range(len(view)):
            params = select(view.params, np.array([n]))
            matrix = view.crop.crop_from_frame[n]
            target = self.surface.seen(view.landmarks[n], params, size, matrix)
            source = self._pose(params, int(view.rows[n]), size, matrix, target)
            cover = self.surface.cover(source, view.crop.size)
            if cover is None:
                continue
            under = rgb[n].permute(1, 2, 0).contiguous().numpy()
            drawn, known = self._render(cover, source, target, params, under)
            rgb[n][:, *cover.box] = torch.from_numpy(drawn).permute(2, 0, 1)
            alpha[n, 0][cover.box] = torch.from_numpy(known)
        return SwapFace(rgb.clamp_(0, 1), alpha)

    def _pose(
        self,
        params: FaceParams,
        row: int,
        size: tuple[int, int],
        crop_from_frame: Floats,
        target: SeenFace,
    ) -> SeenFace:
        """Let the source's head do what the target's does, and stand in its place."""
        model = self.surface.model
        head = self.skin.neutral + model.moved(params.expression)[0] + self.residual.read(row)
        points = camera_points(head[None], params.rotation, params.translation)
        flat = pixels(points, params.focal, size)[0, :, :2]
        places = geometry.apply(geometry.compose(crop_from_frame, self.placed[row]), flat)
        count = len(places)
        outline = model.regions["face_oval"]
        places = places + self.bending @ (target.places[outline] - places[outline])
        normals = vertex_normals(points, model.triangles)[0]
        # Irises go where their lids go.
        moved = self.surface.spread(places - target.places[:count])[-2:]
        return self.surface.closed(places, target.places[-2:] + moved, points[0], normals)

    def _render(
        self, cover: Cover, source: SeenFace, target: SeenFace, params: FaceParams, under: Floats
    ) -> tuple[Floats, Floats]:
        """Draw a box, (h,w,3), and its coverage, (h,w)."""
        import cv2

        light = self.own_light + self.config.light * (params.light[0] - self.own_light)
        lit = np.concatenate(
            [irradiance(source.normals, light), self.surface.edge(source)[:, None]], 1
        )
        values = np.concatenate([self.skin.places, target.places, self.surface.spread(lit, 1)], 1)
        carried = self.surface.carry(cover, values)
        skin = read(self.skin.texture, carried[..., :2], cubic=True)
        drawn = skin[..., :3] * carried[..., 4:7]
        open_ = (cover.kinds == EYE) | (cover.kinds == MOUTH)
        inside = np.asarray(cv2.GaussianBlur(open_.astype(np.float32), (0, 0), 0.6), np.float32)
        drawn += inside[..., None] * (read(under, carried[..., 2:4]) - drawn)
        known = np.where(open_, 1, np.clip(skin[..., 3], 0, 1) * carried[..., 7])
        known = known * (cover.kinds >= 0)
        soft = np.asarray(cv2.GaussianBlur(known.astype(np.float32), (0, 0), 0.8), np.float32)
        drawn = np.where((cover.kinds >= 0)[..., None], drawn, under[cover.box])
        return np.asarray(drawn, np.float32), np.clip(soft, 0, 1)


def open_mesh(bundle: Bundle, plan: Plan, device: torch.device) -> Swapped:
    """Make a bundle of photos ready for a plan's target; it runs on the CPU.

    Raises:
        BundleError: the bundle holds no photos, or of another face model than the target's.
    """
    config = settings.resolve(MeshConfig, bundle.training.get("settings", {}))
    shot = plan.shot
    surface = FaceSurface.of(load_face_model(shot.params.model))
    photos = photos_of(bundle)
    views = source_views(photos, surface, target_width(shot))
    skin = unrolled(photos, views, surface, config.texels)
    swapper = MeshSwapper(
        surface=surface,
        skin=skin,
        placed=placed(skin.neutral, shot, surface.model),
        residual=Residual.of(shot, surface.model, rest_frame(shot.params, shot.track.observed)),
        bending=config.outline * _bending(skin.neutral, surface.model, config.inward),
        own_light=light_of(views[0], surface.model),
        config=config,
    )
    return swapped(swapper, plan)


def placed(neutral: Floats, shot: Shot, model: FaceModel) -> Floats:
    """Find where a source's head replaces the target's, (N,2,3) similarities in the frame.

    The source, posed by the target's params, is laid onto the target's landmarks where skin hardly
    moves and along the outline; what is found is smoothed over time, counted from the face's own
    middle.

    Args:
        neutral: (F,3) the source at rest, head space.
        shot: the target.
        model: the face model of both.
    """
    params = shot.params
    chosen = np.unique(np.concatenate([model.regions["rigid"], model.regions["face_oval"]]))
    chosen = chosen[np.isin(chosen, model.landmark_vertices[: IRISES[0]])]
    marks = np.array([int(np.flatnonzero(model.landmark_vertices == v)[0]) for v in chosen])
    moved = np.tensordot(params.expression, model.expression[:, chosen], 1) + neutral[chosen]
    points = camera_points(moved.astype(np.float32), params.rotation, params.translation)
    flat = pixels(points, params.focal, shot.clip.size)[..., :2]
    found = similarity(flat, shot.track.landmarks[:, marks, :2])
    middle = flat.mean(1).astype(np.float64)
    shift = (found[:, :, :2] @ middle[..., None])[..., 0] + found[:, :, 2] - middle
    seen = np.flatnonzero(shot.track.observed)
    values = np.concatenate([found[:, :, :2].reshape(-1, 4), shift], 1)
    if len(seen):
        rows = np.arange(len(values))
        values = np.stack([np.interp(rows, seen, column[seen]) for column in values.T], 1)
    values = gaussian_filter1d(values, _STEADY, axis=0, mode="nearest")
    linear = values[:, :4].reshape(-1, 2, 2)
    offset = values[:, 4:] + middle - (linear @ middle[..., None])[..., 0]
    return np.concatenate([linear, offset[..., None]], -1, dtype=np.float32)


def _bending(neutral: Floats, model: FaceModel, inward: float) -> Floats:
    """(F,O): a pull at the outline, averaged along it, fades to nothing inward."""
    outline = model.regions["face_oval"]
    width = float(np.ptp(neutral[outline, 0]))
    apart = np.linalg.norm(neutral[:, None, :2] - neutral[None, outline, :2], axis=-1)
    near = np.exp(-0.5 * np.square((apart - apart.min(1, keepdims=True)) / (0.08 * width)))
    near[outline] = np.eye(len(outline))
    share = np.clip(1 - apart.min(1) / (inward * width / 2), 0, 1)
    share = share * share * (3 - 2 * share)
    return np.asarray(share[:, None] * near / near.sum(1, keepdims=True), np.float32)

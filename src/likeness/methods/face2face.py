"""Face2Face: the target's own frames with another expression.

Thies, Zollhoefer, Stamminger, Theobalt, Niessner (CVPR 2016). Pose, light, eyes and background
stay the target's. The face is rendered with the target's skin, unrolled once, under the light found
in each frame; the mouth comes from the target's own frames. Nothing is learned: "training" unrolls
skin and mouths, which takes seconds. See docs/methods/face2face.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from likeness.condition.atlas import Atlas, box_around, fetch
from likeness.condition.conditioner import PortraitConditioner, select
from likeness.condition.gallery import pick_keyframes
from likeness.condition.mesh import EYES, MOUTH, SKIN, PortraitMesh, PosedMesh, with_eyes
from likeness.condition.paint import cover
from likeness.condition.warp import displacements, facing
from likeness.face3d.light import irradiance, solve_light, vertex_normals
from likeness.face3d.raster import interpolate
from likeness.fit.deformation import DeformationTransfer
from likeness.fit.parts import belongs
from likeness.methods.face2face_mouths import MouthGallery, describe
from likeness.methods.protocol import Footage, own_frames
from likeness.metrics.temporal import flow, warp
from likeness.synthesize.mouth_texture import blur, weighted_median
from likeness.types import Bools, Condition, FaceParams, Floats, Ints, Shot, Weights, Window

_DARKEST = 0.15
"""Least irradiance that colors are divided by: in the shade of the nose noise would be blown up."""
_EYE_BORDER = (4.0, 13.0)
"""Millimetres from the lids' edge where the rendered face begins and where it is alone."""
_UNLIKE = 0.8
"""Correlation of two aligned mouths at which they are no longer blended."""
_MAPS = ("place_x", "place_y", "light_r", "light_g", "light_b", "flow_x", "flow_y")


@dataclass(frozen=True)
class Face2FaceConfig:
    """What is kept of the target."""

    mouths: int = 300
    """Frames whose mouths can be shown again."""
    skin: int = 48
    """Frames that the skin is the median of."""
    texels: int = 256
    """Side of the unrolled face."""
    clusters: int = 10
    """Groups of mouths, as in the paper."""
    continuity: float = 0.3
    """Weight of the way over the graph of mouths against the wanted descriptor."""


def make_face2face(footage: Footage, config: Face2FaceConfig) -> dict[str, Weights]:
    """Unroll skin and mouths."""
    conditioner, known, rows = footage.conditioner, footage.params, footage.rows
    atlas = open_atlas(conditioner, config.texels)
    calm = np.argsort(np.square(known.expression - np.median(known.expression, 0)).sum(1))
    calm = np.sort(calm[: max(config.skin, len(calm) // 3)])
    # Turned heads show the cheeks; expressions move the skin off its place.
    nothing = np.zeros((len(calm), 1), np.float32)
    posed = replace(conditioner.describe(select(known, calm)), mouth=nothing)
    posed = replace(posed, eyes=nothing)
    chosen = calm[pick_keyframes(posed, config.skin)]
    colors, weights = zip(*(_unlit(footage, atlas, i) for i in chosen), strict=True)
    skin = weighted_median(torch.cat(colors), torch.cat(weights))
    box = mouth_box(atlas)
    kept = np.unique(np.linspace(0, len(rows) - 1, min(config.mouths, len(rows))).astype(np.int64))
    x0, y0, x1, y1 = box.tolist()
    mouths = [_unlit(footage, atlas, i)[0][:, :, y0:y1, x0:x1] for i in kept]
    return {
        "skin": Weights("skin", {"texels": config.texels}, {"texture": skin.half()}),
        "mouths": Weights(
            "mouths",
            {"clusters": config.clusters, "continuity": config.continuity},
            {"patches": torch.cat(mouths).half(), "rows": torch.from_numpy(rows[kept])},
        ),
    }


def open_atlas(conditioner: PortraitConditioner, texels: int) -> Atlas:
    """Unroll a face whose mouth is open, so that teeth have a place."""
    model = conditioner.mesh.model
    weights = np.zeros(len(model.expression), np.float32)
    if "jawOpen" in model.expression_names:
        weights[model.expression_names.index("jawOpen")] = 0.7
    return Atlas.of(conditioner.mesh, texels, weights)


def mouth_box(atlas: Atlas) -> Ints:
    """Return (4,) x0 y0 x1 y1 texels around the lips."""
    return box_around(atlas.places[atlas.mesh.model.regions["lips"]], atlas.side / 20, atlas.side)


def _pose(conditioner: PortraitConditioner, params: FaceParams) -> PosedMesh:
    return conditioner.mesh.pose(params, conditioner.crop_from_frame, conditioner.frame_size)


def _lit(conditioner: PortraitConditioner, posed: PosedMesh, light: Floats) -> Floats:
    """(N,V,3) irradiance of the whole mesh; rings, which are not drawn, have one."""
    normals = vertex_normals(posed.points, conditioner.mesh.model.triangles)
    lit = np.stack([irradiance(n, one) for n, one in zip(normals, light, strict=True)])
    return with_eyes(np.maximum(lit, _DARKEST), conditioner.mesh, 1)


def _unlit(footage: Footage, atlas: Atlas, index: int) -> tuple[Tensor, Tensor]:
    """Unroll one frame and take its light off: (1,3,s,s) albedo and (1,1,s,s) weight."""
    one, conditioner = np.array([index]), footage.conditioner
    params = select(footage.params, one)
    posed = _pose(conditioner, params)
    colors = atlas.unroll(footage.bank.crops(one), posed.vertices[..., :2])
    lit = atlas.carry(_lit(conditioner, posed, params.light)[0])
    visibility = atlas.carry(facing(conditioner.mesh, posed)[0][:, None])
    light = torch.from_numpy(lit.transpose(2, 0, 1))[None].clamp_min(_DARKEST)
    weight = torch.from_numpy(visibility.transpose(2, 0, 1))[None].clamp_min(1e-3)
    return colors / light, weight.square()


@dataclass(frozen=True, eq=False)
class Face2Face:
    """The editor: wanted params and the target's frames in, changed frames out."""

    conditioner: PortraitConditioner
    shot: Shot
    atlas: Atlas
    skin: Tensor
    """(3,s,s) albedo."""
    patches: Tensor
    """(G,3,h,w) albedo of mouths."""
    gallery: MouthGallery
    continuity: float
    deformation: DeformationTransfer
    blend: Tensor
    """(1,1,h,w) where a mouth patch covers the skin."""
    cover: Floats
    """(V,1) 1 where the rendered face is shown, 0 at its border and around the eyes."""
    _chosen: Callable[[FaceParams], Ints] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Windows of one timeline share its plan.
        object.__setattr__(self, "_chosen", lru_cache(2)(self._plan))

    def adapt(self, driver: FaceParams) -> FaceParams:
        """Put the driver's expressions on the target's mesh (section 6)."""
        target = self.shot.params
        moved = self.deformation(driver.expression, driver.shape, target.shape)
        return replace(driver, expression=moved)

    def condition(self, params: FaceParams, window: Window, frames: Tensor) -> Condition:
        """Find out where each pixel's skin lies, what light falls on it, and which mouths to show.

        Args:
            params: the wanted performance; only what moves mouth, nose and brows is read.
            window: which of its frames.
            frames: (N,3,h,w) the target's crops there.
        """
        own, observed = own_frames(self.shot, params, window)
        wanted = self._wanted(params, own, window, observed)
        posed, before = _pose(self.conditioner, wanted), _pose(self.conditioner, own)
        light = self._light(frames, before)
        lit = _lit(self.conditioner, posed, light)
        drawn = [self._maps(posed, before, lit, n) for n in range(len(window))]
        maps, masks = zip(*drawn, strict=True)
        chosen = self._chosen(params)
        last = np.maximum(np.arange(window.start, window.stop) - 1, 0)
        pairs = np.stack([chosen[window.start : window.stop], chosen[last]], 1)
        return Condition(
            crop=self.conditioner.crop(len(window)),
            maps=torch.from_numpy(np.stack(maps)),
            map_names=_MAPS,
            keyframes=self.patches[torch.from_numpy(pairs)],
            target=frames,
            mask=torch.from_numpy(np.stack(masks) * observed[:, None, None, None]).float(),
        )

    def draw(self, condition: Condition) -> Tensor:
        """Render skin and mouth and lay them over the frames, (N,3,h,w)."""
        target, mask, mouths = condition.target, condition.mask, condition.keyframes
        assert target is not None  # noqa: S101 - `condition` sets all three
        assert mask is not None  # noqa: S101
        assert mouths is not None  # noqa: S101
        maps = condition.maps
        x0, y0, x1, y1 = mouth_box(self.atlas).tolist()
        h, w = target.shape[-2:]
        rows, columns = np.mgrid[:h, :w] + 0.5
        centers = np.stack([columns, rows], -1)
        drawn = []
        for n in range(len(maps)):
            texture = self.skin.clone()
            patch = torch.lerp(texture[:, y0:y1, x0:x1], _between(*mouths[n]), self.blend[0])
            texture[:, y0:y1, x0:x1] = patch
            face = fetch(texture[None], maps[n, :2].permute(1, 2, 0).numpy()) * maps[n, 2:5]
            flow = maps[n, 5:7].permute(1, 2, 0).numpy()
            moved = fetch(target[n : n + 1], centers + flow) if flow.any() else target[n : n + 1]
            drawn.append(torch.lerp(moved, face.clamp(0, 1), mask[n : n + 1]))
        return torch.cat(drawn)

    def alpha(self, condition: Condition) -> Tensor:
        """(N,1,h,w) where frames differ from what they were: the face and what moves with it."""
        assert condition.mask is not None  # noqa: S101 - `condition` sets it
        moved = condition.maps[:, 5:7].abs().amax(1, keepdim=True) > 0.02
        return torch.maximum((condition.mask > 0).float(), moved.float())

    def _wanted(
        self, params: FaceParams, own: FaceParams, window: Window, observed: Bools
    ) -> FaceParams:
        """The target's own params with the wanted mouth, nose and brows where it was seen."""
        moves = belongs(own.expression_names, ["mouth", "nose", "brows"])
        wanted = params.expression[window.start : window.stop]
        return replace(own, expression=np.where(moves & observed[:, None], wanted, own.expression))

    def _plan(self, params: FaceParams) -> Ints:
        """(N,) mouth of each frame; which one follows which is decided over the whole timeline."""
        own = replace(params, shape=self.shot.params.shape)
        return self.gallery.choose(describe(self.conditioner.mesh.model, own), self.continuity)

    def _light(self, frames: Tensor, before: PosedMesh) -> Floats:
        """(N,9,3) light of the target's frames, from the skin that they show."""
        model = self.conditioner.mesh.model
        count = len(model.mean)
        albedo = fetch(self.skin[None], self.atlas.places[None, :count])[0, :, 0].T.numpy()
        normals = vertex_normals(before.points, model.triangles)
        visible = facing(self.conditioner.mesh, before)[:, :count] > 0.3
        inside = (before.vertices[:, :count, :2] > 1) & (
            before.vertices[:, :count, :2] < self.conditioner.side - 1
        )
        shown = visible & inside.all(-1) & (self.cover[:count, 0] > 0)
        shown[:, model.regions["mouth"]] = False
        answers = []
        for n in range(len(frames)):
            colors = fetch(frames[n : n + 1], before.vertices[n : n + 1, None, :count, :2])
            answers.append(solve_light(colors[0, :, 0].T.numpy(), albedo, normals[n], shown[n]))
        return np.stack(answers)

    def _maps(
        self, posed: PosedMesh, before: PosedMesh, lit: Floats, n: int
    ) -> tuple[Floats, Floats]:
        """(7,h,w) maps and (1,h,w) mask of one frame."""
        conditioner, mesh = self.conditioner, self.conditioner.mesh
        coverage = cover(mesh, posed.vertices[n], conditioner.side, conditioner.side)
        cosine = facing(mesh, posed)[n, :, None]
        # Lips turn away inside the mouth, nostrils under the nose; both are seen all the same.
        for name in ("mouth", "nose"):
            cosine[mesh.model.regions[name]] = 1
        values = np.concatenate([self.atlas.places, lit[n], self.cover, cosine], 1)
        drawn = interpolate(coverage.ids, coverage.barycentrics, values, mesh.triangles)
        xy, was = posed.vertices[n, :, :2], before.vertices[n, :, :2]
        flow = np.zeros((2, conditioner.side, conditioner.side), np.float32)
        if np.abs(xy - was).max() > 0.02:
            visibility = np.ones((1, len(xy)), np.float32)
            flow = displacements(mesh, coverage, xy, was[None], visibility, conditioner.side)[0][0]
        shown = np.clip(drawn[..., 5] * 1.5, 0, 1) * np.clip((drawn[..., 6] - 0.1) / 0.25, 0, 1)
        shown = np.where(coverage.kinds == MOUTH, 1, shown)
        shown = np.where((coverage.kinds == SKIN) | (coverage.kinds == MOUTH), shown, 0)
        smooth = shown * shown * (3 - 2 * shown)
        maps = np.concatenate([drawn[..., :5].transpose(2, 0, 1), flow])
        return maps.astype(np.float32), smooth[None].astype(np.float32)


def open_face2face(
    networks: Mapping[str, Weights], conditioner: PortraitConditioner, shot: Shot
) -> Face2Face:
    """Make the editor from what `make_face2face` kept."""
    skin, mouths = networks["skin"], networks["mouths"]
    mesh = conditioner.mesh
    model = mesh.model
    atlas = open_atlas(conditioner, int(skin.config["texels"]))
    patches = mouths.tensors["patches"].float()
    described = describe(model, select(shot.params, mouths.tensors["rows"].numpy()))
    shown = _away_from_eyes(mesh)
    shown[model.regions["face_oval"]] = 0
    lips = np.zeros((len(model.mean), 1), np.float32)
    lips[model.regions["mouth"]] = 1
    x0, y0, x1, y1 = mouth_box(atlas).tolist()
    around = atlas.carry(with_eyes(lips, mesh, 0))[y0:y1, x0:x1].transpose(2, 0, 1)[None]
    around[:, :, atlas.coverage.kinds[y0:y1, x0:x1] == MOUTH] = 1
    blend = torch.from_numpy(_fading(around.shape[2], around.shape[3]) * (around > 0))
    return Face2Face(
        conditioner=conditioner,
        shot=shot,
        atlas=atlas,
        skin=skin.tensors["texture"].float(),
        patches=patches,
        gallery=MouthGallery.of(described, patches, int(mouths.config["clusters"])),
        continuity=float(mouths.config["continuity"]),
        deformation=DeformationTransfer.of(model),
        blend=blur(blend.float(), atlas.side / 100),
        cover=with_eyes(shown, mesh, 0),
    )


def _away_from_eyes(mesh: PortraitMesh) -> Floats:
    """(F,1) 0 around the lids, which stay the target's own with their shadows, 1 further away."""
    rest = mesh.model.neutral(mesh.shape)
    lids = rest[np.concatenate([mesh.model.regions[name] for name in EYES])]
    distance = np.linalg.norm(rest[:, None] - lids, axis=-1).min(1)
    near, far = _EYE_BORDER
    return np.asarray(np.clip((distance - near) / (far - near), 0, 1)[:, None], np.float32)


def _fading(height: int, width: int) -> Floats:
    """(1,1,h,w) one inside, zero in a border of a tenth."""
    y, x = np.ogrid[:height, :width]
    inside = (np.minimum(y, height - 1 - y) > height * 0.1) & (
        np.minimum(x, width - 1 - x) > width * 0.1
    )
    return inside[None, None].astype(np.float32)


def _between(new: Tensor, last: Tensor) -> Tensor:
    """Align the mouth shown before with the new one and average both (section 7).

    Two mouths that flow can't bring together would be seen as two: the less they correlate, the
    more of the new one alone is shown.
    """
    if torch.equal(new, last):
        return new
    aligned = warp(last[None], flow(new.clamp(0, 1), last.clamp(0, 1)))[0]
    pair = torch.corrcoef(torch.stack([new.mean(0).flatten(), aligned.mean(0).flatten()]))
    share = 0.5 * float(((pair[0, 1] - _UNLIKE) / (1 - _UNLIKE)).clamp(0, 1).nan_to_num(0))
    return torch.lerp(new, aligned, share)

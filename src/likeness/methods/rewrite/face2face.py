"""Face2Face: the target's own frames with another expression.

Thies, Zollhoefer, Stamminger, Theobalt, Niessner (CVPR 2016). Pose, light, eyes and background
stay the target's. The face is rendered with the target's skin, unrolled once, under the light found
in each frame; the mouth comes from the target's own frames. Nothing is learned: "training" unrolls
skin and mouths, which takes seconds. See docs/methods/face2face.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from likeness.condition.atlas import Atlas, box_around, fetch
from likeness.condition.conditioner import PortraitConditioner, select
from likeness.condition.crop import cut
from likeness.condition.gallery import pick_keyframes
from likeness.condition.mesh import EYES, MOUTH, SKIN, PortraitMesh, PosedMesh, with_eyes
from likeness.condition.paint import cover
from likeness.condition.warp import displacements, facing
from likeness.face3d.light import irradiance, solve_light, vertex_normals
from likeness.face3d.raster import interpolate
from likeness.fit.parts import belongs
from likeness.methods.portrait.model import target_conditioner
from likeness.methods.rewrite.face2face_mouths import MouthGallery, describe
from likeness.metrics.temporal import flow, warp
from likeness.plan.plan import Plan
from likeness.plan.target import Target
from likeness.synthesize.mouth_texture import blur, weighted_median
from likeness.training.footage import Footage, Learned
from likeness.types import Bools, Bundle, FaceParams, Floats, Ints, Layer, Weights, Window

_DARKEST = 0.15
"""Least irradiance that colors are divided by: in the shade of the nose noise would be blown up."""
_EYE_BORDER = (4.0, 13.0)
"""Millimetres from the lids' edge where the rendered face begins and where it is alone."""
_UNLIKE = 0.8
"""Correlation of two aligned mouths at which they are no longer blended."""


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


def make_face2face(footage: Footage, config: Face2FaceConfig) -> Learned:
    """Unroll skin and mouths; there is nothing to train."""
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
    return Learned(
        {
            "skin": Weights("skin", {"texels": config.texels}, {"texture": skin.half()}),
            "mouths": Weights(
                "mouths",
                {"clusters": config.clusters, "continuity": config.continuity},
                {"patches": torch.cat(mouths).half(), "rows": torch.from_numpy(rows[kept])},
            ),
        }
    )


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
class FaceTextures:
    """What is laid over N of the target's frames, and where."""

    frames: Tensor
    """(N,3,h,w) RGB in [0,1]: the target's crops."""
    places: Tensor
    """(N,2,h,w) texel that each pixel shows."""
    light: Tensor
    """(N,3,h,w) irradiance."""
    flow: Tensor
    """(N,2,h,w) where what lies around the face moves from, crop pixels."""
    mouths: Tensor
    """(N,2,3,h',w') albedo of the mouth that is shown, and of the one shown before."""
    mask: Tensor
    """(N,1,h,w) in [0,1]: how much of the rendered face is shown."""


@dataclass(frozen=True, eq=False)
class Face2Face:
    """The method in the pipeline's slots: the target's frames in, changed frames out."""

    plan: Plan
    """Over the target's own frames; only what moves mouth, nose and brows is read."""
    conditioner: PortraitConditioner
    atlas: Atlas
    skin: Tensor
    """(3,s,s) albedo."""
    patches: Tensor
    """(G,3,h,w) albedo of mouths."""
    blend: Tensor
    """(1,1,h,w) where a mouth patch covers the skin."""
    cover: Floats
    """(V,1) 1 where the rendered face is shown, 0 at its border and around the eyes."""
    chosen: Ints
    """(M,) mouth of each frame, decided over the whole timeline."""

    def condition(self, window: Window, frames: Tensor) -> FaceTextures:
        """Find where each pixel's skin lies, what light falls on it, and which mouths to show."""
        crops = cut(frames, self.conditioner.crop(len(window)))
        own, observed = self.plan.target_at(window)
        wanted = self._wanted(own, window, observed)
        posed, before = _pose(self.conditioner, wanted), _pose(self.conditioner, own)
        lit = _lit(self.conditioner, posed, self._light(crops, before))
        drawn = [self._maps(posed, before, lit, n) for n in range(len(window))]
        maps, masks = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
        last = np.maximum(np.arange(window.start, window.stop) - 1, 0)
        pairs = np.stack([self.chosen[window.start : window.stop], self.chosen[last]], 1)
        return FaceTextures(
            frames=crops,
            places=maps[:, :2],
            light=maps[:, 2:5],
            flow=maps[:, 5:7],
            mouths=self.patches[torch.from_numpy(pairs)],
            mask=masks * torch.from_numpy(observed.astype(np.float32))[:, None, None, None],
        )

    def synthesize(self, told: FaceTextures) -> Layer:
        """Render skin and mouth and lay them over the frames.

        The layer covers where these differ from what they were: the face, and what moves with it.
        """
        x0, y0, x1, y1 = mouth_box(self.atlas).tolist()
        h, w = told.frames.shape[-2:]
        rows, columns = np.mgrid[:h, :w] + 0.5
        centers = np.stack([columns, rows], -1)
        drawn = []
        for n, frame in enumerate(told.frames.split(1)):
            texture = self.skin.clone()
            mouth = _between(*told.mouths[n])
            texture[:, y0:y1, x0:x1] = torch.lerp(texture[:, y0:y1, x0:x1], mouth, self.blend[0])
            places = told.places[n].permute(1, 2, 0).numpy()
            face = fetch(texture[None], places) * told.light[n]
            shift = told.flow[n].permute(1, 2, 0).numpy()
            moved = fetch(frame, centers + shift) if shift.any() else frame
            drawn.append(torch.lerp(moved, face.clamp(0, 1), told.mask[n : n + 1]))
        moves = told.flow.abs().amax(1, keepdim=True) > 0.02
        alpha = torch.maximum((told.mask > 0).float(), moves.float())
        return Layer(self.conditioner.crop(len(drawn)), torch.cat(drawn), alpha)

    def _wanted(self, own: FaceParams, window: Window, observed: Bools) -> FaceParams:
        """The target's own params with the wanted mouth, nose and brows where it was seen."""
        moves = belongs(own.expression_names, ["mouth", "nose", "brows"])
        wanted = self.plan.wanted.expression[window.start : window.stop]
        changed = np.where(moves & observed[:, None], wanted, own.expression)
        return replace(own, expression=changed)

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


def open_face2face(bundle: Bundle, plan: Plan, device: torch.device) -> Face2Face:
    """Make the method from what `make_face2face` kept; it runs on the CPU."""
    skin, mouths = bundle.networks["skin"], bundle.networks["mouths"]
    conditioner = target_conditioner(Target.of(bundle))
    mesh = conditioner.mesh
    model = mesh.model
    atlas = open_atlas(conditioner, int(skin.config["texels"]))
    patches = mouths.tensors["patches"].float()
    described = describe(model, select(plan.shot.params, mouths.tensors["rows"].numpy()))
    gallery = MouthGallery.of(described, patches, int(mouths.config["clusters"]))
    wanted = describe(model, replace(plan.wanted, shape=plan.shot.params.shape))
    shown = _away_from_eyes(mesh)
    shown[model.regions["face_oval"]] = 0
    return Face2Face(
        plan=plan,
        conditioner=conditioner,
        atlas=atlas,
        skin=skin.tensors["texture"].float(),
        patches=patches,
        blend=_mouth_blend(atlas),
        cover=with_eyes(shown, mesh, 0),
        chosen=gallery.choose(wanted, float(mouths.config["continuity"])),
    )


def _mouth_blend(atlas: Atlas) -> Tensor:
    """(1,1,h,w) where a mouth patch covers the skin, in the mouth's box."""
    mesh = atlas.mesh
    lips = np.zeros((len(mesh.model.mean), 1), np.float32)
    lips[mesh.model.regions["mouth"]] = 1
    x0, y0, x1, y1 = mouth_box(atlas).tolist()
    around = atlas.carry(with_eyes(lips, mesh, 0))[y0:y1, x0:x1].transpose(2, 0, 1)[None]
    around[:, :, atlas.coverage.kinds[y0:y1, x0:x1] == MOUTH] = 1
    blend = torch.from_numpy(_fading(around.shape[2], around.shape[3]) * (around > 0))
    return blur(blend.float(), atlas.side / 100)


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

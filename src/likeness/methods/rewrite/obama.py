"""Synthesizing Obama: mouths as medians of many, laid into the target's own frames.

Suwajanakorn, Seitz, Kemelmacher-Shlizerman (ACM TOG 36(4), 2017), sections 4.2 to 4.5. Only the
mouth's shape is wanted; lower faces of the target whose mouths have nearly that shape are brought
to one frontal template, their weighted median is sharpened with real teeth and laid back into a
frame of the target with a corrected jaw line. See docs/methods/obama.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from likeness.composite.pyramid import pyramid_blend
from likeness.condition.atlas import Atlas, box_around, fetch
from likeness.condition.conditioner import PortraitConditioner, select
from likeness.condition.crop import cut
from likeness.condition.mesh import PosedMesh, with_eyes
from likeness.condition.paint import cover
from likeness.face3d.raster import interpolate, rasterize
from likeness.fit.parts import belongs
from likeness.methods.portrait.model import target_conditioner
from likeness.metrics.temporal import flow
from likeness.plan.plan import Plan
from likeness.plan.target import Target
from likeness.synthesize.mouth_texture import (
    blur,
    high_pass,
    nearest_weights,
    overlay,
    sharpen,
    teeth_mask,
    weighted_median,
)
from likeness.training.footage import Footage, Learned
from likeness.types import Bools, Bundle, FaceParams, Floats, Ints, Layer, Weights, Window

_MODES = 20
"""Principal components of the mouth's shape (section 4.1)."""
_STRAY = 1.8
"""Standard deviations of the pose beyond which a frame is no candidate."""
_JAW_LIMIT = 8.0
"""Crop pixels that the jaw line is moved by at most."""
_NOSE_BASE, _CHIN = 2, 152
_SEAM = 0.05


@dataclass(frozen=True)
class ObamaConfig:
    """What is kept of the target, and how many of it make one mouth."""

    candidates: int = 300
    """Frames whose lower faces are kept."""
    nearest: int = 16
    """Candidates that make one mouth: 100 of the thousands that an archive has."""
    share: float = 0.9
    """Of the weight that the nearest hold."""
    texels: int = 256
    """Side of the unrolled face."""
    teeth: float = 0.7
    """Strength of the detail that the teeth get from a proxy frame."""


def make_obama(footage: Footage, config: ObamaConfig) -> Learned:
    """Bring lower faces to the frontal template and choose the frames that show teeth best."""
    conditioner, known, rows = footage.conditioner, footage.params, footage.rows
    atlas = Atlas.of(conditioner.mesh, config.texels)
    usual = np.flatnonzero(_usual(conditioner, known))
    count = min(config.candidates, len(usual))
    kept = usual[np.unique(np.linspace(0, len(usual) - 1, count).astype(np.int64))]
    x0, y0, x1, y1 = lower_box(atlas).tolist()
    textures, scores = [], []
    for index in kept:
        one = np.array([index])
        posed = _rigid(conditioner, select(known, one))
        texture = atlas.unroll(footage.bank.crops(one), posed.vertices[..., :2])[:, :, y0:y1, x0:x1]
        textures.append((texture.clamp(0, 1) * 255 + 0.5).to(torch.uint8))
        scores.append(_teeth_shown(texture, _between(atlas, known.expression[index])))
    best = np.argmax(np.array(scores), 0)
    pictures = torch.cat(textures)
    frames = torch.from_numpy(rows[kept])
    chosen = torch.from_numpy(best)
    how = {
        "texels": config.texels,
        "nearest": config.nearest,
        "share": config.share,
        "teeth": config.teeth,
    }
    shown = {"pictures": pictures[chosen].clone(), "rows": frames[chosen].clone()}
    return Learned(
        {
            "mouths": Weights("mouths", how, {"pictures": pictures, "rows": frames}),
            "teeth": Weights("teeth", {}, shown),
        }
    )


def lower_box(atlas: Atlas) -> Ints:
    """Return (4,) x0 y0 x1 y1 texels around the lower face and what lies under the chin."""
    model = atlas.mesh.model
    face = atlas.places[: len(model.mean)]
    low = face[np.flatnonzero(face[:, 1] > face[_NOSE_BASE, 1])]
    box = box_around(low, atlas.side / 40, atlas.side)
    deeper = min(atlas.side, int(box[3]) + int(0.3 * (box[3] - box[1])))
    return np.array([*box[:3], deeper], np.int64)


def _usual(conditioner: PortraitConditioner, params: FaceParams) -> Bools:
    """(N,) True where the head is turned no further than usual (section 4.2, frame selection)."""
    pose = conditioner.describe(params).pose
    stray = np.abs(pose - np.median(pose, 0)) / np.maximum(pose.std(0), 1e-3)
    usual = (stray < _STRAY).all(1)
    return usual if usual.sum() >= 8 else np.ones(len(pose), bool)


def _rigid(conditioner: PortraitConditioner, params: FaceParams) -> PosedMesh:
    """Pose the template: the person's face at rest, turned like the frames' heads."""
    still = replace(params, expression=np.zeros_like(params.expression))
    return conditioner.mesh.pose(still, conditioner.crop_from_frame, conditioner.frame_size)


def _between(atlas: Atlas, expression: Floats) -> Tensor:
    """(1,1,h,w) 1 between the inner lips of an expression (E,), in the lower box."""
    model = atlas.mesh.model
    places = atlas.locate(model.vertices(atlas.mesh.shape, expression[None])[0])
    x0, y0, x1, y1 = lower_box(atlas).tolist()
    flat = np.concatenate([places - (x0, y0), np.ones((len(places), 1))], 1).astype(np.float32)
    ids, _ = rasterize(flat, model.mouth_triangles, (y1 - y0, x1 - x0), perspective=False)
    return torch.from_numpy((ids >= 0).astype(np.float32))[None, None]


def _teeth_shown(texture: Tensor, between: Tensor) -> tuple[float, float]:
    """How much of the upper and of the lower half of a mouth shows teeth, in texels."""
    rows = between[0, 0].sum(1)
    if float(rows.sum()) < 1:
        return 0.0, 0.0
    inside = torch.nonzero(rows)[:, 0]
    middle = int((inside[0] + inside[-1] + 1) // 2)
    teeth = teeth_mask(texture, between)[0, 0]
    return float(teeth[:middle].sum()), float(teeth[middle:].sum())


@dataclass(frozen=True, eq=False)
class MouthTextures:
    """What is laid over N of the target's frames, and where."""

    frames: Tensor
    """(N,3,h,w) RGB in [0,1]: the target's crops."""
    places: Tensor
    """(N,2,h,w) texel that each pixel shows."""
    jaw: Tensor
    """(N,1,h,w) 1 along the jaw line."""
    candidates: Tensor
    """(N,n,2) index and weight of the lower faces that make one."""
    detail: Tensor
    """(N,4,h',w') detail of the teeth, and where it is shown."""
    mask: Tensor
    """(N,1,h,w) in [0,1]: the lower face."""


@dataclass(frozen=True, eq=False)
class Obama:
    """The method in the pipeline's slots: the target's frames in, changed frames out."""

    plan: Plan
    """Over the target's own frames, retimed or not; only what moves the mouth is read."""
    conditioner: PortraitConditioner
    atlas: Atlas
    pictures: Tensor
    """(G,3,h,w) uint8 lower faces on the template."""
    shapes: Floats
    """(G,D) mouth shapes."""
    mean: Floats
    basis: Floats
    """(2P,D) principal components of lip points, millimetres."""
    proxies: Tensor
    """(2,3,h,w) detail of upper and lower teeth."""
    proxy_lips: Floats
    """(2,2) where the upper and the lower proxy's lip lies, texels."""
    values: Floats
    """(V,2) region and jaw band."""
    nearest: int
    share: float
    teeth: float

    def condition(self, window: Window, frames: Tensor) -> MouthTextures:
        """Choose candidates by mouth shape and find where each pixel lies on the template."""
        own, observed = self.plan.target_at(window)
        moves = belongs(own.expression_names, ["mouth"])
        wanted = self.plan.wanted.expression[window.start : window.stop]
        expression = np.where(moves, wanted, own.expression)
        shapes = (_lips(self.conditioner, expression) - self.mean) @ self.basis
        chosen = [self._choose(shape) for shape in shapes]
        posed = _rigid(self.conditioner, own)
        drawn = (self._maps(posed, n) for n in range(len(own)))
        maps, masks = (torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True))
        between = [_between(self.atlas, row) for row in expression]
        lips = [self._lip_lines(row) for row in expression]
        return MouthTextures(
            frames=cut(frames, self.conditioner.crop(len(window))),
            places=maps[:, :2],
            jaw=maps[:, 2:3],
            candidates=torch.from_numpy(np.stack(chosen)),
            detail=torch.cat([self._detail(b, at) for b, at in zip(between, lips, strict=True)]),
            mask=masks * torch.from_numpy(observed.astype(np.float32))[:, None, None, None],
        )

    def synthesize(self, told: MouthTextures) -> Layer:
        """Make the mouths and lay them over the frames.

        The layer covers the lower face, and as far around it as the coarsest band is mixed.
        """
        x0, y0, *_ = lower_box(self.atlas).tolist()
        drawn = []
        for n, real in enumerate(told.frames.split(1)):
            texture = self._texture(told.candidates[n], told.detail[n])
            places = told.places[n].permute(1, 2, 0).numpy() - np.array([x0, y0])
            alpha = told.mask[n : n + 1]
            over = _toned(real, fetch(texture, places), alpha)
            over = _jaw_corrected(real, over, alpha, told.jaw[n : n + 1])
            drawn.append(pyramid_blend(real, torch.where(alpha > 0, over, real), alpha))
        reach = 2 * (told.mask.shape[-1] // 24) + 1
        grown = functional.max_pool2d((told.mask > 0).float(), reach, 1, reach // 2)
        alpha = functional.avg_pool2d(grown, 5, 1, 2)
        return Layer(self.conditioner.crop(len(drawn)), torch.cat(drawn), alpha)

    def _choose(self, shape: Floats) -> Floats:
        """(n,2) index and weight of the candidates for one mouth (D,)."""
        distances = np.linalg.norm(self.shapes - shape, axis=1)
        order, weights = nearest_weights(distances, self.nearest, self.share)
        return np.stack([order.astype(np.float32), weights], 1)

    def _texture(self, code: Tensor, detail: Tensor) -> Tensor:
        """(1,3,h,w) lower face of one frame on the template (section 4.2 and 4.3)."""
        candidates = self.pictures[code[:, 0].long()].float() / 255
        texture = weighted_median(candidates, code[:, 1, None, None, None])[None]
        pictured, where = detail[None, :3], detail[None, 3:4]
        teeth = teeth_mask(texture, where) * self.teeth
        return sharpen(torch.lerp(texture, overlay(texture, pictured), teeth))

    def _detail(self, between: Tensor, lips: Floats) -> Tensor:
        """(1,4,h,w): the proxies' detail moved to the wanted lips, and what is between these."""
        h, w = between.shape[-2:]
        rows, columns = np.mgrid[:h, :w] + 0.5
        moved = [
            fetch(proxy[None], np.stack([columns, rows], -1) - (lips[k] - self.proxy_lips[k]))
            for k, proxy in enumerate(self.proxies)
        ]
        # Upper teeth hang from the upper jaw, lower ones stand on the lower: each its own half.
        upper = (rows < lips.mean(0)[1]).astype(np.float32)
        mixed = torch.lerp(moved[1], moved[0], torch.from_numpy(upper)[None, None])
        return torch.cat([mixed, between], 1)

    def _lip_lines(self, expression: Floats) -> Floats:
        return lip_lines(self.atlas, expression)

    def _maps(self, posed: PosedMesh, n: int) -> tuple[Floats, Floats]:
        """(3,h,w) maps and (1,h,w) mask of one frame."""
        mesh, side = self.conditioner.mesh, self.conditioner.side
        coverage = cover(mesh, posed.vertices[n], side, side)
        values = np.concatenate([self.atlas.places, self.values], 1)
        drawn = interpolate(coverage.ids, coverage.barycentrics, values, mesh.triangles)
        shown = drawn[..., 2].clip(0, 1)
        smooth = shown * shown * (3 - 2 * shown)
        maps = drawn[..., [0, 1, 3]].transpose(2, 0, 1)
        return maps.astype(np.float32), smooth[None].astype(np.float32)


def open_obama(bundle: Bundle, plan: Plan, device: torch.device) -> Obama:
    """Make the method from what `make_obama` kept; it runs on the CPU."""
    conditioner, shot = target_conditioner(Target.of(bundle)), plan.shot
    mouths, teeth = bundle.networks["mouths"], bundle.networks["teeth"]
    texels = int(mouths.config["texels"])
    atlas = Atlas.of(conditioner.mesh, texels)
    rows = mouths.tensors["rows"].numpy()
    lips = _lips(conditioner, shot.params.expression[rows])
    mean = lips.mean(0)
    _, _, components = np.linalg.svd(lips - mean, full_matrices=False)
    basis = components[:_MODES].T
    shown = teeth.tensors["rows"].numpy()
    lines = np.stack(
        [lip_lines(atlas, shot.params.expression[row])[k] for k, row in enumerate(shown)]
    )
    return Obama(
        plan=plan,
        conditioner=conditioner,
        atlas=atlas,
        pictures=mouths.tensors["pictures"],
        shapes=(lips - mean) @ basis,
        mean=mean,
        basis=basis,
        proxies=high_pass(teeth.tensors["pictures"].float() / 255, texels / 50),
        proxy_lips=lines,
        values=_region(conditioner),
        nearest=int(mouths.config["nearest"]),
        share=float(mouths.config["share"]),
        teeth=float(mouths.config["teeth"]),
    )


def lip_lines(atlas: Atlas, expression: Floats) -> Floats:
    """(2,2) mean place of the inner upper and of the inner lower lip of (E,), in the lower box."""
    model = atlas.mesh.model
    places = atlas.locate(model.vertices(atlas.mesh.shape, expression[None])[0])
    inner = [places[model.regions[f"lip_{side}_inner"]].mean(0) for side in ("upper", "lower")]
    return np.asarray(np.stack(inner) - lower_box(atlas)[:2], np.float32)


def _lips(conditioner: PortraitConditioner, expression: Floats) -> Floats:
    """(N,2P) lip points seen from the front: frontal because the head's pose is left out."""
    model = conditioner.mesh.model
    points = model.vertices(conditioner.mesh.shape, expression)[:, model.regions["lips"], :2]
    return points.reshape(len(expression), -1)


def _region(conditioner: PortraitConditioner) -> Floats:
    """(V,2): 1 in the lower face, 0 in the upper and on the first ring; 1 along the jaw line."""
    mesh = conditioner.mesh
    model = mesh.model
    rest = model.neutral(mesh.shape)
    nose, chin = rest[_NOSE_BASE, 1], rest[_CHIN, 1]
    lower = np.clip((rest[:, 1] - nose - 2) / (0.15 * (chin - nose)), 0, 1)
    jaw = np.zeros(len(rest), np.float32)
    oval = model.regions["face_oval"]
    jaw[oval] = np.clip((rest[oval, 1] - nose) / (0.4 * (chin - nose)), 0, 1)
    both = np.stack([lower, jaw], 1).astype(np.float32)
    values = with_eyes(both, mesh, 0)
    values[-2:] = 0
    return values


def _toned(real: Tensor, over: Tensor, alpha: Tensor) -> Tensor:
    """Scale each channel so that both agree on average along the seam."""
    seam = ((alpha > _SEAM) & (alpha < 1 - _SEAM)).float()
    if float(seam.sum()) < 16:
        return over
    gain = (real * seam).sum((2, 3)) / (over * seam).sum((2, 3)).clamp_min(1e-3)
    return over * gain.clamp(0.8, 1.25)[..., None, None]


def _jaw_corrected(real: Tensor, over: Tensor, alpha: Tensor, band: Tensor) -> Tensor:
    """Move the made jaw line onto the frame's (section 4.5): masked, limited, smoothed flow."""
    laid = torch.lerp(real, over, (alpha > 0).float())
    way = torch.from_numpy(flow(real[0], laid[0].clamp(0, 1))).permute(2, 0, 1)[None]
    way = blur(way.clamp(-_JAW_LIMIT, _JAW_LIMIT) * band, real.shape[-1] / 64)
    h, w = real.shape[-2:]
    rows, columns = np.mgrid[:h, :w] + 0.5
    return fetch(over, np.stack([columns, rows], -1) + way[0].permute(1, 2, 0).numpy())

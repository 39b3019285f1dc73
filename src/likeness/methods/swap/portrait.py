"""Swap by portrait: a trained portrait does what the target does, and is laid over its face.

The portrait of the source (Deep Video Portraits' idea, with the fast network) is drawn with the
pose, expression and gaze of each of the target's frames, at the distance at which its own clip
showed it, so that the network is asked for what it has learned. Its mesh tells where each of its
pixels belongs on the target's face; the shading of the source's light is replaced by that of the
target's (the ratio image of Liu, Shan and Zhang 2001, from spherical harmonics on the mesh).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from likeness.composite.loops import lit_planes
from likeness.condition.conditioner import PortraitConditioner, select
from likeness.condition.gallery import Gallery
from likeness.condition.mesh import PosedMesh
from likeness.errors import BundleError
from likeness.face3d.light import irradiance, vertex_normals
from likeness.face3d.raster import interpolate, rasterize
from likeness.fit.seen_range import Seen
from likeness.fit.transfer import TransferConfig, transfer
from likeness.methods.portrait.model import PortraitModel, gallery_of, open_model
from likeness.methods.swap.method import Swapped, swapped
from likeness.methods.swap.outline import Outline, facing_alike, tracked_vertices
from likeness.methods.swap.skin import clear_of_fringe, skin_likeness, without_brows
from likeness.methods.swap.view import SwapFace, TargetView
from likeness.plan.plan import Plan
from likeness.plan.target import Target
from likeness.types import Bools, Bundle, FaceParams, Floats, Ints, Shot

_DARK = 0.25
"""Irradiance added to both sides of the ratio of shadings: what fits of deep shade don't know."""
_BEYOND = 20.0
"""Degrees by which a drawn head may be turned on: farther, its far side was never drawn."""
_BESIDE = 0.06
"""Width of the border around a face that is laid, in face widths."""
_MOST = (0.55, 1.8)
"""Least and greatest ratio of shadings that is believed."""


@dataclass(frozen=True, eq=False)
class PortraitSwapper:
    """A portrait drawn over somebody else's face."""

    model: PortraitModel
    gallery: Gallery
    params: FaceParams
    """What the source does in each frame of the target's track, as far as its clip showed it."""
    rotation: Floats
    """(N,3) rotation vectors of the head as the target holds it, farther than that or not."""
    body_keyframes: Ints
    """(N,) as in the fast portrait."""
    light: Floats
    """(9,3) the light in which the source's clip was shot."""
    outline: Outline
    """How the source's face is bent onto the target's."""

    @property
    def conditioner(self) -> PortraitConditioner:
        """Of the source."""
        return self.model.conditioner

    def draw(self, view: TargetView) -> SwapFace:
        """Draw the portrait and lay it over the target's face."""
        wanted = select(self.params, view.rows)
        told = self.conditioner.from_keyframes(self.gallery, wanted, self.body_keyframes[view.rows])
        drawn = self.model.draw(told.keyframes, told.maps, told.code)
        posed = self.conditioner.mesh.pose(
            wanted, self.conditioner.crop_from_frame, self.conditioner.frame_size
        )
        gain = self._relighting(posed, view)
        turned = self.conditioner.mesh.pose(
            replace(wanted, rotation=self.rotation[view.rows]),
            self.conditioner.crop_from_frame,
            self.conditioner.frame_size,
        )
        laid = np.zeros((len(view), 4, *view.crop.size), np.float32)
        for n, planes in enumerate(laid):
            self._lay(drawn[n], posed, turned, gain[n], view, n, planes)
        rgb, alpha = torch.from_numpy(laid).split((3, 1), 1)
        return SwapFace(rgb, alpha)

    def _relighting(self, posed: PosedMesh, view: TargetView) -> Floats:
        """(N,F,3) the target's shading over the source's, at the vertices of the source's face."""
        normals = vertex_normals(posed.points, self.conditioner.mesh.model.triangles)
        own = np.stack([irradiance(one, self.light) for one in normals])
        theirs = np.stack(
            [irradiance(one, light) for one, light in zip(normals, view.params.light, strict=True)]
        )
        ratio = (theirs + _DARK) / (own + _DARK)
        # Level and tint are the color match's business: it sees the pixels.
        ratio /= np.maximum(ratio.mean(1, keepdims=True), 1e-3)
        return np.asarray(np.clip(ratio, *_MOST), np.float32)

    def _lay(
        self,
        drawn: torch.Tensor,
        posed: PosedMesh,
        turned: PosedMesh,
        gain: Floats,
        view: TargetView,
        n: int,
        planes: Floats,
    ) -> None:
        """Lay a picture (3,h,w) of the portrait over one frame: RGB and alpha into (4,h',w') zeros.

        The picture shows the head as `posed`; it lies on the face as `turned`, so that a turn
        beyond what the source's clip showed still turns the face, if not what is seen on it.
        """
        import cv2

        mesh, model = self.conditioner.mesh, self.conditioner.mesh.model
        face = len(model.mean)
        source = posed.vertices[n, :, :2]
        target = tracked_vertices(view.landmarks[n], model)
        shape = turned.vertices[n, :, :2]
        placed, matrix = self.outline.onto(shape[:face], target)
        ring = self.outline.around(shape[mesh.head], matrix, shape[:face], placed)
        shown = turned.vertices[n].copy()
        shown[:face, :2], shown[mesh.head, :2] = placed, ring
        shown[-2:, :2] = shape[-2:] @ matrix[:, :2].T + matrix[:, 2]
        used = mesh.triangles[
            (mesh.triangles < mesh.head.stop).all(1) | _irises(mesh.triangles, shown)
        ]
        box = around(shown[used], view.crop.size)
        if box is None:
            return
        # Only where the face lies: a crop is twice as large.
        corner = np.array([box[1].start, box[0].start], np.float32)
        shown[:, :2] -= corner
        placed, target = placed - corner, target - corner
        size = (box[0].stop - box[0].start, box[1].stop - box[1].start)
        ids, weights = rasterize(shown, used, size)
        lit = np.ones((len(shown), 4), np.float32)
        lit[:face, :3], lit[:face, 3], lit[-2:, 3] = gain, self.outline.share, 0
        values = interpolate(ids, weights, np.concatenate([source, lit], 1), used)
        picture = cv2.merge(list(np.ascontiguousarray(drawn.float().numpy())))
        x, y = (np.ascontiguousarray(values[..., axis]) - np.float32(0.5) for axis in (0, 1))
        found = cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        rgb = np.asarray(np.clip(found, 0, 1), np.float32)
        skin = skin_likeness(rgb, placed, model, values[..., 5])
        skin = clear_of_fringe(skin, placed, model)
        rgb, skin = without_brows(rgb, skin, placed, target, model)
        lit_planes(rgb, values[..., 2:5], ids, skin, planes[:, box[0], box[1]])


def around(points: Floats, size: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return what has to be looked at of a picture to lay a face at some places of it.

    Args:
        points: (...,>=2) in pixels.
        size: (h, w) of the picture.

    Returns:
        Rows and columns with a border for what looks at a pixel's neighbors; None where no place
        is in the picture. They are eights from an eighth place on, because skin is looked at at a
        quarter of the size.
    """
    flat = points.reshape(-1, points.shape[-1])[:, :2]
    beside = _BESIDE * np.ptp(flat[:, 0])
    low = 8 * np.floor((flat.min(0) - beside) / 8).astype(int).clip(0)
    high = np.minimum(8 * np.ceil((flat.max(0) + beside) / 8).astype(int), size[::-1])
    if (high - low).min() < 2:
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _irises(triangles: Ints, shown: Floats) -> Bools:
    """Fans of the eyes, whose center is one of the two last vertices."""
    return np.asarray((triangles >= len(shown) - 2).any(1))


def performed(source: Target, target: Shot) -> tuple[FaceParams, Floats]:
    """Return what the source does in the N frames of the target's track, and the turn wanted.

    Expression goes from the target's rest to the source's (`fit.transfer`); turn and gaze are
    copied, seen from where the source stood in its own clip, and held within what that showed.
    The turn (N,3) that was wanted goes up to 20 degrees farther.
    """
    theirs = placed_like(source, target.params)
    seen = Seen(target.track.observed, source.observed)
    relative = transfer(theirs, source.params, TransferConfig(smooth=0), seen=seen).params
    absolute = TransferConfig(smooth=0, absolute=True)
    copied = transfer(theirs, source.params, absolute, seen=seen).params
    return joined(relative, copied), beyond(copied.rotation, theirs.rotation)


def placed_like(source: Target, theirs: FaceParams) -> FaceParams:
    """Return N frames of a target as if it stood where the source stood in its own clip."""
    place = np.median(source.seen.translation, 0)
    return replace(
        theirs,
        rotation=facing_alike(theirs.rotation, theirs.translation, place),
        translation=np.repeat(place[None], len(theirs), 0).astype(np.float32),
    )


def joined(relative: FaceParams, copied: FaceParams) -> FaceParams:
    """Return expression as it was transferred, turn and gaze as they were copied."""
    return replace(
        relative,
        rotation=copied.rotation,
        translation=copied.translation,
        gaze=copied.gaze,
    )


def beyond(held: Floats, wanted: Floats) -> Floats:
    """(N,3) rotation vectors from `held` toward `wanted`, at most 20 degrees away from it."""
    start = Rotation.from_rotvec(held)
    way = (Rotation.from_rotvec(wanted) * start.inv()).as_rotvec()
    angle = np.linalg.norm(way, axis=-1, keepdims=True)
    way *= np.minimum(1, np.radians(_BEYOND) / np.maximum(angle, 1e-9))
    return np.asarray((Rotation.from_rotvec(way) * start).as_rotvec(), np.float32)


def ready_portrait_swap(bundle: Bundle, device: torch.device) -> Callable[[Plan], Swapped]:
    """Make a portrait ready to be laid over whoever a plan changes.

    Raises:
        BundleError: the bundle is no fast portrait.
        ContractError: of the answer: source and target were fitted with different face models.
    """
    expect_portrait(bundle)
    model = open_model(bundle, "portrait", device)
    gallery = gallery_of(bundle, model)
    light, outline = model.conditioner.light, Outline(model.conditioner.mesh.model)

    def opened(plan: Plan) -> Swapped:
        params, turn = performed(model.target, plan.shot)
        bodies = model.conditioner.choose_body_keyframes(gallery, params)
        return swapped(PortraitSwapper(model, gallery, params, turn, bodies, light, outline), plan)

    return opened


def open_portrait_swap(bundle: Bundle, plan: Plan, device: torch.device) -> Swapped:
    """Make a portrait ready to be laid over the person that a plan changes.

    Raises:
        BundleError: the bundle is no fast portrait.
        ContractError: source and target were fitted with different face models.
    """
    return ready_portrait_swap(bundle, device)(plan)


def expect_portrait(bundle: Bundle) -> None:
    """Refuse what is no fast portrait.

    Raises:
        BundleError: it is none.
    """
    if bundle.method != "reenact.fast":
        raise BundleError(
            f"the bundle's method is {bundle.method!r}; a swap by portrait wants reenact.fast: "
            "train it with `likeness train reenact`"
        )

"""Swap by photo: one picture of a person, or several, bent onto a target's face; nothing learned.

The engine is that of `likeness animate` (Averbuch-Elor et al. 2017 on a fitted face). What differs:
the photo's own expression is taken off before the target's is put on, so that a smile in the photo
is none in the result; head and gaze are turned as the target's are; and the mesh is laid over the
target's face instead of being moved inside the photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import torch

from likeness import config as settings
from likeness.errors import ConfigError
from likeness.face3d.camera import camera_points
from likeness.face3d.light import irradiance, vertex_normals
from likeness.fit.transfer import rest_frame
from likeness.fit.vergence import vergence_of, with_vergence
from likeness.geometry import axis_angle, rotation_matrix
from likeness.methods.photo.animation import AnimateConfig, Animation, Photo
from likeness.methods.photo.mesh import Cover
from likeness.methods.photo.motion import Motion, MotionConfig, bound, lid_openness
from likeness.methods.photo.paint import paint_person
from likeness.methods.swap.evened import evened
from likeness.methods.swap.light import light_on
from likeness.methods.swap.method import Swapped, swapped
from likeness.methods.swap.outline import Outline, facing_alike, tracked_vertices
from likeness.methods.swap.skin import clear_of_fringe, skin_likeness, without_brows
from likeness.methods.swap.source import photos_of
from likeness.methods.swap.view import SwapFace, TargetView
from likeness.plan.plan import Plan
from likeness.types import Bundle, FaceParams, Floats, Shot

_BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")
_ALIKE = np.radians(9.0)
"""Difference of head turns at which another photo is clearly the better one."""
_LEAST = 0.08
"""Share below which a photo is not drawn."""
_SPREAD = 5.0
"""Frames over which the choice among photos changes, one deviation."""
_DARK = 0.25
_MOST = (0.6, 1.7)


@dataclass(frozen=True)
class PhotoSwapConfig:
    """Settings of a swap by photo."""

    turn_limit: float = 35.0
    """Degrees that a photo is turned from its own pose at most."""
    wrinkles: float = 0.6
    """Strength of the target's own expression wrinkles."""
    max_side: int = 1024
    """Longest side of a photo in pixels; larger ones are scaled down."""

    def __post_init__(self) -> None:
        if not 0 < self.turn_limit <= 90:
            raise ConfigError(f"turn_limit is {self.turn_limit:g} degrees; expected up to 90")
        if not 0 <= self.wrinkles <= 2:
            raise ConfigError(f"wrinkles is {self.wrinkles:g}; expected 0 to 2")
        if self.max_side < 64:
            raise ConfigError(f"max_side is {self.max_side}; expected 64 or more")


@dataclass(frozen=True, eq=False)
class PhotoSwapper:
    """Photos of one person, drawn over somebody else's face."""

    animations: tuple[Animation, ...]
    shares: Floats
    """(N,K) how much each of K photos is shown in each frame of the target's track."""
    lights: tuple[Floats, ...]
    """(9,3) each: the light in which the photo was taken."""
    outline: Outline
    """How the source's face is bent onto the target's."""

    def draw(self, view: TargetView) -> SwapFace:
        """Draw the photos that suit each frame best, and mix them."""
        h, w = view.crop.size
        rgb = np.zeros((len(view), 3, h, w), np.float32)
        alpha = np.zeros((len(view), 1, h, w), np.float32)
        for n, row in enumerate(view.rows.tolist()):
            frame = np.ascontiguousarray(view.frames[n].permute(1, 2, 0).numpy())
            shares = self.shares[row]
            chosen = [k for k in range(len(shares)) if shares[k] > 0]
            drawn = [self._draw_one(k, view, n, row, frame) for k in chosen]
            # Where only one of them shows something, it is shown alone.
            weights = [shares[k] * covered for k, (_, covered) in zip(chosen, drawn, strict=True)]
            total = np.maximum(sum(weights), 1e-4)
            for weight, (picture, covered) in zip(weights, drawn, strict=True):
                rgb[n] += weight / total * picture
                alpha[n, 0] = np.maximum(alpha[n, 0], covered)
        return SwapFace(torch.from_numpy(rgb), torch.from_numpy(alpha))

    def _draw_one(
        self, k: int, view: TargetView, n: int, row: int, frame: Floats
    ) -> tuple[Floats, Floats]:
        """Draw one photo over one frame: (3,h,w) and coverage (h,w)."""
        animation = self.animations[k]
        face = len(animation.model.mean)
        target = tracked_vertices(view.landmarks[n], animation.model)
        laid: list[Floats] = []

        def place(vertices: Floats) -> Floats:
            placed, matrix = self.outline.onto(vertices[:face], target)
            laid.append(placed)
            rings = self.outline.around(vertices[face:], matrix, vertices[:face], placed)
            return np.concatenate([placed, rings])

        maps = np.zeros((11, *view.crop.size), np.float32)
        shown = animation.describe(maps, row, frame, place)
        wrinkles = np.float32(animation.config.wrinkles)
        colors, share = paint_person(animation.layers, maps, wrinkles)
        colors = np.clip(colors / np.maximum(share, 1e-3), 0, 1)
        gain, edge = self._relighting(k, row, view.params, n, shown)
        skin = skin_likeness(colors, laid[0], animation.model, edge)
        colors, skin = without_brows(colors, skin * share[..., 0], laid[0], target, animation.model)
        covered = (shown.kinds >= 0) * skin
        return np.clip(colors * gain, 0, 1).transpose(2, 0, 1), np.asarray(covered, np.float32)

    def _relighting(
        self, k: int, row: int, params: FaceParams, n: int, shown: Cover
    ) -> tuple[Floats, Floats]:
        """(h,w,3) the target's shading over the photo's, and (h,w) share of the outline."""
        animation = self.animations[k]
        motion, head = animation.motion, animation.mesh.head
        still = camera_points(
            head.vertices[None], head.params.rotation[:1], head.params.translation[:1]
        )
        turned = camera_points(
            head.vertices[None], motion.rotation[row : row + 1], motion.translation[row : row + 1]
        )
        triangles = animation.model.triangles
        own = irradiance(vertex_normals(still, triangles)[0], self.lights[k])
        theirs = irradiance(vertex_normals(turned, triangles)[0], params.light[n])
        ratio = (theirs + _DARK) / (own + _DARK)
        ratio = np.clip(ratio / np.maximum(ratio.mean(0), 1e-3), *_MOST)
        values = np.ones((len(animation.mesh.rest) + len(ratio), 4), np.float32)
        values[: len(ratio), :3], values[: len(ratio), 3] = ratio, self.outline.share
        carried = shown.carry(animation.mesh, values)
        return carried[..., :3], carried[..., 3]


def performed(
    photo: FaceParams, target: Shot, config: PhotoSwapConfig, rest: int | None = None
) -> Motion:
    """Return what a photo's face does in the N frames of the target's track.

    The change of expression weights is the target's less the photo's own, so that nothing of the
    photo's expression is left; the head turns as the target's is seen, within `turn_limit` of the
    photo's own pose. `rest` is the target's frame that stands for doing nothing; None finds one.
    """
    theirs = target.params
    place = photo.translation[0]
    wanted = facing_alike(theirs.rotation, theirs.translation, place)
    own = rotation_matrix(photo.rotation)[0]
    change = axis_angle(rotation_matrix(wanted) @ own.T)
    limits = np.radians([config.turn_limit, config.turn_limit, 180.0]).astype(np.float32)
    bounded = bound(change, limits)
    expression = theirs.expression - photo.expression[0]
    for name in _BLINKS:
        expression[:, photo.expression_names.index(name)] = 0
    rest = rest_frame(theirs, target.track.observed) if rest is None else rest
    apart = vergence_of(theirs, target.track.observed), vergence_of(photo)
    return Motion(
        expression=expression.astype(np.float32),
        rotation=axis_angle(rotation_matrix(bounded) @ own),
        translation=np.repeat(place[None], len(theirs), 0).astype(np.float32),
        lids=lid_openness(target, rest),
        gaze=with_vergence(theirs.gaze, *apart),
        held=(np.abs(change) > limits).any(1),
        rest=rest,
    )


def open_photo_swap(bundle: Bundle, plan: Plan, device: torch.device) -> Swapped:
    """Make photos ready to be laid over the person that a plan changes; it runs on the CPU.

    Raises:
        BundleError: the bundle holds no photos.
        ContractError: source and target were fitted with different face models.
    """
    photos = photos_of(bundle)
    config = settings.resolve(PhotoSwapConfig, bundle.training.get("settings", {}))
    return swapped(photo_swapper(photos, plan.shot, config), plan)


def photo_swapper(photos: Sequence[Photo], target: Shot, config: PhotoSwapConfig) -> PhotoSwapper:
    """Make photos of one person ready for a target."""
    looks, photos = looks_of(config), [evened(photo) for photo in photos]
    animations = tuple(
        without_fringe(Animation(photo, target, looks, performed(photo.params, target, config)))
        for photo in photos
    )
    return PhotoSwapper(
        animations,
        shares_of(photos, target),
        tuple(light_of(animation) for animation in animations),
        Outline(animations[0].model),
    )


def without_fringe(animation: Animation) -> Animation:
    """Leave out what of a photo's forehead is hair, and the strands in which it ends."""
    places = animation.mesh.photo_places()[: len(animation.model.mean)]
    likely = skin_likeness(animation.layers.picture, places, animation.model)
    clear = clear_of_fringe(likely, places, animation.model)[..., None]
    other = copy(animation)
    other.layers = replace(animation.layers, person=animation.layers.person * clear)
    return other


def looks_of(config: PhotoSwapConfig) -> AnimateConfig:
    """Return how the photos are animated."""
    return AnimateConfig(
        MotionConfig(residual=0.5), wrinkles=config.wrinkles, max_side=config.max_side
    )


def shares_of(photos: Sequence[Photo], target: Shot) -> Floats:
    """(N,K) by how far each photo would have to be turned, two at most, slowly changing."""
    from scipy.ndimage import gaussian_filter1d

    turns = []
    for photo in photos:
        place = photo.params.translation[0]
        wanted = facing_alike(target.params.rotation, target.params.translation, place)
        own = rotation_matrix(photo.params.rotation)[0]
        turns.append(np.linalg.norm(axis_angle(rotation_matrix(wanted) @ own.T), axis=1))
    apart = np.stack(turns, 1)
    likely = np.exp(
        -0.5 * np.square(apart / _ALIKE) + 0.5 * np.square(apart.min(1, keepdims=True) / _ALIKE)
    )
    shares = gaussian_filter1d(likely / likely.sum(1, keepdims=True), _SPREAD, axis=0)
    second = np.sort(shares, 1)[:, -min(2, len(photos))][:, None]
    kept = np.where((shares >= second) & (shares > _LEAST), shares, 0)
    kept = np.maximum(kept, (shares == shares.max(1, keepdims=True)) * _LEAST)
    return np.asarray(kept / kept.sum(1, keepdims=True), np.float32)


def light_of(animation: Animation) -> Floats:
    """(9,3) the light that explains a photo's colors on its fitted face."""
    head, model = animation.mesh.head, animation.model
    places = animation.mesh.photo_places()[: len(model.mean)]
    points = camera_points(head.vertices[None], head.params.rotation, head.params.translation)
    normals = vertex_normals(points, model.triangles)[0]
    return light_on(animation.layers.picture, places, normals, model)

"""A swap, moment by moment: whoever is before the camera gets the source's face.

The room is that of `methods.swap.view`, one frame at a time: the crop follows the face in the same
steps, the finish is the same. What a clip tells a swap beforehand is learned on the way: the light
on the face from its own pixels, its motion from the frame before. What finds things in front of a
face learns from a whole clip and is not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from likeness import geometry
from likeness.composite.finish import FrameFacts, finish
from likeness.composite.mask import OVAL
from likeness.condition.conditioner import select
from likeness.errors import ConfigError
from likeness.face3d.camera import camera_points, pixels
from likeness.face3d.light import vertex_normals
from likeness.fit.causal import one_frame
from likeness.methods.photo.driver import pixels_last
from likeness.methods.swap.facts import similarities, turned_away
from likeness.methods.swap.light import light_on
from likeness.methods.swap.view import (
    SwapFace,
    Swapper,
    TargetView,
    cut_upright,
    following_crop,
    into_crop,
)
from likeness.plan.live import Acquaintance, Moment
from likeness.plan.performance import BLEND
from likeness.store import load_face_model
from likeness.types import Crop, FaceParams, FaceTrack, Floats, Layer, Shot, Window

Drawer = Callable[[Moment], Swapper]
"""What draws one moment; asked in order, by one thread."""
_ROOM = 1.25
"""How much larger than at first a face may become before its crop does."""
_SLIM = 0.75
"""Least width of a face to its height, or height to its width, that a crop is made for: who is seen
from the side turns back."""
_RELIT = 0.5
"""Seconds after which the light on the face is looked at anew."""
_SLOW = 2.0
"""Seconds in which light has gone most of the way to what was found anew."""


@dataclass(frozen=True, eq=False)
class SwapMoment:
    """One frame as a swapper is shown it."""

    view: TargetView
    """One frame."""
    swapper: Swapper
    facts: FrameFacts
    present: bool
    """False where the face is away for longer than a tracker blinks."""


class LiveSwap:
    """A source's face on whoever is before the camera; see `LiveMethod`."""

    def __init__(self, drawer: Drawer, known: Acquaintance) -> None:
        """Begin from what is known of the target.

        Args:
            drawer: gives what draws each moment.
            known: whose face it is, and how the swap is finished.

        Raises:
            ConfigError: the finish is told for ranges of frames or from files.
        """
        config = known.finish
        if config.ranges or config.mask_file is not None or config.keep_glasses:
            raise ConfigError(
                "[finish] has ranges, a mask file or keep_glasses, which need a whole clip; "
                "leave them out to swap live"
            )
        self._drawer, self._config = drawer, config
        self._crop = CropAsItGoes(known.shot)
        self._light = LightAsItGoes(known)
        self._number = 0
        self._before: Floats | None = None
        self._seen_at = 0.0

    def condition(self, moment: Moment) -> SwapMoment:
        """Cut out the face and tell what it does."""
        lit = replace(moment, params=self._light(moment))
        if moment.seen:
            self._seen_at = moment.seconds
        crop = self._crop(moment.landmarks)
        number, self._number = self._number, self._number + 1
        view = TargetView(
            Window(number, number + 1),
            moment.frame,
            crop,
            cut_upright(moment.frame, crop),
            into_crop(moment.landmarks[None], crop),
            lit.params,
            np.zeros(1, np.int64),
            np.array([moment.seen]),
        )
        present = moment.seen or moment.seconds - self._seen_at <= BLEND
        return SwapMoment(view, self._drawer(lit), self._facts(view), present)

    def synthesize(self, told: SwapMoment) -> Layer:
        """Draw the source's face and make it part of the picture."""
        view = told.view
        face: SwapFace = told.swapper.draw(view)
        rgb, alpha = finish(
            face.rgb, face.alpha, view.pixels, view.landmarks, self._config, told.facts
        )
        return Layer(view.crop, rgb, alpha * float(told.present))

    def _facts(self, view: TargetView) -> FrameFacts:
        here, before = view.landmarks[:, list(OVAL), :2], self._before
        frame = geometry.apply(geometry.invert(view.crop.crop_from_frame), here)
        self._before = np.asarray(frame) if view.observed[0] else None
        motion = np.eye(2, 3, dtype=np.float32)[None]
        if before is not None and view.observed[0]:
            motion = similarities(into_crop(before, view.crop), here).astype(np.float32)
        degrees = turned_away(view.params)
        return FrameFacts(np.array([view.window.start]), motion, degrees)


class CropAsItGoes:
    """The crop that follows a face whose way is not known yet; of one size as long as it serves."""

    def __init__(self, known: Shot) -> None:
        """Take the size from the first frames."""
        self._face = _roomy(np.percentile(_extent(known.track.boxes), 98, axis=0))

    def __call__(self, landmarks: Floats) -> Crop:
        """Return one similarity.

        Args:
            landmarks: (478,3) pixels of the frame.
        """
        track = one_frame(landmarks)
        face = _extent(track.boxes)[0]
        if (face > self._face).any() or face.max() < self._face.max() / (2 * _ROOM):
            self._face = _roomy(face)
        middle = (track.boxes[0, :2] + track.boxes[0, 2:]) / 2
        half = self._face / _ROOM / 2
        box = np.concatenate([middle - half, middle + half])[None].astype(np.float32)
        sized: FaceTrack = replace(track, boxes=box)
        return following_crop(sized)


class LightAsItGoes:
    """The light on the face before the camera, looked for now and then in its own pixels."""

    def __init__(self, known: Acquaintance) -> None:
        """Look at the last of the first frames."""
        self._model = load_face_model(known.shot.params.model)
        last = select(known.shot.params, np.array([len(known.shot.params) - 1]))
        self._light = self._found(known.picture, last)
        self._looked = 0.0

    def __call__(self, moment: Moment) -> FaceParams:
        """Return the moment's params with the light."""
        if moment.seen and moment.seconds - self._looked >= _RELIT:
            share = 1 - float(np.exp(-(moment.seconds - self._looked) / _SLOW))
            self._looked = moment.seconds
            found = self._found(moment.frame[0], moment.params)
            self._light = self._light + np.float32(share) * (found - self._light)
        return replace(moment.params, light=self._light[None])

    def _found(self, picture: torch.Tensor, params: FaceParams) -> Floats:
        """(9,3) the light that explains a picture (3,H,W) of a face, one frame of params."""
        model, size = self._model, (picture.shape[1], picture.shape[2])
        vertices = model.vertices(params.shape, params.expression)
        points = camera_points(vertices, params.rotation, params.translation)
        normals = vertex_normals(points, model.triangles)[0]
        places = pixels(points, params.focal, size)[0]
        return light_on(pixels_last(picture), places[:, :2], normals, model)


def _extent(boxes: Floats) -> Floats:
    """(N,2) widths and heights of boxes (N,4)."""
    return np.asarray(boxes[:, 2:] - boxes[:, :2])


def _roomy(face: Floats) -> Floats:
    """Largest width and height (2,) that a crop serves, for a face that turns and tilts."""
    return np.asarray(_ROOM * np.maximum(face, _SLIM * face.max()), np.float32)

"""One photo brought to life by a driver, without training (Averbuch-Elor et al. 2017).

Paper: Bringing Portraits to Life, ACM TOG 36(6). Its ingredients are here: relative motion
transfer, a warp that fades away from the head, the mouth's interior from the driving frame, and
wrinkles as a ratio of driving frames. What differs: motion goes over a 3D face fitted to the photo,
which turns; the person is cut out of the background; eyeballs stay with the skull while lids move.
docs/methods/animate.md maps equations to functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from likeness.decode import find_stored, stream
from likeness.errors import ConfigError
from likeness.face3d.model import FaceModel
from likeness.methods.photo.driver import DriverFrames, Wrinkles, driver_points, pixels_last
from likeness.methods.photo.layers import EYE_NAMES, IRIS_CENTERS, PhotoLayers, photo_layers
from likeness.methods.photo.mesh import EYES, MOUTH, Cover, PhotoMesh, cover
from likeness.methods.photo.motion import Head, Motion, MotionConfig, Posed, move
from likeness.methods.photo.mouth import MouthLight
from likeness.methods.photo.paint import paint
from likeness.methods.photo.residual import Residual
from likeness.store import load_face_model
from likeness.types import Crop, FaceParams, FaceTrack, Floats, Shot, Window

Place = Callable[[Floats], Floats]
"""Moves (V,2) positions."""

MAP_NAMES = (
    *("flow_x", "flow_y"),
    *("inside_x", "inside_y"),
    *("eye", "mouth", "mouth_r", "mouth_g", "mouth_b"),
    *("wrinkle", "lashes"),
)
"""Channels of what is told: where in the photo each pixel comes from (as a way from the pixel),
where the skull under it stands in the photo, how much eye and mouth show there, the driver's mouth,
the logarithm of the wrinkles, and how far lids are
shut around the eyes."""


@dataclass(frozen=True)
class AnimateConfig:
    """Settings of `likeness animate`."""

    motion: MotionConfig = field(default_factory=MotionConfig)
    wrinkles: float = 0.8
    """Strength of the driver's wrinkles; 0 leaves the photo's skin as it is."""
    mouth: bool = True
    """Show the inside of the driver's mouth where the photo's is hidden; else a dark one."""
    max_side: int = 1024
    """Longest side of the output in pixels; larger photos are scaled down to it."""

    def __post_init__(self) -> None:
        if not 0 <= self.wrinkles <= 2:
            raise ConfigError(f"wrinkles is {self.wrinkles}; expected 0 to 2")
        if self.max_side < 64:
            raise ConfigError(f"max_side is {self.max_side}; expected 64 or more")


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo with the face that was found in it."""

    picture: torch.Tensor
    """(3,H,W) RGB in [0,1], as it was tracked."""
    track: FaceTrack
    """One frame."""
    params: FaceParams
    """One frame."""


class Animation:
    """A photo that does what a driver does; frame i of the output is frame i of the driver's track.

    By itself: `for window, frames in Animation(photo, driver).frames(): ...`
    """

    def __init__(
        self,
        photo: Photo,
        driver: Shot,
        config: AnimateConfig | None = None,
        motion: Motion | None = None,
    ) -> None:
        """Make everything ready that is the same in all frames.

        Args:
            photo: whom to show.
            driver: whose motion; where its clip can't be read any more, its pixels do without.
            config: settings.
            motion: what the photo's face does in the frames of the driver's track; None takes the
                driver's change from rest.

        Raises:
            ContractError: photo and driver were fitted with different face models.
        """
        self.config = config or AnimateConfig()
        self.driver = driver
        self.model: FaceModel = load_face_model(photo.params.model)
        picture, scale = fitted_picture(photo.picture, self.config.max_side)
        tracked = (photo.picture.shape[1], photo.picture.shape[2])
        self.layers: PhotoLayers = photo_layers(
            picture, photo.track, photo.params, self.model, scale
        )
        head = Head.lifted(self.model, photo.params, tracked, self.layers.points, scale)
        self.size = (picture.shape[1], picture.shape[2])
        self.mesh = PhotoMesh.around(head, self.size)
        given = motion or move(driver, photo.params, self.config.motion)
        self._residual = Residual.of(driver, self.model, given.rest)
        self.motion: Motion = given if motion else self._parted(given)
        self._wrinkles: Wrinkles | None = None
        self._light = MouthLight(np.ones(3, np.float32))
        if find_stored(driver.clip) is not None:
            with DriverFrames(driver.clip) as source:
                self._light = self._match(source)
                if self.config.wrinkles > 0:
                    rest = self.motion.rest
                    self._wrinkles = Wrinkles.of(driver, source, self.model, rest)

    def __len__(self) -> int:
        return len(self.motion)

    def moved_by(self, driver: Shot, rest: int, motion: Motion | None = None) -> Animation:
        """Return the same photo for other frames of its driver, whose frame `rest` does nothing.

        A motion that is given is taken as it is, as by the constructor.
        """
        other = copy(self)
        other.driver = driver
        other._residual = Residual.of(driver, self.model, rest)
        other.motion = motion or other._parted(
            move(driver, self.mesh.head.params, self.config.motion, rest)
        )
        return other

    def match(self, frame: torch.Tensor, driver: Shot, index: int) -> None:
        """Match the light of the driver's mouth to the photo's by a frame (3,H,W) of the driver."""
        self._light = self._light_of(pixels_last(frame), driver_points(driver, index, self.model))

    def _parted(self, motion: Motion) -> Motion:
        """Tell how much further apart the photo's lips stand than the driver's at rest."""
        own, theirs = self.mesh.head, self._residual.head
        return replace(motion, parted=own.parting(own.vertices) - theirs.parting(theirs.vertices))

    def condition(self, frames: Sequence[int], pixels: torch.Tensor | None) -> torch.Tensor:
        """Tell where every pixel of n frames comes from.

        Args:
            frames: of the driver's track.
            pixels: (n,3,H,W) RGB in [0,1]: what the driver's clip shows there; None does without.

        Returns:
            (n,11,h,w), channels as MAP_NAMES.
        """
        maps = np.zeros((len(frames), len(MAP_NAMES), *self.size), np.float32)
        for n, index in enumerate(frames):
            self.describe(maps[n], index, None if pixels is None else pixels_last(pixels[n]))
        return torch.from_numpy(maps)

    def draw(self, maps: torch.Tensor) -> torch.Tensor:
        """Paint frames (n,3,h,w) RGB in [0,1] from what `condition` tells."""
        strength = np.float32(self.config.wrinkles)
        pictures = np.empty((len(maps), 3, *maps.shape[2:]), np.float32)
        for picture, row in zip(pictures, maps.numpy(), strict=True):
            picture[:] = paint(self.layers, row, strength)
        return torch.from_numpy(pictures)

    def frames(self, length: int = 4) -> Iterator[tuple[Window, torch.Tensor]]:
        """Yield all frames in order, (n,3,h,w) per window."""
        first, clip = self.driver.track.start, self.driver.clip
        if find_stored(clip) is None:
            for start in range(0, len(self), length):
                window = Window(start, min(start + length, len(self)))
                yield window, self.draw(self.condition(list(window), None))
            return
        for decoded, pixels in stream(clip, length, Window(first, first + len(self))):
            window = Window(decoded.start - first, decoded.stop - first)
            yield window, self.draw(self.condition(list(window), pixels))

    def crop(self, count: int) -> Crop:
        """The whole output, for `count` frames."""
        whole = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
        return Crop(self.size, np.repeat(whole[None], count, 0))

    def describe(
        self, maps: Floats, index: int, frame: Floats | None, place: Place | None = None
    ) -> Cover:
        """Fill (11,h,w) zeros with what is told of one frame, (H,W,3) of the driver.

        Args:
            maps: channels as MAP_NAMES.
            index: frame of the driver's track.
            frame: what the driver's clip shows there; None does without.
            place: moves the bent mesh's (V,2) vertices to where they are wanted; None leaves the
                face where it stands in the photo.

        Returns:
            What of the mesh covers which pixel.
        """
        share = np.float32(self.config.motion.residual)
        residual = share * self._residual.read(index) if share > 0 else None
        vertices, posed = self.mesh.bend(self.motion, index, residual)
        if place is not None:
            vertices = np.concatenate([place(vertices[:, :2]), vertices[:, 2:]], 1)
        shown = cover(self.mesh, vertices, (maps.shape[1], maps.shape[2]))
        points = driver_points(self.driver, index, self.model)
        carried = shown.carry(self.mesh, self._values(vertices, posed, points))
        maps[:4] = carried[..., :4].transpose(2, 0, 1)
        self._look(maps, shown, posed)
        self._shut(maps, shown, vertices, index)
        maps[5] = soft(shown.kinds == MOUTH)
        if frame is not None:
            self._speak(maps, shown, frame, carried[..., 4:6])
            if self._wrinkles is not None:
                wrinkle = self._wrinkles.read(frame, points)
                maps[9] = sample(wrinkle[..., None], carried[..., 6:8], shown.kinds >= 0)[..., 0]
        return shown

    def _values(self, vertices: Floats, posed: Posed, points: Floats) -> Floats:
        """(V,8) carried to pixels: way, way of the skull, place in driver and in front view."""
        values = np.zeros((len(vertices), 8), np.float32)
        face = len(points)
        values[:, :2] = self.mesh.photo_places() - vertices[:, :2]
        values[:, 2:4] = values[:, :2]
        values[:face, 2:4] = posed.inside - vertices[:face, :2]
        values[:face, 4:6] = narrowed(points, self.model)
        if self._wrinkles is not None:
            values[:face, 6:8] = self._wrinkles.view.places
        return values

    def _shut(self, maps: Floats, shown: Cover, vertices: Floats, index: int) -> None:
        """Show eyes between the lids, and lashes where a closing lid would drag white along."""
        eyes = edged(shown.kinds == EYES)
        for eye, name in enumerate(EYE_NAMES):
            lids = float(self.motion.lids[index, eye])
            around = vertices[self.model.regions[f"{name}_eye"], :2]
            low = np.floor(around.min(0) - 3).astype(int).clip(0)
            high = np.ceil(around.max(0) + 3).astype(int).clip(0)
            box = slice(low[1], high[1]), slice(low[0], high[0])
            maps[4][box] = eyes[box] * smooth_step((lids - 0.03) / 0.22)
            maps[10][box] = smooth_step((0.95 - lids) / 0.45)

    def _look(self, maps: Floats, shown: Cover, posed: Posed) -> None:
        """Shift the irises: in the photo, what lies around a moved iris is bent out of its way."""
        rows, columns = np.nonzero(shown.kinds == EYES)
        if not len(rows):
            return
        flow = maps[2:4, rows, columns]
        places = flow.T + np.stack([columns, rows], 1) + 0.5
        for eye, center in enumerate(IRIS_CENTERS):
            iris = self.layers.points[center]
            rim = self.layers.points[center + 1 : center + 5]
            radius = float(np.linalg.norm(rim - iris, axis=1).mean())
            shift = np.clip(posed.irises[eye] / radius, [-0.85, -0.6], [0.85, 0.6]) * radius
            distance = np.linalg.norm(places - iris - shift, axis=1) / radius
            share = np.clip((2.7 - distance) / (2.7 - 1.1), 0, 1)
            share = share * share * (3 - 2 * share)
            flow = flow - shift[:, None] * share
        maps[2:4, rows, columns] = flow

    def _speak(self, maps: Floats, shown: Cover, frame: Floats, places: Floats) -> None:
        """Fetch the inside of the driver's mouth and match its light to the photo's."""
        inside = shown.kinds == MOUTH
        rows, columns = np.nonzero(inside)
        if not len(rows) or not self.config.mouth:
            return
        box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        seen = sample(frame, places[box], inside[box])
        maps[6:9][(slice(None), *box)] = np.transpose(self._light.on(seen), (2, 0, 1))

    def _match(self, source: DriverFrames) -> MouthLight:
        """From the driver's light at rest to the photo's."""
        rest = self.motion.rest
        frame = source.read(self.driver.track.start + rest)
        return self._light_of(frame, driver_points(self.driver, rest, self.model))

    def _light_of(self, frame: Floats, points: Floats) -> MouthLight:
        return MouthLight.between(
            frame, points, self.layers.picture, self.mesh.photo_places(), self.model
        )


def fitted_picture(picture: torch.Tensor, max_side: int) -> tuple[torch.Tensor, float]:
    """Scale a picture (3,H,W) down to `max_side`, sides even; return it and its scale.

    A side that is odd loses its last line: H.264 players need even sizes.
    """
    side = max(picture.shape[1:])
    scale = min(1.0, max_side / side)
    if scale < 1:
        picture = scaled_down(picture, scale)
    even = [n - n % 2 for n in picture.shape[1:]]
    return picture[:, : even[0], : even[1]].contiguous(), scale


def scaled_down(picture: torch.Tensor, scale: float) -> torch.Tensor:
    """Scale a picture (3,H,W) by less than 1: each pixel is a mean over those that it covers."""
    size = [max(2, round(n * scale)) for n in picture.shape[1:]]
    small = torch.nn.functional.interpolate(
        picture[None], size=size, mode="bicubic", align_corners=False, antialias=True
    )[0]
    return small.clamp_(0, 1)


def narrowed(points: Floats, model: FaceModel) -> Floats:
    """Draw the driver's inner lips (V,2) together a little, so that no lip is seen as mouth."""
    drawn = points.copy()
    ring = model.regions["lips_inner"]
    upper, lower = model.regions["lip_upper_inner"], model.regions["lip_lower_inner"]
    gap = float(np.linalg.norm(points[lower] - points[upper], axis=1).max())
    center = points[ring].mean(0)
    away = points[ring] - center
    length = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
    drawn[ring] = points[ring] - away / length * np.minimum(0.12 * gap, 0.5 * length)
    return drawn


def soft(mask: Any) -> Floats:
    """Turn a mask (h,w) into coverage that is zero at its edge and one two pixels inside."""
    import cv2

    blurred = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.9)
    return np.asarray(np.clip(2 * blurred - 0.9, 0, 1), np.float32)


def smooth_step(x: float) -> float:
    """Go smoothly from 0 at 0 to 1 at 1."""
    t = min(max(x, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def edged(mask: Any) -> Floats:
    """Turn a mask (h,w) into coverage with an edge of a pixel's width."""
    import cv2

    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.6), np.float32)


def sample(picture: Floats, places: Floats, where: Any) -> Floats:
    """Read a picture (H,W,C) at (h,w,2) places; 0 where `where` (h,w) is False."""
    import cv2

    x = np.ascontiguousarray(places[..., 0]) - np.float32(0.5)
    y = np.ascontiguousarray(places[..., 1]) - np.float32(0.5)
    read = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    read = read.reshape(*x.shape, picture.shape[2])
    return np.asarray(read * where[..., None], np.float32)

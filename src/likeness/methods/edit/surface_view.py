"""One frame as the directions of the surface engine see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from likeness.composite.color import LUMA
from likeness.composite.mask import outline_width
from likeness.methods.edit.surface_face import PosedFace
from likeness.methods.edit.surface_folds import SIZE, texels
from likeness.types import Bools, Floats

_DARKEST = 0.02
"""Least luma whose logarithm is taken: below it there is noise."""
_AROUND = 0.09
"""Deviation of the neighborhood that tells the skin's color, in face widths."""
_DARKER, _LIGHTER, _TINTED = (0.35, 0.75), (0.32, 0.65), (0.22, 0.5)
"""Departures of a color's logarithm from the skin around it that are skin still, and no more."""
_BLOCK = 4
"""Pixels; the coarsest step at which `blurred` works."""
_EDGE = 0.004
"""Softness of the edge of what lies before the skin, in face widths."""


def _likeness(apart: Floats) -> Floats:
    """(h,w) 1 for the colors of skin, given how their logarithms (h,w,3) depart from its own."""
    level, tint = level_and_tint(apart)
    like = falling(-level, *_DARKER) * falling(level, *_LIGHTER) * falling(tint, *_TINTED)
    return np.asarray(like, np.float32)


def level_and_tint(apart: Floats) -> tuple[Floats, Floats]:
    """Split (h,w,3) logarithms into (h,w) luma and the largest departure of a channel from it."""
    level = np.asarray(apart @ LUMA, np.float32)
    tint = np.abs(apart[..., 0] - level)
    for channel in (1, 2):
        np.maximum(tint, np.abs(apart[..., channel] - level), out=tint)
    return level, tint


def falling(values: Floats, low: float, high: float) -> Floats:
    """1 up to `low`, 0 from `high` on, smooth between."""
    share = np.clip((high - values) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def blurred(picture: Floats, sigma: float) -> Floats:
    """Blur (h,w) or (h,w,C) by a Gaussian of `sigma` pixels, wide ones at a lower resolution."""
    import cv2

    factor = 4 if sigma > 10 else 2 if sigma > 4 else 1
    if factor == 1:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.3)), np.float32)
    h, w = picture.shape[:2]
    size = (-(-w // factor), -(-h // factor))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    # Shrinking and enlarging blur, too.
    small = cv2.GaussianBlur(small, (0, 0), np.sqrt(sigma**2 / factor**2 - 0.3))
    return np.asarray(cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)


Box = tuple[slice, slice]
"""Rows and columns of a picture."""
WHOLE: Box = (slice(None), slice(None))
NOWHERE: Box = (slice(0, 0), slice(0, 0))


def boxed(there: Bools, margin: float = 0.0) -> Box:
    """Return the smallest box around what is True in (h,w) or (h,w,C), grown by pixels of margin.

    It begins and ends on whole blocks, so that what is blurred at a lower resolution inside it is
    what it would be in the whole picture. `NOWHERE` where nothing is True.
    """
    h, w = there.shape[:2]
    flat = np.ascontiguousarray(there).reshape(h, -1)
    columns = flat.any(0).reshape(w, -1).any(1)
    sides = []
    for some, size in ((flat.any(1), h), (columns, w)):
        found = np.flatnonzero(some)
        if not len(found):
            return NOWHERE
        first, last = int(found[0] - margin), int(np.ceil(found[-1] + 1 + margin))
        sides.append(
            slice(max(0, first) // _BLOCK * _BLOCK, min(size, -(-last // _BLOCK) * _BLOCK))
        )
    return sides[0], sides[1]


def within(box: Box, outer: Box) -> Box:
    """Return a box as it lies in a picture that was cut out by an outer one."""
    rows, columns = box
    above, left = outer[0].start, outer[1].start
    return (
        slice(rows.start - above, rows.stop - above),
        slice(columns.start - left, columns.stop - left),
    )


def fetched(texture: Floats, x: Floats, y: Floats) -> Floats:
    """Sample (h,w) or (h,w,3) at places that count pixel centers as whole numbers; 0 outside."""
    import cv2

    read = cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(read, np.float32)


def drawn(pixels: torch.Tensor, size: tuple[int, int]) -> Floats:
    """(h,w,3) at the drawn density of a crop (3,H,W)."""
    import cv2

    picture = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy(), np.float32)
    if picture.shape[:2] == size:
        return picture
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA), np.float32)


@dataclass(frozen=True, eq=False)
class FrameView:
    """The crop of one frame at the drawn density, and the face in it."""

    posed: PosedFace
    pixels: Floats
    """(h,w,3) RGB in [0,1]."""
    visible: Floats | None = None
    """(h,w) in [0,1], zero where something is in front of the face; None is one everywhere."""

    @cached_property
    def expression(self) -> Mapping[str, float]:
        """The fitted weights by name."""
        face = self.posed.face
        values = face.expression[self.posed.row].tolist()
        return dict(zip(face.shot.params.expression_names, values, strict=True))

    @cached_property
    def luma(self) -> Floats:
        """(h,w) logarithm of the luma."""
        import cv2

        return np.asarray(cv2.log(np.maximum(self.pixels @ LUMA, _DARKEST)), np.float32)

    @cached_property
    def colors(self) -> Floats:
        """(h,w,3) logarithm of the colors."""
        import cv2

        return np.asarray(cv2.log(np.maximum(self.pixels, _DARKEST)), np.float32)

    @cached_property
    def width(self) -> float:
        """Width of the face in drawn pixels."""
        return outline_width(self.posed.vertices[self.posed.face.model.regions["face_oval"], :2])

    @cached_property
    def skin(self) -> Floats:
        """(h,w) 1 where the mesh's skin is and nothing is known to be in front of it."""
        seen = self.posed.skin
        return seen if self.visible is None else np.asarray(seen * self.visible, np.float32)

    @cached_property
    def apart(self) -> Floats:
        """(h,w,3) how the logarithm of each color departs from that of the skin around it.

        The skin's color is a mean over skin alone, taken twice: what differs leaves it.
        """
        import cv2

        shrunk = (max(1, self.luma.shape[1] // 2), max(1, self.luma.shape[0] // 2))
        small = cv2.resize(self.pixels, shrunk, interpolation=cv2.INTER_AREA)
        colors = cv2.log(np.maximum(small, _DARKEST))
        mask = cv2.resize(self.skin, shrunk, interpolation=cv2.INTER_AREA)
        weight, local = mask, colors
        for _ in range(2):
            summed = np.dstack([colors * weight[..., None], weight])
            summed = blurred(summed, max(_AROUND * self.width / 2, 1.0))
            local = summed[..., :3] / np.maximum(summed[..., 3:], 1e-3)
            weight = mask * _likeness(colors - local)
        large = cv2.resize(local, self.luma.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(self.colors - large, np.float32)

    @cached_property
    def bare(self) -> Floats:
        """(h,w) 1 where the mesh's skin looks like the skin around it, 0 on what lies before it:
        strands, glasses and hands, which are mostly darker."""
        like = blurred(_likeness(self.apart), max(_EDGE * self.width, 0.5))
        return np.asarray(self.skin * like, np.float32)

    @cached_property
    def skin_luma(self) -> Floats:
        """(h,w) logarithm of the luma, with the skin's own where something lies before the skin.

        Bands of detail read off it have no halos beside brows, lashes and strands.
        """
        return np.asarray(self.luma - (1 - self.bare) * (self.apart @ LUMA), np.float32)

    @cached_property
    def box(self) -> Box:
        """The part of the picture that shows the unrolled face."""
        x, y = self._texels
        return boxed((x > -1) & (y > -1) & (x < SIZE[1]) & (y < SIZE[0]))

    def around(self, margin: float) -> Box:
        """The same with a margin in pixels, as far as the picture goes."""
        rows, columns = self.box
        h, w = self.luma.shape
        more = -(-int(np.ceil(margin)) // _BLOCK) * _BLOCK
        return (
            slice(max(0, rows.start - more), min(h, rows.stop + more)),
            slice(max(0, columns.start - more), min(w, columns.stop + more)),
        )

    def fetch(self, texture: Floats) -> Floats:
        """Draw a texture of the unrolled face, (h,w) or (h,w,3), into `box`."""
        return fetched(texture, *self._boxed_texels)

    def whole(self, part: Floats) -> Floats:
        """Lay what was made for `box` into the whole picture; 0 outside."""
        picture = np.zeros((*self.luma.shape, *part.shape[2:]), np.float32)
        picture[self.box] = part
        return picture

    @cached_property
    def _boxed_texels(self) -> tuple[Floats, Floats]:
        x, y = self._texels
        return np.ascontiguousarray(x[self.box]), np.ascontiguousarray(y[self.box])

    @cached_property
    def _texels(self) -> tuple[Floats, Floats]:
        # OpenCV puts pixel centers on whole numbers.
        at = texels(self.posed.places) - np.float32(0.5)
        return np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])

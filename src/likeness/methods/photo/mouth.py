"""The inside of a mouth that a photo does not show, taken from its driver.

Bringing Portraits to Life (Averbuch-Elor et al. 2017), section on hidden regions: what lies between
open lips is the driver's. Here its light is the photo's, its upper teeth give way to the photo's
own, and a gray driver's flesh has the color of the photo's lips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.composite.color import LUMA, tone_of
from likeness.face3d.model import FaceModel
from likeness.types import Floats

_MONOCHROME = 0.03
"""Deviation of tints in a mouth below which it is gray, or tinted evenly."""


@dataclass(frozen=True, eq=False)
class MouthLight:
    """How the inside of a driver's mouth is shown in a photo's light."""

    gain: Floats
    """(3,) from the driver's skin to the photo's."""
    flesh: Floats | None = None
    """(3,) color of the photo's lips over their luma, where the driver's clip is gray or tinted."""

    def on(self, mouth: Floats) -> Floats:
        """Return (h,w,3) as the photo's light shows it, what is no tooth in the color of flesh."""
        lit = mouth * self.gain
        if self.flesh is None:
            return lit
        luma = np.asarray(lit @ LUMA, np.float32)
        white = np.clip((luma / max(float(luma.max()), 1e-3) - 0.6) / 0.25, 0, 1)[..., None]
        return np.asarray(luma[..., None] * (self.flesh + white * (1 - self.flesh)), np.float32)

    @staticmethod
    def between(
        frame: Floats, points: Floats, picture: Floats, places: Floats, model: FaceModel
    ) -> MouthLight:
        """Compare skin and lips of a driver's frame (H,W,3) and of a photo (h,w,3).

        Args:
            frame: RGB in [0,1] of the driver.
            points: (V,2) vertices of the driver's face in it.
            picture: RGB in [0,1], the photo.
            places: (V,2) vertices of the photo's face in it.
            model: names the regions.
        """
        skin, lips = model.regions["cheeks"], model.regions["lips"]
        theirs, ours = _median_at(frame, points[skin]), _median_at(picture, places[skin])
        gain = np.clip((ours + 0.02) / (theirs + 0.02), 0.3, 3.0)
        # Teeth are white in any light: half of the difference in tint is the skin's own.
        level = float(gain.mean())
        gain = np.asarray(level * np.sqrt(gain / level), np.float32)
        if tone_of(_read(frame, points)[None], np.ones((1, len(points)), np.float32)) is None:
            return MouthLight(gain)
        color = _median_at(picture, places[lips])
        return MouthLight(gain, np.asarray(color / max(float(color @ LUMA), 1e-3), np.float32))


def _median_at(picture: Floats, places: Floats) -> Floats:
    """(3,) median color of a picture (H,W,3) at (P,2) places."""
    return np.asarray(np.median(_read(picture, places), 0), np.float32)


def _read(picture: Floats, places: Floats) -> Floats:
    """(P,3) colors of a picture (H,W,3) at (P,2) places."""
    column = np.floor(places[:, 0]).astype(int).clip(0, picture.shape[1] - 1)
    row = np.floor(places[:, 1]).astype(int).clip(0, picture.shape[0] - 1)
    return np.asarray(picture[row, column], np.float32)


def quarters(maps: Floats, box: tuple[slice, slice]) -> int:
    """Tell how often a mouth has to be turned left by 90 degrees to be upright, as the photo's is.

    The photo may lie over a face that lies on its side.
    """
    rows, columns = np.nonzero(maps[5][box] > 0)
    height = maps[3][box][rows, columns] + rows
    height -= height.mean()
    down, right = float(rows @ height), float(columns @ height)
    if abs(down) >= abs(right):
        return 0 if down >= 0 else 2
    return 3 if right > 0 else 1


def without_upper_teeth(mouth: Floats, share: Floats, dark: Floats) -> Floats:
    """Darken the upper teeth of a driver's upright mouth (h,w,3): the photo has its own.

    Teeth are what is bright and hardly colored; what is left is the tongue, in the depth, and
    before it the lower teeth.
    """
    import cv2

    bright = mouth.max(-1)
    tint = 1 - mouth.min(-1) / np.maximum(bright, 1e-3)
    level = max(float(bright.max()), 1e-3)
    # In one color throughout, only what is bright tells teeth from a tongue.
    least = 0.6 if float(tint.std()) < _MONOCHROME else 0.35
    tooth = np.clip((bright / level - least) / 0.25, 0, 1) * np.clip((0.55 - tint) / 0.2, 0, 1)
    height = np.cumsum(share, 0) / np.maximum(share.sum(0), 1e-3)
    lower = tooth * np.clip((height - 0.55) / 0.15, 0, 1)
    weight = share * (1 - tooth)
    # Blurred, so that no outline of a tooth is left hanging in the dark.
    spread = 0.06 * mouth.shape[1] + 0.5
    soft = cv2.GaussianBlur(np.dstack([mouth * weight[..., None], weight]), (0, 0), spread)
    known = soft[..., 3:]
    tongue = soft[..., :3] / np.maximum(known, 1e-3)
    depth = np.clip(height, 0, 1)[..., None]
    behind = dark + np.minimum(known * 2, 1) * depth * (tongue - dark)
    return np.asarray(behind + lower[..., None] * (mouth - behind), np.float32)

"""The square in which face generators were shown their faces: FFHQ's alignment.

Paper: Karras et al., A Style-Based Generator Architecture for GANs (CVPR 2019), appendix A, after
Karras et al., Progressive Growing of GANs (ICLR 2018), appendix C. Eyes and mouth say where the
square lies, how large it is and how it is turned:

    x = e - rot90(m), scaled to max(2 |e|, 1.8 |m|);  c = middle of the eyes + 0.1 m

with e from eye to eye and m from the eyes to the mouth. The square has its center at c, its half
axes are x and y = rot90(x).
Differs: the eyes are the means of six of the tracker's points each, where dlib's 68 have theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.types import Crop, Floats, check

_EYES = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))
_MOUTH = (61, 291)
_EYE_REACH, _MOUTH_REACH, _DROP = 2.0, 1.8, 0.1


@dataclass(frozen=True, eq=False)
class Squares:
    """N squares in the frame: what is smoothed over time before they become crops."""

    center: Floats
    """(N,2) pixels of the frame."""
    axis: Floats
    """(N,2) from the center to the middle of the right edge: half the side, and the turn."""

    def __post_init__(self) -> None:
        check(
            self.center.shape == self.axis.shape and self.center.shape[1:] == (2,),
            f"centers {self.center.shape} and axes {self.axis.shape}, expected (N, 2) both",
        )

    def __len__(self) -> int:
        return len(self.center)

    def crop(self, size: int) -> Crop:
        """Return N similarities onto crops of `size` pixels.

        Raises:
            ContractError: a square has no extent.
        """
        u, c = self.axis.astype(np.float64), self.center.astype(np.float64)
        length = (u**2).sum(1)
        check(bool((length > 1e-6).all()), "a square has no extent; expected a face with two eyes")
        # crop = size/2 + size/2 * R^T (p - c) / |u|, with R's columns u/|u| and rot90(u)/|u|.
        across, down = u / length[:, None], np.stack([-u[:, 1], u[:, 0]], 1) / length[:, None]
        linear = np.stack([across, down], 1) * (size / 2)
        offset = size / 2 - np.einsum("nij,nj->ni", linear, c)
        matrices = np.concatenate([linear, offset[:, :, None]], 2)
        return Crop((size, size), matrices.astype(np.float32))


def squares_of(landmarks: Floats, scale: float = 1.0) -> Squares:
    """Lay FFHQ's square around the faces of N frames, each by itself.

    Args:
        landmarks: (N,478,>=2) x, y in pixels of the frame.
        scale: size in units of FFHQ's own.
    """
    xy = landmarks[..., :2].astype(np.float64)
    right, left = (xy[:, list(points)].mean(1) for points in _EYES)
    eyes, between = (right + left) / 2, left - right
    down = xy[:, list(_MOUTH)].mean(1) - eyes
    axis = between + np.stack([down[:, 1], -down[:, 0]], 1)
    axis /= np.linalg.norm(axis, axis=1, keepdims=True) + 1e-9
    reach = np.maximum(
        _EYE_REACH * np.linalg.norm(between, axis=1), _MOUTH_REACH * np.linalg.norm(down, axis=1)
    )
    center = eyes + _DROP * down
    return Squares(center.astype(np.float32), (axis * reach[:, None] * scale).astype(np.float32))

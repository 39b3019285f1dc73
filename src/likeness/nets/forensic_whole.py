"""The network that looks at a whole face at a fixed size: does it belong where it is?

Beside the network that compares the finest detail (`forensic.py`), this one sees what any viewer
sees: seams, light that comes from elsewhere, somebody else's hair on a forehead, features that do
not fit the head. Its layers are the first three stages of dlib's recognizer (`identity_dlib.py`;
He et al., Deep Residual Learning for Image Recognition, CVPR 2016), and training begins with what
that one knows of faces: a few dozen people are not enough to learn it from. What each stage found
is compared between the inside of the face, its edge and what is around it.

Input:  x (N,3,s,s), RGB in [0,1], and oval (N,1,s,s), one inside of the face's outline; s is 112.
Output: evidence (N,) in logits; above 0 is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.nets.identity_dlib import MEAN, stem_and_stages

_SHOWN = 150
"""Pixels to which faces are enlarged: the recognizer's own scale."""


@dataclass(frozen=True)
class ForensicWholeConfig:
    """Shape of the network: the recognizer's."""

    depths: tuple[int, ...] = (3, 4, 3)
    """Blocks per stage; the first block of every stage but the first halves the picture."""
    widths: tuple[int, ...] = (32, 64, 128)
    """Channels per stage; the stem has the first's."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "depths", tuple(self.depths))
        object.__setattr__(self, "widths", tuple(self.widths))
        if not 0 < len(self.depths) == len(self.widths) or min(*self.depths, *self.widths) < 1:
            raise ConfigError(
                f"depths {self.depths} and widths {self.widths}: expected as many of one as of the "
                "other, all of them at least 1"
            )


class ForensicWholeNet(nn.Module):
    """Whole faces in, evidence of a change out."""

    middle: Tensor
    spread: Tensor

    def __init__(self, config: ForensicWholeConfig) -> None:
        super().__init__()
        self.config = config
        self.stem, self.stages = stem_and_stages(config.depths, config.widths)
        count = whole_features_count(config)
        self.register_buffer("middle", torch.zeros(count))
        self.register_buffer("spread", torch.ones(count))
        self.whole = nn.Linear(count, 1)

    def forward(self, x: Tensor, oval: Tensor) -> Tensor:
        """Map faces (N,3,s,s) and masks (N,1,s,s) to evidence (N,)."""
        told: Tensor = self.whole(self.features(x, oval))[:, 0]
        return told

    def features(self, x: Tensor, oval: Tensor) -> Tensor:
        """Return what the evidence is a linear function of (N,F): of usual size."""
        mean = torch.tensor(MEAN, dtype=x.dtype, device=x.device).view(3, 1, 1)
        x = functional.interpolate(x, (_SHOWN, _SHOWN), mode="bilinear", align_corners=False)
        x = functional.relu(self.stem((255 * x - mean) / 256))
        x = functional.max_pool2d(x, 3, 2)
        told = []
        for stage in self.stages:
            x = stage(x)
            told += _compared(x.float(), oval)
        return (torch.cat(told, 1) - self.middle) / self.spread


def whole_features_count(config: ForensicWholeConfig) -> int:
    """Numbers that a face becomes: mean and deviation of each channel in three zones."""
    return 6 * sum(config.widths)


def _compared(found: Tensor, oval: Tensor) -> list[Tensor]:
    """Means and deviations (N,C) inside of the face, at its edge and around it."""
    inside = functional.adaptive_avg_pool2d(oval, (found.shape[2], found.shape[3]))
    wide = functional.max_pool2d(inside, 3, 1, 1)
    narrow = -functional.max_pool2d(-inside, 3, 1, 1)
    told = []
    for zone in (narrow, wide - narrow, 1 - wide):
        weights = zone / (zone.sum((2, 3), keepdim=True) + 1e-3)
        mean = (found * weights).sum((2, 3))
        apart = ((found - mean[:, :, None, None]) ** 2 * weights).sum((2, 3))
        told += [mean, (apart + 1e-6).sqrt()]
    return told

"""SimSwap's discriminators: the paper's two patch discriminators, and the later script's idea.

paper: two PatchGANs (pix2pixHD's), one on the picture, one on its half.
projected: small discriminators on fixed features of several depths (Sauer et al., Projected GANs
Converge Faster, NeurIPS 2021), mixed across channels by fixed random convolutions. The later script
takes an EfficientNet trained on ImageNet; here the features are the recognizer's own, because it is
at hand on every machine.
Output of both, per discriminator: activations, shallow to deep, the last of them logits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from likeness.nets.identity_dlib import MEAN, DlibIdentity
from likeness.synthesize.discriminators import PatchConfig, PatchDiscriminator

_SLOPE = 0.2
_STAGES = 3
"""Depths of the recognizer that are looked at."""
_SIDE = 160
_HALVINGS = 4
_LEAST = 3
"""Side of the maps that the last two layers, unpadded enough to lose a pixel each, can take."""


class Judges(nn.Module):
    """Several discriminators that are asked together."""

    def features(self, rgb: Tensor) -> list[tuple[Tensor, ...]]:
        """Return what each discriminator saw in (N,3,S,S) RGB in [0,1], its logits last."""
        raise NotImplementedError

    def matched(self, rgb: Tensor, layers: int) -> list[Tensor]:
        """Return the last layers before the logits, of every discriminator."""
        return [layer for seen in self.features(rgb) for layer in seen[-1 - layers : -1]]


class Nobody(Judges):
    """For systems without an adversary."""

    def features(self, rgb: Tensor) -> list[tuple[Tensor, ...]]:
        """See nothing."""
        return []


class TwoScales(Judges):
    """The paper's: the second sees the picture halved. Small pictures are halved less often."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        halvings = min(_HALVINGS, int(np.log2(size / 2 / _LEAST)))
        config = PatchConfig(channels=0, width=width, halvings=halvings, norm="batch")
        self.judges = nn.ModuleList(PatchDiscriminator(config) for _ in range(2))

    def features(self, rgb: Tensor) -> list[tuple[Tensor, ...]]:
        """Judge both scales; see `Judges`."""
        half = functional.avg_pool2d(rgb, 3, 2, padding=1, count_include_pad=False)
        return [
            judge.features(picture)
            for judge, picture in zip(self.judges, (rgb, half), strict=True)
            if isinstance(judge, PatchDiscriminator)
        ]


class Projected(Judges):
    """Small discriminators on fixed features; only they learn."""

    def __init__(self, backbone: DlibIdentity, width: int, seed: int = 0) -> None:
        super().__init__()
        self._backbone = [backbone]  # in a list: it is not ours to train or to save
        widths = backbone.config.widths[:_STAGES]
        random = torch.Generator().manual_seed(seed)
        for index, inside in enumerate(widths):
            mix = torch.randn((width * 2**index, inside, 1, 1), generator=random) / inside**0.5
            self.register_buffer(f"mix{index}", mix)
        self.judges = nn.ModuleList(_small(width * 2**index) for index in range(len(widths)))

    def features(self, rgb: Tensor) -> list[tuple[Tensor, ...]]:
        """Judge each depth: its mixed features and the logits."""
        answers: list[tuple[Tensor, ...]] = []
        for index, (seen, judge) in enumerate(zip(self._seen(rgb), self.judges, strict=True)):
            mixed = functional.conv2d(seen, self.get_buffer(f"mix{index}"))
            answers.append((mixed, judge(mixed)))
        return answers

    def matched(self, rgb: Tensor, layers: int) -> list[Tensor]:
        """Return the deepest features as they are, as the later script does."""
        return [self._seen(rgb)[-1]]

    def _seen(self, rgb: Tensor) -> Sequence[Tensor]:
        backbone = self._backbone[0]
        picture = functional.interpolate(rgb, size=(_SIDE, _SIDE), mode="bilinear")
        mean = torch.tensor(MEAN, dtype=rgb.dtype, device=rgb.device).view(3, 1, 1)
        x = (picture * 255 - mean) / 256
        x = functional.max_pool2d(functional.relu(backbone.stem(x)), 3, 2)
        seen = []
        for stage in list(backbone.stages)[:_STAGES]:
            x = stage(x)
            seen.append(x)
        return seen


def _small(width: int) -> nn.Module:
    return nn.Sequential(
        spectral_norm(nn.Conv2d(width, width, 4, 2, padding=1)),
        nn.LeakyReLU(_SLOPE),
        spectral_norm(nn.Conv2d(width, 1, 3, padding=1)),
    )

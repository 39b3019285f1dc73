"""Features of pictures at several depths, for losses that ask how a picture looks.

Papers take VGG networks that were trained on ImageNet. None is at hand on every machine, and the
project imports none; these are the recognizer's own, as SimSwap's projected discriminators see
through them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from likeness.errors import BundleError
from likeness.methods.swap.simswap.people import chips
from likeness.nets.identity_dlib import MEAN, DlibIdentity
from likeness.networks import build
from likeness.types import Weights


class Features:
    """The stages of a recognizer, on the crops that it looks at."""

    def __init__(self, recognizer: DlibIdentity, device: torch.device) -> None:
        self._recognizer = recognizer.to(device).eval().requires_grad_(False)
        self._side = recognizer.config.size

    @staticmethod
    def of(recognizer: Weights, device: torch.device) -> Features:
        """Look through a recognizer of a bundle.

        Raises:
            BundleError: it is of a kind whose depths are not known here.
        """
        network = build(recognizer)
        if not isinstance(network, DlibIdentity):
            raise BundleError(
                f"perceptual features are read from dlib's recognizer, found "
                f"{recognizer.network!r}; leave --recognizer out"
            )
        return Features(network, device)

    def __call__(self, rgb: Tensor, theta: Tensor, stages: int) -> list[Tensor]:
        """Return features (N,C,h,w) of the first stages, shallow to deep, with gradients.

        Args:
            rgb: (N,3,S,S) in [0,1].
            theta: (N,2,3) where the recognizer's crop lies in them, both from -1 to 1.
            stages: how many.
        """
        mean = torch.tensor(MEAN, dtype=rgb.dtype, device=rgb.device).view(3, 1, 1)
        x = (chips(rgb, theta.to(rgb), self._side) * 255 - mean) / 256
        x = functional.max_pool2d(functional.relu(self._recognizer.stem(x)), 3, 2)
        seen = []
        for stage in list(self._recognizer.stages)[:stages]:
            x = stage(x)
            seen.append(x)
        return seen

"""The two networks of the trained detector and how their answers are put together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from likeness.nets.forensic import ForensicNet
from likeness.nets.forensic_whole import ForensicWholeNet
from likeness.networks import build
from likeness.store import load_bundle
from likeness.types import Bundle

BUNDLE = Path(__file__).with_name("detector.bundle")
"""Weights and calibration, written by `benchmarks/forensics.py`."""


@dataclass(frozen=True, eq=False)
class Detector:
    """One network compares the finest detail of places, the other looks at the whole face."""

    fine: ForensicNet
    face: ForensicWholeNet
    shares: tuple[float, float]
    """What each one's evidence counts for."""

    def __call__(self, crop: Tensor, oval: Tensor, whole: Tensor) -> tuple[float, Tensor]:
        """Judge one face.

        Args:
            crop: (3,h,w) RGB in [0,1] at the frame's density.
            oval: (h/4,w/4), the mask of the face in it.
            whole: (4,s,s), the face at a fixed size with its mask (`faces.whole_face`).

        Returns:
            The evidence, larger where a change is likelier, and where it is seen (h/8,w/8) in
            [0,1].
        """
        with torch.inference_mode():
            fine, where = self.fine(crop[None], oval[None, None])
            # Nothing about a face depends on which side is left: both mirror images are asked.
            both = torch.stack([whole, whole.flip(2)])
            face = self.face(both[:, :3], both[:, 3:]).mean()
        number = self.shares[0] * float(fine[0]) + self.shares[1] * float(face)
        return number, torch.sigmoid(where[0, 0])


@lru_cache(maxsize=1)
def read_detector() -> tuple[Detector, Bundle]:
    """Read the networks and their bundle, once.

    Raises:
        BundleError: the files in the package are damaged.
    """
    bundle = load_bundle(BUNDLE)
    fine = build(bundle.networks["detector"], "forensic")
    face = build(bundle.networks["face"], "forensic_whole")
    assert isinstance(fine, ForensicNet)  # noqa: S101 - the table says so
    assert isinstance(face, ForensicWholeNet)  # noqa: S101
    first, second = bundle.input["shares"]
    return Detector(fine, face, (float(first), float(second))), bundle

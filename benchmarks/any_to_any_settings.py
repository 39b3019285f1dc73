"""How every network for any two people is trained in minutes of one core.

Short trainings: where the answer is known, it counts most, and most where a swap changes something;
the networks are narrow, the batches small, and convolutions are computed in bfloat16.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from likeness.methods.swap.simswap.any_settings import PeopleTraining
from likeness.methods.swap.simswap.settings import SimSwapTraining
from likeness.methods.swap.survey.cihanet import CihaTraining
from likeness.methods.swap.survey.hear import HearTraining
from likeness.methods.swap.survey.korshunova import KorshunovaTraining
from likeness.methods.swap.survey.megafs import MegaFSTraining
from likeness.methods.swap.survey.picture_settings import (
    FSGANTraining,
    FSNetTraining,
    RSGANTraining,
    UniFaceGANTraining,
)
from likeness.methods.swap.survey.settings import FaceShifterTraining, IPGANTraining

SIDE = 64
_SHORT: Mapping[str, Any] = {"narrow": True, "average": 0.98}
_KNOWN: Mapping[str, Any] = {**_SHORT, "same": 0.15, "changed": 8.0, "judged": 4}

CONFIGS: Mapping[str, PeopleTraining] = {
    "simswap": SimSwapTraining(
        **{**_KNOWN, "judged": 3},
        size=SIDE,
        widths=(24, 48, 96),
        blocks=5,
        identity=0.25,
        feature=0.3,
        reconstruction=10.0,
        adversarial=0.02,
        penalty=0.0,
        judge_width=16,
        learning_rate=3e-3,
    ),
    "faceshifter": FaceShifterTraining(
        **_KNOWN,
        width=16,
        most=96,
        attributes=1.0,
        identity=0.4,
        reconstruction=40.0,
        adversarial=0.02,
        judge_width=16,
        learning_rate=1.5e-3,
    ),
    "hear": HearTraining(
        **_KNOWN,
        width=16,
        most=96,
        identity=0.4,
        reconstruction=40.0,
        change=0.2,
        learning_rate=1e-3,
    ),
    "ipgan": IPGANTraining(
        **_SHORT,
        same=0.15,
        identity=0.4,
        reconstruction=40.0,
        feature=0.2,
        adversarial=0.02,
        judge_width=16,
        learning_rate=1e-3,
    ),
    "cihanet": CihaTraining(
        **_KNOWN, identity=0.8, attributes=0.5, adversarial=0.02, area=0.0, learning_rate=2e-3
    ),
    "korshunova": KorshunovaTraining(narrow=True),
    "megafs": MegaFSTraining(**_KNOWN, identity=0.2, inversion=0.3),
    "rsgan": RSGANTraining(**_SHORT, batch=8, learning_rate=1e-3, divergence=5e-4),
    "fsnet": FSNetTraining(**_SHORT, batch=6, same=0.67, identity=0.5, learning_rate=1.5e-3),
    "fsgan": FSGANTraining(**_SHORT, batch=6, learning_rate=1e-3),
    "unifacegan": UniFaceGANTraining(**_SHORT, batch=5, same=0.8, learning_rate=1.5e-3),
}
START: Mapping[str, str] = {"hear": "faceshifter", "megafs": "gan"}
"""What is trained before what."""
BY_PICTURES = ("rsgan", "fsnet", "fsgan", "unifacegan")
"""What is told of a source by its picture and landmarks, and learns from no known swaps."""

"""How every network for any two people is trained in minutes of one core, and for how many steps.

Short trainings: where the answer is known, it counts most, and most where a swap changes something;
the networks are narrow, the batches small, and convolutions are computed in bfloat16.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from likeness.methods.edit.train import GanTraining
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
        steps=6000,
        identity=3.0,
        feature=0.3,
        reconstruction=10.0,
        adversarial=0.02,
        penalty=0.0,
        judge_width=16,
        learning_rate=1e-3,
    ),
    "faceshifter": FaceShifterTraining(
        **_KNOWN,
        steps=717,
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
        steps=786,
        width=16,
        most=96,
        identity=0.4,
        reconstruction=40.0,
        change=0.2,
        learning_rate=1e-3,
    ),
    "ipgan": IPGANTraining(
        **_SHORT,
        steps=661,
        same=0.15,
        identity=0.4,
        reconstruction=40.0,
        feature=0.2,
        adversarial=0.02,
        judge_width=16,
        learning_rate=1e-3,
    ),
    "cihanet": CihaTraining(
        **_KNOWN,
        steps=1500,
        identity=1.0,
        attributes=0.5,
        adversarial=5e-3,
        area=0.0,
        learning_rate=2e-3,
    ),
    "korshunova": KorshunovaTraining(narrow=True, steps=900),
    "megafs": MegaFSTraining(**_KNOWN, steps=4000, identity=0.2, inversion=0.3),
    "rsgan": RSGANTraining(
        **_SHORT,
        steps=1100,
        batch=8,
        learning_rate=3e-3,
        divergence=2e-5,
        adversarial=2e-3,
        judge_width=8,
    ),
    "fsnet": FSNetTraining(
        **_SHORT, steps=873, batch=6, same=0.67, identity=0.1, learning_rate=1.5e-3
    ),
    "fsgan": FSGANTraining(**_SHORT, steps=651, batch=6, learning_rate=1e-3),
    "unifacegan": UniFaceGANTraining(**_SHORT, steps=890, batch=5, same=0.8, learning_rate=1.5e-3),
}
FACES = GanTraining(steps=6000, polish=0.3, alone=0.93)
"""The generator that MegaFS builds on: it learns to reconstruct, and is hardly judged."""
START: Mapping[str, str] = {"hear": "faceshifter", "megafs": "gan"}
"""What is trained before what."""
BY_PICTURES = ("rsgan", "fsnet", "fsgan", "unifacegan")
"""What is told of a source by its picture and landmarks, and learns from no known swaps."""

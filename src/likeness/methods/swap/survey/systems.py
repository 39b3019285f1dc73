"""All networks for any two people that are learned by `learn_system`, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from likeness.methods.swap.simswap.any_settings import PeopleTraining
from likeness.methods.swap.simswap.learn import System
from likeness.methods.swap.simswap.settings import SimSwapTraining
from likeness.methods.swap.simswap.task import SIMSWAP
from likeness.methods.swap.survey.cihanet import CIHANET, CihaTraining
from likeness.methods.swap.survey.faceshifter import FACESHIFTER
from likeness.methods.swap.survey.fsgan import FSGAN_SYSTEM
from likeness.methods.swap.survey.fsnet import FSNET_SYSTEM
from likeness.methods.swap.survey.hear import HEAR, HearTraining
from likeness.methods.swap.survey.ipgan import IPGAN_SYSTEM
from likeness.methods.swap.survey.korshunova import KORSHUNOVA, KorshunovaTraining
from likeness.methods.swap.survey.megafs import MEGAFS, MegaFSTraining
from likeness.methods.swap.survey.picture_settings import (
    FSGANTraining,
    FSNetTraining,
    RSGANTraining,
    UniFaceGANTraining,
)
from likeness.methods.swap.survey.rsgan import RSGAN_SYSTEM
from likeness.methods.swap.survey.settings import FaceShifterTraining, IPGANTraining
from likeness.methods.swap.survey.unifacegan import UNIFACEGAN_SYSTEM
from likeness.store import load_bundle
from likeness.types import Bundle

SYSTEMS: Mapping[type[PeopleTraining], System] = {
    SimSwapTraining: SIMSWAP,
    FaceShifterTraining: FACESHIFTER,
    HearTraining: HEAR,
    IPGANTraining: IPGAN_SYSTEM,
    KorshunovaTraining: KORSHUNOVA,
    MegaFSTraining: MEGAFS,
    CihaTraining: CIHANET,
    RSGANTraining: RSGAN_SYSTEM,
    FSNetTraining: FSNET_SYSTEM,
    FSGANTraining: FSGAN_SYSTEM,
    UniFaceGANTraining: UNIFACEGAN_SYSTEM,
}
"""What each is, by the class of its settings."""

SETTINGS: Mapping[str, type[PeopleTraining]] = {
    system.family: kind for kind, system in SYSTEMS.items()
}
"""Classes of their settings by name."""


def begun_by(config: PeopleTraining, start: Path | None) -> Bundle | None:
    """Open what a training builds on, where it builds on anything.

    Raises:
        BundleError: it lacks that, or is given what it does not need.
    """
    begun = None if start is None else load_bundle(start)
    if (system := SYSTEMS.get(type(config))) is not None:
        system.prove_start(begun)
    return begun

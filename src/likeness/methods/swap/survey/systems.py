"""The systems of the survey that are learned by `learn_system`, by the class of their settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from likeness.methods.swap.survey.cihanet import CIHANET, CihaTraining
from likeness.methods.swap.survey.hear import HEAR, HearTraining
from likeness.methods.swap.survey.korshunova import KORSHUNOVA, KorshunovaTraining
from likeness.methods.swap.survey.learn import System
from likeness.methods.swap.survey.megafs import MEGAFS, MegaFSTraining
from likeness.store import load_bundle
from likeness.types import Bundle

SurveyTraining = HearTraining | KorshunovaTraining | MegaFSTraining | CihaTraining
"""Settings of any of them."""

SURVEY: Mapping[str, type[SurveyTraining]] = {
    "hear": HearTraining,
    "korshunova": KorshunovaTraining,
    "megafs": MegaFSTraining,
    "cihanet": CihaTraining,
}
"""Classes of their settings by name."""

SYSTEMS: Mapping[type, System] = {
    HearTraining: HEAR,
    KorshunovaTraining: KORSHUNOVA,
    MegaFSTraining: MEGAFS,
    CihaTraining: CIHANET,
}
"""What each is, by the class of its settings."""


def begun_by(config: object, start: Path | None) -> Bundle | None:
    """Open what a training builds on, where it builds on anything.

    Raises:
        BundleError: it lacks that, or is given what it does not need.
    """
    begun = None if start is None else load_bundle(start)
    if (system := SYSTEMS.get(type(config))) is not None:
        system.prove_start(begun)
    return begun

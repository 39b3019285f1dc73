"""`likeness train swap FOLDER... --arch simswap|compact|...` as a function: many for any two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from likeness import config as settings
from likeness.importers.recognizer import recognizer_bundle
from likeness.methods.portrait.model import CPU
from likeness.methods.swap.compact.settings import CompactTraining
from likeness.methods.swap.compact.train import learn_compact
from likeness.methods.swap.simswap.any_settings import PeopleTraining
from likeness.methods.swap.simswap.learn import Answer, learn_system
from likeness.methods.swap.survey import systems
from likeness.methods.swap.survey.korshunova import KorshunovaTraining
from likeness.methods.swap.survey.systems import SYSTEMS, begun_by
from likeness.pipeline import AnalyzeConfig
from likeness.provenance.consent import Consent
from likeness.store import load_bundle, remove_state, save_bundle
from likeness.training.footage import Budget
from likeness.types import Bundle, Progress, silent
from likeness.verbs.swap_consents import permit_people
from likeness.verbs.swap_people import (
    Member,
    digests,
    find_members,
    find_shots,
    open_people,
)
from likeness.verbs.swap_training import state_of

SETTINGS: Mapping[str, type[PeopleTraining]] = {"compact": CompactTraining, **systems.SETTINGS}
"""Their classes by the name of the network."""


def train_any(
    folders: Sequence[Path],
    output: Path,
    config: PeopleTraining,
    progress: Progress = silent,
    *,
    recognizer: Path | None = None,
    start: Path | None = None,
    analysis: AnalyzeConfig | None = None,
    consents: Sequence[Consent] = (),
    resume: bool = False,
    device: torch.device = CPU,
) -> Bundle:
    """Train a network that puts any person's identity on any other's face.

    Args:
        folders: of people, each with photos and clips; or one with such folders in it.
        output: NAME.bundle.
        config: settings; their class says which network is trained.
        progress: called as ("track" | "fit" | "photo" | "frames" | "codes" | "actors" | "pairs" |
            "train", done, total).
        recognizer: NAME.bundle of kind arcface whose codes it learns from; dlib's by default.
        start: NAME.bundle of what was trained before: FaceShifter's for hear, a face generator's
            for megafs.
        analysis: settings of tracking and fitting.
        consents: records of everybody shown, as source.
        resume: continue an interrupted training of the same settings.
        device: where the network is trained.

    Raises:
        ConsentError: somebody did not agree that their face be used in a swap.
        BundleError: the output is taken by an interrupted training that is not to be resumed, the
            state belongs to another training, the recognizer has no gradients, or what the
            training builds on is missing.
        TrackError: fewer than two people are seen.
        MediaError, FitError: an input is not usable.
    """
    members = open_people(folders)
    begun = begun_by(config, start)
    one = isinstance(config, KorshunovaTraining)
    permission = permit_people(members, consents, begun.people if begun else (), one)
    who = recognizer_bundle() if recognizer is None else load_bundle(recognizer)
    folder = state_of(output, resume)
    digest = settings.digest(config, digests(members), who.training, begun and begun.training)
    limits = (config.minutes, config.steps, config.seed)
    budget = Budget(*limits, folder, digest, resume, device, None, progress)
    learned, contract, preview = _learned(members, who, config, budget, analysis, begun)
    told = {"trained_with": settings.to_json(config), "seed": config.seed}
    bundle = Bundle(
        method=f"swap.{contract.family}",
        networks=learned.networks,
        input={"size": contract.size, "contract": settings.to_json(contract)},
        training={**told, **learned.record},
        license=f"of the people shown; see people. Recognizer: {who.license}",
        people=permission.people,
        preview=preview,
    )
    save_bundle(bundle, output, permission.sealed)
    remove_state(budget.folder)
    return bundle


def _learned(
    members: Sequence[Member],
    who: Bundle,
    config: PeopleTraining,
    budget: Budget,
    analysis: AnalyzeConfig | None,
    begun: Bundle | None,
) -> Answer:
    """Train the network whose settings these are."""
    if isinstance(config, CompactTraining):
        return learn_compact(find_shots(members, analysis, budget.progress), who, config, budget)
    people = find_members(members, analysis, budget.progress)
    return learn_system(SYSTEMS[type(config)], people, who, config, budget, begun)

"""`likeness train swap` as a function: from two people's footage to a one-to-one swap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from likeness import config as settings
from likeness.methods.portrait.model import CPU
from likeness.methods.swap.autoencoder.data import Faces
from likeness.methods.swap.autoencoder.preview import preview_of
from likeness.methods.swap.autoencoder.settings import SwapTraining
from likeness.methods.swap.autoencoder.train import learn
from likeness.people import check_face
from likeness.pipeline import AnalyzeConfig
from likeness.provenance.consent import Consent
from likeness.provenance.permission import Permission
from likeness.store import remove_state, save_bundle
from likeness.training.footage import Budget, Learned
from likeness.types import Bundle, Progress, silent
from likeness.verbs.swap_faces import Material, digests, find_faces, open_material
from likeness.verbs.swap_training import permit_pair, planned, state_of


def train_swap(
    source: Path,
    target: Path,
    output: Path,
    config: SwapTraining | None = None,
    progress: Progress = silent,
    *,
    others: Sequence[Path] = (),
    analysis: AnalyzeConfig | None = None,
    source_face: str = "largest",
    target_face: str = "largest",
    consents: Sequence[Consent] = (),
    resume: bool = False,
    device: torch.device = CPU,
) -> Bundle:
    """Train a network that gives one person's face to another.

    Args:
        source: whose face is given: a clip or photo, NAME.shot, or a folder of clips, photos and
            aligned faces.
        target: whose face is replaced, likewise.
        output: NAME.bundle.
        config: settings.
        progress: called as ("track" | "fit" | "photo" | "frames" | "train", done, total).
        others: further people for a comb, whose faces make the others' better.
        analysis: settings of tracking and fitting.
        source_face, target_face: whose face, where several are seen: largest, a number, like=PHOTO.
        consents: records of everybody shown: the target as target, all others as source.
        resume: continue an interrupted training of the same settings.
        device: where the network is trained.

    Raises:
        ConsentError: somebody did not agree that their face be used in a swap.
        BundleError: the output is taken by an interrupted training that is not to be resumed, or
            the state belongs to another training.
        TrackError: somebody is seen in too few frames.
        ConfigError, MediaError, FitError: settings or an input are not usable.
    """
    for face in (source_face, target_face):
        check_face(face)
    materials = [open_material(path) for path in (source, target, *others)]
    permission = permit_pair(materials, consents)
    chosen = planned(config or SwapTraining(), device)
    budget = _budget(output, chosen, materials, resume, progress, device)
    faces = [source_face, target_face, *("largest" for _ in others)]
    people = [
        find_faces(material, face, analysis, progress)
        for material, face in zip(materials, faces, strict=True)
    ]
    learned = learn(people, chosen, budget)
    bundle = _bundle(chosen, learned, people[1], permission)
    save_bundle(bundle, output, permission.sealed)
    remove_state(budget.folder)
    return bundle


def _bundle(
    config: SwapTraining, learned: Learned, target: Sequence[Faces], permission: Permission
) -> Bundle:
    generator = learned.networks["generator"]
    return Bundle(
        method=f"swap.{config.arch}",
        networks=learned.networks,
        input={
            "size": config.size,
            "face_type": config.face_type,
            "color": "srgb",
            "range": [0, 1],
        },
        training={
            "settings": settings.to_json(config),
            "seed": config.seed,
            **learned.record,
        },
        license="of the people shown; see people",
        people=permission.people,
        preview=preview_of(generator, target, config.face_type),
    )


def _budget(
    output: Path,
    config: SwapTraining,
    materials: Sequence[Material],
    resume: bool,
    progress: Progress,
    device: torch.device,
) -> Budget:
    """Find out where the training keeps its state, and whether it goes on from it."""
    folder = state_of(output, resume)
    digest = settings.digest(config, digests(materials))
    limits = (config.minutes, config.steps, config.seed)
    return Budget(*limits, folder, digest, resume, device, None, progress)

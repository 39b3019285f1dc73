"""`likeness train reenact` as a function: from a clip to a portrait."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from likeness.decode import open_clip
from likeness.errors import ConfigError
from likeness.methods.portrait.footage import FootageConfig, collect, plate_of
from likeness.methods.portrait.model import CPU
from likeness.methods.portrait.settings import ReenactTraining, budget_of, input_of, record_of
from likeness.methods.table import presets
from likeness.people import check_face, find_person
from likeness.pipeline import AnalyzeConfig
from likeness.provenance.consent import Consent
from likeness.provenance.permission import Permission, permit_training
from likeness.store import remove_state, save_bundle
from likeness.types import Bundle, Progress, Shot, silent


def train_reenact(
    target: Path,
    output: Path,
    config: ReenactTraining | None = None,
    progress: Progress = silent,
    *,
    analysis: AnalyzeConfig | None = None,
    face: str = "largest",
    consents: Sequence[Consent] = (),
    resume: bool = False,
    device: torch.device = CPU,
) -> Bundle:
    """Track a clip, fit its person and train a portrait.

    Args:
        target: a clip of one person, or a NAME.shot.
        output: NAME.bundle.
        config: settings.
        progress: called as ("track" | "fit" | "frames" | "train", done, total).
        analysis: settings of tracking and fitting.
        face: whose portrait: largest, a number from 0 on, or like=PHOTO.
        consents: the record of the person shown; a procedural actor needs none.
        resume: continue an interrupted training of the same settings.
        device: where the networks are trained.

    Raises:
        ConsentError, MediaError, TrackError, FitError, BundleError: as `analyze` and
            `train_portrait`.
    """
    check_face(face)
    if target.suffix != ".shot":
        # Asked before the clip is analyzed, which may take minutes, and again by the training.
        permit_training(open_clip(target), "reenact", consents)
    shot = find_person(target, face, analysis, progress)
    return train_portrait(shot, output, config, consents, resume, progress, device=device)


def train_portrait(
    shot: Shot,
    output: Path,
    config: ReenactTraining | None = None,
    consents: Sequence[Consent] = (),
    resume: bool = False,
    progress: Progress = silent,
    *,
    device: torch.device = CPU,
    permission: Permission | None = None,
) -> Bundle:
    """Train a portrait of the person in a shot and save it.

    Args:
        shot: the target.
        output: NAME.bundle.
        config: settings.
        consents: the record of the person shown; a procedural actor needs none.
        resume: continue an interrupted training of the same settings.
        progress: called as ("frames" | "train", done, total).
        device: where the networks are trained.
        permission: who agreed, where the person is no target of reenactment; None asks.

    Raises:
        ConsentError: nobody agreed to this training, or not any more.
        TrackError: fewer than 16 frames show the face.
        BundleError: the output is taken, also by an interrupted training that is not to be
            resumed, or the resume state belongs to another training.
    """
    config = config or ReenactTraining()
    permission = permission or permit_training(shot.clip, "reenact", consents)
    torch.manual_seed(config.seed)
    frames = len(shot.track)
    stop = frames * 2 // 3 if config.holdout == "last-third" else frames
    budget = budget_of(shot, output, config, resume, progress, device)
    footage = collect(
        shot, FootageConfig(config.size, config.scale, stop, config.max_frames), budget
    )
    recipe = presets("reenact")[config.preset]
    if recipe.train is None:
        raise ConfigError(f"{config.preset!r} learns nothing, expected a preset that does")
    learned = recipe.train(footage, config.method)
    bundle = Bundle(
        method=f"reenact.{config.preset}",
        networks={**learned.networks, "plate": plate_of(footage)},
        input=input_of(footage),
        training={**record_of(footage, config), **learned.record},
        license="of the person shown; see people",
        people=permission.people,
        shot=shot,
        preview=footage.bank.crops(np.array([len(footage.bank) // 2]))[0],
    )
    save_bundle(bundle, output, permission.sealed)
    remove_state(budget.folder)
    return bundle

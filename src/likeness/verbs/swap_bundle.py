"""From a source to the bundle that its method opens: photos are looked at, portraits trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from likeness import config as settings
from likeness.errors import ConfigError
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.swap.photos import find_photos, photos_in
from likeness.methods.swap.source import photos_bundle
from likeness.people import face_like, find_person
from likeness.pipeline import AnalyzeConfig
from likeness.provenance.permission import Permission
from likeness.store import load_bundle
from likeness.types import Bundle, Clip, Progress
from likeness.verbs.swap_source import PORTRAIT, Source
from likeness.verbs.train import train_portrait

_TRAINED = ".portrait.bundle"


def make_bundle(
    source: Source,
    face: str | None,
    use: Mapping[str, Any],
    permission: Permission,
    output: Path,
    training: ReenactTraining,
    analysis: AnalyzeConfig,
    progress: Progress,
    device: torch.device,
) -> Bundle:
    """Make what a method is opened from: look at photos, or train a portrait.

    Args:
        source: from `open_source`.
        face: whose face in photos or clip.
        use: settings of the method, from `method_settings`.
        permission: who agreed.
        output: the video; a portrait that is trained for it is kept beside it.
        training, analysis: settings.
        progress: called as (stage, done, total).
        device: where a portrait is trained.
    """
    if not source.clips:
        assert source.bundle is not None  # noqa: S101 - without clips there is a bundle
        return source.bundle
    people = permission.of("source")
    clip = source.clips[0]
    if len(source.clips) == 1 and len(clip) > 1:
        shot = find_person(source.path, face or "largest", analysis, progress)
        if source.method == PORTRAIT:
            kept = output.with_name(f"{source.path.stem}{_TRAINED}")
            if kept.is_dir() and _of(kept, clip):
                return load_bundle(kept)
            lent = Permission(tuple(people))
            return train_portrait(
                shot, kept, training, (), True, progress, device=device, permission=lent
            )
        photos = photos_in(shot)
    else:
        photos = find_photos(source.clips, face, face_like(face))
    progress("photo", 1, 1)
    made = photos_bundle(source.method, photos, people, {"settings": use} if use else None)
    if source.bundle is None:
        return made
    return replace(
        source.bundle, networks={**source.bundle.networks, **made.networks}, people=tuple(people)
    )


def method_settings(source: Source, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check settings of a source's method, before any work.

    Args:
        source: from `open_source`.
        given: the table [swap] of a settings file; empty takes the method's own.

    Returns:
        JSON values for its bundle.

    Raises:
        ConfigError: the method has none, or not these.
    """
    if not given:
        return {}
    own = source.recipe.settings
    if own is None or source.bundle is not None:
        name = source.method.partition(".")[2]
        raise ConfigError(f"[swap] was given, and {name} has no settings; leave the table out")
    checked = settings.resolve(type(own), given, where="swap")
    return dict(settings.to_json(checked))


def _of(kept: Path, clip: Clip) -> bool:
    """Tell whether a bundle that lies there was trained on this clip."""
    shot = load_bundle(kept).shot
    return shot is not None and shot.clip.digest == clip.digest

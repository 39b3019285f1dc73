"""`likeness train gan` as a function: from a folder of faces, or of actors, to a face generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness import config as settings
from likeness.errors import BundleError, ConfigError
from likeness.methods.edit.directions import weights_of
from likeness.methods.edit.footage import gather_faces, media_in
from likeness.methods.edit.generator import DIRECTIONS, open_generator
from likeness.methods.edit.train import (
    GanTraining,
    label_directions,
    learn_generator,
    preview_of,
)
from likeness.provenance.consent import Consent
from likeness.provenance.permission import Permission, permit
from likeness.store import has_state, remove_state, save_bundle
from likeness.track import TrackConfig
from likeness.training.cast import CastConfig, draw_cast
from likeness.types import Bundle, Floats, Progress, silent

NOBODY = Permission(())
"""Procedural actors that are rendered here are nobody."""


@dataclass(frozen=True)
class GanJob:
    """Settings of `likeness train gan`."""

    actors: int = 0
    """Procedural actors to learn from instead of a folder; 0 for a folder."""
    aligned: bool = False
    """Whether the folder's pictures are squares that are laid as FFHQ's already."""
    max_frames: int = 200
    """Most frames of one clip."""
    cast: CastConfig = field(default_factory=CastConfig)
    """Which actors, and how often each; their number is `actors`."""
    track: TrackConfig = field(default_factory=TrackConfig)
    train: GanTraining = field(default_factory=GanTraining)

    def __post_init__(self) -> None:
        if self.actors < 0 or self.max_frames < 1:
            raise ConfigError(
                f"actors {self.actors}, max_frames {self.max_frames}; expected 0 or more and 1 or "
                "more"
            )

    def check_given(self, folder: Path | None) -> None:
        """Raise ConfigError unless a folder or actors are given, and not both."""
        if (folder is None) == (self.actors == 0):
            raise ConfigError("give a folder of faces, or --actors N, and not both")


def train_gan(
    folder: Path | None,
    output: Path,
    config: GanJob | None = None,
    progress: Progress = silent,
    *,
    consents: Sequence[Consent] = (),
    resume: bool = False,
) -> Bundle:
    """Train a face generator and its encoder, and save them.

    Args:
        folder: photos and clips of faces; None where actors are asked for.
        output: NAME.bundle.
        config: settings.
        progress: called as ("film" | "track" | "frames" | "train", done, total).
        consents: records of the people shown (role source); procedural actors need none.
        resume: go on with an interrupted training of the same settings.

    Returns:
        The bundle; of actors it carries directions, as their labels are known.

    Raises:
        ConfigError: neither a folder nor actors are given, or both.
        ConsentError: nobody agreed that these faces be learned.
        BundleError: the output holds an interrupted training that is not to be resumed, or the
            resume state belongs to another training.
        MediaError, TrackError: the folder's files cannot be used.
    """
    config = config or GanJob()
    config.check_given(folder)
    config = replace(config, cast=replace(config.cast, actors=config.actors))
    state = output / "resume"
    if has_state(state) and not resume:
        raise BundleError(
            f"{output} holds an interrupted training; expected a new name. Go on with the training "
            f"by --resume, or remove {state} to begin anew"
        )
    pixels, labels, permission = _faces(folder, config, state, consents, progress)
    digest = settings.digest(config, labels is None, pixels.shape, _sum(pixels))
    learned = learn_generator(pixels, config.train, state, digest, resume, progress)
    networks = dict(learned.networks)
    bundle = Bundle("edit.stitch", networks, {}, {}, "")
    if labels is not None:
        found = label_directions(open_generator(bundle), pixels, labels)
        networks[DIRECTIONS] = weights_of(found)
    bundle = Bundle(
        method="edit.stitch",
        networks=networks,
        input={"size": config.train.size},
        training={"settings": settings.to_json(config), "pictures": len(pixels), **learned.record},
        license="CC0-1.0" if folder is None else "of the people shown; see people",
        people=permission.people,
        preview=preview_of(open_generator(bundle)),
    )
    save_bundle(bundle, output, permission.sealed)
    remove_state(state)
    return bundle


def _faces(
    folder: Path | None,
    config: GanJob,
    state: Path,
    consents: Sequence[Consent],
    progress: Progress,
) -> tuple[NDArray[np.uint8], Mapping[str, Floats] | None, Permission]:
    """Gather the pictures, what is known of them, and who agreed."""
    size = config.train.size
    if folder is None:
        cast = draw_cast(config.cast, size, state / "faces.bin", progress)
        return cast.pixels, cast.labels, NOBODY
    clips = media_in(folder)
    permission = permit("edit", consents, sources=clips)
    bank = gather_faces(
        clips,
        size,
        state / "faces.bin",
        aligned=config.aligned,
        most=config.max_frames,
        config=config.track,
        progress=progress,
    )
    return bank.pixels, None, permission


def _sum(pixels: NDArray[np.uint8]) -> int:
    """A number that changes with the pictures; each is a part of a file that names its digest."""
    return int(pixels[:: max(1, len(pixels) // 64)].astype(np.int64).sum())

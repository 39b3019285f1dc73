"""Stitch it in Time in the pipeline's slots: faces made ahead, pasted as the clip streams by.

Paper: Tzaban, Mokady, Gal, Bermano and Cohen-Or, Stitch it in Time: GAN-Based Facial Editing of
Real Videos (SIGGRAPH Asia 2022). docs/methods/stitch.md tells it in order.

What is consistent in a clip stays consistent if every step is smooth and none invents: smoothed
crops, an encoder, one generator tuned to all frames, straight moves in its code space, and a border
that is made to meet the frame's. No optical flow, no loss over time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from likeness import config as settings
from likeness.errors import ConfigError
from likeness.methods.edit.directions import direction_named, directions_of
from likeness.methods.edit.generator import FaceGenerator, open_generator
from likeness.methods.edit.masks import Masks
from likeness.methods.edit.occluders import Occluders
from likeness.methods.edit.paste import PasteConfig, Paster
from likeness.methods.edit.rows import digest_of
from likeness.methods.edit.stages import StagesConfig, Studio, footing_of, is_moved, state_digest
from likeness.networks import build
from likeness.plan.plan import Plan
from likeness.store.cache import user_cache
from likeness.types import Bundle, Ints, Layer, Progress, Window, silent

METHOD = "edit.stitch"
SETTINGS = "stitch"
"""Table of a plan's settings that holds this method's."""


@dataclass(frozen=True)
class StitchConfig:
    """Settings of the method."""

    stages: StagesConfig = field(default_factory=StagesConfig)
    paste: PasteConfig = field(default_factory=PasteConfig)
    preview: int | None = None
    """Edit the first frames only; None edits all."""


@dataclass(frozen=True, eq=False)
class StitchedFrames:
    """Which prepared faces lie over N frames."""

    frames: torch.Tensor
    """(N,3,H,W) RGB in [0,1] as decoded."""
    rows: Ints
    """(N,) row of the prepared faces; -1 where the frame stays as it is."""
    window: Window


@dataclass(frozen=True, eq=False)
class StitchedClip:
    """The method: prepared faces, and where they go."""

    paster: Paster
    rows: Ints
    """(M,) row of each frame of the output."""
    occluders: Occluders | None = None
    """What finds things in front of the face; None where nobody asked or nothing is known."""

    def condition(self, window: Window, frames: torch.Tensor) -> StitchedFrames:
        """Look up which faces belong to a window."""
        return StitchedFrames(frames, self.rows[window.start : window.stop], window)

    def synthesize(self, told: StitchedFrames) -> Layer:
        """Lay them out for pasting, behind what is in front of the face."""
        layer = self.paster.layer(told.frames, told.rows)
        if self.occluders is None or (told.rows < 0).all():
            return layer
        visible = self.occluders.visible(told.window, told.frames, layer.crop)
        return replace(layer, alpha=layer.alpha * visible)


def open_stitch(
    bundle: Bundle,
    plan: Plan,
    device: torch.device,
    *,
    folder: Path | None = None,
    progress: Progress = silent,
) -> StitchedClip:
    """Prepare all faces of a plan, or what an interrupted run has left to do.

    Args:
        bundle: a face generator with its encoder, directions and perhaps a face parser.
        plan: strengths by direction; its settings may hold a table "stitch" (`StitchConfig`).
        device: where networks run.
        folder: where stages leave their answers; by default in the user's cache, named by what
            they are made from.
        progress: called as ("frames" | "mask" | "invert" | "tune" | "stitch", done, total).

    Raises:
        BundleError: the bundle is none of a face generator.
        ConfigError: a direction is unknown, or the plan shows no frames of a clip.
        MediaError: the clip cannot be read, or the disk has no room.
    """
    if plan.shown is None:
        raise ConfigError("an edit by a generator needs the clip's own frames, and there are none")
    config = settings.resolve(StitchConfig, plan.settings.get(SETTINGS, {}), where=SETTINGS)
    generator = open_generator(bundle, device)
    known = directions_of(bundle)
    chosen = {name: direction_named(name, known) for name in plan.strengths}
    parser = _parser(bundle)
    masks = Masks(config.stages.mask.chosen(parser), parser)
    # Frames after the preview are shown as they are.
    limit = len(plan) if config.preview is None else config.preview
    early = np.arange(len(plan)) < limit
    strengths = {k: np.where(early, v, 0).astype(np.float32) for k, v in plan.strengths.items()}
    footing = footing_of(plan.shot, np.asarray(plan.shown), strengths, plan.absent)
    if not len(footing.times):
        return StitchedClip(Paster.empty(generator.size), np.full(len(plan), -1))
    studio = Studio(
        generator,
        masks,
        chosen,
        config.stages,
        folder or _folder(plan, generator),
        progress=progress,
    )
    faces = studio.faces(footing)
    shown, edited = np.asarray(plan.shown), is_moved(strengths, len(plan))
    rows = np.where(
        np.isin(shown, footing.times) & edited, np.searchsorted(footing.times, shown), -1
    )
    return StitchedClip(Paster.of(faces, config.paste), rows, Occluders.of(plan))


def prepare_stitch(bundle: Bundle, plan: Plan, device: torch.device, progress: Progress) -> None:
    """Run all stages of a plan into the user's cache, where `open_stitch` finds them; see there."""
    open_stitch(bundle, plan, device, progress=progress)


def stitch_directions(bundle: Bundle) -> tuple[str, ...]:
    """Name the directions that a bundle carries."""
    return tuple(direction.name for direction in directions_of(bundle))


def _parser(bundle: Bundle) -> nn.Module | None:
    for weights in bundle.networks.values():
        if weights.network == "regions":
            return build(weights)
    return None


def _folder(plan: Plan, generator: FaceGenerator) -> Path:
    """Where stages of this clip and this generator leave their answers."""
    key = digest_of(plan.shot.clip.digest, state_digest(generator.module.state_dict()))
    return user_cache() / "stitch" / key[:24]

"""`likeness swap` as a function: somebody's face on somebody else's performance."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from threadpoolctl import threadpool_limits

from likeness import config as settings
from likeness.composite.finish import FinishConfig
from likeness.encode import EncodeConfig, LayersFolder, MarkedFile, inputs_of, prove_place
from likeness.hand_off import render_layers
from likeness.methods.ahead import Opening, opened_ahead
from likeness.methods.portrait.model import CPU
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.swap.method import Swapped, check_finish
from likeness.methods.swap.published import PublishedConfig
from likeness.people import check_face, find_people
from likeness.pipeline import AnalyzeConfig, render
from likeness.plan.plan import Plan
from likeness.plan.report import RunReport
from likeness.plan.swap import plan_swap, together
from likeness.provenance.consent import Consent
from likeness.provenance.permission import Permission
from likeness.types import Method, Progress, Shot, silent
from likeness.verbs.given import clip_of
from likeness.verbs.swap_bundle import make_bundle, method_settings
from likeness.verbs.swap_pairs import SwapPair, chosen_people
from likeness.verbs.swap_source import Source, open_source, permit_swap

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SwapConfig:
    """Settings of `likeness swap`."""

    method: str | None = None
    """How the source is shown; None takes photo for photos and portrait for clips and portraits."""
    source_face: str | None = None
    """Whose face in the source, where it shows several: largest, a number, or like=PHOTO."""
    recognizer: tuple[Path, ...] = ()
    """Bundles of what a published network knows the source by, where its own bundle lacks them."""
    audio: Literal["target", "none"] = "target"
    """Whose sound lies under the output."""
    layers: Literal["png", "exr"] | None = None
    """Write a folder of patches, mattes and plates in place of a picture: 16-bit PNG, or float."""
    finish: FinishConfig = field(default_factory=FinishConfig)
    published: PublishedConfig = field(default_factory=PublishedConfig)
    use: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the method itself, as a table; empty takes its own."""
    train: ReenactTraining = field(default_factory=lambda: ReenactTraining(holdout="none"))
    """How a portrait is trained where the source is a clip."""
    analyze: AnalyzeConfig = field(default_factory=AnalyzeConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)

    def __post_init__(self) -> None:
        if self.source_face is not None:
            check_face(self.source_face, "source_face")


def swap(
    pairs: Sequence[SwapPair],
    target: Path,
    output: Path,
    config: SwapConfig | None = None,
    progress: Progress = silent,
    *,
    consents: Sequence[Consent] = (),
    device: torch.device = CPU,
) -> RunReport:
    """Put sources' identities on the performances of people in a clip, in one pass.

    Args:
        pairs: whose identity on whose face; later ones lie over earlier ones.
        target: clip or NAME.shot whose people keep pose, expression, gaze, light and sound.
        output: video to write, on the target's timeline; a folder for layers.
        config: settings.
        progress: called as (stage, done, total).
        consents: records of everyone whose face is used (source) or changed (target).
        device: where networks run.

    Raises:
        ConsentError: somebody did not agree.
        TrackError: no face where one was meant.
        BundleError, MediaError, FitError, ConfigError: an input is not usable.
    """
    config = config or SwapConfig()
    given = (*(pair.source for pair in pairs), target, config.finish.mask_file)
    began, read = time.monotonic(), inputs_of(given)
    if config.layers is None:
        prove_place(output, read)
    else:
        LayersFolder(output, kind=config.layers, inputs=read).prove()
    beside, use = config.recognizer, config.published
    sources = [open_source(pair.source, config.method, beside, use) for pair in pairs]
    uses = [method_settings(source, config.use) for source in sources]
    permission = permit_swap(sources, clip_of(target), consents)
    with threadpool_limits(1, "blas"):  # several threads round otherwise
        how = (permission, output, config.train, config.analyze, progress, device)

        def opened(number: int) -> Callable[[Plan], Opening]:
            made = make_bundle(sources[number], config.source_face, uses[number], *how)
            return opened_ahead(sources[number].recipe, made, device)

        # Whatever can be refused is refused before the target is looked at, or a portrait trained.
        soon = [n for n, one in enumerate(sources) if all(len(clip) == 1 for clip in one.clips)]
        opening = {number: opened(number) for number in soon}
        faces = chosen_people(pairs, partial(find_people, target, config.analyze, progress))
        plans = [_planned(sources[number], shot, config) for number, shot in faces]
        for number in sorted({number for number, _ in faces} - opening.keys()):
            opening[number] = opened(number)
        methods = [opening[number](plan)() for (number, _), plan in zip(faces, plans, strict=True)]
        plan = together(plans, settings.to_json(config))
        for warning in plan.warnings:
            log.warning("%s", warning)
        report = _rendered(plan, methods, permission, output, read, config, progress)
    return replace(report, seconds=time.monotonic() - began)


def _planned(source: Source, shot: Shot, config: SwapConfig) -> Plan:
    """Plan one person's swap, and prove that the finish fits the clip."""
    plan = plan_swap(shot, source.ingredients, config.finish, config.audio == "target")
    told = check_finish(config.finish, shot, plan.timeline)
    return replace(plan, warnings=(*plan.warnings, *told))


def _rendered(
    plan: Plan,
    methods: Sequence[Method[Any]],
    permission: Permission,
    output: Path,
    read: tuple[Path, ...],
    config: SwapConfig,
    progress: Progress,
) -> RunReport:
    """Write a video, or layers."""
    if config.layers is None:
        sink = MarkedFile(output, config.encode, read)
        return render(plan, methods, permission, sink, progress)
    folder = LayersFolder(output, len(methods), config.layers, read)
    drawn = [method for method in methods if isinstance(method, Swapped)]
    return render_layers(plan, drawn, permission, folder, progress)

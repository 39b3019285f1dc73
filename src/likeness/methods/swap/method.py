"""A swap in the pipeline's slots: any swapper, and the finish that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from likeness.composite.finish import FinishRanges, FrameFacts, finish, hidden, prepared
from likeness.composite.finish_settings import FinishConfig, fade_warnings
from likeness.methods.swap.facts import ClipFacts, turned_away
from likeness.methods.swap.occlusion import Occlusion, occlusion_of
from likeness.methods.swap.user_mask import UserMask
from likeness.methods.swap.view import SwapFace, Swapper, SwapTarget, TargetView
from likeness.plan.plan import Plan
from likeness.types import Floats, Layer, Shot, Timeline, Window

Finisher = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, Floats, FinishConfig, FrameFacts],
    tuple[torch.Tensor, torch.Tensor],
]
"""`finish`, or all of it but the blend (`prepared`)."""


@dataclass(frozen=True, eq=False)
class Swapped:
    """The target's frames in, frames with the source's face out."""

    swapper: Swapper
    target: SwapTarget
    config: FinishConfig
    occlusion: Occlusion | None = None
    """What finds things in front of the face; None where nobody asked or nothing is known."""
    mask: UserMask | None = None
    """Where the user lets the face lie."""

    @cached_property
    def ranges(self) -> FinishRanges:
        """Which settings hold in which frame."""
        return FinishRanges.of(self.config, seconds_of(Timeline.of(self.target.shot.clip)))

    @cached_property
    def facts(self) -> ClipFacts:
        """How the target's face moves."""
        return ClipFacts.of(self.target)

    def condition(self, window: Window, frames: torch.Tensor) -> TargetView:
        """Cut out the target's face and tell what it does."""
        return self.target.view(window, frames)

    def synthesize(self, told: TargetView) -> Layer:
        """Draw the source's face and make it part of the picture."""
        return self._laid(told, finish)

    def hand_off(self, told: TargetView) -> Layer:
        """Return patch and matte instead: the drawn face as it is before it is blended."""
        return self._laid(told, prepared)

    def _laid(self, told: TargetView, finisher: Finisher) -> Layer:
        """Draw, and finish each run of frames by the settings that hold there."""
        face, facts = self._drawn(told)
        rgb, alpha = torch.empty_like(told.pixels), torch.empty_like(face.alpha)
        for run, config in self.ranges.runs(told.window):
            rgb[run], alpha[run] = finisher(
                face.rgb[run],
                face.alpha[run],
                told.pixels[run],
                told.landmarks[run],
                config,
                facts.cut(run),
            )
        return self._missed(told, SwapFace(rgb, alpha))

    def _drawn(self, told: TargetView) -> tuple[SwapFace, FrameFacts]:
        facts = self.facts.told(told)
        if self.mask is not None:
            facts = replace(facts, allowed=self.mask.allowed(told))
        if self.occlusion is not None:
            facts = replace(facts, visible=self._visible(told, self.occlusion))
        return self.swapper.draw(told), facts

    def _visible(self, told: TargetView, occlusion: Occlusion) -> torch.Tensor:
        """(N,1,h,w) in [0,1]: where nothing that is to stay in front covers the face."""
        visible = torch.ones_like(told.pixels[:, :1])
        runs = list(self.ranges.runs(told.window))
        if any(config.occluders for _, config in runs):
            found = occlusion.visible(told)
            for run, config in runs:
                if config.occluders:
                    visible[run] = found[run]
        if any(config.keep_glasses for _, config in runs):
            worn = occlusion.glasses(told)
            for run, config in runs:
                if config.keep_glasses:
                    visible[run] *= 1 - worn[run]
        return visible

    def _missed(self, told: TargetView, face: SwapFace) -> Layer:
        """Do what `on_miss` says where the target's face was not seen."""
        rgb, alpha = face.rgb, face.alpha
        for run, config in self.ranges.runs(told.window):
            chosen = slice(told.window.start + run.start, told.window.start + run.stop)
            observed = torch.from_numpy(self.target.observed[chosen])[:, None, None, None]
            present = torch.from_numpy(self.target.present[chosen])[:, None, None, None]
            if config.on_miss == "hold" or config.on_miss == "original":
                alpha[run] *= present if config.on_miss == "hold" else observed
            elif not observed.all():
                cover = hidden(told.pixels[run], told.landmarks[run], config.on_miss)
                rgb[run] = torch.where(observed, rgb[run], cover[0])
                alpha[run] = torch.where(observed, alpha[run], cover[1])
        return Layer(told.crop, rgb, alpha)


def swapped(swapper: Swapper, plan: Plan) -> Swapped:
    """Fill the pipeline's slots with a swapper, for the person that a plan changes.

    Raises:
        ConfigError: a range of frames of the plan's finish lies outside the clip, or its mask is of
            another size or length.
        MediaError: the mask or the clip cannot be read.
    """
    seconds = seconds_of(plan.timeline)
    target = SwapTarget.of(plan.shot, seconds)
    config = plan.finish or FinishConfig()
    ranges = FinishRanges.of(config, seconds)
    wanted = ranges.any("occluders") or ranges.any("keep_glasses")
    return Swapped(
        swapper,
        target,
        config,
        occlusion_of(target) if wanted else None,
        UserMask.of(config.mask_file, plan.shot.clip) if config.mask_file else None,
    )


def check_finish(config: FinishConfig, shot: Shot, timeline: Timeline) -> tuple[str, ...]:
    """Prove before any work that a finish fits a clip.

    Args:
        config: settings.
        shot: the person that is changed.
        timeline: of the output.

    Returns:
        What a person should know of it, in words.

    Raises:
        ConfigError: a range of frames lies outside the clip, or the mask is of another size or
            length.
        MediaError: the mask cannot be read.
    """
    seconds = seconds_of(timeline)
    if config.mask_file is not None:
        UserMask.of(config.mask_file, shot.clip)
    target = SwapTarget.of(shot, seconds)
    degrees = np.where(target.observed, turned_away(shot.params)[target.rows], 0)
    return fade_warnings(FinishRanges.of(config, seconds), degrees)


def seconds_of(timeline: Timeline) -> Floats:
    """Return (M,) when the frames of a timeline are shown, counted from the first."""
    ticks = timeline.pts - timeline.pts[0]
    return np.asarray(ticks * float(timeline.time_base), np.float64)

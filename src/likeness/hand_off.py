"""Layers in place of a picture: what a swap has drawn, before it is blended, for a compositor."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from threadpoolctl import threadpool_limits

from likeness.encode import LayersFolder
from likeness.machine import peak_rss_mb
from likeness.painting import frames_of
from likeness.pipeline import manifest_of
from likeness.plan.plan import Plan
from likeness.plan.report import RunReport
from likeness.provenance.permission import Permission
from likeness.types import Layer, Progress, Window, silent

Told = TypeVar("Told")


class Layered(Protocol[Told]):
    """A method that can hand off what it draws."""

    def condition(self, window: Window, frames: torch.Tensor) -> Told:
        """Tell the generator about a window; see `Method`."""
        ...

    def hand_off(self, told: Told) -> Layer:
        """Return patch and matte, before they are blended with what lies under them."""
        ...


@dataclass(frozen=True)
class LayersReport(RunReport):
    """What is to be said of a folder of layers."""

    layers: tuple[str, ...] = ()
    """Names of its sequences, such as patch_%05d.png."""


def render_layers(
    plan: Plan,
    methods: Sequence[Layered[Any]],
    permission: Permission,
    folder: LayersFolder,
    progress: Progress = silent,
) -> LayersReport:
    """Stream a plan through its methods and write what they draw as layers.

    Args:
        plan: what is shown when.
        methods: opened for this plan, one per person that is changed.
        permission: who agreed.
        folder: where the layers go.
        progress: called as ("synthesize", done, total).

    Raises:
        MediaError: the folder cannot be written, or the clip beneath cannot be read any more.
    """
    began = time.monotonic()
    manifest = manifest_of(plan, permission, folder.title)
    with (
        threadpool_limits(1, "blas"),
        folder.open(manifest, plan.like, plan.timeline) as output,
    ):
        for window, frames in frames_of(plan):
            output.append(frames, [one.hand_off(one.condition(window, frames)) for one in methods])
            progress("synthesize", window.stop, len(plan))
    seconds = time.monotonic() - began
    report = RunReport.of(plan, folder.location, output.where, seconds, peak_rss_mb())
    return LayersReport(**vars(report), layers=folder.patterns())

"""`likeness live` as a function: whoever is before the camera moves a face, or gets one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import torch

from likeness import config as settings
from likeness.decode.camera import Clock, WallClock, open_camera
from likeness.encode.live import LiveSink
from likeness.errors import BundleError
from likeness.live import LiveReport, Looker, Tell
from likeness.methods.portrait.model import CPU
from likeness.methods.table import METHODS
from likeness.pipeline import render_live
from likeness.provenance.consent import Consent
from likeness.verbs.live_shown import LiveSettings, permitted, shown_as, shown_by


def live(
    shown: Path,
    camera: str,
    sink: LiveSink,
    config: LiveSettings | None = None,
    tell: Tell | None = None,
    *,
    consents: Sequence[Consent] = (),
    device: torch.device = CPU,
    clock: Clock | None = None,
    stop: Event | None = None,
) -> LiveReport:
    """Let whoever is before the camera move a portrait or a photo, or get its face.

    Args:
        shown: NAME.bundle of a portrait, or a photo; for a swap any source of `swap` but a clip.
        camera: a number, a file that plays as one, or - for a video on standard input.
        sink: where the marked frames go.
        config: settings.
        tell: called about once a second.
        consents: records of the person shown, besides the bundle's, and of the driver.
        device: where networks run.
        clock: tells the time.
        stop: ends it once it is set.

    Raises:
        ConsentError: nobody agreed that this person be shown so.
        BundleError: the bundle's method has to look ahead.
        TrackError: nobody is before the camera.
        MediaError: the camera gives nothing, or the output cannot be written.
    """
    config, clock = config or LiveSettings(), clock or WallClock()
    # Before the camera is opened: it may show somebody.
    permitted(shown, consents, config.swap)
    opened = open_camera(camera, clock)
    looker = None
    try:
        bundle, plan, permission = shown_by(shown, config, consents, opened)
        follow = shown_as(bundle, plan.action).follow
        if follow is None:
            able = [
                name
                for name, recipe in METHODS.items()
                if recipe.follow is not None and recipe.action == plan.action
            ]
            raise BundleError(
                f"{bundle.method!r} has to look ahead; expected one of: {', '.join(able)}"
            )
        meeting = follow(bundle, device)
        looker = Looker(opened, config.live)
        method = meeting(replace(looker.acquaint(), finish=config.finish))
        plan = replace(plan, settings=settings.to_json(config))
        return render_live(plan, method, permission, sink, looker, clock, tell, stop)
    finally:
        if looker is not None:
            looker.close()
        opened.close()

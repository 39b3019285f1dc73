"""`likeness evaluate` as functions: numbers, and pages of them for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from likeness.decode import open_clip
from likeness.evaluate import pair as pairs
from likeness.evaluate import self_reenactment
from likeness.evaluate.evaluation import Evaluation
from likeness.evaluate.page import (
    pair_manifest,
    self_manifest,
    write_page,
    write_sheet,
)
from likeness.methods.portrait.model import CPU
from likeness.metrics.pair import PairReport
from likeness.metrics.self_reenactment import SelfReport
from likeness.provenance.consent import Consent
from likeness.provenance.manifest import Manifest
from likeness.provenance.permission import Permission, permit_synthesis
from likeness.store import load_bundle
from likeness.types import Clip, Progress, silent


def permit_pictures(bundle: Path, consents: Sequence[Consent]) -> Permission:
    """Permit to show what a portrait draws, or refuse; measuring alone asks nobody."""
    return permit_synthesis(load_bundle(bundle).people, "reenact", consents)


def evaluate_self(
    bundle: Path,
    clip: Path,
    progress: Progress = silent,
    *,
    sheet: Path | None = None,
    page: Path | None = None,
    consents: Sequence[Consent] = (),
    device: torch.device = CPU,
) -> SelfReport:
    """Let a portrait repeat frames that training never saw, and compare with the real ones.

    Args:
        bundle: a portrait that was trained with a holdout.
        clip: the clip that it was trained on.
        progress: called as ("frames" | "evaluate", done, total).
        sheet: picture to write: real above synthetic, at spread frames and at the worst ones.
        page: HTML page to write: the numbers, the sheet, and curves over the frames.
        consents: a newer record of the person shown than the one in the bundle.
        device: where the generator runs.

    Raises:
        BundleError, ConfigError, MediaError: an input is not usable.
        ConsentError: pictures are wanted, and nobody agreed to them.
    """
    # Asked before the work, which takes minutes.
    permission = permit_pictures(bundle, consents) if sheet or page else None
    evaluation = self_reenactment.evaluate_self(bundle, clip, progress, device)
    if permission is not None:
        target = open_clip(clip)
        for path in (sheet, page):
            if path is not None:
                manifest = self_manifest(path, bundle, target, permission)
                write_exhibit(evaluation, path, path is sheet, target, manifest)
    return evaluation.report


def evaluate_pair(
    output: Path,
    reference: Path,
    progress: Progress = silent,
    *,
    sheet: Path | None = None,
    page: Path | None = None,
) -> PairReport:
    """Compare two videos of one performance, frame by frame.

    Args:
        output: the video to judge.
        reference: what it should look like.
        progress: called as ("evaluate", done, total).
        sheet: picture to write: reference above output, at spread frames and at the worst ones.
        page: HTML page to write: the numbers, the sheet, and curves over the frames.

    Raises:
        MediaError: a video cannot be read, or they show pictures of different shape.
    """
    evaluation = pairs.evaluate_pair(output, reference, progress)
    result, real = open_clip(output), open_clip(reference)
    for path in (sheet, page):
        if path is not None:
            manifest = pair_manifest(path, result, real)
            write_exhibit(evaluation, path, path is sheet, real, manifest)
    return evaluation.report


def write_exhibit(
    evaluation: Evaluation[Any], path: Path, is_sheet: bool, like: Clip, manifest: Manifest
) -> None:
    """Write what an evaluation shows: a picture of frames, or a page."""
    write = write_sheet if is_sheet else write_page
    write(evaluation, path, like, manifest)

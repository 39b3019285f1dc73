"""`likeness evaluate swap` and `edit` as functions: what became of a clip."""

from __future__ import annotations

from pathlib import Path

from likeness.decode import open_clip
from likeness.evaluate import edit as edits
from likeness.evaluate import swap as swaps
from likeness.evaluate.page import swap_manifest
from likeness.evaluate.source import source_ingredient
from likeness.metrics.edit import EditReport
from likeness.metrics.swap import SwapReport
from likeness.types import Progress, silent
from likeness.verbs.evaluate import write_exhibit


def evaluate_swap(
    result: Path,
    target: Path,
    source: Path,
    progress: Progress = silent,
    *,
    face: str = "largest",
    sheet: Path | None = None,
    page: Path | None = None,
) -> SwapReport:
    """Judge a swap: whose face it shows, whose motion, and what else it changed.

    Args:
        result: the swap.
        target: the clip that it was made from.
        source: a photo, a folder of photos, a clip or a bundle of the person who gave the identity.
        progress: called as ("track" | "fit" | "evaluate", done, total).
        face: whose face of the target was replaced: largest, a number, or like=PHOTO.
        sheet: picture to write: source, target and result, at spread frames and at the worst ones.
        page: HTML page to write: the numbers, the sheet, and curves over the frames.

    Raises:
        MediaError, BundleError: an input is not usable.
        TrackError: a face is missing in the target, the result or the source.
    """
    evaluation = swaps.evaluate_swap(result, target, source, progress, face=face)
    made, real = open_clip(result), open_clip(target)
    for path in (sheet, page):
        if path is not None:
            manifest = swap_manifest(path, made, real, source_ingredient(source))
            write_exhibit(evaluation, path, path is sheet, real, manifest)
    return evaluation.report


def evaluate_edit(result: Path, original: Path, progress: Progress = silent) -> EditReport:
    """Tell what an edit changed in a clip, and whether it is steady.

    Args:
        result: the edited video.
        original: the clip that it was made from.
        progress: called as ("evaluate", done, total).

    Raises:
        MediaError: a video cannot be read, or they show pictures of different shape.
    """
    return edits.evaluate_edit(result, original, progress)

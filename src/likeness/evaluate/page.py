"""An evaluation to be looked at: a contact sheet, and a page with numbers and curves.

Sheets show synthesized faces, so they leave through `encode` like everything else: signed and
watermarked; the page holds the signed picture.
"""

from __future__ import annotations

import tempfile
from dataclasses import fields
from pathlib import Path

import numpy as np

from likeness.encode import EncodeConfig, encode
from likeness.errors import MediaError
from likeness.evaluate.evaluation import Evaluation
from likeness.metrics.pair import PairReport
from likeness.metrics.pictures import curves
from likeness.metrics.report import Report
from likeness.metrics.self_reenactment import SelfReport
from likeness.metrics.swap import SwapReport
from likeness.provenance.manifest import Ingredient, Manifest, sha256_of
from likeness.provenance.permission import Permission
from likeness.types import Clip, Floats, Timeline

Judged = SelfReport | PairReport | SwapReport
_CURVES = {
    "PSNR in dB": ("psnr", "psnr_face", "psnr_eyes", "psnr_mouth", "baseline_nearest_psnr_face"),
    "landmark error in pixels": ("landmark_error_px",),
    "gaze error in degrees": ("gaze",),
    "temporal error": ("temporal_error",),
    "eyes open": ("eyes_real", "eyes_target", "eyes_result"),
    "mouth open": ("mouth_real", "mouth_target", "mouth_result"),
    "distance to source and target": ("identity_source", "identity_target"),
    "head pose error in degrees": ("pose_error_deg",),
    "expression error in millimetres": ("expression_error",),
    "seam": ("seam",),
    "changed far from the face": ("outside_changed",),
}
_INTERVAL = "Means over all frames; 95 % intervals by a block bootstrap over frames."


def self_manifest(output: Path, bundle: Path, clip: Clip, permission: Permission) -> Manifest:
    """State what the sheet of a self-evaluation is made from."""
    return Manifest(
        title=output.name,
        action="evaluate",
        ingredients=(
            Ingredient("bundle", bundle.name, sha256_of(bundle / "bundle.json")),
            Ingredient("target", clip.path.name, clip.digest),
        ),
        people=permission.shown,
    )


def pair_manifest(output: Path, result: Clip, reference: Clip) -> Manifest:
    """State what the sheet of two videos is made from."""
    return Manifest(
        title=output.name,
        action="evaluate",
        ingredients=(
            Ingredient("source", result.path.name, result.digest),
            Ingredient("target", reference.path.name, reference.digest),
        ),
    )


def swap_manifest(output: Path, result: Clip, target: Clip, source: Ingredient) -> Manifest:
    """State what the sheet of a swap is made from."""
    return Manifest(
        title=output.name,
        action="evaluate",
        ingredients=(
            source,
            Ingredient("target", target.path.name, target.digest),
            Ingredient("result", result.path.name, result.digest),
        ),
    )


def write_sheet(
    evaluation: Evaluation[Judged], output: Path, like: Clip, manifest: Manifest
) -> None:
    """Write the contact sheet as a picture.

    Args:
        evaluation: what was found.
        output: a .png or .tif file.
        like: the clip whose color tags are taken over.
        manifest: what the sheet is made from.

    Raises:
        MediaError: the file cannot be written or is no picture.
    """
    if output.suffix.lower() not in (".png", ".tif", ".tiff"):
        raise MediaError(f"{output.name} is no picture to write a sheet to; expected NAME.png")
    sheet = evaluation.exhibits.sheet()
    still = Timeline(like.pts[:1], like.time_base, like.last_duration, None)
    config = EncodeConfig(bit_depth=8, size=(int(sheet.shape[1]), int(sheet.shape[2])))
    with encode(output, like, manifest, still, config) as picture:
        picture.append(sheet[None])


def write_page(
    evaluation: Evaluation[Judged], output: Path, like: Clip, manifest: Manifest
) -> None:
    """Write one HTML file with the numbers, their intervals, the sheet and curves over frames.

    Arguments and errors as `write_sheet`.
    """
    report = Report(f"Evaluation: {manifest.title}", footer=f"Made by {manifest.software}.")
    report.add_section("Measured").add_table(
        ("measure", "value", "from", "to"), _rows(evaluation), _INTERVAL
    )
    with tempfile.TemporaryDirectory(prefix="likeness-") as folder:
        sheet = Path(folder) / "sheet.png"
        write_sheet(evaluation, sheet, like, manifest)
        report.add_section("Looked at").add_picture(
            sheet.read_bytes(), "Frames at equal distances, then the worst ones."
        )
    report.add_section("Over the frames")
    for title, names in _CURVES.items():
        series = {name: evaluation.series[name] for name in names if name in evaluation.series}
        told = {n: _whole(v if v.ndim == 1 else v.mean(-1)) for n, v in series.items()}
        if any(np.isfinite(values).any() for values in told.values()):
            report.add_figure(curves(told, title=title))
    report.write(output)


def _whole(values: Floats) -> Floats:
    """Join the known values of a series that is told in few frames, so that a line can be drawn."""
    known = np.flatnonzero(np.isfinite(values))
    if not 1 < len(known) < len(values) // 2:
        return values
    at = np.arange(len(values))
    return np.interp(at, known, values[known], np.nan, np.nan).astype(np.float32)


def _rows(evaluation: Evaluation[Judged]) -> list[tuple[object, ...]]:
    report = evaluation.report
    names = [f.name for f in fields(report) if f.name not in ("intervals", "left_out")]
    unknown = (None, None)
    return [(name, getattr(report, name), *report.intervals.get(name, unknown)) for name in names]

"""The page about one file: verdict, marks, a timeline with faces, and each signal's plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from likeness.metrics.pictures import COLORS, curves, picture_png
from likeness.metrics.report import Report
from likeness.verify.signal import Curve, SignalReading
from likeness.verify.signals import BLIND_SPOTS, strength
from likeness.verify.verification import Verification
from likeness.verify.words import forensic_sentence, headline, mark_sentence, origin_sentence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def write_report(found: Verification, path: Path) -> Path:
    """Write one self-contained HTML file about a verification.

    Raises:
        MediaError: it cannot be written.
    """
    clip = found.clip
    height, width = clip.size
    length = f"{len(clip)} frames, {clip.seconds:.1f} s" if len(clip) > 1 else "one picture"
    report = Report(
        f"What can be told about {clip.path.name}",
        f"{width}x{height} pixels, {length}. sha256 {clip.digest}",
        "Written by likeness verify. Scores are not calibrated: they say how unusual something is, "
        "not how likely a forgery.",
    )
    report.add_note(headline(found))
    for sentence in (origin_sentence(found), mark_sentence(found), forensic_sentence(found)):
        report.add_text(sentence)
    _add_overview(report, found)
    if found.crops and len(clip) > 1:
        report.add_section("Timeline")
        report.add_figure(
            timeline(found),
            "Faces at their time, frames in which the face was seen, and every signal that has a "
            "course in time. Shaded: usual for camera recordings, where that is known.",
        )
    if found.crops:
        report.add_section("Face crops")
        labels = [f"{time:.2f} s" if len(clip) > 1 else "the face" for time, _ in found.crops]
        report.add_images([crop for _, crop in found.crops], labels)
    _add_origin(report, found)
    report.add_section("Watermark").add_text(mark_sentence(found))
    report.add_text(
        "The p-value bounds the chance that frames without this program's mark score as high. "
        "Marks of other programs are not known here and not looked for."
    )
    for signal in found.readings:
        _add_signal(report, signal)
    report.add_section("What this page cannot tell")
    for text in BLIND_SPOTS:
        report.add_text(text)
    return report.write(path)


def timeline(found: Verification) -> Figure:
    """Draw faces, presence and all curves over one common time axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tracks = [curve for signal in found.signals for curve in signal.curves if curve.over_time]
    heights = [1.0, 0.18, *[0.85] * len(tracks)]
    figure = Figure(figsize=(8.6, 1.2 * sum(heights) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights})
    end = found.clip.seconds
    _draw_faces(rows[0], found, end)
    _draw_presence(rows[1], found)
    for axes, curve in zip(rows[2:], tracks, strict=True):
        _draw_row(axes, curve)
    rows[-1].set_xlabel("seconds")
    rows[-1].set_xlim(0, end)
    return figure


def _draw_faces(axes: Axes, found: Verification, end: float) -> None:
    """Pictures in their order, each tied to its time by a line."""
    axes.set_ylim(0, 1)
    axes.axis("off")
    share = end / len(found.crops)
    for index, (time, crop) in enumerate(found.crops):
        middle = (index + 0.5) * share
        place = axes.inset_axes(
            (index / len(found.crops), 0.12, 1 / len(found.crops), 0.88), zorder=3
        )
        place.imshow(crop.permute(1, 2, 0).numpy())
        place.axis("off")
        axes.plot([middle, time], [0.12, 0], color=COLORS[0], linewidth=0.8, clip_on=False)


def _draw_presence(axes: Axes, found: Verification) -> None:
    track = found.track
    if track is not None:
        pts = found.clip.pts
        edges = (np.r_[pts, pts[-1] + found.clip.last_duration] - pts[0]) * float(
            found.clip.time_base
        )
        seen = np.zeros(len(pts) + 2, np.int8)
        seen[1 + track.start : 1 + track.window.stop] = track.observed
        turns = np.flatnonzero(np.diff(seen)).reshape(-1, 2)
        spans = [(float(edges[a]), float(edges[b] - edges[a])) for a, b in turns]
        axes.broken_barh(spans, (0, 1), color=COLORS[0])
    axes.set_yticks([])
    _label(axes, "face seen")


def _draw_row(axes: Axes, curve: Curve) -> None:
    for index, (name, values) in enumerate(curve.series.items()):
        axes.plot(curve.x, values, color=COLORS[index % len(COLORS)], linewidth=0.9, label=name)
    _draw_scale(axes, curve)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)
    if len(curve.series) > 1:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1, 0.98),
            ncols=len(curve.series),
            fontsize=7,
            frameon=False,
        )
    _label(axes, curve.title)


def _draw_scale(axes: Axes, curve: Curve) -> None:
    if curve.usual is not None:
        axes.axhspan(*curve.usual, color=COLORS[3], alpha=0.12, linewidth=0)
    if curve.limits is not None:
        axes.set_ylim(*curve.limits)


def _label(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=8, loc="left", pad=2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _add_overview(report: Report, found: Verification) -> None:
    rows: list[tuple[object, ...]] = [
        ("manifest", found.manifest.finding, "valid" if found.manifest.valid else None),
        (
            "watermark",
            "present" if found.watermark.present else "not found",
            f"p = {found.watermark.p_value:.2g}",
        ),
    ]
    scores = [(s.title, s.score) for s in found.readings]
    for title, score in [*scores, ("all signals together (the largest)", found.score)]:
        rows.append((title, strength(score), None if score is None else f"{score:.2f}"))
    report.add_table(("what", "finding", "value or score"), rows)


def _add_origin(report: Report, found: Verification) -> None:
    manifest = found.manifest
    report.add_section("Manifest").add_text(origin_sentence(found))
    if manifest.present:
        report.add_table(
            ("field", "content"),
            [
                ("finding", manifest.finding),
                ("signer", manifest.signer),
                ("leads to a trusted root", "yes" if manifest.trusted else "no"),
                ("written by", manifest.generator),
                ("actions", ", ".join(manifest.actions) or None),
                ("consent records", ", ".join(manifest.consent) or None),
            ],
        )
    if manifest.ingredients:
        report.add_table(
            ("made from", "name", "sha256"),
            [(one.role or None, one.name, one.sha256 or None) for one in manifest.ingredients],
        )


def _add_signal(report: Report, signal: SignalReading) -> None:
    report.add_section(signal.title)
    score = "" if signal.score is None else f" Score {signal.score:.2f}."
    report.add_text(signal.finding + score)
    for curve in signal.curves:
        figure = curves(curve.series, curve.x, curve.title, curve.axes)
        _draw_scale(figure.axes[0], curve)
        report.add_figure(figure)
    if signal.picture is not None:
        report.add_picture(picture_png(signal.picture), signal.caption)
    report.add_note(f"What it can't see: {signal.blind_spot}")

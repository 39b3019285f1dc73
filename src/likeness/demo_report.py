"""The page that the demo leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from likeness.decode import Decoder, open_clip
from likeness.metrics.pictures import contact_sheet, curves
from likeness.metrics.report import Report
from likeness.types import Floats, Window

COLUMNS = 7
EDITS = {"older": "age=1", "smiling": "smile=1"}
"""What is done to the driver, by the name of its video."""
NAMES = {
    "yaw": "head yaw in degrees, positive toward image right",
    "blink": "eyes closed",
    "jaw": "jaw open",
}


@dataclass(frozen=True, eq=False)
class Measured:
    """What the demo found out."""

    recovery: Mapping[str, float]
    """Target clip: fitted parameters against those that rendered it."""
    held_out: Mapping[str, Any]
    """`likeness evaluate self`."""
    pair: Mapping[str, Any]
    """`likeness evaluate pair` of result and truth."""
    follows: Mapping[str, float]
    """Result: fitted parameters against the driver's motion on the target."""
    swap: Mapping[str, Any]
    """`likeness evaluate swap` of the target's face on the driver."""
    edit: Mapping[str, Any]
    """`likeness evaluate edit` of the driver made older."""
    seconds: Mapping[str, float]
    marks: Mapping[str, str]
    """Container metadata of the result."""
    curves: Mapping[str, tuple[Floats, Floats]]
    """(wanted, found in the result) per frame."""
    fallback_frames: tuple[int, ...]


def write_report(folder: Path, measured: Measured) -> Path:
    """Write report.html from the demo's files and numbers, and return its path."""
    report = Report(
        "likeness: a portrait of one actor, driven by another",
        "Everybody on this page is the procedural actor: rendered, with every parameter known.",
        f"Made by likeness demo in {sum(measured.seconds.values()):.0f} s.",
    )
    _add_result(report, folder, measured)
    _add_swap(report, folder, measured)
    _add_edits(report, folder, measured)
    _add_numbers(report, measured)
    report.add_section("What the tracker saw")
    report.add_text("The driver with the fitted mesh, the tracked points and both lines of sight.")
    report.add_video(folder / "tracked.mp4", "mesh, points and gaze")
    report.add_section("The mark in the file")
    report.add_text(
        "Every written video says that it is synthetic: in a signed manifest inside it, in its "
        "metadata, shown here, and in a watermark in every frame. There is no switch for this."
    )
    report.add_table(("field", "content"), [(k, v[:400]) for k, v in measured.marks.items()])
    report.add_section("Time")
    report.add_table(("step", "seconds"), list(measured.seconds.items()))
    return report.write(folder / "report.html")


def _add_result(report: Report, folder: Path, measured: Measured) -> None:
    report.add_section("One person's motion on another")
    report.add_text(
        "A portrait was trained on a clip of the target. The driver, another person, then moved it:"
        " pose, expression, gaze and blinks. The third video is the exact answer, the target actor "
        "rendered with the driver's motion, which the portrait never saw. Both stand before the "
        "same camera, so the motion is copied (likeness reenact --absolute); between real people "
        "the change from rest is transferred, which is the default."
    )
    for name, caption in (
        ("driver", "driver: gives the motion"),
        ("result", "result: the portrait, driven"),
        ("truth", "truth: rendered, for comparison"),
    ):
        report.add_video(folder / f"{name}.mp4", caption)
    rows = {name: _pictures(folder / f"{name}.mp4") for name in ("driver", "result", "truth")}
    report.add_picture(contact_sheet(rows), "Frames at equal distances through the clip.")
    for name, (wanted, found) in measured.curves.items():
        series = {"wanted": wanted, "found in the result": found}
        report.add_figure(curves(series, title=NAMES[name]))
    if measured.fallback_frames:
        report.add_note(f"Nobody was seen in frames {list(measured.fallback_frames)}.")


def _add_swap(report: Report, folder: Path, measured: Measured) -> None:
    report.add_section("One person's face on another")
    report.add_text(
        "The same portrait, laid over the driver's face (likeness swap target.bundle driver.mp4): "
        "hair, background, light and performance stay the driver's. The truth is the target actor "
        "with the same motion: its inner face is what the swap should show, in the driver's light."
    )
    names = ("driver", "swapped", "truth")
    report.add_video(folder / "swapped.mp4", "the target's face on the driver")
    rows = {name: _pictures(folder / f"{name}.mp4") for name in names}
    report.add_picture(contact_sheet(rows), "Frames at equal distances through the clip.")
    report.add_numbers(
        measured.swap,
        "likeness evaluate swap swapped.mp4 driver.mp4 --source target.mp4: distances by the "
        "recognizer, below 0.6 is the same person.",
    )


def _add_edits(report: Report, folder: Path, measured: Measured) -> None:
    report.add_section("One person, older and smiling")
    asked = ", ".join(f"--direction {direction}" for direction in EDITS.values())
    report.add_text(
        f"The driver's own clip, edited on the fitted surface (likeness edit driver.mp4, {asked}): "
        "nothing was trained, the frames' own pixels are shaded and moved, and all that lies "
        "outside the edit is the pixel that was decoded."
    )
    for name, direction in EDITS.items():
        report.add_video(folder / f"{name}.mp4", direction)
    rows = {name: _pictures(folder / f"{name}.mp4") for name in ("driver", *EDITS)}
    report.add_picture(contact_sheet(rows), "Frames at equal distances through the clip.")
    report.add_numbers(
        measured.edit,
        "likeness evaluate edit older.mp4 driver.mp4: identity and steadiness beside the original.",
    )


def _add_numbers(report: Report, measured: Measured) -> None:
    report.add_section("Measured")
    report.add_numbers(
        measured.pair, "Result against truth: likeness evaluate pair result.mp4 truth.mp4"
    )
    report.add_numbers(measured.follows, "Motion found in the result against the motion wanted.")
    report.add_numbers(
        measured.held_out,
        "Frames of the target that training never saw, repeated by the portrait: "
        "likeness evaluate self target.bundle target.mp4. The baseline is the training frame with "
        "the nearest landmarks.",
    )
    report.add_numbers(
        measured.recovery, "Tracking and fitting of the target against what rendered it."
    )


def _pictures(path: Path) -> torch.Tensor:
    """(n,3,h,w) frames at equal distances, at half size."""
    clip = open_clip(path)
    frames = np.linspace(0, len(clip) - 1, COLUMNS).round().astype(int)
    with Decoder(clip) as decoder:
        found = torch.cat([decoder.read(Window(int(i), int(i) + 1)) for i in frames])
    return torch.nn.functional.avg_pool2d(found, 2)

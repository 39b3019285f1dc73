"""`likeness evaluate`: how good is a portrait, how alike are two videos, what did a swap change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyclopts import App

from likeness.cli.options import (
    LongOptions,
    consents,
    device,
    foreseen,
    prove_files,
)
from likeness.cli.progress import show_progress

app = App(name="evaluate", help="Measure a portrait, a swap, or one video against another.")


@app.command(
    name="self",
    help_epilogue="Example: likeness evaluate self anna.bundle anna.mp4 --sheet look.png --json",
)
def self_(
    bundle: Path,
    clip: Path,
    /,
    *,
    sheet: Path | None = None,
    report: Path | None = None,
    consent: tuple[Path, ...] = (),
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Let a portrait repeat frames that training never saw, and compare with the real ones.

    PSNR in dB on the portrait's square; keys of face, eyes and mouth count inside these only. The
    baselines are the training frame with the nearest landmarks. Measuring asks for no consent;
    pictures of a real person do.

    Args:
        bundle: A portrait that was trained with --holdout last-third.
        clip: The clip that it was trained on.
        sheet: Picture to write: real above synthetic, at spread frames and at the worst ones.
        report: HTML page to write: the numbers, the sheet, and curves over the frames.
        consent: A newer record of the person shown than the one in the bundle.
    """
    from likeness.verbs.evaluate import evaluate_self, permit_pictures

    outputs = {name: path for name, path in (("sheet", sheet), ("report", report)) if path}
    prove_files((sheet, report), (bundle, clip, *consent), options)
    records = consents(consent)
    if options.dry_run:
        asked = {"consent": foreseen(lambda: permit_pictures(bundle, records))} if outputs else {}
        return {"plan": {"bundle": bundle, "clip": clip, **outputs, **asked}}
    with show_progress(options.progress) as progress:
        found = evaluate_self(
            bundle,
            clip,
            progress,
            sheet=sheet,
            page=report,
            consents=records,
            device=device(options),
        )
    return {**found.json(), **outputs}


@app.command(
    help_epilogue="Example: likeness evaluate pair result.mp4 reference.mp4 --json",
)
def pair(
    output: Path,
    reference: Path,
    /,
    *,
    sheet: Path | None = None,
    report: Path | None = None,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Compare two videos of one performance, frame by frame.

    They start together; frames are paired by their time stamps over the time that both last, and
    the larger pictures are shrunk to the size of the smaller. What has no partner is counted.

    Args:
        output: The video to judge.
        reference: What it should look like.
        sheet: Picture to write: reference above output, at spread frames and at the worst ones.
        report: HTML page to write: the numbers, the sheet, and curves over the frames.
    """
    from likeness.verbs.evaluate import evaluate_pair

    outputs = {name: path for name, path in (("sheet", sheet), ("report", report)) if path}
    prove_files((sheet, report), (output, reference), options)
    if options.dry_run:
        return {"plan": {"output": output, "reference": reference, **outputs}}
    with show_progress(options.progress) as progress:
        found = evaluate_pair(output, reference, progress, sheet=sheet, page=report)
    return {**found.json(), **outputs}


@app.command(
    help_epilogue="Example: likeness evaluate swap result.mp4 ben.mp4 --source anna.jpg --json",
)
def swap(
    result: Path,
    target: Path,
    /,
    *,
    source: Path,
    face: str = "largest",
    sheet: Path | None = None,
    report: Path | None = None,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Judge a swap: whose face it shows, whose motion, and what else it changed.

    Identities are distances by the recognizer: below 0.6 is the same person. Pose, expression and
    gaze are read from result and target alike, by tracking and fitting each of them anew.

    Args:
        result: The swap.
        target: The clip that it was made from.
        source: Who gave the identity: a photo, a folder of photos, a clip or a bundle.
        face: Whose face of the target was replaced: largest, a number from 0 on, or like=PHOTO.
        sheet: Picture to write: source, target and result, at spread frames and at the worst ones.
        report: HTML page to write: the numbers, the sheet, and curves over the frames.
    """
    from likeness.people import check_face
    from likeness.verbs.evaluate_change import evaluate_swap

    check_face(face)
    outputs = {name: path for name, path in (("sheet", sheet), ("report", report)) if path}
    prove_files((sheet, report), (result, target, source), options)
    if options.dry_run:
        plan = {"result": result, "target": target, "source": source, "face": face}
        return {"plan": {**plan, **outputs}}
    with show_progress(options.progress) as progress:
        found = evaluate_swap(result, target, source, progress, face=face, sheet=sheet, page=report)
    return {**found.json(), **outputs}


@app.command(
    help_epilogue="Example: likeness evaluate edit older.mp4 anna.mp4 --json",
)
def edit(
    result: Path,
    original: Path,
    /,
    *,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Tell what an edit changed in a clip, and whether it is steady.

    tl_id and tg_id are 1 where the edited person is as consistent as the original; flicker below 1
    is less than the original's own; identity_original is a recognizer's distance.

    Args:
        result: The edited video.
        original: The clip that it was made from.
    """
    from likeness.verbs.evaluate_change import evaluate_edit

    if options.dry_run:
        return {"plan": {"result": result, "original": original}}
    with show_progress(options.progress) as progress:
        return evaluate_edit(result, original, progress).json()

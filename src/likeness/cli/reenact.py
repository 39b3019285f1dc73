"""`likeness reenact`: let a driver move a portrait, wholly or in part, or move it by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from likeness.cli.options import (
    LongOptions,
    Output,
    Sharing,
    analysis,
    consents,
    device,
    foreseen,
    prove_video,
    settings,
    shared_out,
)
from likeness.cli.progress import show_progress

if TYPE_CHECKING:
    from likeness.fit.edit import Curve, Edit
    from likeness.verbs.reenact import ReenactConfig

EXAMPLE = """Examples:

- likeness reenact anna.bundle ben.mp4 -o anna_as_ben.mp4
- likeness reenact anna.bundle ben.mp4 -o anna_talks.mp4 --transfer mouth --audio driver
- likeness reenact anna.bundle -o anna_smiles.mp4 --edit smile=0.6 --edit yaw=+12
- likeness reenact anna.bundle -o anna_blinks.mp4 --edit blink=1@2.0-2.2 --edit gaze_x=-8
"""


@Parameter(name="*")
@dataclass(frozen=True)
class Motion:
    """What moves the portrait."""

    transfer: Literal["full", "expression", "pose", "gaze", "mouth"] | None = None
    """What is taken from the driver: everything, the expression (with blinks), the head's pose, the
    gaze, or the mouth alone; the rest stays the target's. [default: full]"""
    absolute: bool = False
    """Copy the driver's values instead of adding its change from rest."""
    edit: Annotated[tuple[str, ...], Parameter(allow_leading_hyphen=True)] = ()
    """Change a value by hand: smile=0.6 sets, yaw=+12 adds, yaw==-12 sets a negative value,
    blink=1@2.0-2.2 holds for a while. Degrees, millimetres, weights from 0 to 1. Repeat it."""
    edits: Path | None = None
    """A table of keys to change values by, as likeness track --csv writes it."""
    audio: Literal["driver", "target", "none"] | None = None
    """Whose sound lies under the output. [default: of whose timeline it runs on]"""
    face: str = "largest"
    """Whose motion, where the driver shows several people: largest, a number from 0 on in the order
    of likeness track, or like=PHOTO."""
    neutral_driver: str | None = None
    """When the driver's face does nothing: a frame (120) or seconds (4.8s). [default: found]"""
    neutral_target: str | None = None
    """When the target's face does nothing. [default: found]"""


def reenact(
    bundle: Path,
    driver: Path | None = None,
    /,
    *,
    output: Output,
    motion: Motion = Motion(),  # frozen
    consent: tuple[Path, ...] = (),
    sharing: Sharing = Sharing(),  # noqa: B008  # frozen
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Put a driver's performance, or a part of it, on the person of a portrait; or edit by hand.

    With transfer full or pose the output runs on the driver's timeline, otherwise on the target's.
    The exit code is 3 if a face was not seen in some frames; they are listed.

    Args:
        bundle: A portrait from likeness train reenact.
        driver: A clip, a .shot, or an ARKit capture (.csv); without it the target's own performance
            is used.
        output: The video to write; its ending chooses the container.
        consent: Records besides the bundle's: a newer one of the target, the driver's. Repeat it.
    """
    from likeness.fit.edit import motions_of
    from likeness.provenance.permission import permit_synthesis
    from likeness.store import read_bundle_index
    from likeness.verbs.given import driver_of
    from likeness.verbs.reenact import reenact as run

    prove_video(output, (bundle, driver, motion.edits, *consent), options)
    config, records = _config(motion, options), consents(consent)
    changes = _changes(motion)
    if options.dry_run:
        moved_by = (*(() if driver is None else (driver_of(driver),)), *motions_of(changes))
        people = read_bundle_index(bundle).people
        plan = {
            "bundle": bundle,
            "driver": driver,
            "output": output,
            "transfer": config.transfer.mode,
            "edits": [str(change) for change in changes],
            "consent": foreseen(lambda: permit_synthesis(people, "reenact", records, moved_by)),
        }
        return {"plan": plan, "settings": config}
    with shared_out(sharing) as engine, show_progress(options.progress) as progress:
        report = run(
            bundle,
            driver,
            output,
            config,
            progress,
            edits=changes,
            consents=records,
            device=device(options),
            engine=engine,
        )
    return {**report.json(), "fps": report.frames / report.seconds}


def _config(motion: Motion, options: LongOptions) -> ReenactConfig:
    from likeness.encode import EncodeConfig
    from likeness.fit.edit import EditConfig
    from likeness.fit.transfer import TransferConfig
    from likeness.verbs.reenact import ReenactConfig

    flags = {"mode": motion.transfer, "absolute": motion.absolute or None}
    return ReenactConfig(
        settings(TransferConfig, "transfer", options, flags),
        analysis(options),
        settings(EncodeConfig, "encode", options),
        settings(EditConfig, "edits", options),
        motion.audio,
        motion.neutral_driver,
        motion.neutral_target,
        motion.face,
    )


def _changes(motion: Motion) -> list[Edit | Curve]:
    """Read what shall be changed by hand: the table first, then what was typed."""
    from likeness.fit.edit import parse_edit, read_curves

    curves = read_curves(motion.edits) if motion.edits else ()
    return [*curves, *(parse_edit(text) for text in motion.edit)]

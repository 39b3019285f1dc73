"""`likeness reenact`: let a driver move a portrait."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from likeness.cli.options import LongOptions, Output, analysis, consents, device, foreseen, settings
from likeness.cli.progress import show_progress

EXAMPLE = "Example: likeness reenact anna.bundle ben.mp4 -o anna_as_ben.mp4"


def reenact(
    bundle: Path,
    driver: Path | None = None,
    /,
    *,
    output: Output,
    transfer: Literal["full"] = "full",
    absolute: bool = False,
    consent: tuple[Path, ...] = (),
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Put the driver's pose, expression, gaze and blinks on the person of a portrait.

    The output runs on the driver's timeline. The exit code is 3 if the driver's
    face was not seen in some frames; they are listed.

    Args:
        bundle: A portrait from likeness train reenact.
        driver: A clip or a .shot; without it the target's own performance is used.
        output: The video to write; its ending chooses the container.
        transfer: What is taken from the driver: full is pose, expression, gaze and blinks.
        absolute: Copy the driver's values instead of adding its change from rest.
        consent: Records besides the bundle's: a newer one of the target, the driver's. Repeat it.
    """
    from likeness.encode import EncodeConfig
    from likeness.fit.transfer import TransferConfig
    from likeness.pipeline import ReenactConfig
    from likeness.pipeline import reenact as run
    from likeness.provenance.permission import permit_synthesis
    from likeness.store import read_bundle_index

    config = ReenactConfig(
        settings(TransferConfig, "transfer", options, {"absolute": absolute or None}),
        analysis(options),
        settings(EncodeConfig, "encode", options),
    )
    records = consents(consent)
    if options.dry_run:
        people = read_bundle_index(bundle).people
        plan = {
            "bundle": bundle,
            "driver": driver,
            "output": output,
            "transfer": transfer,
            "consent": foreseen(lambda: permit_synthesis(people, "reenact", records)),
        }
        return {"plan": plan, "settings": config}
    with show_progress(options.progress) as progress:
        report = run(
            bundle, driver, output, config, progress, consents=records, device=device(options)
        )
    return {**report.json(), "fps": report.frames / report.seconds}

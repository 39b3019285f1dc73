"""`likeness edit`: the person of a real clip older, younger, smiling; the rest untouched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from likeness.cli.options import (
    LongOptions,
    Output,
    analysis,
    consents,
    device,
    foreseen,
    prove_video,
    settings,
    table,
)
from likeness.cli.progress import show_progress

if TYPE_CHECKING:
    from likeness.methods.edit.strength import Strength
    from likeness.verbs.edit import EditingConfig

EXAMPLE = """Examples:

- likeness edit anna.mp4 -o older.mp4 --direction age --strength 1 --consent anna.toml
- likeness edit anna.mp4 -o younger.mp4 --direction age --strength -1 --consent anna.toml
- likeness edit anna.mp4 -o both.mp4 --direction age=0.7 --direction smile=0..1 --consent a.toml
"""

Signed = Annotated[tuple[str, ...], Parameter(allow_leading_hyphen=True)]
"""Numbers may be negative."""


def edit(
    clip: Path,
    /,
    *,
    output: Output,
    direction: tuple[str, ...] = (),
    strength: Signed = (),
    strengths: Path | None = None,
    engine: Literal["surface", "gan"] = "surface",
    bundle: Path | None = None,
    preview: int | None = None,
    freeze_fine: int | None = None,
    face: str = "largest",
    occluders: bool = True,
    consent: tuple[Path, ...] = (),
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Edit the person of a real clip along named directions; timing, sound and the rest stay.

    A strength is a number, one for a while (1@2.0-3.5, seconds), a ramp (0..2, or 0..2@1-3), or
    keys (0:0,1.5:1,4:0.3). The exit code is 3 if the face was not seen in some frames; they are
    listed.

    Args:
        clip: The clip whose person is edited.
        output: The video to write; its ending chooses the container.
        direction: What to change: age, smile, ...; with its strength as age=1. Repeat it.
        strength: How strong, for directions given without one: one for all or one for each, in
            order. [default: 1]
        strengths: A table (.csv) over time: a column seconds or frame, and one per direction.
        engine: What draws: the fitted surface, or a face generator that is tuned to the clip.
        bundle: The generator's bundle, for --engine gan. [default: the small one that comes along]
        preview: With --engine gan: edit so many frames from the start, the rest stays as it is.
        freeze_fine: With --engine gan: row of the code from which on all frames share one.
        face: Who is edited: largest, a number as likeness track counts, or like=PHOTO.
        occluders: Leave hands, microphones and strands before the face as they are.
        consent: Records of the person in the clip (role target). Repeat it.
    """
    from likeness.decode import open_clip
    from likeness.methods.edit.strength import told
    from likeness.verbs.edit import edit as run
    from likeness.verbs.edit import permit_edit, seconds_needed

    prove_video(output, (clip, bundle, strengths, *consent), options)
    asked, records = _asked(direction, strength, strengths), consents(consent)
    stages = {"freeze_fine": freeze_fine}
    config = _config(engine, face, occluders, {"preview": preview}, stages, options)
    if options.dry_run:
        consent_for = foreseen(lambda: permit_edit(open_clip(clip), records))
        plan = {"clip": clip, "output": output, "strengths": told(asked), "consent": consent_for}
        plan |= {"seconds_needed": seconds_needed(open_clip(clip), config, bundle)}
        return {"plan": plan, "settings": config}
    with show_progress(options.progress) as progress:
        report = run(
            *(clip, output, asked, config, progress),
            bundle=bundle,
            consents=records,
            device=device(options),
        )
    return {**report.json(), "fps": report.frames / report.seconds}


def _config(
    engine: Literal["surface", "gan"],
    face: str,
    occluders: bool,
    stitching: Mapping[str, Any],
    stages: Mapping[str, Any],
    options: LongOptions,
) -> EditingConfig:
    from likeness.config import resolve
    from likeness.encode import EncodeConfig
    from likeness.methods.edit.method import StitchConfig
    from likeness.methods.edit.surface import SurfaceConfig
    from likeness.verbs.edit import EditingConfig

    given = dict(table("stitch", options))
    asked = {key: value for key, value in stages.items() if value is not None}
    given["stages"] = {**given.get("stages", {}), **asked}
    return EditingConfig(
        engine,
        face,
        occluders=occluders,
        surface=settings(SurfaceConfig, "edit", options, {"seed": options.seed}),
        stitch=resolve(StitchConfig, given, stitching, where="stitch"),
        analyze=analysis(options),
        encode=settings(EncodeConfig, "encode", options),
    )


def _asked(
    direction: tuple[str, ...], strength: tuple[str, ...], strengths: Path | None
) -> tuple[Strength, ...]:
    """Read what is asked: the table first, then what was typed."""
    from likeness.methods.edit.strength import paired, read_strengths

    table = read_strengths(strengths) if strengths else ()
    return (*table, *paired(direction, strength))

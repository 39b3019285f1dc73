"""Proof of an output's place, before any work: what every verb and every dry run asks first."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from likeness.encode.coders import check_ending
from likeness.encode.numbered import Numbered
from likeness.encode.staging import recover
from likeness.errors import MediaError
from likeness.outputs import check_outputs, prove_room, real_place, sweep
from likeness.outputs.guard import NUMBER
from likeness.provenance.manifest import sidecar_of
from likeness.provenance.signing import detached_of

PICTURE_SUFFIXES = {".png", ".tif", ".tiff", ".exr"}

_BYTES_PER_PIXEL = {".png": 1.0, ".tif": 3.0, ".tiff": 3.0, ".exr": 4.0}
_VIDEO_BYTES_PER_PIXEL = 0.02
"""Of a quiet clip at the default quality: an estimate that refuses only what can't succeed."""


def is_pictures(output: Path) -> bool:
    """Tell whether an output is written as pictures: by its ending, or as a folder without one."""
    return output.suffix.lower() in PICTURE_SUFFIXES or not output.suffix


def files_of(output: Path) -> tuple[Path, ...]:
    """Return everything that is written for an output: itself, its record, a detached manifest."""
    return output, sidecar_of(output), detached_of(output)


def estimate_bytes(
    output: Path, size: tuple[int, int], frames: int, sound: Path | None = None
) -> int:
    """Estimate the space that writing an output takes at one time, rather too low than too high.

    Args:
        output: its ending tells the coding.
        size: (H, W).
        frames: how many.
        sound: file whose sound is copied, if any.
    """
    suffix = output.suffix.lower()
    rate = _VIDEO_BYTES_PER_PIXEL
    if is_pictures(output):
        rate = _BYTES_PER_PIXEL.get(suffix, 1.0)
    pictures = int(size[0] * size[1] * frames * rate)
    # A video is signed into a second copy before the first one goes.
    return pictures * (1 if is_pictures(output) else 2) + (
        min(sound.stat().st_size, frames * 10_000) if sound and sound.is_file() else 0
    )


def prove_place(
    output: Path | str,
    inputs: Iterable[Path] = (),
    estimate: int = 0,
    others: Iterable[Path] = (),
) -> Path:
    """Make sure that an output can be written and destroys nothing, before any work.

    First, what killed runs have left in its folder is finished or removed. Then: the ending is one
    that can be written; no input is an output; the folder is there; a trial shows that it takes the
    longest name, hidden ones and sidecars included; the space suffices; numbered pictures that
    stand there are of an earlier run.

    Args:
        output: a video, a picture, a pattern, or a folder for pictures.
        inputs: everything that is read: clips, sounds, tables, consents, bundles, their clips.
        estimate: bytes that will be needed, from `estimate_bytes`; 0 is unknown.
        others: everything else that is written: tables, reports, overlays.

    Returns:
        Where it is written: the output's absolute path, or what it links to.

    Raises:
        MediaError: it can't; the message tells the cause and what to do.
    """
    output, inputs = Path(output), tuple(inputs)
    if not output.name:
        raise MediaError(f"{output} is a folder; expected the name of an output")
    pictures = is_pictures(output)
    if not pictures:
        check_ending(output.suffix.lower())
    if not output.parent.is_dir():
        raise MediaError(f"the folder {output.parent} does not exist; make it first")
    place = real_place(output)
    numbered = Numbered(place) if is_numbered(place) else None
    if numbered is not None:
        numbered.check_inputs(inputs)
    elif place.is_dir():
        raise MediaError(f"{output} is a folder; expected the name of a file")
    check_outputs((*files_of(place), *others), inputs)
    recover(place.parent)
    sweep(place.parent, inputs)
    if numbered is not None:
        numbered.prove_ours()
    prove_room(place, [path.name for path in files_of(place)], estimate)
    return place


def is_numbered(output: Path) -> bool:
    """Tell whether an output is a sequence of pictures: a folder, or a name with a number."""
    return is_pictures(output) and (not output.suffix or bool(NUMBER.search(output.name)))

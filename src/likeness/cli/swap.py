"""`likeness swap`: somebody's face on somebody else's performance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

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
from likeness.errors import ConfigError

if TYPE_CHECKING:
    from likeness.verbs.swap import SwapConfig
    from likeness.verbs.swap_pairs import SwapPair

EXAMPLE = """Examples:

- likeness swap anna.jpg ben.mp4 -o ben_as_anna.mp4 --consent anna.toml --consent ben.toml
- likeness swap anna.bundle ben.mp4 -o ben_as_anna.mp4 --consent anna.toml --consent ben.toml
- likeness swap anna.jpg=0 clara.jpg=1 duo.mp4 -o both.mp4 --consent all.toml
"""


@Parameter(name="*")
@dataclass(frozen=True)
class FinishFlags:
    """How the face is laid into the target's frames; see [finish] of a settings file for more."""

    color: str | None = None
    """How its color is brought to the target's. [default: low-pass]"""
    mask: str | None = None
    """Where the face may lie. [default: hull]"""
    blend: str | None = None
    """How it is mixed with what lies under it. [default: multiband]"""
    on_miss: str | None = None
    """What happens where the target's face is not seen: hold, blur, blank or original. [default:
    hold]"""
    keep_glasses: bool | None = None
    """Leave the target's own glasses in front."""
    layers: bool = False
    """Write a folder of patches, mattes, matrices and plates for a compositor, in place of a
    video."""
    layers_format: Literal["png", "exr"] = "png"
    """Of the layers: 16-bit PNG, or float EXR in linear light."""


@Parameter(name="*", group=Group("Published networks", sort_key=5))
@dataclass(frozen=True)
class NetworkOptions:
    """What a NAME.bundle of a network that swaps any face may need beside it."""

    recognizer: tuple[Path, ...] = ()
    """A NAME.bundle by which the network knows the source, or of a converter of codes, where its
    own bundle holds none. Repeat it."""
    boost: int | None = None
    """How many times larger than its own crop it draws, by interleaved subsets of the pixels.
    [default: by the size of the face, for networks of 128 pixels]"""


def swap(
    *places: Annotated[str, Parameter(name="SOURCE... TARGET")],
    output: Output,
    method: str | None = None,
    face: str = "largest",
    source_face: str | None = None,
    minutes: float | None = None,
    audio: Literal["target", "none"] = "target",
    consent: tuple[Path, ...] = (),
    finish: FinishFlags = FinishFlags(),  # frozen
    network: NetworkOptions = NetworkOptions(),  # frozen
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Put a source's identity on a target's performance.

    The target keeps pose, expression, gaze, light, hair, background, sound and timing. The exit
    code is 3 if the target's face was not seen in some frames; they are listed.

    Args:
        places: Whose identity, then the clip whose face is replaced. A source is a photo, a folder
            of photos, a clip (a portrait is trained first), a .shot or a .bundle. Several sources
            say whose face each of them goes on: anna.jpg=0, ben.jpg=like=PHOTO.
        output: The video to write; its ending chooses the container.
        method: How the source is shown; likeness doctor lists them. A NAME.bundle of a network that
            swaps any face works, too. [default: photo for photos, portrait for clips and bundles]
        face: Whose face in the target: all, largest, a number as likeness track counts, or
            like=PHOTO.
        source_face: Whose face in the source, where it shows several.
        minutes: Time to train a portrait where the source is a clip. [default: 10]
        audio: Whose sound lies under the output.
        consent: Records of everyone whose face is used (role source) or changed (role target).
            Repeat it.
    """
    from likeness.verbs.given import clip_of
    from likeness.verbs.swap import swap as run
    from likeness.verbs.swap_source import open_source, permit_swap

    pairs, target = _paired(places, face)
    if not finish.layers:
        prove_video(output, (*(pair.source for pair in pairs), target, *consent), options)
    config = _config(method, source_face, audio, minutes, finish, network, options)
    records = consents(consent)
    if options.dry_run:
        sources = [open_source(pair.source, method, network.recognizer) for pair in pairs]
        plan = {
            "faces": [
                {"source": pair.source, "face": pair.face, "method": source.method}
                for pair, source in zip(pairs, sources, strict=True)
            ],
            "target": target,
            "output": output,
            "consent": foreseen(lambda: permit_swap(sources, clip_of(target), records)),
        }
        return {"plan": plan, "settings": config}
    with show_progress(options.progress) as progress:
        report = run(
            pairs, target, output, config, progress, consents=records, device=device(options)
        )
    return {**report.json(), "fps": report.frames / report.seconds}


def _config(
    method: str | None,
    source_face: str | None,
    audio: Literal["target", "none"],
    minutes: float | None,
    flags: FinishFlags,
    network: NetworkOptions,
    options: LongOptions,
) -> SwapConfig:
    from likeness.composite.finish import FinishConfig
    from likeness.encode import EncodeConfig
    from likeness.methods.portrait.settings import resolve_training
    from likeness.methods.swap.published import PublishedConfig
    from likeness.verbs.swap import SwapConfig

    training = {"minutes": minutes, "holdout": "none", "seed": options.seed}
    names = ("color", "mask", "blend", "on_miss", "keep_glasses")
    finish = {name: getattr(flags, name) for name in names}
    return SwapConfig(
        method,
        source_face,
        network.recognizer,
        audio,
        flags.layers_format if flags.layers else None,
        settings(FinishConfig, "finish", options, finish),
        settings(PublishedConfig, "published", options, {"boost": network.boost}),
        table("swap", options),
        resolve_training(table("train", options), training),
        analysis(options),
        settings(EncodeConfig, "encode", options),
    )


def _paired(places: tuple[str, ...], face: str) -> tuple[list[SwapPair], Path]:
    """Read SOURCE[=FACE] ... TARGET."""
    from likeness.verbs.swap_pairs import SwapPair

    if len(places) < 2:
        raise ConfigError(
            f"{len(places)} files were given; expected a source and a target: likeness swap SOURCE "
            "TARGET -o OUT.mp4"
        )
    pairs = []
    for place in places[:-1]:
        path, _, named = place.partition("=")
        # A file may have the sign in its name.
        whole = Path(place).exists() or not named
        pairs.append(SwapPair(Path(place) if whole else Path(path), face if whole else named))
    if len(pairs) > 1 and len({pair.face for pair in pairs}) < len(pairs):
        raise ConfigError(
            "several sources were given without a face each; expected SOURCE=FACE, such as "
            "anna.jpg=0 ben.jpg=1"
        )
    return pairs, Path(places[-1])

"""Layers for a compositor: drawn faces, their mattes and the frames beneath, as deep pictures.

Each of the three is a sequence of marked pictures as any other output; a matte is a gray picture.
One sidecar, `layers.json`, says how they belong together: written last, it says that all are whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import torch

from likeness import files
from likeness.encode.coders import EncodeConfig
from likeness.encode.place import prove_place
from likeness.encode.writer import Encoder, encode
from likeness.errors import ContractError, MediaError
from likeness.files import why_unwritable
from likeness.outputs import atomic_file
from likeness.provenance.manifest import Manifest
from likeness.types import Clip, Floats, Layer, Timeline

LAYERS_FORMAT: Final = "likeness-layers-1"
SIDECAR = "layers.json"
_OURS = re.compile(rb'\A\{\s*"format": "' + LAYERS_FORMAT.encode() + b'"')
_DEPTH = 16


@dataclass(frozen=True)
class LayersFolder:
    """A folder for layers before it is opened."""

    folder: Path
    people: int = 1
    """How many people's faces were drawn; each has a patch and a matte of its own."""
    kind: Literal["png", "exr"] = "png"
    """Patches and plates: 16 bits per channel as they were decoded, or float in linear light.
    Mattes are PNG always: coverage is no light."""
    inputs: tuple[Path, ...] = ()
    """Everything that is read for it and must not be overwritten."""

    @property
    def title(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def location(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def patterns(self) -> tuple[str, ...]:
        """Return the names of the sequences: the plate's, then patch and matte of each person."""
        of = [""] if self.people == 1 else [str(number) for number in range(self.people)]
        pairs = [(f"patch{one}_%05d.{self.kind}", f"matte{one}_%05d.png") for one in of]
        return (f"plate_%05d.{self.kind}", *(name for pair in pairs for name in pair))

    def prove(self) -> None:
        """Make sure before any work that layers can be written and replace nothing foreign.

        Raises:
            MediaError: they can't; the message tells the cause and what to do.
        """
        if self.folder.suffix:
            raise MediaError(
                f"{self.folder} has an ending; expected the name of a folder for layers"
            )
        if not self.folder.exists():
            prove_place(self.folder, self.inputs)
            return
        if not self.folder.is_dir():
            raise MediaError(f"{self.folder} is a file; expected a folder for layers")
        for pattern in self.patterns():
            prove_place(self.folder / pattern, self.inputs)
        _prove_sidecar(self.folder / SIDECAR)

    def open(self, manifest: Manifest, like: Clip, timeline: Timeline) -> LayersWriter:
        """Open it for the frames of a timeline, in the size and color of `like`."""
        return LayersWriter(self, manifest, like, replace(timeline, sound=None))


@dataclass(eq=False)
class LayersWriter:
    """Takes frames and layers in order; a context manager, made by `LayersFolder`."""

    place: LayersFolder
    manifest: Manifest
    like: Clip
    timeline: Timeline
    _open: ExitStack = field(default_factory=ExitStack)
    _encoders: list[Encoder] = field(default_factory=list)
    _matrices: list[list[Any]] = field(default_factory=list)
    _sizes: list[tuple[int, int]] = field(default_factory=list)
    _made: bool = False

    @property
    def where(self) -> str:
        """Where the signed manifests are: embedded, or the name of the plates' own file."""
        signed = self._encoders[0].signed if self._encoders else None
        return signed.where if signed else "embedded"

    def __enter__(self) -> Self:
        self.place.prove()
        folder = self.place.folder
        try:
            self._made = not folder.exists()
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise MediaError(f"{folder} cannot be made: {why_unwritable(error)}") from error
        return self

    def append(self, frames: torch.Tensor, layers: Sequence[Layer]) -> None:
        """Write the next frames and what was drawn for each person.

        Args:
            frames: (n,3,H,W) RGB in [0,1]: the target's own.
            layers: one per person, n frames each: the drawn face and its matte.
        """
        if len(layers) != self.place.people:
            raise ContractError(f"{len(layers)} layers were given for {self.place.people} people")
        if not self._encoders:
            self._begin([(frames.shape[2], frames.shape[3]), *(one.crop.size for one in layers)])
        self._encoders[0].append(frames)
        for number, layer in enumerate(layers):
            self._encoders[1 + 2 * number].append(layer.rgb)
            self._encoders[2 + 2 * number].append(layer.alpha.expand(-1, 3, -1, -1))
        for n in range(len(frames)):
            self._matrices.append([_rounded(one.crop.crop_from_frame[n]) for one in layers])

    def _begin(self, sizes: list[tuple[int, int]]) -> None:
        """Open the sequences, once the sizes of the crops are known."""
        self._sizes = sizes
        of_each = [sizes[0], *(size for size in sizes[1:] for _ in range(2))]
        for pattern, size in zip(self.place.patterns(), of_each, strict=True):
            alike = replace(self.like, size=size, pixel_aspect=Fraction(1), audio=())
            encoder = encode(
                self.place.folder / pattern,
                alike,
                self.manifest,
                self.timeline,
                EncodeConfig(bit_depth=_DEPTH),
                inputs=self.place.inputs,
            )
            self._encoders.append(self._open.enter_context(encoder))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._open.__exit__(kind, error, trace)
            if kind is None:
                self._write_sidecar()
        finally:
            if self._made and not any(self.place.folder.iterdir()):
                self.place.folder.rmdir()

    def _write_sidecar(self) -> None:
        ticks = self.timeline.pts - self.timeline.pts[0]
        seconds = [float(tick * self.timeline.time_base) for tick in ticks]
        plate, *names = (name.replace("%05d", "{:05d}") for name in self.place.patterns())
        frames = [
            {
                "frame": n,
                "seconds": round(seconds[n], 6),
                "plate": plate.format(n),
                "faces": [
                    {
                        "patch": names[2 * k].format(n),
                        "matte": names[2 * k + 1].format(n),
                        "crop_from_frame": matrix,
                    }
                    for k, matrix in enumerate(matrices)
                ],
            }
            for n, matrices in enumerate(self._matrices)
        ]
        content = {
            "format": LAYERS_FORMAT,
            "about": "frame = plate + matte * (patch - plate), where patch and matte lie by the "
            "inverse of crop_from_frame: (2,3), pixels, (0, 0) is the corner of the first pixel; "
            "straight alpha; every picture is marked as synthetic, which moves values by a "
            "hundredth, and by up to three where there is detail",
            "size": list(self._sizes[0]),
            "crop_sizes": [list(size) for size in self._sizes[1:]],
            "light": "linear" if self.place.kind == "exr" else "as decoded",
            "manifest": self.manifest.digest(),
            "frames": frames,
        }
        place = self.place.folder / SIDECAR
        try:
            with atomic_file(place, _OURS) as temporary:
                temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise MediaError(f"{place} cannot be written: {why_unwritable(error)}") from error


def _rounded(matrix: Floats) -> list[list[float]]:
    return [[round(float(value), 6) for value in row] for row in matrix]


def _prove_sidecar(place: Path) -> None:
    if not place.exists():
        return
    content = files.read_json(place, MediaError)
    if not isinstance(content, dict) or content.get("format") != LAYERS_FORMAT:
        raise MediaError(
            f"{place} would be overwritten and is not of an earlier run; move it away, or choose "
            "another folder"
        )

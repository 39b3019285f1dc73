"""A contact sheet of directions: what each does to a few faces, marked like all that is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from likeness.encode import EncodeConfig, encode
from likeness.errors import MediaError
from likeness.methods.edit.directions import STRENGTHS, Direction, sheet_of
from likeness.methods.edit.generator import FaceGenerator
from likeness.metrics.pictures import sheet_picture
from likeness.provenance.manifest import Ingredient, Manifest, sha256_of
from likeness.types import Clip, Timeline

_SIDE = 128
"""Least side of a face on the sheet in pixels."""


def write_directions(
    generator: FaceGenerator,
    directions: Sequence[Direction],
    bundle: Path,
    people: Sequence[Mapping[str, Any]],
    output: Path,
) -> None:
    """Write what directions do, a row for each and for each of two faces.

    Args:
        generator: who draws.
        directions: to choose from.
        bundle: the generator's NAME.bundle.
        people: whose faces it learned from, as manifests say it.
        output: a .png or .tif file.

    Raises:
        MediaError: the file cannot be written or is no picture.
    """
    if output.suffix.lower() not in (".png", ".tif", ".tiff"):
        raise MediaError(f"{output.name} is no picture to write a sheet to; expected NAME.png")
    rows = {
        f"{name} {face}": _enlarged(part)
        for name, pictures in sheet_of(generator, directions).items()
        for face, part in zip("ab", pictures.chunk(2), strict=True)
    }
    sheet = sheet_picture(rows, [f"{strength:+g}" for strength in STRENGTHS])
    height, width = sheet.shape[1] // 2 * 2, sheet.shape[2] // 2 * 2
    manifest = Manifest(
        title=output.name,
        action="edit",
        ingredients=(Ingredient("bundle", bundle.name, sha256_of(bundle / "bundle.json")),),
        people=tuple(people),
    )
    still = Clip(output, "", (height, width), np.zeros(1, np.int64), Fraction(1, 25), 1)
    config = EncodeConfig(bit_depth=8, size=(height, width))
    with encode(output, still, manifest, Timeline.of(still), config) as picture:
        picture.append(sheet[None, :, :height, :width])


def _enlarged(pictures: Tensor) -> Tensor:
    factor = -(-_SIDE // pictures.shape[2])
    if factor == 1:
        return pictures
    return functional.interpolate(pictures, scale_factor=factor, mode="bicubic").clamp(0, 1)

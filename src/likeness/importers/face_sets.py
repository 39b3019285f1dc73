"""Face sets: folders of aligned faces, each with its 68 points.

DeepFaceLab keeps what it knows of a face inside the JPEG itself, as a pickle in an APP15 segment;
it is read by `unpickle`, which calls nothing. A plain `faces.json` beside the pictures says the
same for files that carry none:

    {"format": 1, "faces": {"0001.png": {"landmarks": [[x, y], ... 68 of them]}}}

Points are in pixels of the picture. DeepFaceLab's count from the center of the first pixel, those
of `faces.json` from its corner, as everywhere here.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from likeness.errors import BundleError
from likeness.files import open_regular, read_json
from likeness.importers.meter import Meter
from likeness.importers.torch_files import resolve
from likeness.importers.unpickle import unpickle
from likeness.store.files import first_problem
from likeness.types import Floats

SIDECAR = "faces.json"
_JPEG = (".jpg", ".jpeg")
_SEGMENT = 0xEF
"""APP15."""
_SCAN = 0xDA
"""Start of the picture's own data: no segment follows that could be of interest."""
_HEADER = 4 * 2**20
"""Bytes of a JPEG in which its segments are looked for."""
_PICTURE = 256 * 2**20
_FARTHEST = 1e5
"""Largest position in pixels that a face can have."""

Point = tuple[float, float]


class _Face(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    landmarks: Annotated[tuple[Point, ...], Field(min_length=68, max_length=68)]


class _FaceSet(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1]
    faces: dict[str, _Face]


def read_face_set(folder: Path) -> Mapping[str, Floats]:
    """Read the points of aligned faces.

    Args:
        folder: of pictures.

    Returns:
        (68,2) positions from the picture's corner, by name of the file; pictures that nothing is
        known of are left out.

    Raises:
        BundleError: a sidecar or a segment is damaged or hostile.
    """
    found: dict[str, Floats] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in _JPEG and file.is_file():
            points = read_deepfacelab_face(file)
            if points is not None:
                found[file.name] = points
    sidecar = folder / SIDECAR
    if sidecar.is_file():
        found |= _sidecar(sidecar)
    return found


def read_deepfacelab_face(file: Path) -> Floats | None:
    """Return the points (68,2) that DeepFaceLab wrote into a JPEG, or None where it wrote none.

    Raises:
        BundleError: the segment is damaged, hostile, or holds no face.
    """
    with open_regular(file, BundleError, "a picture", _PICTURE) as opened:
        segment = _segment(opened.read(_HEADER))
    if segment is None:
        return None
    try:
        # Arrays become tensors; nothing that the pickle names is imported or called.
        told = resolve(unpickle(io.BytesIO(segment), meter=Meter(len(segment))), _no_storage)
    except BundleError as error:
        raise BundleError(f"{file.name}: {error}") from error
    points = told.get("landmarks") if isinstance(told, dict) else None
    array = _array(points)
    if array is None:
        raise BundleError(
            f"{file.name} carries something of DeepFaceLab's without 68 landmarks; extract the "
            "face again, or remove the file"
        )
    return np.asarray(array + 0.5, np.float32)


def _segment(content: bytes) -> bytes | None:
    """Return what the APP15 segment of a JPEG holds, or None without one."""
    if content[:2] != b"\xff\xd8":
        return None
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        kind, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4], "big")
        if kind == _SCAN or length < 2:
            return None
        if kind == _SEGMENT:
            return content[place + 4 : place + 2 + length]
        place += 2 + length
    return None


def _array(points: Any) -> Floats | None:
    """Return 68 positions as an array, whether they came as numbers or as an array."""
    try:
        array = np.asarray(
            points.numpy() if isinstance(points, torch.Tensor) else points, np.float32
        )
    except (TypeError, ValueError):
        return None
    whole = array.shape == (68, 2) and bool(np.isfinite(array).all())
    return array if whole and float(np.abs(array).max()) < _FARTHEST else None


def _sidecar(file: Path) -> dict[str, Floats]:
    try:
        told = _FaceSet.model_validate(read_json(file, BundleError))
    except ValidationError as error:
        raise BundleError(
            f"{file}: {first_problem(error)}; expected 68 landmarks for each picture"
        ) from error
    points = {name: np.array(face.landmarks, np.float32) for name, face in told.faces.items()}
    if any(float(np.abs(array).max()) >= _FARTHEST for array in points.values()):
        raise BundleError(f"{file} names positions beyond any picture; write it again")
    return points


def _no_storage(_: Any) -> torch.Tensor:
    raise BundleError("the segment refers to storages outside itself; extract the face again")

"""Face models on disk: one safetensors file whose header names the model and its modes."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from likeness.errors import BundleError, ContractError
from likeness.face3d.model import FaceModel
from likeness.files import why_unreadable

FACE_MODEL_FORMAT: Final = "likeness-face-model-1"
_HEADER = "likeness"
_HALF = ("identity", "expression", "albedo", "albedo_mean")
_INDEX = ("triangles", "landmark_vertices", "mouth_triangles")


class _Header(BaseModel):
    """What the file says of itself, as JSON under one metadata key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["likeness-face-model-1"]
    name: str
    expression_names: tuple[str, ...]
    eye_radius: float = Field(gt=0)
    iris_radius: float = Field(gt=0)


def load_face_model(name: str | Path = "likeness") -> FaceModel:
    """Read a face model from disk.

    Args:
        name: "likeness" for the one that comes with the package, or the path of a
            .safetensors file.

    Raises:
        BundleError: no such file, or not a face model that this version can read.
    """
    path = _shipped(str(name)) if str(name) == "likeness" else Path(name)
    if not path.is_file():
        raise BundleError(
            f"no face model at {path}; give 'likeness' or the path of a file that "
            "save_face_model wrote"
        )
    try:
        with safe_open(path, framework="numpy") as file:
            header = (file.metadata() or {}).get(_HEADER, "{}")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        why = why_unreadable(error)
        raise BundleError(f"{path} cannot be read as safetensors: {why}") from error
    try:
        return _face_model(_Header.model_validate_json(header), tensors)
    except (ValidationError, KeyError, ContractError) as error:
        raise BundleError(
            f"{path} is no whole face model of format {FACE_MODEL_FORMAT!r} ({error}); "
            "convert foreign face models with likeness.importers"
        ) from error


def save_face_model(model: FaceModel, path: Path) -> None:
    """Write a face model as one safetensors file; modes in half precision, the mean in single."""
    tensors: dict[str, np.ndarray[Any, Any]] = {"mean": model.mean.astype(np.float32)}
    for key in _HALF:
        tensors[key] = getattr(model, key).astype(np.float16)
    for key in _INDEX:
        tensors[key] = getattr(model, key).astype(np.int32)
    for side, fill in enumerate(model.eye_triangles):
        tensors[f"eye_triangles.{side}"] = fill.astype(np.int32)
    for name, indices in model.regions.items():
        tensors[f"region.{name}"] = indices.astype(np.int32)
    if model.eye_centers is not None:
        tensors["eye_centers"] = model.eye_centers.astype(np.float32)
    if model.eye_identity is not None:
        tensors["eye_identity"] = model.eye_identity.astype(np.float16)
    header = _Header(
        format=FACE_MODEL_FORMAT,
        name=model.name,
        expression_names=model.expression_names,
        eye_radius=model.eye_radius,
        iris_radius=model.iris_radius,
    )
    # One key only: safetensors writes several in random order, and files must repeat byte for byte.
    metadata = {_HEADER: header.model_dump_json()}
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, path, metadata)


def _shipped(name: str) -> Path:
    return Path(str(resources.files("likeness.face3d") / f"{name}_face.safetensors"))


def _face_model(header: _Header, tensors: dict[str, np.ndarray[Any, Any]]) -> FaceModel:
    regions = {
        key.removeprefix("region."): value.astype(np.int64)
        for key, value in tensors.items()
        if key.startswith("region.")
    }
    floats = {
        key: tensors[key].astype(np.float32)
        for key in ("mean", *_HALF, "eye_centers", "eye_identity")
        if key in tensors
    }
    return FaceModel(
        name=header.name,
        mean=floats["mean"],
        identity=floats["identity"],
        expression=floats["expression"],
        expression_names=header.expression_names,
        triangles=tensors["triangles"].astype(np.int64),
        albedo_mean=floats["albedo_mean"],
        albedo=floats["albedo"],
        regions=regions,
        landmark_vertices=tensors["landmark_vertices"].astype(np.int64),
        mouth_triangles=tensors["mouth_triangles"].astype(np.int64),
        eye_triangles=(
            tensors["eye_triangles.0"].astype(np.int64),
            tensors["eye_triangles.1"].astype(np.int64),
        ),
        eye_centers=floats.get("eye_centers"),
        eye_identity=floats.get("eye_identity"),
        eye_radius=header.eye_radius,
        iris_radius=header.iris_radius,
    )

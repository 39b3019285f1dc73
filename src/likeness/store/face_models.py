"""Face models on disk: one safetensors file whose header names the model and its modes."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from likeness.errors import BundleError
from likeness.face3d.model import FaceModel

FACE_MODEL_FORMAT = "likeness-face-model-1"
_HALF = ("identity", "expression", "albedo", "albedo_mean")
_INDEX = ("triangles", "landmark_vertices", "mouth_triangles")


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
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path} cannot be read as safetensors ({error})") from error
    found = metadata.get("format")
    if found != FACE_MODEL_FORMAT:
        raise BundleError(
            f"{path} is of format {found!r}, expected {FACE_MODEL_FORMAT!r}; "
            "convert foreign face models with likeness.importers"
        )
    return _face_model(metadata, tensors)


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
    metadata = {
        "format": FACE_MODEL_FORMAT,
        "name": model.name,
        "expression_names": json.dumps(model.expression_names),
        "eye_radius": repr(model.eye_radius),
        "iris_radius": repr(model.iris_radius),
    }
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, path, metadata)


def _shipped(name: str) -> Path:
    return Path(str(resources.files("likeness.face3d") / f"{name}_face.safetensors"))


def _face_model(metadata: dict[str, str], tensors: dict[str, np.ndarray[Any, Any]]) -> FaceModel:
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
        name=metadata["name"],
        mean=floats["mean"],
        identity=floats["identity"],
        expression=floats["expression"],
        expression_names=tuple(json.loads(metadata["expression_names"])),
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
        eye_radius=float(metadata["eye_radius"]),
        iris_radius=float(metadata["iris_radius"]),
    )

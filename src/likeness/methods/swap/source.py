"""Photos as the source of a swap: they travel as a bundle, like any other model of a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from likeness.errors import BundleError
from likeness.methods.photo.animation import Photo
from likeness.types import Bundle, FaceParams, FaceTrack, Weights

_NAMES = ("expression_names", "model", "focal")
"""Fields of FaceParams that are no arrays."""


def photos_bundle(
    method: str,
    photos: Sequence[Photo],
    people: Sequence[Mapping[str, Any]] = (),
    training: Mapping[str, Any] | None = None,
) -> Bundle:
    """Make photos of one person a bundle, with nothing learned.

    Args:
        method: key of the method table.
        photos: one or more, with the faces that were found in them.
        people: who is shown, and on which consent.
        training: what else is known of them, as JSON values.
    """
    return Bundle(
        method=method,
        networks={f"photo{i}": _weights(photo) for i, photo in enumerate(photos)},
        input={},
        training=dict(training or {}),
        license="of the person shown; see people",
        people=tuple(people),
    )


def photos_of(bundle: Bundle) -> tuple[Photo, ...]:
    """Read the photos of a bundle, in their order.

    Raises:
        BundleError: it holds none.
    """
    kept = [
        bundle.networks[f"photo{i}"]
        for i in range(len(bundle.networks))
        if f"photo{i}" in bundle.networks
    ]
    if not kept:
        raise BundleError(
            f"the bundle of {bundle.method!r} holds no photos; give a photo, a folder of photos or "
            "a clip of the person whose face is wanted"
        )
    return tuple(_photo(weights) for weights in kept)


def _weights(photo: Photo) -> Weights:
    track, params = photo.track, photo.params
    tensors = {"picture": photo.picture}
    for name in ("boxes", "landmarks", "scores", "observed"):
        tensors[f"track.{name}"] = torch.from_numpy(np.ascontiguousarray(getattr(track, name)))
    config: dict[str, Any] = {"start": track.start}
    for field in fields(params):
        value = getattr(params, field.name)
        if field.name in _NAMES:
            config[field.name] = list(value) if isinstance(value, tuple) else value
        else:
            tensors[f"params.{field.name}"] = torch.from_numpy(np.ascontiguousarray(value))
    return Weights("photo", config, tensors)


def _photo(weights: Weights) -> Photo:
    arrays = {name: tensor.numpy() for name, tensor in weights.tensors.items() if "." in name}
    track = FaceTrack(
        start=int(weights.config["start"]),
        **{name[6:]: value for name, value in arrays.items() if name.startswith("track.")},
    )
    params = FaceParams(
        model=str(weights.config["model"]),
        expression_names=tuple(weights.config["expression_names"]),
        focal=float(weights.config["focal"]),
        **{name[7:]: value for name, value in arrays.items() if name.startswith("params.")},
    )
    return Photo(weights.tensors["picture"], track, params)

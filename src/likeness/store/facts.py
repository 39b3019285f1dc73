"""What a bundle tells of its input and its training, checked before anybody uses it.

`input` and `training` are JSON values that each method fills in its own way. What is known of them
is checked whatever the method is: types, ranges, and that nothing in them is huge. Before anything
is drawn, `check_portrait` also looks at what must be there and how the parts fit each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from likeness.errors import BundleError
from likeness.store.files import first_problem
from likeness.types import Bundle

SIDE = 16384
"""Longest side in pixels of anything that a bundle speaks of."""
FRAMES = 10_000_000
"""Most frames that anything speaks of: four days of video."""
_VALUES = 200_000
"""Most values that `input` or `training` hold together."""

Side = Annotated[int, Field(ge=1, le=SIDE)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Frame = Annotated[int, Field(ge=0, le=FRAMES)]
Row = tuple[float, float, float]
Word = Annotated[str, Field(max_length=2000)]


class _Known(BaseModel):
    """Facts that are checked where they stand; others are left to their method."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)


class InputFacts(_Known):
    """The content of a bundle's `input`, as far as it is common."""

    size: Side | tuple[Side, Side] | None = None
    """Side of the square crop in pixels."""
    crop_from_frame: tuple[Row, Row] | tuple[tuple[Row, Row]] | None = None
    """(2,3) similarity, or a list that holds one."""
    frame_size: tuple[Side, Side] | None = None
    frame_pixels: Annotated[int, Field(ge=0, le=SIDE)] | None = None
    rate: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Sound samples per second."""
    color: Word | None = None
    range: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _keeps_orientation(self) -> InputFacts:
        if self.crop_from_frame is not None:
            matrix = np.array(self.crop_from_frame, np.float64).reshape(-1, 2, 3)
            bounded = np.abs(matrix).max() < 1e6
            if not bounded or not (np.linalg.det(matrix[:, :, :2]) > 1e-9).all():
                raise ValueError("crop_from_frame is no similarity of positive scale")
        return self


class Imported(_Known):
    """What an imported checkpoint says of where it comes from."""

    kind: Word | None = None
    about: Word | None = None
    uses: tuple[Word, ...] = ()
    files: dict[Word, Word] = {}
    commercial_use: bool | None = None
    tensors_left_out: Count = 0
    notes: dict[str, Any] = {}


class TrainingFacts(_Known):
    """The content of a bundle's `training`, as far as it is common."""

    frames: tuple[Frame, Frame] | None = None
    """Frames [start, stop) that training saw."""
    clip: Word | None = None
    steps: Count | None = None
    steps_by_size: dict[Word, Count] = {}
    seconds: Annotated[float, Field(ge=0)] | None = None
    seed: int | None = None
    losses: Annotated[tuple[float, ...], Field(max_length=10_000)] = ()
    settings: dict[str, Any] | None = None
    imported: Imported | None = None

    @model_validator(mode="after")
    def _runs_forward(self) -> TrainingFacts:
        if self.frames is not None and self.frames[0] > self.frames[1]:
            raise ValueError(f"frames {list(self.frames)} run backward")
        return self


class PortraitFacts(BaseModel):
    """What a portrait needs to be drawn."""

    model_config = ConfigDict(frozen=True)

    size: Annotated[int, Field(ge=16, le=4096)]
    crop_from_frame: Any
    frames: tuple[Frame, Frame]


def check_facts(
    method: str, given: Mapping[str, Any], training: Mapping[str, Any], path: Path
) -> None:
    """Check what a bundle tells of its input and its training.

    Raises:
        BundleError: a known fact is of another type or out of its range, or there are too many.
    """
    for name, kind, facts in (
        ("input", InputFacts, given),
        ("training", TrainingFacts, training),
    ):
        if _size(facts) > _VALUES:
            raise BundleError(f"{path}: {name} holds more than {_VALUES} values; get it again")
        try:
            kind.model_validate(facts)
        except ValidationError as error:
            raise BundleError(
                f"{path}: {name}.{first_problem(error)}; the bundle of {method} is damaged or was "
                "changed by hand: train or fetch it again"
            ) from error


def _size(tree: Any) -> int:
    waiting, count = [tree], 0
    while waiting:
        node = waiting.pop()
        count += 1
        if isinstance(node, Mapping):
            waiting += node.values()
        elif isinstance(node, list | tuple):
            waiting += node
    return count


def check_portrait(bundle: Bundle) -> PortraitFacts:
    """Check that the parts of a portrait fit each other, before anything is drawn from them.

    Returns:
        The facts that drawing needs.

    Raises:
        BundleError: a fact is missing or out of range, frames lie outside the clip, or pictures do
            not have the shape that the bundle declares.
    """
    if bundle.shot is None:
        raise BundleError("the bundle holds no shot, which a portrait needs; train it again")
    told = {**bundle.input, **bundle.training}
    try:
        facts = PortraitFacts.model_validate(
            {key: told[key] for key in PortraitFacts.model_fields if key in told}
        )
        InputFacts.model_validate(bundle.input)
    except ValidationError as error:
        raise BundleError(
            f"the portrait does not say what it needs: {first_problem(error)}; train it again"
        ) from error
    known = len(bundle.shot.params)
    start, stop = facts.frames
    if not start < stop <= known:
        raise BundleError(
            f"the portrait says that it saw frames {start} to {stop}, and its shot has {known}; "
            "expected frames of the shot: train it again"
        )
    for name, weights in bundle.networks.items():
        _check_pictures(name, weights.tensors, known)
    _check_plate(bundle)
    _check_gallery(bundle, facts.size)
    return facts


def _check_pictures(name: str, tensors: Mapping[str, torch.Tensor], frames: int) -> None:
    """Check that what lists frames lists frames of the shot, one per picture."""
    for key in {"times", "rows"} & tensors.keys():
        listed = tensors[key]
        whole = not listed.is_floating_point() and listed.dtype != torch.bool
        inside = whole and listed.ndim == 1 and len(listed) > 0
        if not inside or int(listed.min()) < 0 or int(listed.max()) >= frames:
            raise BundleError(
                f"{name}.{key} does not list frames of the shot, which has {frames}; the bundle "
                "is damaged: train it again"
            )
        for pictures in {"pictures", "patches"} & tensors.keys():
            if tensors[pictures].ndim != 4 or len(tensors[pictures]) != len(listed):
                raise BundleError(
                    f"{name}.{pictures} has shape {tuple(tensors[pictures].shape)}, expected "
                    f"{len(listed)} pictures; the bundle is damaged: train it again"
                )


def _check_plate(bundle: Bundle) -> None:
    plate = bundle.networks["plate"].tensors.get("picture") if "plate" in bundle.networks else None
    assert bundle.shot is not None  # noqa: S101 - its caller looked
    if plate is None:
        raise BundleError("the bundle lacks plate.picture; it is damaged: train it again")
    if plate.dtype != torch.uint8 or plate.ndim != 3 or plate.shape[0] != 3:
        raise BundleError(
            f"plate.picture is {plate.dtype} of shape {tuple(plate.shape)}, expected 3 channels "
            "of bytes; the bundle is damaged: train it again"
        )
    if tuple(plate.shape[1:]) != tuple(bundle.shot.clip.size):
        raise BundleError(
            f"plate.picture has {tuple(plate.shape[1:])} pixels and the clip "
            f"{tuple(bundle.shot.clip.size)}; the bundle is damaged: train it again"
        )


def _check_gallery(bundle: Bundle, size: int) -> None:
    gallery = bundle.networks.get("gallery")
    if gallery is None:
        return
    missing = {"pictures", "times"} - gallery.tensors.keys()
    pictures = gallery.tensors.get("pictures")
    if missing or pictures is None:
        raise BundleError(f"the gallery lacks {sorted(missing)}; train the portrait again")
    if pictures.dtype != torch.uint8 or tuple(pictures.shape[1:]) != (3, size, size):
        raise BundleError(
            f"gallery.pictures is {pictures.dtype} of shape {tuple(pictures.shape)}, expected "
            f"bytes (N, 3, {size}, {size}); the bundle is damaged: train it again"
        )
    mattes = gallery.tensors.get("mattes")
    expected = (len(pictures), size, size)
    if mattes is not None and (mattes.dtype != torch.uint8 or tuple(mattes.shape) != expected):
        raise BundleError(
            f"gallery.mattes is {mattes.dtype} of shape {tuple(mattes.shape)}, expected bytes "
            f"{expected}; the bundle is damaged: train it again"
        )

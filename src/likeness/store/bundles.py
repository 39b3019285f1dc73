"""Bundles on disk: a trained model as a folder that a person can read.

NAME.bundle/
  bundle.json               method, networks with sha256, training record, license, people
  portrait.safetensors      one file per network
  shot/                     the target's performance, where the method needs it
  preview.png
  resume/                   state of an unfinished training, deletable
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from pydantic import Field

from likeness.errors import BundleError, ContractError
from likeness.files import open_regular
from likeness.store.facts import check_facts
from likeness.store.files import (
    FORMAT,
    Index,
    Name,
    Strict,
    TensorFile,
    read_index,
    read_tensors,
    versions,
    write_index,
    write_tensors,
)
from likeness.store.folders import RESUME, recover, whole_folder
from likeness.store.shots import INSIDE as SHOT
from likeness.store.shots import load_shot, read_shot_index, write_shot
from likeness.types import Bundle, Weights

INDEX = "bundle.json"
PREVIEW = "preview.png"
CONTENT = "content"
"""Key that reading adds to people: the digest of what the bundle holds. It is never written."""
PREVIEW_LIMIT = 4096
PREVIEW_BYTES = 64 * 2**20
_DAMAGE = (
    OSError,
    UnidentifiedImageError,
    Image.DecompressionBombError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    struct.error,
    zlib.error,
)
"""What Pillow raises on nonsense."""


Method = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$")]
"""A key of the literal method table, such as reenact.fast."""


class NetworkRecord(Strict):
    """`Weights` on disk: `network` is a key of the literal class table, never an import path."""

    network: Name
    config: dict[str, Any]
    weights: TensorFile


class BundleIndex(Index):
    """The content of bundle.json."""

    kind: Literal["bundle"] = "bundle"
    method: Method
    networks: dict[Name, NetworkRecord]
    input: dict[str, Any]
    training: dict[str, Any]
    license: str
    people: tuple[dict[str, Any], ...]
    shot: bool
    preview: bool


def save_bundle(
    bundle: Bundle, path: Path, seal: Callable[[str], Sequence[Mapping[str, Any]]] | None = None
) -> None:
    """Write a bundle as the folder `path`, replacing an older bundle there when it is whole.

    A `resume/` folder of the older bundle is kept.

    Args:
        bundle: what to write.
        path: NAME.bundle.
        seal: given the digest of the content, returns the people as they are to be written, such as
            `Permission.sealed`; the bundle's own people by default.

    Raises:
        BundleError: `path` is taken by something else, or a value has no place in JSON.
    """
    path = Path(path)
    with whole_folder(path, INDEX, keep=RESUME) as folder:
        networks = {
            name: NetworkRecord(
                network=weights.network,
                config=dict(weights.config),
                weights=write_tensors(folder / f"{name}.safetensors", weights.tensors),
            )
            for name, weights in bundle.networks.items()
        }
        if bundle.shot is not None:
            (folder / SHOT).mkdir()
            write_shot(bundle.shot, folder / SHOT, path / SHOT)
        if bundle.preview is not None:
            _write_preview(bundle.preview, folder / PREVIEW)
        people = seal(content_digest(networks, folder)) if seal else bundle.people
        index = BundleIndex(
            format=FORMAT,
            versions={**versions(), **bundle.versions},
            method=bundle.method,
            networks=networks,
            input=dict(bundle.input),
            training=dict(bundle.training),
            license=bundle.license,
            people=tuple(
                {key: value for key, value in person.items() if key != CONTENT} for person in people
            ),
            shot=bundle.shot is not None,
            preview=bundle.preview is not None,
        )
        write_index(folder / INDEX, index)


def load_bundle(path: Path) -> Bundle:
    """Read a bundle with every file checked against its digest.

    Raises:
        BundleError: the folder is no bundle, or it is damaged, changed or inconsistent.
    """
    path = Path(path)
    index = read_bundle_index(path)
    check_facts(index.method, index.input, index.training, path)
    networks = {
        name: Weights(record.network, record.config, read_tensors(path, record.weights))
        for name, record in index.networks.items()
    }
    try:
        return Bundle(
            method=index.method,
            networks=networks,
            input=index.input,
            training=index.training,
            license=index.license,
            people=index.people,
            shot=load_shot(path / SHOT) if index.shot else None,
            preview=_read_preview(path / PREVIEW) if index.preview else None,
            versions=index.versions,
        )
    except ContractError as error:
        raise BundleError(f"{path} is inconsistent: {error}") from error


def read_bundle_index(path: Path) -> BundleIndex:
    """Read what a bundle says of itself, without its weights.

    To its people is added what they stand on, as the folder shows it and no text can say: the
    digest of the content to actors, that of the clip to targets who agreed.

    Raises:
        BundleError: the folder is no bundle.
    """
    path = Path(path)
    recover(path)
    index = read_index(path / INDEX, "bundle", BundleIndex)
    clip = read_shot_index(path / SHOT).clip.digest if index.shot else None
    people = tuple({**person, **_facts(person, index, path, clip)} for person in index.people)
    return index.model_copy(update={"people": people})


def _facts(
    person: Mapping[str, Any], index: BundleIndex, path: Path, clip: str | None
) -> dict[str, Any]:
    """Return what a person's claims are to be held against."""
    facts: dict[str, Any] = {}
    if "actor" in person or CONTENT in person:
        facts[CONTENT] = content_digest(index.networks, path if index.shot else None)
    if clip is not None and person.get("role") == "target" and "record" in person:
        facts["clip"] = clip
    return facts


def content_digest(networks: Mapping[str, NetworkRecord], folder: Path | None) -> str:
    """Return the sha256 over what a bundle shows: its networks, and the clip it draws from.

    Args:
        networks: as the index pins them.
        folder: of the bundle, if it holds a shot.
    """
    shown: dict[str, Any] = {
        name: record.model_dump(mode="json") for name, record in networks.items()
    }
    if folder is not None and (folder / SHOT).is_dir():
        shot = read_shot_index(folder / SHOT)
        shown["shot/"] = [shot.clip.digest, shot.arrays.sha256]
    text = json.dumps(shown, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _write_preview(preview: torch.Tensor, path: Path) -> None:
    picture = (preview.detach().cpu().float().clamp(0, 1) * 255).round().to(torch.uint8)
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(path)


def _read_preview(path: Path) -> torch.Tensor:
    try:
        with (
            open_regular(path, BundleError, "a PNG picture", PREVIEW_BYTES) as file,
            Image.open(file, formats=["PNG"]) as image,
        ):
            if max(image.size) > PREVIEW_LIMIT:
                raise BundleError(
                    f"{path} is {image.size} pixels, expected {PREVIEW_LIMIT} at most"
                )
            pixels = np.array(image.convert("RGB"), np.float32) / 255
    except _DAMAGE as error:
        raise BundleError(f"{path} is not readable as a PNG picture ({error})") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)

"""How a family of published networks announces itself to the importers.

A network file (`synthesize/simswap.py`, `nets/arcface.py`, ...) stands beside its paper and knows
nothing of files. Beside its config and module it defines two functions:

    infer(shapes: Shapes) -> Config    depth, width and variant, read from official keys and shapes
    rename(state: State) -> State      official keys and layouts in, the module's own keys out

`rename` uses every official key or drops it by name (`num_batches_tracked` counters, blur kernels
that the module builds itself); the importer then loads strictly. `infer` raises BundleError, saying
what it found and expected, where the shapes fit no variant. Official keys come without wrappers:
the importers have taken off `module.`, `G.`, `state_dict` and the like, see each family below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from likeness.errors import BundleError
from likeness.nets.checkpoints import State

Files = Literal["checkpoint", "deepfacelab"]


@dataclass(frozen=True)
class License:
    """The terms that the publisher states for the weights."""

    name: str
    """SPDX name where there is one, else the publisher's own words."""
    commercial: bool
    """False where commercial use is excluded or nothing allows it."""


@dataclass(frozen=True)
class ImportConfig:
    """What the user knows of a file and the file does not tell."""

    commercial: bool = False
    """Refuse models whose terms exclude commercial use or do not allow it."""
    license: str = ""
    """Terms under which the user holds the file, where they are not the publisher's."""
    archi: str | None = None
    """DeepFaceLab: the architecture, such as liae-ud, where NAME_SAEHD_data.dat is lost."""
    space: str | None = None
    """SimSwap: unit for the released networks, imagenet for those of the later training code."""
    family: str | None = None
    """ONNX: the family that the file is of, where it looks like several."""
    probe: Path | None = None
    """ONNX: a photo of a face on which families that look alike are tried; an actor by default."""
    beside: tuple[Path, ...] = ()
    """Bundles that the file needs: its recognizer, a converter, inswapper's map."""


def terms(published: License, how: ImportConfig, what: str) -> License:
    """Return the terms that hold: the publisher's, or those that the user states.

    Raises:
        BundleError: the model shall serve commerce and the terms do not allow it.
    """
    if how.license:
        return License(how.license, commercial=True)
    if how.commercial and not published.commercial:
        raise BundleError(
            f"{what} is under {published.name!r}, which does not allow commercial use; leave "
            "--commercial out, or state the terms that you hold it under with --license"
        )
    return published


@dataclass(frozen=True)
class Input:
    """What a network is fed through one of its inputs."""

    name: str
    shape: tuple[int | str, ...]
    """One image or code: (3, 256, 256), (512,); a word stands for a size that is free."""
    range: str
    """Values and their meaning: RGB in [0, 1], BGR in [0, 1], unit length, ..."""
    crop: str = ""
    """How the picture is cut from the frame, where it is a face, for people."""
    template: str | None = None
    """The same for programs: a key of `condition.align.TEMPLATES`, scaled to the input's size; None
    where the file does not tell."""


@dataclass(frozen=True)
class Family:
    """One network family: a module, and the way from an official state dict to it."""

    network: str
    """Key of NETWORKS; bundles carry it."""
    signatures: tuple[tuple[str, ...], ...]
    """Official keys that every file of this family holds, and together no other family's; one group
    per layout."""
    infer: Callable[..., Any]
    """The module's config from official keys and shapes, and the hints below as keywords."""
    rename: Callable[[State], State]
    """The module's own keys from official ones."""
    inputs: Callable[[Any], tuple[Input, ...]]
    """The input contract of a config."""
    parts: tuple[str, ...] = ()
    """First words of the keys that belong to it, where a file mixes networks; empty takes all."""
    hints: tuple[str, ...] = ()
    """What `infer` takes beside the shapes, because no tensor shows it: archi, space."""
    beside: tuple[str, ...] = ()
    """Tensors that the publisher keeps at the top of the file and `rename` takes along."""


@dataclass(frozen=True)
class Slot:
    """A network of a bundle."""

    name: str
    """What the bundle calls it."""
    families: tuple[Family, ...]
    """What may stand there; the file's keys decide."""
    required: bool = True


@dataclass(frozen=True)
class Kind:
    """What `likeness models import KIND` names: a kind of file, with one or more networks."""

    method: str
    """Method name of the bundle, such as swap.simswap."""
    about: str
    uses: tuple[str, ...]
    """What it can be used for."""
    license: License
    slots: tuple[Slot, ...]
    extras: tuple[str, ...] = ()
    """Tensors at the top of the file that are kept beside the networks."""
    files: Files = "checkpoint"
    """What lies on disk: one file of PyTorch or safetensors, or a model folder."""

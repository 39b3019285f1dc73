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

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from likeness.nets.checkpoints import Shapes, State


@dataclass(frozen=True)
class License:
    """The terms that the publisher states for the weights."""

    name: str
    """SPDX name where there is one, else the publisher's own words."""
    commercial: bool
    """False where commercial use is excluded or nothing allows it."""


@dataclass(frozen=True)
class Input:
    """What a network is fed through one of its inputs."""

    name: str
    shape: tuple[int | str, ...]
    """One image or code: (3, 256, 256), (512,); a word stands for a size that is free."""
    range: str
    """Values and their meaning: RGB in [0, 1], BGR in [0, 1], unit length, ..."""
    crop: str = ""
    """How the picture is cut from the frame, where it is a face."""


@dataclass(frozen=True)
class Family:
    """One network family: a module, and the way from an official state dict to it."""

    network: str
    """Key of NETWORKS; bundles carry it."""
    signature: tuple[str, ...]
    """Official keys that every file of this family holds, and together no other family's."""
    infer: Callable[[Shapes], Any]
    """The module's config from official keys and shapes."""
    rename: Callable[[State], State]
    """The module's own keys from official ones."""
    inputs: Callable[[Any], tuple[Input, ...]]
    """The input contract of a config."""


@dataclass(frozen=True)
class Kind:
    """What `likeness models import KIND` names: a kind of file, with one or more networks."""

    method: str
    """Method name of the bundle, such as swap.simswap."""
    about: str
    uses: tuple[str, ...]
    """What it can be used for, as commands where there are some."""
    license: License
    families: Mapping[str, Family]
    """Families by the name that the network gets in the bundle."""

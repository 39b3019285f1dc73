"""How official state dicts are read: what a tensor is called here, and how deep a network is.

Network files say which module of theirs is which official one; this file does the exchange, and
refuses what does not fit. Nothing here opens files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from likeness.errors import BundleError

State = Mapping[str, Tensor]
"""Tensors by key."""
Shapes = Mapping[str, tuple[int, ...]]
"""Shapes by official key."""
Modules = Mapping[str, str]
"""Our module names by official ones: the key up to its last dot."""

_SHOWN = 5


def shapes_of(state: State) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a state dict."""
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def renamed(state: State, modules: Modules) -> dict[str, Tensor]:
    """Give every tensor our name for its module.

    Raises:
        BundleError: a key belongs to none of the modules.

    >>> import torch
    >>> list(renamed({"fc.weight": torch.zeros(1)}, {"fc": "head.project"}))
    ['head.project.weight']
    """
    unknown = [key for key in state if key.rpartition(".")[0] not in modules]
    if unknown:
        shown = ", ".join(unknown[:_SHOWN])
        raise BundleError(
            f"{len(unknown)} of {len(state)} tensors have no place in this network: {shown}; "
            "import the file as the kind that it is"
        )
    answer = {}
    for key, tensor in state.items():
        module, _, leaf = key.rpartition(".")
        answer[f"{modules[module]}.{leaf}"] = tensor
    return answer


def shape_at(shapes: Shapes, key: str, dimensions: int) -> tuple[int, ...]:
    """Return the shape of an official tensor.

    Raises:
        BundleError: the tensor is missing, empty, or has another number of dimensions.
    """
    found = shapes.get(key)
    if found is None:
        raise BundleError(
            f"no tensor is called {key!r}, which every file of this kind holds; "
            "import the file as the kind that it is"
        )
    if len(found) != dimensions or min(found, default=1) < 1:
        raise BundleError(f"{key} has shape {found}, expected {dimensions} dimensions of 1 or more")
    return found


def indices(shapes: Shapes, pattern: str) -> tuple[int, ...]:
    """Return the numbers that the single group of `pattern` takes at the start of the keys, sorted.

    Raises:
        BundleError: a number between the smallest and the largest is missing.

    >>> indices({"block.0.w": (1,), "block.1.w": (1,), "blocks": (1,)}, r"block\\.(\\d+)\\.")
    (0, 1)
    """
    found = {int(match[1]) for key in shapes if (match := re.match(pattern, key))}
    numbers = tuple(sorted(found))
    if numbers and len(numbers) != numbers[-1] - numbers[0] + 1:
        raise BundleError(
            f"modules {pattern} are numbered {list(numbers)[:_SHOWN]}..., expected no gaps; "
            "the file is damaged or of another kind"
        )
    return numbers


def stage_depths(shapes: Shapes) -> tuple[int, ...]:
    """Return how many blocks the stages layer1, layer2, ... of a residual network have.

    Raises:
        BundleError: there is no stage, or stages or blocks are missing in between.
    """
    stages = indices(shapes, r"layer(\d{1,4})\.\d{1,4}\.")
    if not stages or stages[0] != 1:
        raise BundleError(f"stages are numbered {list(stages)}, expected layer1, layer2, ...")
    depths = []
    for stage in stages:
        blocks = indices(shapes, rf"layer{stage}\.(\d{{1,4}})\.")
        if blocks[0] != 0:
            raise BundleError(f"layer{stage} begins with block {blocks[0]}, expected 0")
        depths.append(len(blocks))
    return tuple(depths)


def stage_modules(depths: Sequence[int], block: Modules) -> dict[str, str]:
    """Name the modules of all blocks: `layer1.0.X` of the file is `stages.0.0.Y` here."""
    return {
        f"layer{stage + 1}.{index}.{theirs}": f"stages.{stage}.{index}.{ours}"
        for stage, depth in enumerate(depths)
        for index in range(depth)
        for theirs, ours in block.items()
    }

"""What is asked of an ONNX graph before anybody decides what it is: names, ranks, sizes, tensors.

Inputs, outputs and initializers are known by name or shape, never by their place in a list: exports
of one network put them in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from likeness.errors import BundleError
from likeness.importers.meter import plain
from likeness.importers.published import Input, License
from likeness.nets.onnx_graph import OnnxGraphConfig
from likeness.nets.onnx_half import is_half

MAPS = ("emap", "buff2fs")
"""What exports call the map of codes."""
_HEAD = 8
"""Nodes among which InsightFace looks for a normalization inside the graph."""
_MOST = 4096
"""Largest side or batch that a graph may declare."""

Shape = tuple[int, ...]
"""Sizes, with -1 where they are free."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a graph turned out to be."""

    method: str
    network: str
    slot: str
    about: str
    uses: str
    license: License
    config: Any
    inputs: tuple[Input, ...]
    family: str = ""
    """Row of its table."""
    why: str = ""
    """How it was told."""
    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """What the network needs beside the file."""


@dataclass(frozen=True, eq=False)
class GraphFacts:
    """A graph from outside."""

    size: int
    """Bytes of the file."""
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    stored: Mapping[str, Shape]
    """Initializers."""
    unused: frozenset[str]
    """Initializers that no node reads."""
    operators: Mapping[str, int]
    """How often each stands in the graph."""
    head: tuple[str, ...]
    """Names of the first nodes."""
    half: bool

    def ranked(self, rank: int) -> list[str]:
        """Return the inputs with so many dimensions."""
        return [name for name, shape in self.inputs.items() if len(shape) == rank]

    def config(self, inputs: Sequence[str], outputs: Sequence[str]) -> OnnxGraphConfig:
        """Say how the graph is run, with inputs and outputs in this order.

        Raises:
            BundleError: its inputs take different numbers of samples.
        """
        fixed = {self.inputs[name][0] for name in inputs if len(self.inputs[name]) > 1} - {-1}
        if len(fixed) > 1 or any(not 1 <= count <= _MOST for count in fixed):
            raise BundleError(
                f"the graph's inputs take {sorted(fixed)} samples at once, expected the same number"
            )
        batch = fixed.pop() if fixed else 0
        return OnnxGraphConfig(self.size, tuple(inputs), tuple(outputs), batch, self.half)

    def told(self) -> str:
        """Describe inputs and outputs for a message."""
        return f"takes {_told(self.inputs)} and gives {_told(self.outputs)}"


def facts_of(model: Any, size: int) -> GraphFacts:
    """Look at a ModelProto whose parts were checked.

    Raises:
        BundleError: an input or output is no tensor.
    """
    graph = model.graph
    stored = {tensor.name: tuple(int(d) for d in tensor.dims) for tensor in graph.initializer}
    read = {name for node in graph.node for name in node.input}
    return GraphFacts(
        size=size,
        inputs={v.name: _shape(v) for v in graph.input if v.name not in stored},
        outputs={v.name: _shape(v) for v in graph.output},
        stored=stored,
        unused=frozenset(stored) - read - {value.name for value in graph.output},
        operators=Counter(node.op_type for node in graph.node),
        head=tuple(node.name for node in graph.node[:_HEAD]),
        half=is_half(model),
    )


def map_name(facts: GraphFacts, code: int) -> str | None:
    """Find the map of codes among the initializers: by its name, else by its shape.

    Of several of its shape it is the one that no node reads: the map is applied outside the graph.

    Raises:
        BundleError: what has its name has another shape, or several could be it.
    """
    for name in MAPS:
        if name in facts.stored:
            if facts.stored[name] != (code, code):
                raise BundleError(
                    f"the initializer {name!r} is {facts.stored[name][:8]}, expected inswapper's "
                    f"map of codes ({code}, {code}); get the file again"
                )
            return name
    square = [name for name in facts.unused if facts.stored[name] == (code, code)]
    if len(square) > 1:
        raise BundleError(
            f"{len(square)} initializers of ({code}, {code}) are read by no node, expected one map "
            "of codes; get the file from its publisher"
        )
    return square[0] if square else None


def map_of(model: Any, name: str) -> torch.Tensor:
    """Read the map of codes, float32.

    Raises:
        BundleError: its numbers are damaged.
    """
    from onnx import numpy_helper

    tensor = next(one for one in model.graph.initializer if one.name == name)
    try:
        array = np.array(numpy_helper.to_array(tensor), np.float32)
    except (ValueError, TypeError, OverflowError, LookupError) as error:
        raise BundleError(f"the map of codes is damaged ({error}); get the file again") from error
    if not np.isfinite(array).all():
        raise BundleError("the map of codes holds what is no number; get the file again")
    return torch.from_numpy(array)


def side_of(shape: Shape, what: str) -> int | None:
    """Return the side of pictures (N,3,S,S), None where it is free.

    Raises:
        BundleError: these are no square pictures of three channels first.
    """
    channels, height, width = shape[1:]
    if channels not in (3, -1) or height != width or height > _MOST or 0 in shape:
        raise BundleError(f"{what} is {shape}, expected square pictures (N, 3, S, S)")
    return height if height > 0 else None


def _shape(value: Any) -> Shape:
    if not value.type.HasField("tensor_type"):
        raise BundleError(f"{plain(value.name, 40)} is no tensor; expected pictures and codes")
    dims = value.type.tensor_type.shape.dim
    # A size of 0 or less that somebody declared is a lie and not a free one.
    return tuple(max(int(d.dim_value), 0) if d.HasField("dim_value") else -1 for d in dims)


def _told(values: Mapping[str, Shape]) -> str:
    shown = [f"{plain(name, 40)} {shape[:8]}" for name, shape in list(values.items())[:4]]
    return ", ".join(shown) or "nothing"

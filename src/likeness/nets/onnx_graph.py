"""A network that somebody else exported: an ONNX graph, run by onnxruntime from the user's file.

The file's bytes are the one tensor of this module, so that a bundle holds all it needs and its
digest covers them. Nothing is learned here and nothing can be.
Input:  the graph's inputs in their order, float32.
Output: its outputs in their order, float32, on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import BackendError, BundleError
from likeness.types import check


@dataclass(frozen=True)
class OnnxGraphConfig:
    """What is known of the graph."""

    bytes: int
    """Size of the file."""
    inputs: tuple[str, ...]
    """Names in order."""
    outputs: tuple[str, ...]
    """Names in order."""
    one_by_one: bool = False
    """The graph takes a single sample."""


class OnnxGraph(nn.Module):
    """The graph; see the head of this file."""

    file: Tensor

    def __init__(self, config: OnnxGraphConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("file", torch.zeros(config.bytes, dtype=torch.uint8))
        self._session: Any = None

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run N samples.

        Raises:
            BackendError: onnxruntime is not installed.
            BundleError: onnxruntime does not take the file or the samples.
        """
        names = self.config.inputs
        check(len(inputs) == len(names), f"{len(inputs)} inputs, expected {len(names)}: {names}")
        step = 1 if self.config.one_by_one else len(inputs[0])
        parts = [self._run([x[i : i + step] for x in inputs])
                 for i in range(0, len(inputs[0]), step)]  # fmt: skip
        return tuple(torch.cat(part) for part in zip(*parts, strict=True))

    def _run(self, inputs: list[Tensor]) -> list[Tensor]:
        if self._session is None:
            self._session = open_session(self.file.cpu().numpy().tobytes())
        arrays = (x.detach().cpu().float().numpy() for x in inputs)
        given = dict(zip(self.config.inputs, arrays, strict=True))
        try:
            answers = self._session.run(list(self.config.outputs), given)
        except Exception as error:  # onnxruntime's errors have no common type
            raise BundleError(f"onnxruntime refuses the input ({str(error)[:200]})") from error
        return [torch.from_numpy(answer) for answer in answers]


def open_session(content: bytes, *, optimized: bool = True) -> Any:
    """Open an ONNX file with onnxruntime, on the CPU.

    Args:
        content: the file.
        optimized: False leaves the graph as it is, which does no computation yet.

    Raises:
        BackendError: onnxruntime is not installed.
        BundleError: onnxruntime does not take the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(
            "ONNX files need onnxruntime; run: pip install 'likeness[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    providers = ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no common type
        raise BundleError(f"onnxruntime does not take the file ({str(error)[:200]})") from error


@dataclass(frozen=True)
class OnnxIdentityConfig:
    """An ArcFace export."""

    graph: OnnxGraphConfig
    normalizes: bool = False
    """The graph itself brings [0, 255] to [-1, 1]; by its first nodes, as InsightFace decides."""


class OnnxIdentity(nn.Module):
    """Whose face is it? An ArcFace export of InsightFace's, such as w600k_r50.onnx."""

    def __init__(self, config: OnnxIdentityConfig) -> None:
        super().__init__()
        self.config = config
        self.graph = OnnxGraph(config.graph)

    def forward(self, rgb: Tensor) -> Tensor:
        """Map aligned RGB crops (N,3,112,112) in [0,1] to codes (N,512) of length 1."""
        return functional.normalize(self.describe(rgb))

    def describe(self, rgb: Tensor) -> Tensor:
        """Map the same to raw codes."""
        x = rgb * 255 if self.config.normalizes else rgb * 2 - 1
        return self.graph(x)[0]  # type: ignore[no-any-return]

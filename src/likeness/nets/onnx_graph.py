"""A network that somebody else exported: an ONNX graph, run by onnxruntime from the user's file.

The file's bytes are the one tensor of this module, so that a bundle holds all it needs and its
digest covers them. Nothing is learned here and nothing can be.
Input:  the graph's inputs in the order of the settings, float32, on any device; each is given in
the type that the graph declares, and as many samples at once as it takes.
Output: its outputs in their order, float32, on the CPU, all of them numbers.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import BackendError, BundleError
from likeness.nets.layers import imagenet_from_rgb
from likeness.nets.onnx_half import widened
from likeness.types import check

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}
"""Types of inputs that pictures and codes can be given in."""


@dataclass(frozen=True)
class OnnxGraphConfig:
    """What is known of the graph."""

    bytes: int
    """Size of the file."""
    inputs: tuple[str, ...]
    """Names, in the order in which the module is called."""
    outputs: tuple[str, ...]
    """Names, in the order in which they are wanted."""
    batch: int = 0
    """Samples that the graph takes at once, no fewer and no more; 0 takes any number."""
    half: bool = False
    """Whether half precision stands in the file; it is widened, because CPUs overflow in it."""


class OnnxGraph(nn.Module):
    """The graph; see the head of this file."""

    file: Tensor

    def __init__(self, config: OnnxGraphConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("file", torch.zeros(config.bytes, dtype=torch.uint8))
        self._session: Any = None
        self._lock = threading.Lock()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run N samples.

        Raises:
            BackendError: onnxruntime is not installed.
            BundleError: onnxruntime does not take the file or the samples, or the graph answers
                with what is no number.
        """
        names = self.config.inputs
        check(len(inputs) == len(names), f"{len(inputs)} inputs, expected {len(names)}: {names}")
        count = len(inputs[0])
        step = self.config.batch or max(count, 1)
        parts = [self._run([x[i : i + step] for x in inputs]) for i in range(0, count, step)]
        return tuple(torch.cat(part) for part in zip(*parts, strict=True))

    def _run(self, inputs: list[Tensor]) -> list[Tensor]:
        session, count = self._opened(), len(inputs[0])
        types = {one.name: _TYPES.get(one.type, np.float32) for one in session.get_inputs()}
        given = {}
        for name, x in zip(self.config.inputs, inputs, strict=True):
            array = x.detach().cpu().float().numpy()
            missing = self.config.batch - count
            if missing > 0:  # a fixed batch is filled up with its last sample
                array = np.concatenate([array, np.repeat(array[-1:], missing, 0)])
            given[name] = np.ascontiguousarray(array, types.get(name, np.float32))
        try:
            answers = session.run(list(self.config.outputs), given)
        except Exception as error:  # onnxruntime's errors have no common type
            raise BundleError(f"onnxruntime refuses the input ({str(error)[:200]})") from error
        found = [np.asarray(answer, np.float32)[:count] for answer in answers]
        for name, answer in zip(self.config.outputs, found, strict=True):
            if not np.isfinite(answer).all():
                raise BundleError(
                    f"the network's output {name!r} holds values that are no numbers; expected "
                    "finite ones: the file is damaged, or was made for another kind of processor"
                )
        return [torch.from_numpy(answer) for answer in found]

    def _opened(self) -> Any:
        with self._lock:
            if self._session is None:
                content = self.file.cpu().numpy().tobytes()
                self._session = open_session(widened(content) if self.config.half else content)
            return self._session


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
    space: str = "w600k"
    """Whose codes these are: swap networks understand those of one recognizer."""
    template: str = "arcface_112"
    """Key of `condition.align.TEMPLATES`: how faces are laid."""
    enter: Literal["signed", "imagenet"] = "signed"
    """What the graph reads: [-1, 1], or ImageNet-normalized."""
    shrink: Literal["bilinear", "nearest"] = "bilinear"
    """How larger crops became its size when it was trained; both without averaging."""
    size: int = 112
    """Side of the picture that the graph reads."""


class OnnxIdentity(nn.Module):
    """Whose face is it? An ArcFace export, such as InsightFace's w600k_r50.onnx."""

    def __init__(self, config: OnnxIdentityConfig) -> None:
        super().__init__()
        self.config = config
        self.graph = OnnxGraph(config.graph)

    def forward(self, rgb: Tensor) -> Tensor:
        """Map aligned RGB crops (N,3,S,S) in [0,1] to codes (N,512) of length 1."""
        return functional.normalize(self.describe(rgb))

    def describe(self, rgb: Tensor) -> Tensor:
        """Map the same to raw codes."""
        config = self.config
        size = (config.size, config.size)
        if rgb.shape[2:] != size:
            rgb = functional.interpolate(rgb, size=size, mode=config.shrink)
        if config.normalizes:
            x = rgb * 255
        elif config.enter == "imagenet":
            x = imagenet_from_rgb(rgb)
        else:
            x = rgb * 2 - 1
        return self.graph(x)[0]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class OnnxConverterConfig:
    """A network that turns one recognizer's codes into another's."""

    graph: OnnxGraphConfig
    to: str = ""
    """Whose codes come out; empty where nobody says."""


class OnnxConverter(nn.Module):
    """Codes of one recognizer from those of another, such as CrossFace's files."""

    def __init__(self, config: OnnxConverterConfig) -> None:
        super().__init__()
        self.config = config
        self.graph = OnnxGraph(config.graph)

    def forward(self, code: Tensor) -> Tensor:
        """Map raw codes (N,512) to raw codes (N,512)."""
        return self.graph(code)[0]  # type: ignore[no-any-return]

"""Bundles for other programs: ONNX with named inputs, and DeepFaceLive's .dfm.

The exported network computes in float32 and is run once in onnxruntime beside the original: a file
whose answer differs by more than TOLERANCE is not written.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from likeness.errors import BackendError, BundleError, ConfigError
from likeness.files import why_unwritable
from likeness.networks import build
from likeness.outputs import atomic_file
from likeness.outputs.marks import NETWORK
from likeness.provenance.consent import METHODS, Consent
from likeness.provenance.permission import permit_synthesis
from likeness.store.files import sha256_of
from likeness.synthesize.autoencoder import Autoencoder
from likeness.synthesize.comb import Comb
from likeness.synthesize.original import Original
from likeness.synthesize.portrait import GUIDES, Portrait
from likeness.synthesize.simswap import SimSwap
from likeness.synthesize.spacetime import Spacetime
from likeness.types import Bundle, Weights

TOLERANCE = 5e-4
"""Largest difference between torch and onnxruntime, on pictures in [0,1]: an eighth of 1/255. Both
compute in float32; they add in another order."""
OPSET = 18
DFM_OPSET = 12
"""What .dfm files are written in: the onnxruntime of DeepFaceLive reads nothing much newer."""
_SEED = 0
_PORTRAITS = ("reenact", "dub", "animate")
"""Methods whose bundles are trained on one person."""
_NEEDED = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True, eq=False)
class Export:
    """A module as another program sees it."""

    module: nn.Module
    inputs: Mapping[str, Tensor]
    """Examples by name, two samples each."""
    outputs: tuple[str, ...]
    opset: int = OPSET


@dataclass(frozen=True)
class Exported:
    """What was written."""

    output: Path
    network: str
    sha256: str
    inputs: Mapping[str, tuple[int | str, ...]]
    """Shapes by name; N is free."""
    outputs: tuple[str, ...]
    difference: float
    """Largest difference between torch and onnxruntime that was found."""
    tolerance: float
    license: str


OneToOne = Autoencoder | Original | Comb


class _OneToOne(nn.Module):
    """Swap; and the mask of the target's own face."""

    def __init__(self, network: OneToOne) -> None:
        super().__init__()
        self.network = network

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map (N,3,S,S) to the swapped face, its mask, and the target's mask."""
        face, mask = self.network(rgb)
        return face, mask, self.network.reconstruct_target(rgb)[1]


class _DeepFaceLive(nn.Module):
    """The same with the .dfm contract: pixels last, blue first, the target's mask first."""

    def __init__(self, network: OneToOne) -> None:
        super().__init__()
        self.swap = _OneToOne(network)

    def forward(self, in_face: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map BGR (N,S,S,3) to target mask, swapped BGR and its mask."""
        face, mask, target = self.swap(in_face.permute(0, 3, 1, 2).flip(1))
        return tuple(x.permute(0, 2, 3, 1) for x in (target, face.flip(1), mask))


def _one_to_one(network: nn.Module, draw: _Draw) -> Export:
    assert isinstance(network, OneToOne)  # noqa: S101  # as the table says
    side = network.config.size
    outputs = ("rgb_swapped", "mask_swapped", "mask_target")
    return Export(_OneToOne(network), {"rgb": draw(2, 3, side, side)}, outputs)


def _dfm(network: nn.Module, draw: _Draw) -> Export:
    assert isinstance(network, OneToOne)  # noqa: S101  # as the table says
    side = network.config.size
    outputs = ("out_face_mask:0", "out_celeb_face:0", "out_celeb_face_mask:0")
    given = {"in_face:0": draw(2, side, side, 3)}
    return Export(_DeepFaceLive(network), given, outputs, DFM_OPSET)


def _simswap(network: nn.Module, draw: _Draw) -> Export:
    assert isinstance(network, SimSwap)  # noqa: S101  # as the table says
    side = 512 if len(network.config.widths) > 4 else 224
    code = nn.functional.normalize(draw(2, network.config.code) - 0.5)
    return Export(network, {"rgb": draw(2, 3, side, side), "code": code}, ("rgb_swapped",))


def _portrait(network: nn.Module, draw: _Draw) -> Export:
    assert isinstance(network, Portrait)  # noqa: S101  # as the table says
    shape = network.config
    side, half, count = shape.size, shape.size // 2, shape.keyframes
    given = {
        "keyframes": draw(2, count, 4, side, side),
        "maps": draw(2, GUIDES + 3 * count, half, half),
        "code": draw(2, shape.code),
    }
    return Export(network.exact(), given, ("rgb",))


def _spacetime(network: nn.Module, draw: _Draw) -> Export:
    assert isinstance(network, Spacetime)  # noqa: S101  # as the table says
    shape = network.config
    maps = draw(2, shape.window * shape.channels, shape.size, shape.size)
    return Export(network.folded(), {"maps": maps}, ("rgb",))


_Draw = Callable[..., Tensor]
"""Uniform numbers in [0,1] of a shape."""
EXPORTS: Mapping[tuple[str, str], Callable[[nn.Module, _Draw], Export]] = {
    **{(name, ".onnx"): _one_to_one for name in ("autoencoder", "original", "comb")},
    **{(name, ".dfm"): _dfm for name in ("autoencoder", "original", "comb")},
    ("portrait", ".onnx"): _portrait,
    ("simswap", ".onnx"): _simswap,
    ("spacetime", ".onnx"): _spacetime,
}
"""What can be exported, by network and ending of the file."""


def export(
    bundle: Bundle,
    output: Path,
    tolerance: float = TOLERANCE,
    consents: Sequence[Consent] = (),
) -> Exported:
    """Write a bundle's generator as one file for other programs.

    What leaves so can be used without this program, its marks and its list of revocations: it needs
    a consent that holds today, as every synthesis does.

    Args:
        bundle: of reenactment, SimSwap or a one-to-one swap.
        output: NAME.onnx, or NAME.dfm for a one-to-one swap.
        tolerance: largest difference to torch that is accepted.
        consents: records besides those in the bundle.

    Raises:
        ConsentError: somebody whom the bundle shows agreed to nothing, or not any more.
        BackendError: the libraries for export are not installed.
        BundleError: the bundle has no generator that can be exported so, or the exported file
            computes something else.
        ConfigError: the output has another ending.
    """
    weights, prepare = _exporter(bundle, output)
    _permit(bundle, consents)
    generator = torch.Generator().manual_seed(_SEED)
    what = prepare(build(weights), lambda *shape: torch.rand(shape, generator=generator))
    notes = {"license": bundle.license, "method": bundle.method, "network": weights.network}
    if "face_type" in bundle.input:
        notes["face_type"] = str(bundle.input["face_type"])
    if not output.parent.is_dir():
        raise BundleError(f"the folder {output.parent} does not exist; make it first")
    try:
        with atomic_file(output, NETWORK) as partial:
            _write(what, partial, notes)
            found = difference(what, partial)
            if not found <= tolerance:
                raise BundleError(
                    f"onnxruntime's answer differs from torch's by {found:.2g}, expected "
                    f"{tolerance:g} at most; {output} was not written"
                )
    except OSError as error:
        raise BundleError(f"{output} cannot be written: {why_unwritable(error)}") from error
    shapes = {name: ("N", *tensor.shape[1:]) for name, tensor in what.inputs.items()}
    return Exported(
        output,
        weights.network,
        sha256_of(output),
        shapes,
        what.outputs,
        found,
        tolerance,
        bundle.license,
    )


def _exporter(bundle: Bundle, output: Path) -> tuple[Weights, Callable[[nn.Module, _Draw], Export]]:
    """Return the generator and what prepares it for the output's format, or refuse."""
    if output.suffix not in (".onnx", ".dfm"):
        raise ConfigError(f"{output} ends in {output.suffix!r}, expected .onnx or .dfm")
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise BackendError(
            f"export needs {', '.join(missing)}; run: pip install 'likeness[export]'"
        )
    weights = bundle.networks.get("generator")
    key = (weights.network if weights else "", output.suffix)
    if weights is None or key not in EXPORTS:
        able = ", ".join(f"{network} to {ending}" for network, ending in EXPORTS)
        raise BundleError(
            f"the bundle's generator is {weights.network if weights else 'missing'!r}, which "
            f"cannot be written as {output.suffix}; expected one of: {able}"
        )
    return weights, EXPORTS[key]


def _permit(bundle: Bundle, consents: Sequence[Consent]) -> None:
    """Refuse to hand out somebody's likeness without their consent."""
    method = bundle.method.partition(".")[0]
    # A portrait shows somebody, whether its text names them or not. Published checkpoints of other
    # methods name nobody.
    if bundle.people or method in _PORTRAITS:
        permit_synthesis(bundle.people, method if method in METHODS else "all", consents)


def _write(what: Export, path: Path, notes: Mapping[str, str]) -> None:
    given = tuple(what.inputs.values())
    with _quiet():
        if what.opset < OPSET:
            # Only the exporter by tracing still writes old operator sets.
            free = {name: {0: "N"} for name in (*what.inputs, *what.outputs)}
            torch.onnx.export(
                what.module,
                given,
                path,
                input_names=list(what.inputs),
                output_names=list(what.outputs),
                opset_version=what.opset,
                dynamo=False,
                dynamic_axes=free,
            )
            _note(path, notes)
            return
        batch = torch.export.Dim("N")
        program = torch.onnx.export(
            what.module,
            given,
            input_names=list(what.inputs),
            output_names=list(what.outputs),
            opset_version=what.opset,
            dynamo=True,
            dynamic_shapes=tuple({0: batch} for _ in given),
            verbose=False,
        )
    if program is None:
        raise BackendError("torch wrote no ONNX program; update torch and onnxscript")
    program.save(str(path), external_data=False)
    _note(path, notes)


def _note(path: Path, notes: Mapping[str, str]) -> None:
    """Write license and origin into the file, and who made it."""
    import onnx

    model = onnx.load(path)
    model.producer_name = "likeness"
    onnx.helper.set_model_props(model, dict(notes))
    onnx.save(model, path)


def difference(what: Export, path: Path) -> float:
    """Return the largest difference between a module and its file, run in onnxruntime on the CPU.

    One sample is run, where the examples have two: the number must be free.
    """
    import onnxruntime

    given = {name: tensor[:1] for name, tensor in what.inputs.items()}
    with torch.inference_mode():
        answer = what.module(*given.values())
    expected = answer if isinstance(answer, tuple) else (answer,)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    got: list[Any] = session.run(list(what.outputs), {k: v.numpy() for k, v in given.items()})
    pairs = zip(got, expected, strict=True)
    return max(float(np.abs(a - b.numpy()).max()) for a, b in pairs)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own remarks off the screen; its errors still come as exceptions."""
    exporter = logging.getLogger("torch.onnx")
    before = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(before)

"""DeepFaceLab's SAEHD models: their TensorFlow layouts and names, and ours.

Official keys are `<part>/<name inside the part's file>`, such as
`encoder/down1/downs_0/conv1/weight:0` or `inter_AB/dense1/bias:0`. Three things are reordered once:
kernels are (h,w,in,out) there; depth-to-space counts channels block by block where PyTorch's pixel
shuffle counts square by square; and pictures are BGR, so the first convolution's inputs and the
color convolutions' outputs change places.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from likeness.errors import BundleError, ConfigError
from likeness.nets.checkpoints import Shapes, State, shape_at, shapes_of
from likeness.nets.declared import shapes_only
from likeness.synthesize.autoencoder import Autoencoder, AutoencoderConfig

OPTIONS = "udtc"
"""Letters after the dash of `archi`; u and c leave no trace in the tensors."""

Layout = Callable[[Tensor], Tensor]
"""From an official tensor to ours."""


def infer(shapes: Shapes, archi: str | None = None) -> AutoencoderConfig:
    """Read layout, size and widths from the tensors, and the options u and c from `archi`.

    Args:
        shapes: shapes by official key.
        archi: as in the model's `..._SAEHD_data.dat`, such as "liae-ud"; u and c change what is
            computed but leave no trace in the tensors.

    Raises:
        BundleError: the tensors are no SAEHD model, contradict `archi`, or `archi` is not given.
    """
    config = _visible(shapes)
    if archi is None:
        raise BundleError(
            "the options u and c of a SAEHD model leave no trace in its tensors; give archi, such "
            "as liae-ud, from the model's _data.dat"
        )
    layout, _, letters = archi.partition("-")
    if layout not in ("df", "liae") or set(letters) - set(OPTIONS):
        raise BundleError(f"archi is {archi!r}, expected df or liae, then - and any of u d t c")
    found = (config.layout, config.doubled, config.deep)
    if found != (layout, "d" in letters, "t" in letters):
        raise BundleError(
            f"archi is {archi!r}, but the tensors are {config.layout} with d {config.doubled} and "
            f"t {config.deep}; the options belong to another model"
        )
    return replace(config, normalized="u" in letters, cosine="c" in letters)


def rename(state: State) -> dict[str, Tensor]:
    """Turn an official SAEHD model into the state of `Autoencoder`: RGB, PyTorch's layouts.

    Raises:
        BundleError: a tensor is missing, has no place or another shape.
    """
    config = _visible(shapes_of(state))
    table = names(config)
    unknown, missing = sorted(set(state) - set(table)), sorted(set(table) - set(state))
    if unknown or missing:
        raise BundleError(
            f"{len(unknown)} tensors have no place ({', '.join(unknown[:3]) or 'none'}) and "
            f"{len(missing)} are missing ({', '.join(missing[:3]) or 'none'}), expected the "
            f"{len(table)} of a SAEHD model"
        )
    with shapes_only():
        shapes = shapes_of(Autoencoder(config).state_dict())
    answer = {}
    for theirs, (ours, layout) in table.items():
        found = tuple(state[theirs].shape)
        if len(found) not in (1, 2, 4) or 0 in found:
            raise BundleError(f"{theirs} has shape {found}, expected 1, 2 or 4 dimensions")
        tensor = layout(state[theirs])
        if tuple(tensor.shape) != shapes[ours]:
            raise BundleError(
                f"{theirs} has shape {tuple(state[theirs].shape)}, which becomes "
                f"{tuple(tensor.shape)}, expected {shapes[ours]}"
            )
        answer[ours] = tensor.contiguous()
    return answer


def names(config: AutoencoderConfig) -> dict[str, tuple[str, Layout]]:
    """Return our key and the way to our layout for every official key."""
    table: dict[str, tuple[str, Layout]] = {}
    _encoder(table, config)
    if config.layout == "df":
        parts = {"inter": "inter"}
        decoders = {"decoder_src": "decoder_source", "decoder_dst": "decoder_target"}
    else:
        parts = {"inter_AB": "inter_shared", "inter_B": "inter_target"}
        decoders = {"decoder": "decoder"}
    for theirs, ours in parts.items():
        _dense(table, f"{theirs}/dense1", f"{ours}.narrow")
        _dense(table, f"{theirs}/dense2", f"{ours}.widen")
        if not config.deep:
            _doubling(table, f"{theirs}/upscale1", f"{ours}.up")
    for theirs, ours in decoders.items():
        _decoder(table, config, theirs, ours)
    return table


def _visible(shapes: Shapes) -> AutoencoderConfig:
    """Read all that the tensors tell; u and c stay false."""
    liae, deep = "inter_AB/dense1/weight:0" in shapes, "encoder/res1/conv1/weight:0" in shapes
    inter = "inter_AB" if liae else "inter"
    decoder = "decoder" if liae else "decoder_src"
    doubled = f"{decoder}/out_conv1/weight:0" in shapes
    first = "encoder/down1/conv1/weight:0" if deep else "encoder/down1/downs_0/conv1/weight:0"
    wide = shape_at(shapes, f"{inter}/dense2/weight:0", 2)
    color = shape_at(shapes, f"{decoder}/out_conv/weight:0", 4)
    mask = shape_at(shapes, f"{decoder}/out_convm/weight:0", 4)
    side = math.isqrt(max(wide[1] // (wide[0] * (2 if liae else 1)), 1))
    try:
        config = AutoencoderConfig(
            layout="liae" if liae else "df",
            size=side * (32 if doubled else 16),
            doubled=doubled,
            deep=deep,
            inter=wide[0],
            encoder=shape_at(shapes, first, 4)[3],
            decoder=max(color[2] // 2, 1),
            mask=max(mask[2] // (1 if doubled else 2), 1),
        )
    except ConfigError as error:
        raise BundleError(f"the tensors are no SAEHD model: {error}") from error
    flat = shape_at(shapes, f"{inter}/dense1/weight:0", 2)[0]
    if flat != config.flat:
        raise BundleError(
            f"the encoder answers {flat} numbers, expected {config.flat} for {config.size} pixels"
        )
    return config


def _kernel(tensor: Tensor) -> Tensor:
    """Turn (h,w,in,out) into (out,in,h,w); a bias stays."""
    return tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor


def _blocks_to_squares(tensor: Tensor) -> Tensor:
    """Reorder a kernel's outputs from depth-to-space to pixel shuffle: c*4 + p from p*C + c."""
    kernel = _kernel(tensor)
    if len(kernel) % 4:
        raise BundleError(f"a doubling has {len(kernel)} channels, expected a multiple of 4")
    return kernel.reshape(4, -1, *kernel.shape[1:]).transpose(0, 1).flatten(0, 1)


def _from_rgb(tensor: Tensor) -> Tensor:
    """Let the first convolution take RGB; its bias stays."""
    return _kernel(tensor).flip(1) if tensor.ndim == 4 else tensor


def _to_rgb(tensor: Tensor) -> Tensor:
    """Let a color convolution answer RGB."""
    return _kernel(tensor).flip(0)


def _matrix(tensor: Tensor) -> Tensor:
    return tensor.T if tensor.ndim == 2 else tensor


def _add(table: dict[str, tuple[str, Layout]], theirs: str, ours: str, layout: Layout) -> None:
    for leaf in ("weight", "bias"):
        table[f"{theirs}/{leaf}:0"] = (f"{ours}.{leaf}", layout)


def _dense(table: dict[str, tuple[str, Layout]], theirs: str, ours: str) -> None:
    _add(table, theirs, ours, _matrix)


def _doubling(table: dict[str, tuple[str, Layout]], theirs: str, ours: str) -> None:
    _add(table, f"{theirs}/conv1", f"{ours}.conv", _blocks_to_squares)


def _residual(table: dict[str, tuple[str, Layout]], theirs: str, ours: str) -> None:
    _add(table, f"{theirs}/conv1", f"{ours}.first", _kernel)
    _add(table, f"{theirs}/conv2", f"{ours}.second", _kernel)


def _encoder(table: dict[str, tuple[str, Layout]], config: AutoencoderConfig) -> None:
    if not config.deep:
        for level in range(4):
            layout = _kernel if level else _from_rgb
            theirs = f"encoder/down1/downs_{level}/conv1"
            _add(table, theirs, f"encoder.layers.{level}.conv", layout)
        return
    # Halvings at 0 2 3 4 5, residual blocks at 1 and 6.
    for number, place in zip((1, 2, 3, 4, 5), (0, 2, 3, 4, 5), strict=True):
        layout = _kernel if place else _from_rgb
        _add(table, f"encoder/down{number}/conv1", f"encoder.layers.{place}.conv", layout)
    _residual(table, "encoder/res1", "encoder.layers.1")
    _residual(table, "encoder/res5", "encoder.layers.6")


def _decoder(
    table: dict[str, tuple[str, Layout]], config: AutoencoderConfig, theirs: str, ours: str
) -> None:
    for step in range(len(config.steps)):
        _doubling(table, f"{theirs}/upscale{step}", f"{ours}.layers.{2 * step}")
        _residual(table, f"{theirs}/res{step}", f"{ours}.layers.{2 * step + 1}")
    for step in range(len(config.steps) + config.doubled):
        _doubling(table, f"{theirs}/upscalem{step}", f"{ours}.mask_layers.{step}")
    for number in range(4 if config.doubled else 1):
        _add(table, f"{theirs}/out_conv{number or ''}", f"{ours}.colors.{number}", _to_rgb)
    _add(table, f"{theirs}/out_convm", f"{ours}.mask", _kernel)

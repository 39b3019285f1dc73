"""StyleGAN2 as it was published: two state-dict layouts of one and the same network.

"ada": NVIDIA's stylegan2-ada-pytorch, keys `synthesis.b4.conv1...`, `mapping.fc0...`.
"rosinality": rosinality/stylegan2-pytorch, also the decoder of e4e, keys `conv1.conv...`,
`convs.0...`, `style.1...`. Both store the same numbers; leading dimensions of size one differ.
The blur filter is the same constant in every network: it is checked and dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from likeness.errors import BundleError, ConfigError
from likeness.nets.checkpoints import Shapes, State, indices, shape_at, shapes_of
from likeness.nets.declared import shapes_only
from likeness.synthesize.stylegan import Mapping as MappingNetwork
from likeness.synthesize.stylegan import Stylegan, StyleganConfig
from likeness.synthesize.stylegan_discriminator import (
    StyleganDiscriminator,
    StyleganDiscriminatorConfig,
)
from likeness.synthesize.stylegan_filters import TAPS

ADA_CLAMP = 256.0
"""`conv_clamp` of all published StyleGAN2-ADA networks; it is no tensor."""

_FILTERS = (".resample_filter", ".kernel")
_AVERAGE_SEED = 0
_ADA_LAYER = {
    "weight": "weight",
    "bias": "bias",
    "noise_strength": "noise_strength",
    "noise_const": "noise",
    "affine.weight": "style.weight",
    "affine.bias": "style.bias",
}
_ADA_COLOR = {k: v for k, v in _ADA_LAYER.items() if not k.startswith("noise")}
_ROS_LAYER = {
    "conv.weight": "weight",
    "activate.bias": "bias",
    "noise.weight": "noise_strength",
    "conv.modulation.weight": "style.weight",
    "conv.modulation.bias": "style.bias",
}
_ROS_COLOR = {
    "conv.weight": "weight",
    "bias": "bias",
    "conv.modulation.weight": "style.weight",
    "conv.modulation.bias": "style.bias",
}


def infer(shapes: Shapes) -> StyleganConfig:
    """Read widths, code sizes and depth of a generator in either layout.

    Raises:
        BundleError: it is no unconditional StyleGAN2 generator with skip connections to color.
    """
    if "synthesis.b4.const" in shapes:
        return _infer_ada(shapes)
    if "input.input" in shapes:
        return _infer_rosinality(shapes)
    raise BundleError(
        "neither synthesis.b4.const (stylegan2-ada) nor input.input (rosinality) is among the "
        "tensors: this is no StyleGAN2 generator in a known layout"
    )


def names(config: StyleganConfig, layout: str) -> dict[str, str]:
    """Return our keys by official ones, for "ada" or "rosinality", without blur filters."""
    return _ada(config) if layout == "ada" else _rosinality(config)


def rename(state: State) -> dict[str, Tensor]:
    """Turn an official generator into the state of `Stylegan`.

    A rosinality file keeps the average of W outside its state dict: give it as `latent_avg`, (D,)
    or one row per layer; without it the average is measured over 4096 codes, as that code base
    does.

    Raises:
        BundleError: a tensor is missing, has no place or another shape, or a blur filter is not
            [1,3,3,1].
    """
    config = infer(shapes_of(state))
    layout = "ada" if "synthesis.b4.const" in state else "rosinality"
    given = dict(state)
    average = given.pop("latent_avg", None) if layout == "rosinality" else None
    answer = _exchange(given, names(config, layout), Stylegan, config)
    if layout == "rosinality":
        answer["mapping.average"] = _average(answer, config, average)
    return answer


def infer_discriminator(shapes: Shapes) -> StyleganDiscriminatorConfig:
    """Read the widths of a residual discriminator in either layout.

    Raises:
        BundleError: it is none.
    """
    if "b4.out.weight" in shapes:
        widths = [shape_at(shapes, "b4.fc.weight", 2)[0]]
        while (key := f"b{4 << len(widths)}.conv0.weight") in shapes:
            widths.append(shape_at(shapes, key, 4)[0])
        return StyleganDiscriminatorConfig(tuple(widths), clamp=ADA_CLAMP)
    if "final_linear.1.weight" in shapes:
        blocks = indices(shapes, r"convs\.(\d{1,2})\.conv1\.0\.weight")
        found = [shape_at(shapes, "final_linear.0.weight", 2)[0]]
        found += [shape_at(shapes, f"convs.{i}.conv1.0.weight", 4)[0] for i in reversed(blocks)]
        return StyleganDiscriminatorConfig(tuple(found))
    raise BundleError(
        "neither b4.out.weight (stylegan2-ada) nor final_linear.1.weight (rosinality) is among "
        "the tensors: this is no StyleGAN2 discriminator in a known layout"
    )


def rename_discriminator(state: State) -> dict[str, Tensor]:
    """Turn an official discriminator into the state of `StyleganDiscriminator`.

    Raises:
        BundleError: as `rename`.
    """
    config = infer_discriminator(shapes_of(state))
    ada = "b4.out.weight" in state
    table = _ada_discriminator(config) if ada else _rosinality_discriminator(config)
    return _exchange(state, table, StyleganDiscriminator, config)


def _infer_ada(shapes: Shapes) -> StyleganConfig:
    if "mapping.embed.weight" in shapes:
        raise BundleError(
            "the generator wants a class label beside z (mapping.embed.weight); only unconditional "
            "ones are understood"
        )
    widths: list[int] = []
    while (key := f"synthesis.b{4 << len(widths)}.conv1.weight") in shapes:
        widths.append(shape_at(shapes, key, 4)[0])
    first = shape_at(shapes, "mapping.fc0.weight", 2)
    depth = len(indices(shapes, r"mapping\.fc(\d{1,3})\.weight"))
    return _config(widths, first, depth, ADA_CLAMP)


def _infer_rosinality(shapes: Shapes) -> StyleganConfig:
    odd = [i for i in indices(shapes, r"convs\.(\d{1,3})\.conv\.weight") if i % 2]
    keys = ["conv1.conv.weight", *(f"convs.{i}.conv.weight" for i in odd)]
    widths = [shape_at(shapes, key, 5)[1] for key in keys]
    first = shape_at(shapes, "style.1.weight", 2)
    depth = len(indices(shapes, r"style\.(\d{1,3})\.weight"))
    return _config(widths, first, depth, None)


def _config(
    widths: list[int], first: tuple[int, ...], depth: int, clamp: float | None
) -> StyleganConfig:
    code, latent = first
    try:
        return StyleganConfig(tuple(widths), latent=latent, code=code, depth=depth, clamp=clamp)
    except ConfigError as error:
        raise BundleError(f"the tensors are no StyleGAN2 generator: {error}") from error


def _ada(config: StyleganConfig) -> dict[str, str]:
    table = {"mapping.w_avg": "mapping.average", "synthesis.b4.const": "synthesis.constant"}
    for i in range(config.depth):
        for leaf in ("weight", "bias"):
            table[f"mapping.fc{i}.{leaf}"] = f"mapping.layers.{i}.{leaf}"
    for level in range(len(config.widths)):
        theirs, ours = f"synthesis.b{4 << level}", f"synthesis.blocks.{level}"
        if level:
            _add(table, f"{theirs}.conv0", f"{ours}.up", _ADA_LAYER)
        _add(table, f"{theirs}.conv1", f"{ours}.conv", _ADA_LAYER)
        _add(table, f"{theirs}.torgb", f"{ours}.color", _ADA_COLOR)
    return table


def _rosinality(config: StyleganConfig) -> dict[str, str]:
    table = {"input.input": "synthesis.constant"}
    for i in range(config.depth):
        for leaf in ("weight", "bias"):
            table[f"style.{i + 1}.{leaf}"] = f"mapping.layers.{i}.{leaf}"
    _add(table, "conv1", "synthesis.blocks.0.conv", _ROS_LAYER)
    _add(table, "to_rgb1", "synthesis.blocks.0.color", _ROS_COLOR)
    table["noises.noise_0"] = "synthesis.blocks.0.conv.noise"
    for level in range(1, len(config.widths)):
        ours = f"synthesis.blocks.{level}"
        for offset, layer in enumerate(("up", "conv")):
            number = 2 * (level - 1) + offset
            _add(table, f"convs.{number}", f"{ours}.{layer}", _ROS_LAYER)
            table[f"noises.noise_{number + 1}"] = f"{ours}.{layer}.noise"
        _add(table, f"to_rgbs.{level - 1}", f"{ours}.color", _ROS_COLOR)
    return table


def _ada_discriminator(config: StyleganDiscriminatorConfig) -> dict[str, str]:
    table: dict[str, str] = {}
    both = {"weight": "weight", "bias": "bias"}
    _add(table, f"b{config.size}.fromrgb", "color", both)
    for index in range(len(config.widths) - 1):
        theirs, ours = f"b{config.size >> index}", f"blocks.{index}"
        _add(table, f"{theirs}.conv0", f"{ours}.conv", both)
        _add(table, f"{theirs}.conv1", f"{ours}.down", both)
        table[f"{theirs}.skip.weight"] = f"{ours}.skip.weight"
    for theirs, ours in (("conv", "conv"), ("fc", "hidden"), ("out", "out")):
        _add(table, f"b4.{theirs}", ours, both)
    return table


def _rosinality_discriminator(config: StyleganDiscriminatorConfig) -> dict[str, str]:
    table: dict[str, str] = {}
    _add(table, "convs.0", "color", {"0.weight": "weight", "1.bias": "bias"})
    for index in range(len(config.widths) - 1):
        theirs, ours = f"convs.{index + 1}", f"blocks.{index}"
        _add(table, f"{theirs}.conv1", f"{ours}.conv", {"0.weight": "weight", "1.bias": "bias"})
        _add(table, f"{theirs}.conv2", f"{ours}.down", {"1.weight": "weight", "2.bias": "bias"})
        table[f"{theirs}.skip.1.weight"] = f"{ours}.skip.weight"
    _add(table, "final_conv", "conv", {"0.weight": "weight", "1.bias": "bias"})
    _add(table, "final_linear.0", "hidden", {"weight": "weight", "bias": "bias"})
    _add(table, "final_linear.1", "out", {"weight": "weight", "bias": "bias"})
    return table


def _add(table: dict[str, str], theirs: str, ours: str, leaves: Mapping[str, str]) -> None:
    for their_leaf, our_leaf in leaves.items():
        table[f"{theirs}.{their_leaf}"] = f"{ours}.{our_leaf}"


def _exchange(
    state: State, table: Mapping[str, str], network: type[nn.Module], config: Any
) -> dict[str, Tensor]:
    """Give each tensor our key and our shape, which differs in dimensions of size one only."""
    with shapes_only():
        shapes = shapes_of(network(config).state_dict())
    filters = [key for key in state if key.endswith(_FILTERS)]
    for key in filters:
        _check_filter(key, state[key])
    unknown = sorted(set(state) - set(table) - set(filters))
    missing = sorted(set(table) - set(state))
    if unknown or missing:
        raise BundleError(
            f"{len(unknown)} tensors have no place ({', '.join(unknown[:3]) or 'none'}) and "
            f"{len(missing)} are missing ({', '.join(missing[:3]) or 'none'}), expected the "
            f"{len(table)} of a StyleGAN2 network of {config.size} pixels"
        )
    answer = {}
    for theirs, ours in table.items():
        found, expected = tuple(state[theirs].shape), shapes[ours]
        if [side for side in found if side != 1] != [side for side in expected if side != 1]:
            raise BundleError(f"{theirs} has shape {found}, expected {expected}")
        answer[ours] = state[theirs].reshape(expected)
    return answer


def _check_filter(key: str, tensor: Tensor) -> None:
    line = torch.tensor(TAPS)
    expected = line[:, None] * line / 64
    found = tensor.float()
    if found.shape != expected.shape or not torch.allclose(found / found.sum(), expected):
        raise BundleError(f"{key} is another filter than [1, 3, 3, 1], which is what runs here")


def _average(answer: Mapping[str, Tensor], config: StyleganConfig, given: Tensor | None) -> Tensor:
    if given is None:
        mapping = MappingNetwork(config)
        prefix = "mapping."
        own = {key.removeprefix(prefix): v for key, v in answer.items() if key.startswith(prefix)}
        mapping.load_state_dict({**own, "average": mapping.average})
        return mapping.measure_average(torch.Generator().manual_seed(_AVERAGE_SEED))
    if given.shape[-1:] != (config.code,) or given.ndim > 2:
        raise BundleError(
            f"latent_avg has shape {tuple(given.shape)}, expected ({config.code},) or one row per "
            "layer"
        )
    return given if given.ndim == 1 else given.mean(0)

"""Keys and shapes of official networks, written out from their publishers' layouts.

Small widths, so that whole networks are tried in moments; written without looking at ours.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import torch

Shapes = dict[str, tuple[int, ...]]


def norm(name: str, width: int) -> Shapes:
    """Batch norm."""
    vectors = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{leaf}": (width,) for leaf in vectors} | {f"{name}.num_batches_tracked": ()}


def conv(name: str, outside: int, inside: int, kernel: int, bias: bool = True) -> Shapes:
    """Convolution."""
    weight = {f"{name}.weight": (outside, inside, kernel, kernel)}
    return weight | ({f"{name}.bias": (outside,)} if bias else {})


def linear(name: str, outside: int, inside: int) -> Shapes:
    """Fully connected layer."""
    return {f"{name}.weight": (outside, inside), f"{name}.bias": (outside,)}


def iresnet(depths: Sequence[int], widths: Sequence[int], code: int, side: int) -> Shapes:
    """InsightFace's backbone.pth; maps of `side` pixels at the end."""
    keys = conv("conv1", widths[0], 3, 3, False) | norm("bn1", widths[0])
    keys |= {"prelu.weight": (widths[0],)}
    inside = widths[0]
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True), 1):
        for index in range(depth):
            name = f"layer{stage}.{index}"
            keys |= norm(f"{name}.bn1", inside) | conv(f"{name}.conv1", width, inside, 3, False)
            keys |= norm(f"{name}.bn2", width) | {f"{name}.prelu.weight": (width,)}
            keys |= conv(f"{name}.conv2", width, width, 3, False) | norm(f"{name}.bn3", width)
            if index == 0:
                keys |= conv(f"{name}.downsample.0", width, inside, 1, False)
                keys |= norm(f"{name}.downsample.1", width)
            inside = width
    keys |= norm("bn2", inside) | linear("fc", code, inside * side * side)
    return keys | norm("features", code)


def simswap_identity(
    depths: Sequence[int], widths: Sequence[int], code: int, side: int, squeeze: int
) -> Shapes:
    """SimSwap's arcface_checkpoint.tar; `squeeze` 0 has no gates."""
    keys = conv("conv1", widths[0], 3, 3, False) | norm("bn1", widths[0]) | {"prelu.weight": (1,)}
    inside = widths[0]
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True), 1):
        for index in range(depth):
            name = f"layer{stage}.{index}"
            keys |= norm(f"{name}.bn0", inside) | conv(f"{name}.conv1", inside, inside, 3, False)
            keys |= norm(f"{name}.bn1", inside) | {f"{name}.prelu.weight": (1,)}
            keys |= conv(f"{name}.conv2", width, inside, 3, False) | norm(f"{name}.bn2", width)
            if squeeze:
                keys |= linear(f"{name}.se.fc.0", width // squeeze, width)
                keys |= {f"{name}.se.fc.1.weight": (1,)}
                keys |= linear(f"{name}.se.fc.2", width, width // squeeze)
            if index == 0 and stage > 1:
                keys |= conv(f"{name}.downsample.0", width, inside, 1, False)
                keys |= norm(f"{name}.downsample.1", width)
            inside = width
    keys |= norm("bn2", inside) | linear("fc", code, inside * side * side)
    return keys | norm("bn3", code)


def resnet(
    depths: Sequence[int], widths: Sequence[int], bottleneck: bool, outputs: int = 0
) -> Shapes:
    """Torchvision's residual networks."""
    keys = conv("conv1", widths[0], 3, 7, False) | norm("bn1", widths[0])
    inside = widths[0]
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True), 1):
        outside = 4 * width if bottleneck else width
        for index in range(depth):
            name = f"layer{stage}.{index}"
            sizes = [(width, 1), (width, 3), (outside, 1)] if bottleneck else [(width, 3)] * 2
            before = inside
            for number, (after, kernel) in enumerate(sizes, 1):
                keys |= conv(f"{name}.conv{number}", after, before, kernel, False)
                keys |= norm(f"{name}.bn{number}", after)
                before = after
            if index == 0 and (stage > 1 or bottleneck):
                keys |= conv(f"{name}.downsample.0", outside, inside, 1, False)
                keys |= norm(f"{name}.downsample.1", outside)
            inside = outside
    return keys | (linear("fc", outputs, inside) if outputs else {})


def bisenet(widths: Sequence[int], context: int, fused: int, auxiliary: int, kinds: int) -> Shapes:
    """79999_iter.pth."""

    def pair(name: str, outside: int, inside: int, kernel: int) -> Shapes:
        return conv(f"{name}.conv", outside, inside, kernel, False) | norm(f"{name}.bn", outside)

    below = resnet((2, 2, 2, 2), widths, bottleneck=False)
    keys = {f"cp.resnet.{key}": shape for key, shape in below.items()}
    for name, width in (("arm16", widths[2]), ("arm32", widths[3])):
        keys |= pair(f"cp.{name}.conv", context, width, 3)
        keys |= conv(f"cp.{name}.conv_atten", context, context, 1, False)
        keys |= norm(f"cp.{name}.bn_atten", context)
    keys |= pair("cp.conv_head32", context, context, 3) | pair(
        "cp.conv_head16", context, context, 3
    )
    keys |= pair("cp.conv_avg", context, widths[3], 1)
    keys |= pair("ffm.convblk", fused, widths[1] + context, 1)
    keys |= conv("ffm.conv1", fused // 4, fused, 1, False)
    keys |= conv("ffm.conv2", fused, fused // 4, 1, False)
    heads = (("", fused, fused), ("16", auxiliary, context), ("32", auxiliary, context))
    for name, width, inside in heads:
        keys |= pair(f"conv_out{name}.conv", width, inside, 3)
        keys |= conv(f"conv_out{name}.conv_out", kinds, width, 1, False)
    return keys


def simswap(widths: Sequence[int], first: int, blocks: int, code: int) -> Shapes:
    """`*_net_G.pth`; the steps down are numbered from `first`."""
    keys = conv("first_layer.1", widths[0], 3, 7) | norm("first_layer.2", widths[0])
    for index, (wide, narrow) in enumerate(itertools.pairwise(widths), first):
        keys |= conv(f"down{index}.0", narrow, wide, 3) | norm(f"down{index}.1", narrow)
        keys |= conv(f"up{index}.1", wide, narrow, 3) | norm(f"up{index}.2", wide)
    for index in range(blocks):
        for number in (1, 2):
            name = f"BottleNeck.{index}"
            keys |= conv(f"{name}.conv{number}.1", widths[-1], widths[-1], 3)
            keys |= linear(f"{name}.style{number}.linear", 2 * widths[-1], code)
    return keys | conv("last_layer.1", 3, widths[0], 7)


def faceshifter(encoder: Sequence[int], generator: Sequence[int], code: int) -> Shapes:
    """The `G.` and `E.` parts of MINDsLab's checkpoints."""
    keys: Shapes = {}
    for index, (inside, outside) in enumerate(zip((3, *encoder[:-1]), encoder, strict=True)):
        name = f"E.Encoder.layer_{index}"
        keys |= conv(f"{name}.0", outside, inside, 4) | norm(f"{name}.1", outside)
    attributes = [encoder[-1]]
    for index, width in enumerate(reversed(encoder[:-1])):
        name = f"E.Decoder.layer_{index}"
        keys |= {f"{name}.0.weight": (attributes[-1], width, 4, 4), f"{name}.0.bias": (width,)}
        keys |= norm(f"{name}.1", width)
        attributes.append(2 * width)
    attributes.append(attributes[-1])
    keys |= {"G.convt.weight": (code, generator[0], 2, 2), "G.convt.bias": (generator[0],)}
    ends = zip(generator, (*generator[1:], 3), attributes, strict=True)
    for index, (inside, outside, attribute) in enumerate(ends):
        steps = [(1, inside), (2, outside)] + ([(3, outside)] if inside != outside else [])
        for number, after in steps:
            name = f"G.model.layer_{index}.add{number}"
            keys |= norm(f"{name}.BNorm", inside) | conv(f"{name}.conv_f", inside, inside, 3)
            keys |= linear(f"{name}.fc_1", inside, code) | linear(f"{name}.fc_2", inside, code)
            keys |= conv(f"{name}.conv1", inside, attribute, 3)
            keys |= conv(f"{name}.conv2", inside, attribute, 3)
            keys |= conv(f"G.model.layer_{index}.conv{number}", after, inside, 3)
    return keys


def state(shapes: Shapes, seed: int = 0) -> dict[str, torch.Tensor]:
    """Fill an official state dict with numbers that keep a network's activations in bounds."""
    generator = torch.Generator().manual_seed(seed)
    filled = {}
    for key, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        if key.endswith("num_batches_tracked"):
            noise = torch.zeros(shape, dtype=torch.int64)
        elif key.endswith("running_var") or (len(shape) == 1 and key.endswith("weight")):
            noise = 1 + 0.1 * noise.abs()
        elif len(shape) == 1:
            noise = 0.1 * noise
        else:
            noise = noise / noise[0].numel() ** 0.5
        filled[key] = noise
    return filled


def without(shapes: Shapes, keys: Iterable[str]) -> Shapes:
    """Take tensors out."""
    gone = set(keys)
    return {key: shape for key, shape in shapes.items() if key not in gone}

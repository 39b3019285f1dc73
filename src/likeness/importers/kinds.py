"""The literal table of published checkpoints that can be imported.

Licenses are what the publishers state; none of these files comes with likeness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from likeness.importers.published import Family, Input, Kind, License, Slot
from likeness.nets import (
    identity_faceshifter,
    identity_iresnet,
    identity_simswap,
    inversion,
    regions,
)
from likeness.nets.checkpoints import Shapes
from likeness.nets.identity_faceshifter import FaceShifterIdentityConfig
from likeness.nets.identity_iresnet import IResNetConfig
from likeness.nets.identity_simswap import SimSwapIdentityConfig
from likeness.nets.inversion import InversionConfig
from likeness.nets.regions import RegionsConfig
from likeness.synthesize import autoencoder_published, faceshifter, simswap, stylegan_published
from likeness.synthesize.autoencoder import AutoencoderConfig
from likeness.synthesize.faceshifter import AEIConfig
from likeness.synthesize.simswap import SimSwapConfig
from likeness.synthesize.stylegan import StyleganConfig

_RGB = "RGB in [0, 1]"
_UNIT = "unit length"


def _simswap(config: SimSwapConfig) -> tuple[Input, ...]:
    crop = "five points to SimSwap's template: arcface at 224 pixels, ffhq at 512"
    size = "a multiple of " + str(2 ** (len(config.widths) - 1))
    template = "ffhq_512" if len(config.widths) > 4 else "simswap_224"
    picture = Input("rgb", (3, size, size), _RGB, crop, template)
    return picture, Input("code", (config.code,), _UNIT)


def _faceshifter(config: AEIConfig) -> tuple[Input, ...]:
    size = config.size
    crop = "aligned like FFHQ"
    return Input("rgb", (3, size, size), _RGB, crop, "ffhq_512"), Input(
        "code", (config.code,), _UNIT
    )


def _identity(
    config: IResNetConfig | SimSwapIdentityConfig,
) -> tuple[Input, ...]:
    crop = "five points to the 112 template; SimSwap's recognizer: SimSwap's crop, nearest pixels"
    template = "arcface_112" if isinstance(config, IResNetConfig) else "simswap_224"
    return (Input("rgb", (3, config.size, config.size), _RGB, crop, template),)


def _whole_picture(config: FaceShifterIdentityConfig) -> tuple[Input, ...]:
    return (Input("rgb", (3, "any", "any"), _RGB, "the source's whole aligned picture"),)


def _regions(config: RegionsConfig) -> tuple[Input, ...]:
    return (
        Input("rgb", (3, 512, 512), _RGB, "an aligned face with its hair, like FFHQ", "ffhq_512"),
    )


def _stylegan(config: StyleganConfig) -> tuple[Input, ...]:
    return (Input("z", (config.latent,), "normal; or codes of W, W+ or S"),)


def _inversion(config: InversionConfig) -> tuple[Input, ...]:
    crop = "an aligned face as the generator draws it, FFHQ's alignment, made smaller"
    return (Input("rgb", (3, config.size, config.size), _RGB, crop, "ffhq_512"),)


def _autoencoder(config: AutoencoderConfig) -> tuple[Input, ...]:
    crop = "DeepFaceLab's alignment of the face type that the model was trained for"
    return (Input("rgb", (3, config.size, config.size), _RGB, crop),)


def _infer_simswap(
    shapes: Shapes, space: Literal["unit", "imagenet"] | None = None
) -> SimSwapConfig:
    found = simswap.infer(shapes)
    return replace(found, space=space) if space else found


SIMSWAP = Family(
    "simswap",
    (
        (
            "first_layer.1.weight",
            "BottleNeck.0.style1.linear.weight",
            "last_layer.1.weight",
        ),
    ),
    _infer_simswap,
    simswap.rename,
    _simswap,
    hints=("space",),
)
SIMSWAP_IDENTITY = Family(
    "identity_simswap",
    (("layer1.0.prelu.weight", "layer1.0.bn0.weight", "bn3.weight", "fc.weight"),),
    identity_simswap.infer,
    identity_simswap.rename,
    _identity,
)
IRESNET = Family(
    "identity_iresnet",
    (("layer1.0.prelu.weight", "layer1.0.bn3.weight", "features.weight", "fc.weight"),),
    identity_iresnet.infer,
    identity_iresnet.rename,
    _identity,
)
FACESHIFTER = Family(
    "faceshifter",
    (("G.convt.weight", "E.Encoder.layer_0.0.weight"),),
    faceshifter.infer,
    faceshifter.rename,
    _faceshifter,
    parts=("G.", "E."),
)
FACESHIFTER_IDENTITY = Family(
    "identity_faceshifter",
    (("layer1.0.conv3.weight", "layer1.0.downsample.0.weight", "fc.weight"),),
    identity_faceshifter.infer,
    identity_faceshifter.rename,
    _whole_picture,
)
STYLEGAN = Family(
    "stylegan",
    (
        ("synthesis.b4.const", "mapping.fc0.weight"),
        ("input.input", "style.1.weight", "conv1.conv.weight"),
    ),
    stylegan_published.infer,
    stylegan_published.rename,
    _stylegan,
    beside=("latent_avg",),
)
INVERSION = Family(
    "inversion",
    (("input_layer.0.weight", "body.0.res_layer.0.weight", "styles.0.linear.weight"),),
    inversion.infer,
    inversion.rename,
    _inversion,
    beside=("latent_avg",),
)
AUTOENCODER = Family(
    "autoencoder",
    (
        ("encoder/down1/downs_0/conv1/weight:0", "inter/dense1/weight:0"),
        ("encoder/down1/conv1/weight:0", "inter/dense1/weight:0"),
        ("encoder/down1/downs_0/conv1/weight:0", "inter_AB/dense1/weight:0"),
        ("encoder/down1/conv1/weight:0", "inter_AB/dense1/weight:0"),
    ),
    autoencoder_published.infer,
    autoencoder_published.rename,
    _autoencoder,
    hints=("archi",),
)
REGIONS = Family(
    "regions",
    (("cp.resnet.conv1.weight", "ffm.convblk.conv.weight", "conv_out.conv_out.weight"),),
    regions.infer,
    regions.rename,
    _regions,
)

KINDS: Mapping[str, Kind] = {
    "simswap": Kind(
        "swap.simswap",
        "SimSwap (Chen et al. 2020): puts the identity of a code on any face",
        ("any-to-any face swap, together with SimSwap's recognizer (arcface)",),
        License("CC-BY-NC-4.0", commercial=False),
        (Slot("generator", (SIMSWAP,)),),
    ),
    "arcface": Kind(
        "identity.arcface",
        "ArcFace recognizer (Deng et al. 2019): SimSwap's or InsightFace's, by the keys",
        ("identity codes for SimSwap or inswapper", "identity metrics"),
        License("non-commercial research (InsightFace models; SimSwap CC-BY-NC-4.0)", False),
        (Slot("identity", (SIMSWAP_IDENTITY, IRESNET)),),
    ),
    "faceshifter": Kind(
        "swap.faceshifter",
        "FaceShifter's AEI-Net (Li et al. 2019) as MINDsLab trained it",
        ("any-to-any face swap",),
        License("code BSD-3-Clause; no terms stated for trained weights", commercial=False),
        (
            Slot("generator", (FACESHIFTER,)),
            Slot("identity", (FACESHIFTER_IDENTITY,), required=False),
        ),
    ),
    "stylegan2": Kind(
        "edit.stylegan2",
        "StyleGAN2 generator (Karras et al. 2020), stylegan2-ada or rosinality layout",
        ("semantic edits of real video, together with e4e", "pictures of invented faces"),
        License("NVIDIA Source Code License (non-commercial)", commercial=False),
        (Slot("generator", (STYLEGAN,)),),
        extras=("pivots", "quads"),
    ),
    "e4e": Kind(
        "edit.e4e",
        "e4e encoder (Tov et al. 2021), and the StyleGAN2 generator that it was trained with",
        ("inversion of real faces to W+ codes, for edits with stylegan2",),
        License("code MIT; the generator inside NVIDIA Source Code License, non-commercial", False),
        (Slot("encoder", (INVERSION,)), Slot("generator", (STYLEGAN,), required=False)),
    ),
    "dfl": Kind(
        "swap.autoencoder",
        "DeepFaceLab SAEHD autoencoder (Perov et al. 2020), DF or LIAE",
        ("one-to-one face swap", "export to .dfm"),
        License("the trainer's own terms, which the files do not state", commercial=False),
        (Slot("generator", (AUTOENCODER,)),),
        files="deepfacelab",
    ),
    "bisenet": Kind(
        "regions.bisenet",
        "BiSeNet face parser (Yu et al. 2018), 19 regions of CelebAMask-HQ",
        ("masks for swaps and edits", "metrics by region"),
        License("code MIT; data CelebAMask-HQ, non-commercial research", commercial=False),
        (Slot("regions", (REGIONS,)),),
    ),
}
"""Every kind by its name on the command line; files of ONNX stand in `onnx_files`."""

"""The table of published swap networks and recognizers that come as ONNX files.

One row is one way of being called: what a graph does not say of itself. Facts follow the public
programs that run these files; licenses are what publishers state. A digest tells a file without a
doubt; digests were taken from lists that public programs pin their downloads to. No official file
could be opened where this was written.

facefusion's `arcface_112_v1` is the frontal row of SimSwap's templates, here `simswap_224`. A
template is scaled from corner to corner, which is ReSwapper's half pixel at 256; facefusion scales
from the center of the first pixel and lies up to half a pixel beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from likeness.importers.published import License
from likeness.synthesize.swap_contract import SwapContract


@dataclass(frozen=True)
class SwapFamily:
    """Files that are called alike."""

    contract: SwapContract
    about: str
    license: License
    published: str
    """Who publishes it, and which programs carry it."""
    files: Mapping[str, str] = field(default_factory=dict)
    """sha256 of known files, and their names."""
    inputs: tuple[str, ...] = ()
    """Names of inputs that together no other family has."""
    outputs: tuple[str, ...] = ()
    """Names of outputs of which no other family has any."""
    maps: tuple[str, ...] = ()
    """Names that its map of codes has in the graph."""

    @property
    def name(self) -> str:
        """What `--family` calls it."""
        return self.contract.family


_INSIGHTFACE = License("InsightFace models: non-commercial research only", commercial=False)
_SIMSWAP = License("CC-BY-NC-4.0", commercial=False)
_UNSTATED = License("no terms stated, so none are granted", commercial=False)
_RESEARCH_RAIL = License("ResearchRAIL-MS: research only", commercial=False)
_APACHE = License("Apache-2.0 (GHOST)", commercial=True)
_FACEFUSION = "facefusion-assets"

_ROWS = (
    SwapFamily(
        SwapContract("inswapper_128", 128, "arcface_128", form="mapped"),
        "InsightFace's inswapper",
        _INSIGHTFACE,
        "InsightFace; half precision by facefusion, Rope, VisoMaster",
        {
            "e4a3f08c753cb72d04e10aa0f7dbe3deebbf39567d4ead6dce08e98aa49e16af": "inswapper_128",
            "6d51a9278a1f650cffefc18ba53f38bf2769bf4bbff89267822cf72945f8a38b": "fp16, VisoMaster",
            "98fae14454ae714f31b4fe43a8907661c6b496ccbc5cb62c7219d8196d92bf21": "fp16, facefusion",
            "c4eccca86ad177586c85c28bf1a64a9d9ed237e283a15818d831f7facfd3f420": "fp16, facefusion",
        },
        maps=("buff2fs",),
    ),
    SwapFamily(
        SwapContract("reswapper_128", 128, "arcface_128", form="mapped"),
        "ReSwapper, trained to answer as inswapper does",
        License("AGPL-3.0; distilled from inswapper", commercial=False),
        "somanchiu/ReSwapper",
        maps=("emap",),
    ),
    SwapFamily(
        SwapContract("reswapper_256", 256, "arcface_128", form="mapped"),
        "ReSwapper at 256 pixels",
        License("AGPL-3.0; distilled from inswapper", commercial=False),
        "somanchiu/ReSwapper",
        maps=("emap",),
    ),
    SwapFamily(
        SwapContract("instyleswapper_256", 256, "arcface_128", form="mapped"),
        "InStyleSwapper A, B or C",
        _UNSTATED,
        "visomaster-assets",
        {
            "0e0ef024b935abca69fd367a385200ed46b83a3cc618287ffe89440e2cc646da": "version A",
            "0870b6c75eaea239bdd72b6c6d0910cb285310736e356c17a2cd67a961738116": "version B",
            "6eaefc04cfb1461222ab72a814ad5b5673ab1af4267f7eb9054e308797567cde": "version C",
        },
    ),
    SwapFamily(
        SwapContract("inswapper_256_phase1", 256, "arcface_128", form="mapped"),
        "inswapper refined to 256 pixels",
        _INSIGHTFACE,
        "third parties",
        inputs=("target256",),
        outputs=("p2_refined",),
    ),
    SwapFamily(
        SwapContract("hyperswap_256", 256, "arcface_128", "signed", "signed", mask=True),
        "hyperswap 1a, 1b or 1c",
        _RESEARCH_RAIL,
        f"{_FACEFUSION} 3.3",
        {
            "c0e98a8a03a238f461ed3d2570e426b49f46745ee400854a60dceeb70c246add": "1a",
            "5124031789c42f71b9558fb71954ef7aedb6da7ed9fac79293e23c61a792a73e": "1b",
            "5528c2d76fe9986c99d829278987ef9f3a630cb606db7628d02b57b330f406a5": "1c",
        },
    ),
    SwapFamily(
        SwapContract("alphaface_256", 256, "arcface_128", form="raw"),
        "AlphaFace",
        License("non-commercial, as its publisher states", commercial=False),
        f"{_FACEFUSION} 3.9",
    ),
    SwapFamily(
        SwapContract(
            "ghost_256",
            256,
            "simswap_224",
            "signed",
            "signed",
            form="raw",
            space="ghost",
            converter="ghost",
        ),
        "GHOST 1, 2 or 3",
        _APACHE,
        f"ai-forever/ghost; {_FACEFUSION} 3.0; visomaster-assets",
        {
            "304a86bccb325e7fcf5ab4f4f84ba5172e319bccc9de15d299bb436746e2e024": "unet_1_block",
            "25b72c107aabe27fc65ac5bf5377e58eda0929872d4dd3de5d5a9edefc49fa9f": "unet_2_block",
            "f471d4f322903da2bca360aa0d7ab9922e3b0001d683f825ca6b15d865382935": "unet_3_block",
        },
        outputs=("781", "1165", "1549"),
    ),
    SwapFamily(
        SwapContract(
            "simswap_256",
            256,
            "simswap_224",
            "imagenet",
            space="simswap",
            converter="simswap",
        ),
        "SimSwap at 256 pixels",
        _SIMSWAP,
        f"neuralchen/SimSwap; {_FACEFUSION} 3.0",
    ),
    SwapFamily(
        SwapContract(
            "simswap_unofficial_512", 512, "simswap_224", space="simswap", converter="simswap"
        ),
        "SimSwap at 512 pixels, unofficial",
        _SIMSWAP,
        f"{_FACEFUSION} 3.0; visomaster-assets",
        {
            "fe805d1ce7d9e66322e2a8811f593a821e7d92f9ff861dd233794bdb2bb7a586": "facefusion",
            "08c6ca9c0a65eff119bea42686a4574337141de304b9d26e2f9d11e78d9e8e86": "VisoMaster",
        },
    ),
    SwapFamily(
        SwapContract(
            "hififace_unofficial_256",
            256,
            "mtcnn_512",
            "signed",
            "signed",
            space="hififace",
            converter="hififace",
        ),
        "HifiFace, unofficial",
        _UNSTATED,
        f"GuijiAI; {_FACEFUSION} 3.1",
    ),
    SwapFamily(
        SwapContract(
            "blendswap_256",
            256,
            "ffhq_512",
            source="picture",
            source_size=112,
            source_template="arcface_112",
        ),
        "BlendSwap of BlendFace",
        License("CC-BY-NC-SA-4.0 (BlendFace)", commercial=False),
        f"mapooon/BlendFace; {_FACEFUSION} 3.0",
    ),
    SwapFamily(
        SwapContract(
            "uniface_256",
            256,
            "ffhq_512",
            "signed",
            "signed",
            source="picture",
            source_size=256,
            source_template="ffhq_512",
        ),
        "UniFace (ECCV 2022)",
        _UNSTATED,
        f"xc-csc101/UniFace; {_FACEFUSION} 3.0",
    ),
    SwapFamily(
        SwapContract(
            "cscs_256",
            256,
            "ffhq_512",
            "signed",
            "signed",
            form="sum",
            space="cscs",
            adapter="cscs_adapter",
        ),
        "CSCS",
        _UNSTATED,
        "ICTMCG/CSCS; visomaster-assets",
        {"664f8f7cab655b825fe8cf57ab90bfbcbb0acf75eab8e7771c824f18bdb28b67": "cscs_256"},
        inputs=("input_1", "input_2"),
    ),
)
SWAPS: Mapping[str, SwapFamily] = {row.name: row for row in _ROWS}
"""Every family of any-to-any swap networks by its name."""


@dataclass(frozen=True)
class RecognizerFamily:
    """Recognizers whose codes are in one space."""

    space: str
    """What swap networks call it."""
    about: str
    license: License
    template: str = "arcface_112"
    enter: Literal["signed", "imagenet"] = "signed"
    shrink: Literal["bilinear", "nearest"] = "bilinear"
    files: Mapping[str, str] = field(default_factory=dict)
    """sha256 of known files, and their names."""


_KNOWN = (
    RecognizerFamily(
        "w600k",
        "InsightFace's recognizer of buffalo_l",
        _INSIGHTFACE,
        files={
            "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43": "w600k_r50",
            "f1f79dc3b0b79a69f94799af1fffebff09fbd78fd96a275fd8f0cbbea23270d1": "facefusion's",
        },
    ),
    RecognizerFamily(
        "ghost",
        "GHOST's recognizer",
        License("GHOST Apache-2.0; trained by InsightFace, non-commercial", commercial=False),
        template="simswap_224",
        files={"18bb8057d1cd3ca39411b8a4dde485fa55783e08ceecaf2352f551ca39cd1357": "backbone"},
    ),
    RecognizerFamily(
        "simswap",
        "SimSwap's recognizer",
        _SIMSWAP,
        template="simswap_224",
        enter="imagenet",
        shrink="nearest",
        files={"58949c864ab4a89012aaefc117f1ab8548c5f470bbc3889474bca13a412fc843": "arcface"},
    ),
    RecognizerFamily(
        "cscs",
        "CSCS's recognizer",
        _UNSTATED,
        template="ffhq_512",
        files={"cd81a1745a736402d100d32c362918aee46d9a3f58c9c5ecbf0e415cf2df9dc0": "arcface"},
    ),
    RecognizerFamily(
        "cscs_adapter",
        "CSCS's second recognizer",
        _UNSTATED,
        template="ffhq_512",
        files={"288ee88fa208e64846261f9c16f19362db000074b2f4c9000ea49b2311a6d55b": "id_adapter"},
    ),
    RecognizerFamily("other", "an ArcFace recognizer that no swap network here was trained with",
                     _INSIGHTFACE),
)  # fmt: skip
RECOGNIZERS: Mapping[str, RecognizerFamily] = {row.space: row for row in _KNOWN}
"""Every recognizer of an ONNX file by its space."""

CONVERTERS: Mapping[str, Mapping[str, str]] = {
    "ghost": {},
    "hififace": {},
    "simswap": {
        "6452a261ec30cc30afdbe4a426d82c3b10a476f2df794e3494071c02574e6829": "crossface_simswap"
    },
}
"""CrossFace's converters by whose codes come out: sha256 of known files, and their names."""
CROSSFACE = License("OpenRAIL-MS (CrossFace)", commercial=False)
CONVERTER = "crossface_"
"""What `--family` puts before a converter's destination, and `arcface_` before a recognizer's."""
RECOGNIZER = "arcface_"

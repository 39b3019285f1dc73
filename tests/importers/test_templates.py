"""What a network is fed travels with its weights, as a row of one table."""

from __future__ import annotations

from likeness.condition.align import TEMPLATES
from likeness.importers import kinds
from likeness.importers.kinds import _identity, _inversion, _regions, _simswap
from likeness.importers.published import Input
from likeness.nets.identity_iresnet import IResNetConfig
from likeness.nets.identity_simswap import SimSwapIdentityConfig
from likeness.nets.inversion import InversionConfig
from likeness.nets.regions import RegionsConfig
from likeness.synthesize.simswap import SimSwapConfig


def test_every_picture_of_an_aligned_face_names_its_template() -> None:
    told: list[Input] = [
        *_simswap(SimSwapConfig()),
        *_identity(IResNetConfig()),
        *_identity(SimSwapIdentityConfig()),
        *_inversion(InversionConfig()),
        *_regions(RegionsConfig()),
        *kinds._faceshifter(kinds.AEIConfig()),
    ]
    pictures = [one for one in told if one.crop]
    assert len(pictures) == 6
    assert {one.template for one in pictures} == {"simswap_224", "arcface_112", "ffhq_512"}
    assert {one.template for one in pictures} <= set(TEMPLATES)
    assert all(one.template is None for one in told if not one.crop)

"""What a df network begins from: one that has seen procedural actors, and no real face.

Drawing a face, and telling what it does apart from whose it is, is the same for all people. The
shipped network has learned both from actors (`pretraining`; `scripts/make_swap_start.py` makes it),
so that two people's minutes go into what is theirs. DeepFaceLab pretrains on strangers likewise.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from likeness.store import load_bundle
from likeness.synthesize.autoencoder import Autoencoder, AutoencoderConfig
from likeness.types import Bundle

PLACE = Path(__file__).parent / "actors.bundle"
"""The bundle's folder."""
SHAPE = AutoencoderConfig(
    "df", 96, normalized=True, doubled=True, inter=96, encoder=32, decoder=16, mask=6
)
"""The network that has a start: what ten to ninety core minutes take."""
FACE_TYPE = "full"
"""How its faces are cut."""


@cache
def shipped_start() -> Bundle:
    """Read the shipped network.

    Raises:
        BundleError: the installation is damaged.
    """
    return load_bundle(PLACE)


def begin(network: Autoencoder) -> None:
    """Give a network of `SHAPE` the shipped weights; its second decoder waits for `tasks.begun`.

    Raises:
        BundleError: the installation is damaged.
    """
    known = shipped_start().networks["generator"].tensors
    shared = {name: value.float() for name, value in known.items()}
    network.load_state_dict(network.state_dict() | shared)

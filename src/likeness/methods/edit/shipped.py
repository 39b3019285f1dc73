"""The generator that comes with the package: made from procedural actors, so that all of it runs.

It is small (64 pixels) and knows nobody: for real faces import StyleGAN2's weights. How it was
made: `scripts/make_generator.py`.
"""

from __future__ import annotations

from pathlib import Path

from likeness.store import load_bundle
from likeness.types import Bundle

PLACE = Path(__file__).parent / "actors.bundle"
"""The bundle's folder."""


def shipped_generator() -> Bundle:
    """Read the shipped generator, its encoder and its directions.

    Raises:
        BundleError: the installation is damaged.
    """
    return load_bundle(PLACE)

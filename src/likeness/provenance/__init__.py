"""Marking: who agreed, what was made, and how to tell."""

from likeness.provenance.manifest import (
    COMPOSITE,
    SYNTHETIC,
    Ingredient,
    Manifest,
    sha256_of,
    sidecar_of,
)

__all__ = ["COMPOSITE", "SYNTHETIC", "Ingredient", "Manifest", "sha256_of", "sidecar_of"]

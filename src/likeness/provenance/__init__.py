"""Marking: who agreed, what was made, and how to tell."""

from likeness.provenance.manifest import (
    COMPOSITE,
    SYNTHETIC,
    Ingredient,
    Manifest,
    sha256_of,
    sidecar_of,
)
from likeness.provenance.reading import ManifestReading, read_manifest

__all__ = [
    "COMPOSITE",
    "SYNTHETIC",
    "Ingredient",
    "Manifest",
    "ManifestReading",
    "read_manifest",
    "sha256_of",
    "sidecar_of",
]

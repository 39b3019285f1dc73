"""Marking: who agreed, what was made, and how to tell."""

from likeness.provenance.credentials import Credentials, load_credentials, trust_anchors
from likeness.provenance.manifest import (
    COMPOSITE,
    RENDERED,
    SYNTHETIC,
    Ingredient,
    Manifest,
    sha256_of,
    sidecar_of,
)
from likeness.provenance.reading import ManifestReading, read_manifest

__all__ = [
    "COMPOSITE",
    "RENDERED",
    "SYNTHETIC",
    "Credentials",
    "Ingredient",
    "Manifest",
    "ManifestReading",
    "load_credentials",
    "read_manifest",
    "sha256_of",
    "sidecar_of",
    "trust_anchors",
]

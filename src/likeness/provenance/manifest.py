"""What was made, from what, by what and with whose consent: the mark every output carries.

The manifest is signed (`signing`), written into the container's metadata and, whatever the
container can hold, beside the output as `OUTPUT.manifest.json`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from likeness.errors import MediaError
from likeness.files import sha256_of_file

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SYNTHETIC = _IPTC + "trainedAlgorithmicMedia"
"""Digital source type of a picture that a model painted whole."""
RENDERED = _IPTC + "algorithmicMedia"
"""Digital source type of a picture that a program drew without any sampled training data."""
COMPOSITE = _IPTC + "compositeWithTrainedAlgorithmicMedia"
"""Digital source type of a camera picture with parts that a model painted."""

LONGEST = 1 << 20
"""Characters of a manifest; an honest one takes a few thousand."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
STATEMENT = "Synthetic media: this video shows a face that was changed or made by software."


def sha256_of(path: Path) -> str:
    """Return the hexadecimal sha256 of a regular file's bytes.

    Raises:
        MediaError: The file cannot be read.
    """
    return sha256_of_file(path, MediaError)


def _software() -> str:
    try:
        return f"likeness {version('likeness')}"
    except PackageNotFoundError:
        return "likeness (not installed)"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class Ingredient:
    """Something that the output was made from."""

    role: str
    """target, driver, source, bundle or sound."""
    name: str
    """File name without folders."""
    sha256: str
    """Of the file's bytes, hexadecimal."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The statement that a video is synthetic, and how it came to be."""

    title: str
    action: str
    """What was done: reenact, swap, edit, animate, dub, render."""
    ingredients: tuple[Ingredient, ...] = ()
    software: str = field(default_factory=_software)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Resolved settings as JSON values."""
    people: tuple[Mapping[str, Any], ...] = ()
    """Who is shown, in which role, and on which consent, as JSON values."""
    digital_source_type: str = COMPOSITE
    """IPTC code: `COMPOSITE`, `SYNTHETIC` or `RENDERED`."""
    created: str = field(default_factory=_now)
    """Time in UTC, ISO 8601."""

    @property
    def consent(self) -> tuple[str, ...]:
        """Digests of the consent records that the work relies on."""
        found = (str(person.get("consent", "")) for person in self.people)
        return tuple(digest for digest in found if _DIGEST.fullmatch(digest))

    def json(self) -> str:
        """Return the manifest as JSON with keys in stable order."""
        content = {"statement": STATEMENT, **asdict(self)}
        return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)

    def digest(self) -> str:
        """Return the hexadecimal sha256 of `json()` in UTF-8."""
        return hashlib.sha256(self.json().encode()).hexdigest()

    def marks(self) -> dict[str, str]:
        """Return container metadata: a statement with the digest, and the whole manifest."""
        return {
            "comment": f"{STATEMENT} Manifest sha256 {self.digest()}",
            "description": self.json(),
        }

    @staticmethod
    def parse(text: str) -> Manifest:
        """Read what `json()` wrote.

        Raises:
            MediaError: The text is not a manifest.
        """
        if len(text) > LONGEST:
            raise MediaError(
                f"the manifest takes {len(text)} characters, expected {LONGEST} at most: this "
                "program writes none so long"
            )
        try:
            content = json.loads(text)
            # Halves of characters, which JSON can spell, could be neither printed nor written.
            json.dumps(content, ensure_ascii=False).encode()
            if isinstance(content, dict):
                content.pop("statement", None)
            return TypeAdapter(Manifest).validate_python(content)
        except (ValueError, RecursionError, OverflowError) as error:
            # Of what a stranger wrote, only the kind of fault is told.
            raise MediaError(
                f"the manifest cannot be read ({type(error).__name__}); expected the JSON that "
                "this program writes"
            ) from error


PENDING = "picture-stream-digest-follows".ljust(64, "-")
"""Stands in an MP4's or MOV's metadata, as long as a sha256, until the pictures are coded."""


def sidecar_of(output: Path) -> Path:
    """Return the path of the manifest that stands beside `output` (a file, folder or pattern)."""
    return output.with_name(f"{output.name}.manifest.json")

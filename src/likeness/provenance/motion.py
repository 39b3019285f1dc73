"""Motion as a file: a capture, a table of edits, a shot. What moved there was a person, too.

A table says from which clip it was made by the name of a column without values,
`made_from_` and the clip's sha256: spreadsheets keep it, other readers pass over it. It is a
statement like any in a text file: it names what to look for, and frees from nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from likeness.controls import clip_in
from likeness.errors import MediaError
from likeness.files import why_unreadable
from likeness.provenance.digests import digest_of
from likeness.provenance.manifest import Ingredient
from likeness.types import Clip

_HEADER = 1 << 16
"""Bytes in which the line of column names ends; an honest one takes two thousand."""
_TEXT = (".shot", ".csv")
_INDEX = 1 << 26
"""Bytes of a shot's index; most hold a few thousand."""


@dataclass(frozen=True)
class Motion:
    """A file that holds somebody's motion, as facts."""

    path: Path
    digest: str
    """sha256 of the file's bytes, hexadecimal; of a shot's index, which pins its arrays."""
    clip: str | None = None
    """sha256 of the clip that it was made from, where the file says so."""

    @property
    def ingredient(self) -> Ingredient:
        """How a manifest names it."""
        return Ingredient("driver", self.path.name, self.digest)


def open_motion(path: Path) -> Motion:
    """Read what a file of motion says of itself.

    Args:
        path: A capture or table (.csv), or a NAME.shot.

    Raises:
        MediaError: The file is missing, no regular file, or cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        index = path / "shot.json"
        return Motion(path, digest_of(index), _clip_of_shot(index))
    digest = digest_of(path)
    with path.open("rb") as file:
        header = file.readline(_HEADER).decode("utf-8-sig", errors="replace")
    names = header.replace(";", ",").replace("\t", ",").split(",")
    return Motion(path, digest, clip_in(name.strip().strip('"') for name in names))


def driven_by(path: Path, clip: Clip | None = None) -> Clip | Motion:
    """Return what a permission is asked for: the clip itself, or the file of motion.

    A shot or a table is text: that it was made from a clip which needs no consent is a claim.

    Args:
        path: What the user named as driver.
        clip: The clip that shows the driver, where there is one.

    Raises:
        MediaError: The file of motion cannot be read.
    """
    if clip is None or path.suffix.lower() in _TEXT:
        return open_motion(path)
    return clip


def _clip_of_shot(index: Path) -> str | None:
    try:
        if index.stat().st_size > _INDEX:
            return None
        found = json.loads(index.read_text(encoding="utf-8"))["clip"]["digest"]
    except OSError as error:
        raise MediaError(f"{index} cannot be read: {why_unreadable(error)}") from error
    except (ValueError, KeyError, TypeError, RecursionError):
        # Whoever reads the shot itself says what is wrong with it.
        return None
    return found if isinstance(found, str) else None

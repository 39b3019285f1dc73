"""Sign what was written: a C2PA manifest inside the file, or beside it where it has no place.

Follows the C2PA specification 2.2 (claims of version 2, actions v2, ingredients v3) through
c2pa-python. The network is never asked, except for a time stamp where the user named a server.

The library hashes in parts of 256 MB, two at a time: signing and reading hold as much as the file
is large, and half a gigabyte at most.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from likeness.errors import MediaError
from likeness.provenance.credentials import Credentials
from likeness.provenance.manifest import COMPOSITE, Ingredient, Manifest

STATEMENT_LABEL = "likeness.statement"
"""Assertion that holds our own, fuller record: `Manifest` as JSON and the essence."""

FORMATS = {
    ".mp4": "video/mp4",
    ".m4v": "video/x-m4v",
    ".mov": "video/quicktime",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
"""What we write and C2PA can be put into; anything else gets its manifest beside it."""
UNKNOWN = "application/octet-stream"

_OFFLINE = {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False}
_BUILDER = {
    # A thumbnail would be a second, unmarked copy of the picture.
    "thumbnail": {"enabled": False},
    "actions": {
        "auto_created_action": {"enabled": False},
        "auto_opened_action": {"enabled": False},
        "auto_placed_action": {"enabled": False},
    },
}


@dataclass(frozen=True)
class Content:
    """What was written, as bytes that a signature can cover."""

    files: tuple[Path, ...]
    """A file, or the pictures of a sequence in their order."""

    def open(self, opened: ExitStack) -> BinaryIO | Joined:
        """Open it for reading as one stream of bytes."""
        if len(self.files) == 1:
            return opened.enter_context(self.files[0].open("rb"))
        return opened.enter_context(Joined(self.files))


class Joined(io.RawIOBase):
    """Several files read as one, without holding them."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._starts = [0]
        for file in self._files:
            self._starts.append(self._starts[-1] + file.stat().st_size)
        self._at = 0
        self._number = -1
        self._open: BinaryIO | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return the position over all files."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position over all files."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read from one file; the next call goes on in the next."""
        if self._at >= self._starts[-1]:
            return 0
        number = next(i for i in self._order() if self._starts[i] <= self._at < self._starts[i + 1])
        if number != self._number or self._open is None:
            self._shut()
            self._number, self._open = number, self._files[number].open("rb")
        self._open.seek(self._at - self._starts[number])
        length = min(len(buffer), self._starts[number + 1] - self._at)
        data = self._open.read(length)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _order(self) -> Iterator[int]:
        """Files to look in, the likely ones first."""
        near = [i for i in (self._number, self._number + 1) if 0 <= i < len(self._files)]
        yield from near
        yield from (i for i in range(len(self._files)) if i not in near)

    def _shut(self) -> None:
        if self._open is not None:
            self._open.close()

    def close(self) -> None:
        """Close what is open."""
        self._shut()
        super().close()


def format_of(path: Path) -> str:
    """Return the MIME type that C2PA handles a file as."""
    return FORMATS.get(path.suffix.lower(), UNKNOWN)


def detached_of(output: Path) -> Path:
    """Return the path of a C2PA manifest beside `output` (a file, folder or pattern)."""
    return output.with_name(f"{output.name}.c2pa")


def sign_into(
    source: Path, signed: Path, manifest: Manifest, essence: str | None, by: Credentials
) -> None:
    """Write a copy of a file with its signed manifest inside.

    Args:
        source: The finished file, in a format of `FORMATS`.
        signed: The copy to write; its samples, time stamps and sound are the same bytes.
        manifest: What is stated.
        essence: sha256 of the coded picture stream, None for pictures.
        by: Who signs.

    Raises:
        MediaError: It cannot be signed or written.
    """
    with source.open("rb") as reading, signed.open("w+b") as writing:
        _sign(reading, writing, format_of(source), manifest, essence, by, detached=False)


def sign_beside(
    content: Content, manifest: Manifest, essence: str | None, by: Credentials
) -> bytes:
    """Return a signed manifest for content that cannot hold one.

    Args:
        content: The finished file, or all pictures of a sequence in order.
        manifest: What is stated.
        essence: sha256 of the coded picture stream, None for pictures.
        by: Who signs.

    Raises:
        MediaError: It cannot be signed.
    """
    with ExitStack() as opened:
        # With no place to put it the library copies the input; the copy is of no use.
        away = opened.enter_context(_Nowhere())
        reading = content.open(opened)
        return _sign(reading, away, UNKNOWN, manifest, essence, by, detached=True)


class _Nowhere(io.RawIOBase):
    """Takes what is written and forgets it, but remembers how much it was."""

    def __init__(self) -> None:
        self._at = self._size = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def write(self, data: Any) -> int:
        self._at += len(data)
        self._size = max(self._size, self._at)
        return len(data)

    def readinto(self, buffer: Any) -> int:
        return 0


def _sign(
    reading: BinaryIO | Joined,
    writing: Any,
    kind: str,
    manifest: Manifest,
    essence: str | None,
    by: Credentials,
    *,
    detached: bool,
) -> bytes:
    # The library is loaded here, as its 23 MB would slow down every import of this package.
    import c2pa

    settings = {"verify": _OFFLINE, "builder": _BUILDER}
    stamp = by.time_stamp.encode() if by.time_stamp else None
    about = c2pa.C2paSignerInfo(by.algorithm.encode(), by.chain.encode(), by.key.encode(), stamp)
    try:
        with (
            c2pa.Context.from_dict(settings) as context,
            c2pa.Signer.from_info(about) as signer,
            c2pa.Builder(claim(manifest, essence, kind), context=context) as builder,
        ):
            if detached:
                builder.set_no_embed()
            signed: bytes = builder.sign(signer, kind, reading, writing)
            return signed
    except c2pa.C2paError as error:
        server = f" and that {by.time_stamp} can be reached" if by.time_stamp else ""
        raise MediaError(
            f"the output cannot be signed ({error}); nothing is written unsigned: check the chain "
            f"and key in signing.toml{server}"
        ) from error


def claim(manifest: Manifest, essence: str | None, kind: str) -> dict[str, Any]:
    """Return the manifest in C2PA's words.

    A picture of which a part was painted by a model is the target, opened and edited; one that a
    model painted whole was created, and everything it was made from was input.
    """
    name, _, version = manifest.software.partition(" ")
    edited = manifest.digital_source_type == COMPOSITE
    parent = next((i for i in manifest.ingredients if i.role == "target"), None) if edited else None
    made: dict[str, Any] = {
        "action": "c2pa.edited" if edited else "c2pa.created",
        "when": manifest.created,
        "softwareAgent": {"name": name, "version": version},
        "digitalSourceType": manifest.digital_source_type,
        "description": manifest.action,
    }
    # Roles may repeat, as with two sources; labels may not.
    labels = {id(i): f"{i.role}.{n}" for n, i in enumerate(manifest.ingredients)}
    inputs = [labels[id(i)] for i in manifest.ingredients if i is not parent]
    if inputs:
        made["parameters"] = {"ingredientIds": inputs}
    actions = [made]
    if edited:
        opened: dict[str, Any] = {"action": "c2pa.opened", "when": manifest.created}
        if parent is not None:
            opened["parameters"] = {"ingredientIds": [labels[id(parent)]]}
        else:
            # Every list of actions begins with how the asset came about.
            opened = {**made, "action": "c2pa.created"}
        actions.insert(0, opened)
    # Every frame that leaves the program is marked; "unbound", as the mark holds no hash of this.
    actions.append({"action": "c2pa.watermarked.unbound", "when": manifest.created})
    statement = {**json.loads(manifest.json()), "essence": essence}
    return {
        "claim_generator_info": [{"name": name, "version": version or "unknown"}],
        "title": manifest.title,
        "format": kind,
        "ingredients": [_ingredient(i, labels[id(i)], parent is i) for i in manifest.ingredients],
        "assertions": [
            {"label": "c2pa.actions.v2", "created": True, "data": {"actions": actions}},
            {"label": STATEMENT_LABEL, "created": True, "data": statement},
        ],
    }


def _ingredient(found: Ingredient, label: str, parent: bool) -> dict[str, Any]:
    return {
        "label": label,
        "title": found.name,
        "format": FORMATS.get(Path(found.name).suffix.lower(), UNKNOWN),
        "relationship": "parentOf" if parent else "inputTo",
        "instance_id": f"sha256:{found.sha256}",
        "description": f"{found.role}, sha256 {found.sha256}",
    }

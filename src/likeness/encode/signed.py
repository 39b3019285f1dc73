"""Sign what a sink has written, before it is put in place."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import av

from likeness.errors import MediaError
from likeness.files import why_unreadable
from likeness.media_names import ffmpeg_name
from likeness.provenance.credentials import Credentials
from likeness.provenance.manifest import PENDING, Manifest
from likeness.provenance.reading import ManifestReading, read_detached, read_manifest
from likeness.provenance.signing import (
    FORMATS,
    Content,
    detached_of,
    format_of,
    sign_beside,
    sign_into,
)

log = logging.getLogger(__name__)

_PART = 1 << 20


@dataclass(frozen=True)
class Signed:
    """Where the signed manifest of an output is."""

    manifest: Literal["embedded", "sidecar"]
    sidecar: Path | None = None
    """The .c2pa file that belongs to the output, where it can't hold its manifest."""

    @property
    def where(self) -> str:
        """Say it in a word: embedded, or the name of the file that holds the manifest."""
        return self.sidecar.name if self.sidecar else self.manifest


def read_essence(path: Path) -> str:
    """Return the sha256 of a video's coded pictures: the same after a copy into another container.

    Raises:
        MediaError: The file is no video.
    """
    digest = hashlib.sha256()
    try:
        with av.open(ffmpeg_name(Path(path)), metadata_errors="replace") as container:
            for packet in container.demux(video=0):
                if packet.size:
                    digest.update(packet)
    except (av.error.FFmpegError, OSError, IndexError, ValueError) as error:
        raise MediaError(f"{path} cannot be read as video: {why_unreadable(error)}") from error
    return digest.hexdigest()


def sign_video(
    file: Path, beside: Path, manifest: Manifest, by: Credentials, output: Path
) -> Path | None:
    """Sign a finished video under its hidden name.

    Args:
        file: The video; it is replaced by its signed copy where the container holds a manifest.
        beside: Folder for a manifest that has to stand beside the output.
        manifest: What is stated.
        by: Who signs.
        output: Where it will stand.

    Returns:
        Where the manifest will stand beside the output, or None where the file holds it.

    Raises:
        MediaError: It cannot be signed, or what was signed does not validate.
    """
    essence = read_essence(file)
    if format_of(file) in FORMATS.values():
        _note_essence(file, essence)
        _replace_by_signed(file, manifest, essence, by)
        return None
    return _beside((file,), beside, manifest, essence, by, output)


def sign_pictures(
    files: Sequence[Path], beside: Path, manifest: Manifest, by: Credentials, output: Path
) -> Path | None:
    """Sign finished pictures under their hidden names, each for itself.

    Args:
        files: The pictures in order; each is replaced by its signed copy where it holds a manifest.
        beside: Folder for a manifest over all of them.
        manifest: What is stated.
        by: Who signs.
        output: A picture, pattern or folder.

    Returns:
        Where the manifest over all pictures will stand, or None where each holds it.

    Raises:
        MediaError: As `sign_video`.
    """
    if format_of(files[0]) in FORMATS.values():
        for file in files:
            _replace_by_signed(file, manifest, None, by)
        return None
    return _beside(tuple(files), beside, manifest, None, by, output)


def rehearse(by: Credentials) -> None:
    """Sign and validate a trifle, to know before the work that signing will succeed after it.

    Raises:
        MediaError: The chain, the key or the time-stamp server is not usable.
    """
    with TemporaryDirectory(prefix="likeness-") as folder:
        trifle, beside = Path(folder) / "trial", Path(folder) / "trial.c2pa"
        trifle.write_bytes(bytes(64))
        content = Content((trifle,))
        beside.write_bytes(sign_beside(content, Manifest("trial", "render"), None, by))
        _insist(read_detached(content, beside))


def _replace_by_signed(
    file: Path, manifest: Manifest, essence: str | None, by: Credentials
) -> None:
    # The name is short whatever the file's is.
    signed = file.with_name(f"signed{file.suffix}")
    signed = signed if signed != file else file.with_name(f"signed_{file.suffix}")
    try:
        sign_into(file, signed, manifest, essence, by)
        _insist(read_manifest(signed))
        os.replace(signed, file)
    finally:
        signed.unlink(missing_ok=True)


def _beside(
    files: tuple[Path, ...],
    folder: Path,
    manifest: Manifest,
    essence: str | None,
    by: Credentials,
    output: Path,
) -> Path:
    place = detached_of(output)
    written = folder / place.name
    content = Content(files)
    written.write_bytes(sign_beside(content, manifest, essence, by))
    _insist(read_detached(content, written))
    log.warning(
        "%s cannot hold a signed manifest: it stands beside it as %s; keep both together",
        output.name,
        place.name,
    )
    return place


def _insist(found: ManifestReading) -> None:
    if not found.valid:
        raise MediaError(
            f"the manifest was signed but does not validate ({' '.join(found.problems)}); nothing "
            "is written: check the chain and key in signing.toml"
        )


def _note_essence(file: Path, essence: str) -> None:
    """Fill in the digest that the metadata left room for; players read it as a comment."""
    room, kept = PENDING.encode(), b""
    with file.open("r+b") as opened:
        # It stands in the index, which is at the front; nothing is held but a part of the file.
        while part := opened.read(_PART):
            at = (kept + part).find(room)
            if at >= 0:
                opened.seek(opened.tell() - len(kept + part) + at)
                opened.write(essence.encode())
                return
            kept = (kept + part)[-len(room) + 1 :]

"""Stored clips: a record names a file by its digest, and nothing else is opened in its place.

`Decoder` asks here before it reads a pixel, so no caller can forget it; whoever wants to know
beforehand, or only whether the clip is still there, asks `open_stored` or `find_stored`.
"""

from __future__ import annotations

from pathlib import Path

from likeness.decode.pictures import is_pictures, list_pictures
from likeness.errors import MediaError
from likeness.provenance.digests import digest_of, files_digest, other_content
from likeness.types import Clip, Sound


def content_digest(path: Path) -> str:
    """Return the sha256 that names a clip's content: of a video's bytes, or of all its pictures'.

    What did not change since this process last looked is not read again.

    Raises:
        MediaError: Nothing is there, or something that is no regular file.
    """
    if not is_pictures(path):
        return digest_of(path)
    files, _ = list_pictures(path)
    return files_digest(files)


def open_stored(clip: Clip) -> Clip:
    """Return a stored clip whose file is there and is the one that was recorded.

    Args:
        clip: From a bundle, a NAME.shot, or `open_clip`. One without a digest was made in memory
            (records always have one) and is not compared.

    Raises:
        MediaError: The file is gone, no regular file, or another one lies in its place.
    """
    if not exists(clip):
        raise MediaError(
            f"{clip.path} is gone; put it back there, or beside the bundle or shot that names it"
        )
    if not clip.digest:
        return clip
    found = content_digest(clip.path)
    if found != clip.digest:
        raise other_content(clip.path, found, clip.digest)
    return clip


def find_stored(clip: Clip) -> Clip | None:
    """Return a stored clip, or None where its file is gone.

    Raises:
        MediaError: Another file lies in its place.
    """
    return open_stored(clip) if exists(clip) else None


def exists(clip: Clip | Sound) -> bool:
    """Tell whether anything lies where a clip was recorded; what it is, `open_stored` tells."""
    path = clip.path
    return path.exists() or (is_pictures(path) and path.parent.is_dir() and _any(path))


def _any(pattern: Path) -> bool:
    try:
        return bool(list_pictures(pattern)[0])
    except MediaError:
        return False

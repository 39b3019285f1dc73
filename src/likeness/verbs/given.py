"""Files that a command is given, opened before any work: a dry run tells which cannot be used."""

from __future__ import annotations

from pathlib import Path

from likeness.decode import open_clip
from likeness.decode.sound import has_pictures, open_sound
from likeness.importers.arkit import read_arkit
from likeness.provenance.motion import Motion, driven_by
from likeness.provenance.permission import Material
from likeness.store import load_shot
from likeness.types import Clip


def clip_of(path: Path) -> Clip:
    """Open a clip, or the clip of a NAME.shot.

    Raises:
        MediaError, BundleError: it cannot be used.
    """
    return load_shot(path).clip if path.suffix == ".shot" else open_clip(path)


def driver_of(path: Path) -> Clip | Motion:
    """Open what gives a motion: a clip, a NAME.shot or an ARKit capture (.csv).

    Returns:
        What a permission is asked for.

    Raises:
        MediaError, BundleError: it cannot be used.
    """
    if path.suffix.lower() == ".csv":
        read_arkit(path)
        return driven_by(path)
    return driven_by(path, clip_of(path))


def shows_pictures(path: Path) -> bool:
    """Tell whether speech is given with the one who speaks, rather than as sound alone."""
    return path.suffix == ".shot" or has_pictures(path)


def speech_of(path: Path) -> Material:
    """Open what gives speech: a clip, a NAME.shot or a sound file.

    Returns:
        What a permission is asked for.

    Raises:
        MediaError, BundleError: it cannot be used.
    """
    return driver_of(path) if shows_pictures(path) else open_sound(path)

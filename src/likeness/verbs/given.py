"""Files that a command is given, opened before any work: a dry run tells which cannot be used."""

from __future__ import annotations

from pathlib import Path

from likeness.decode import open_clip
from likeness.decode.sound import has_pictures, open_sound
from likeness.importers.arkit import read_arkit
from likeness.store import load_shot
from likeness.types import Clip


def clip_of(path: Path) -> Clip:
    """Open a clip, or the clip of a NAME.shot.

    Raises:
        MediaError, BundleError: it cannot be used.
    """
    return load_shot(path).clip if path.suffix == ".shot" else open_clip(path)


def try_driver(path: Path) -> None:
    """Open what gives a motion: a clip, a NAME.shot or an ARKit capture (.csv).

    Raises:
        MediaError, BundleError: it cannot be used.
    """
    if path.suffix.lower() == ".csv":
        read_arkit(path)
    else:
        clip_of(path)


def shows_pictures(path: Path) -> bool:
    """Tell whether speech is given with the one who speaks, rather than as sound alone."""
    return path.suffix == ".shot" or has_pictures(path)


def try_speech(path: Path) -> None:
    """Open what gives speech: a clip, a NAME.shot or a sound file.

    Raises:
        MediaError, BundleError: it cannot be used.
    """
    if shows_pictures(path):
        clip_of(path)
    else:
        open_sound(path)

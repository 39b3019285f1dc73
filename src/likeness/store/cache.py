"""Bundles that can be made again at any time, kept in the user's cache.

A cache is never needed: where it cannot be read or written, work goes on without it, and one
warning says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

import platformdirs

from likeness.errors import BundleError
from likeness.files import why_unwritable
from likeness.store.bundles import INDEX, load_bundle, save_bundle
from likeness.types import Bundle

log = logging.getLogger("likeness.store")


def user_cache() -> Path:
    """Return the folder for what can be made again, in the place that the system has for it."""
    return platformdirs.user_cache_path("likeness", appauthor=False)


def kept_bundle(name: str, make: Callable[[], Bundle]) -> Bundle:
    """Return a bundle from the user's cache, or make it and keep it there.

    Args:
        name: a plain word that names content and format, such that equal names are equal bundles.
        make: called where the cache holds none, or a damaged one.

    Raises:
        LikenessError: what `make` raises.
    """
    path = user_cache() / f"{name}.bundle"
    try:
        if (path / INDEX).is_file():
            return load_bundle(path)
    except (BundleError, OSError) as error:
        log.warning("making %s again: %s", name, error)
    bundle = make()
    try:
        save_bundle(bundle, path)
    except (BundleError, OSError) as error:
        why = why_unwritable(error)
        _warn_once(f"{name} is not kept, which costs time at every start: {why}")
    return bundle


@cache
def _warn_once(message: str) -> None:
    log.warning(message)

"""Open what reads landmarks, as the settings want it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from likeness.track.config import TrackConfig
from likeness.track.following import FollowingReader
from likeness.track.landmarks import BundledReader, Reader, TaskReader
from likeness.track.mirror import EvenReader
from likeness.track.upright import UprightReader


def open_reader(config: TrackConfig) -> UprightReader:
    """Open the landmark backend that the settings name, with its mirror if they ask for it.

    Faces are read whichever way up they stand.

    Raises:
        BackendError: the backend's library or model is not usable here.
    """
    kinds: tuple[type[BundledReader], type[BundledReader]] = (BundledReader, FollowingReader)
    start: Callable[[], Reader] = partial(
        TaskReader if config.backend == "task" else kinds[config.look_every > 1], config
    )
    return UprightReader(EvenReader(start, config.mirror_every) if config.even else start(), start)

"""Open what reads landmarks, as the settings want it."""

from __future__ import annotations

from functools import partial

from likeness.track.config import TrackConfig
from likeness.track.landmarks import BundledReader, Reader, TaskReader
from likeness.track.mirror import EvenReader


def open_reader(config: TrackConfig) -> Reader:
    """Open the landmark backend that the settings name, with its mirror if they ask for it.

    Raises:
        BackendError: the backend's library or model is not usable here.
    """
    start = partial(TaskReader if config.backend == "task" else BundledReader, config)
    return EvenReader(start) if config.even else start()

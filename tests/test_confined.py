"""The child in which tests may go wrong never waits for what its parent left."""

from __future__ import annotations

import gc
from pathlib import Path

import av

from tests.confined import confined


def _leave_a_decoder_in_a_cycle(path: Path) -> None:
    container = av.open(str(path))
    stream = container.streams.video[0]
    stream.thread_type = "FRAME"
    next(container.decode(stream))
    cycle: list[object] = [container, stream]
    cycle.append(cycle)


def test_a_child_does_not_collect_decoders_of_its_parent(plain_clip: Path) -> None:
    gc.disable()
    try:
        _leave_a_decoder_in_a_cycle(plain_clip)
        assert confined(gc.collect, seconds=10) == "ok"
    finally:
        gc.enable()

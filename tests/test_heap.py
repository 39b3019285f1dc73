"""Memory goes back to the system."""

import sys
from pathlib import Path

import numpy as np
import pytest

from likeness.decode.heap import trim_heap


def _resident() -> int:
    """Kibibytes of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1])
    raise AssertionError("no RssAnon in /proc/self/status")


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
def test_freed_blocks_between_kept_ones_go_back() -> None:
    blocks = [np.ones(16_000, np.float32) for _ in range(4000)]
    before = _resident()
    del blocks[::2]
    trim_heap()
    # Half of 256 MB lay between blocks that stay.
    assert before - _resident() > 100_000

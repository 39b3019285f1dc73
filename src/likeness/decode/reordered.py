"""Frames of a clip in the order in which another timeline shows them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from likeness.decode.frames import Decoder
from likeness.decode.limits import window_length
from likeness.types import Clip, Ints, Window


def stream_reordered(
    clip: Clip, shown: Ints, length: int, windows: slice = slice(None)
) -> Iterator[tuple[Window, torch.Tensor]]:
    """Yield the frames that are shown, `length` at a time, (n,3,H,W) RGB in [0,1] per window.

    Args:
        clip: where they come from.
        shown: (M,) frame of the clip at each place of the other timeline; frames may repeat.
        length: places per window; the last may be shorter.
        windows: which of them, in order; all by default.

    Raises:
        MediaError: the clip cannot be read.
    """
    length = min(length, window_length(clip))
    with Decoder(clip) as decoder:
        for start in range(0, len(shown), length)[windows]:
            window = Window(start, min(start + length, len(shown)))
            wanted = shown[window.start : window.stop]
            if np.array_equal(wanted, np.arange(wanted[0], wanted[0] + len(wanted))):
                yield window, decoder.read(Window(int(wanted[0]), int(wanted[-1]) + 1))
            else:
                singles = [decoder.read(Window(int(i), int(i) + 1)) for i in wanted]
                yield window, torch.cat(singles)

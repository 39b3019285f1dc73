"""What is seen and heard of a clip's speech, on the clock that starts with its first frame."""

from __future__ import annotations

import numpy as np

from likeness.decode import stream
from likeness.decode.sound import SPEECH_RATE, read_sound
from likeness.metrics.sound import at_rate, envelope
from likeness.track.config import TrackConfig
from likeness.track.landmarks import read_largest
from likeness.track.measure import mouth_openness
from likeness.track.readers import open_reader
from likeness.types import Clip, Floats, Progress, silent

_WINDOW = 8


def middles(clip: Clip) -> Floats:
    """Return (T,) seconds of the middle of each frame's time on screen, from the first frame on."""
    ends = np.append(clip.pts[1:], clip.pts[-1] + clip.last_duration)
    since = (clip.pts + ends) / 2 - clip.pts[0]
    shown: Floats = since.astype(np.float64) * float(clip.time_base)
    return shown


def heard(clip: Clip) -> Floats | None:
    """Return the (B,m) `sound.envelope` of a clip's first track; None where it has none.

    Raises:
        MediaError: the file is gone or damaged.
    """
    if not clip.audio:
        return None
    return envelope(read_sound(clip, since=int(clip.pts[0]) * clip.time_base), SPEECH_RATE)


def openness(
    clip: Clip, square: tuple[int, int, int] | None = None, progress: Progress = silent
) -> Floats:
    """Read from the pixels how open the mouth is, at `sound.RATE`.

    Args:
        clip: whose largest face speaks.
        square: (x, y, side) of the part of the frame to look at, where others are in the picture.
        progress: called as ("listen", done, total).

    Returns:
        (m,) openness; empty where no face is seen at all.
    """
    opened = []
    reader = open_reader(TrackConfig(max_faces=1, even=False))
    try:
        for window, frames in stream(clip, _WINDOW):
            if square is not None:
                x, y, side = square
                frames = frames[:, :, y : y + side, x : x + side]
            opened.append(mouth_openness(read_largest(reader, frames)))
            progress("listen", window.stop, len(clip))
    finally:
        reader.close()
    return at_rate(middles(clip), np.concatenate(opened))

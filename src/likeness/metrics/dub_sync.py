"""How late the sound of a dub comes after its lips."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from likeness.decode import find_stored, open_clip
from likeness.geometry import whole_square
from likeness.metrics.lips import heard, middles, openness
from likeness.metrics.sound import Offset, at_rate, sync_offset
from likeness.track.measure import mouth_openness
from likeness.types import Crop, Progress, Shot, silent


def measure_sync(
    output: Path, square: Crop, speaker: Shot | None, progress: Progress = silent
) -> Offset | None:
    """Measure in a written dub how late the sound comes after the lips.

    Against the speaker where a face was followed: same sound, and lips that did the same.

    Args:
        output: the dub.
        square: one frame: where the face is looked for.
        speaker: who was followed.
        progress: called as ("listen", done, total).

    Returns:
        None where the output is silent or lips and sound tell nothing.
    """
    result = open_clip(output)
    sound = heard(result)
    if sound is None:
        return None
    lips = openness(result, whole_square(square, result.size), progress)
    if speaker is None or find_stored(speaker.clip) is None:
        return sync_offset(lips, sound)
    opened = np.full(len(speaker.clip), np.nan, np.float32)
    track = speaker.track
    opened[track.start : track.start + len(track)] = mouth_openness(track.landmarks)
    theirs = at_rate(middles(speaker.clip), opened)
    return sync_offset(lips, sound, theirs, heard(speaker.clip))

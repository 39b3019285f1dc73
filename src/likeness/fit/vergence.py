"""How far apart a fit sees two eyes look, which is no part of what they do."""

from __future__ import annotations

import numpy as np

from likeness.fit.seen_range import seen_rows
from likeness.types import Bools, FaceParams, Floats

_TREMBLE = np.radians(3.0)
"""By how much the median lies above the tenth percentile of eyes that look at one thing."""


def vergence_of(params: FaceParams, observed: Bools | None = None) -> Floats:
    """Return (2,) how far apart a fit sees a person's eyes look while they look at one thing.

    Where a fit places eyeballs decides how far their directions are apart: by up to 15 degrees,
    through a whole clip. Eyes may cross and never look apart, so that of the horizontal difference
    the tenth percentile counts; of the vertical one the median.

    Args:
        params: N frames.
        observed: (N,) frames in which a face was seen; None is all.

    Returns:
        First eye less second eye, (yaw, pitch) in radians.
    """
    gaze = params.gaze[seen_rows(len(params), observed)]
    apart = gaze[:, 0] - gaze[:, 1]
    least, usual = np.percentile(apart[:, 0], (10, 50))
    # Who crosses their eyes much of the time may do so in the least crossed frames as well.
    beyond = max(0.0, usual - least - _TREMBLE)
    return np.array([least - beyond, np.median(apart[:, 1])], np.float32)


def with_vergence(gaze: Floats, own: Floats, wanted: Floats) -> Floats:
    """Give one person's gaze to another's eyes, without what a fit says of either's alone.

    g'_1 = g_1 + (w - v) / 2, g'_2 = g_2 - (w - v) / 2: what both eyes share stays, and so does
    how far they cross.

    Args:
        gaze: (N,2,2) of one person, (yaw, pitch) of each eye in radians.
        own: (2,) v, their vergence (`vergence_of`).
        wanted: (2,) w, the other's.
    """
    half = (wanted - own) / 2
    return np.asarray(gaze + np.stack([half, -half]), np.float32)

"""Comparing an edited clip with the clip that it was made from."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from likeness.decode import open_clip
from likeness.errors import BackendError
from likeness.evaluate.faces import FaceReaders
from likeness.metrics.aligned import match_frames, stream_pairs
from likeness.metrics.edit import EditEvaluation, EditReport
from likeness.people import recognizer
from likeness.recognize import Recognizer, embed_faces
from likeness.types import Bools, Floats, Progress, silent

log = logging.getLogger(__name__)

_WINDOW = 8
_MOST = 240
"""Frames whose faces are recognized; of longer clips as many are spread, in neighboring pairs."""


def evaluate_edit(result: Path, original: Path, progress: Progress = silent) -> EditReport:
    """Tell what an edit changed and whether it is steady.

    Args:
        result: the edited video.
        original: the clip that it was made from.
        progress: called as ("evaluate", done, total).

    Raises:
        MediaError: a video cannot be read, or they show pictures of different shape.
    """
    clips = (open_clip(result), open_clip(original))
    frames = match_frames(*clips)
    total, done, lost = len(frames[0]), 0, 0
    evaluation, asked = EditEvaluation(), _asked(len(frames[0]))
    who = _recognizer()
    codes: dict[str, list[Floats]] = {"original": [], "edited": []}
    places: list[int] = []
    with FaceReaders() as read:
        for edited, real in stream_pairs(clips, frames, _WINDOW):
            seen = read(real, edited)
            evaluation.add(real, edited, seen[0])
            there = [np.isfinite(points).all((1, 2)) for points in seen]
            lost += int((there[0] & ~there[1]).sum())
            chosen = np.flatnonzero(asked[done : done + len(real)] & there[0] & there[1])
            if who is not None and len(chosen):
                codes["original"].append(embed_faces(real[chosen], seen[0][chosen], who))
                codes["edited"].append(embed_faces(edited[chosen], seen[1][chosen], who))
                places += (chosen + done).tolist()
            done += len(real)
            progress("evaluate", done, total)
    one, other = (_joined(codes[name]) for name in ("original", "edited"))
    apart = who.distance(one, other) if who is not None and len(one) else np.zeros(0, np.float32)
    return evaluation.result(one, other, np.array(places, np.int64), apart, lost)


def _recognizer() -> Recognizer | None:
    try:
        return recognizer()
    except BackendError as error:
        log.warning("%s; identity is not measured", error)
        return None


def _asked(total: int) -> Bools:
    """Mark (T,) the frames whose faces are recognized."""
    asked = np.zeros(total, bool)
    if total <= _MOST:
        asked[:] = True
        return asked
    first = np.linspace(0, total - 2, _MOST // 2).astype(np.int64)
    asked[first] = asked[first + 1] = True
    return asked


def _joined(codes: list[Floats]) -> Floats:
    return np.concatenate(codes) if codes else np.zeros((0, 1), np.float32)

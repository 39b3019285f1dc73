"""Comparing any two videos of one performance."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from likeness.decode import open_clip
from likeness.evaluate.evaluation import Evaluation
from likeness.evaluate.faces import FaceReaders, IdentityReader
from likeness.metrics.aligned import common_size, match_frames, stream_pairs
from likeness.metrics.exhibits import Exhibits
from likeness.metrics.lips import heard, middles
from likeness.metrics.pair import PairEvaluation, PairReport
from likeness.types import Progress, silent

log = logging.getLogger(__name__)

_WINDOW = 8


def evaluate_pair(
    output: Path, reference: Path, progress: Progress = silent
) -> Evaluation[PairReport]:
    """Compare two videos of one performance.

    They start together; frames are paired by their time stamps over the time that both last
    (`metrics.aligned.match_frames`), the larger pictures shrunk to the size of the smaller.

    Args:
        output: the video to judge.
        reference: what it should look like.
        progress: called as ("evaluate", done, total).

    Raises:
        MediaError: a video cannot be read, or they show pictures of different shape.
    """
    result, real = open_clip(output), open_clip(reference)
    frames = match_frames(result, real)
    total = len(frames[0])
    left_out = {
        "output": len(result) - len(np.unique(frames[0])),
        "reference": len(real) - len(np.unique(frames[1])),
    }
    if any(left_out.values()):
        log.warning(
            "%s and %s differ in length or rate: %d pairs of frames are compared, %d and %d frames "
            "are left out",
            *(output.name, reference.name, total, left_out["output"], left_out["reference"]),
        )
    if result.size != real.size:
        log.warning("compared at %dx%d, the smaller size", *reversed(common_size(result, real)))
    evaluation, exhibits, done = PairEvaluation(), Exhibits(total), 0
    identities = IdentityReader()
    with FaceReaders() as read:
        for drawn, expected in stream_pairs((result, real), frames, _WINDOW):
            seen = read(expected, drawn)
            evaluation.add(expected, drawn, *seen, identity=identities(expected, drawn, seen))
            scores = evaluation.latest("psnr_face")
            names = [f"frame {i}" for i in frames[0][done : done + len(drawn)]]
            exhibits.add(names, expected, drawn, seen[0], scores)
            done += len(drawn)
            progress("evaluate", done, total)
    report = evaluation.result(middles(result)[frames[0]], heard(result), heard(real), left_out)
    return Evaluation(report, evaluation.series(), exhibits)

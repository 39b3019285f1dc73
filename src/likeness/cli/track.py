"""`likeness track`: find each person's face in a clip and fit the face model to it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from likeness.cli.options import (
    LongOptions,
    Output,
    analysis,
    prove_files,
)
from likeness.cli.progress import show_progress
from likeness.config import to_json
from likeness.types import Clip, Shot

EXAMPLE = "Example: likeness track anna.mp4 -o anna.shot --overlay anna_tracked.mp4"


def track(
    clip: Path,
    /,
    *,
    output: Output,
    overlay: Path | None = None,
    csv: Path | None = None,
    arkit: Path | None = None,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Track every face in a clip and fit pose, expression, gaze, identity and light.

    The largest face is saved as NAME.shot, further people and scenes as NAME.2.shot and so on.
    What was found is also kept beside the clip, so that the commands that follow start at once.

    Args:
        clip: A video file or picture sequence.
        output: The NAME.shot folder to write.
        overlay: Also write a video with mesh, points and gaze drawn over the frames.
        csv: Also write a table of the performance, a line per frame; changed by hand, it can be
            given to likeness reenact --edits.
        arkit: Also write the performance as a phone's face capture (Live Link Face CSV).
    """
    from likeness.decode import open_clip
    from likeness.people import find_people
    from likeness.store import load_face_model, save_shot, write_table

    config = analysis(options)
    opened = open_clip(clip)
    outputs = {"output": output, "overlay": overlay, "csv": csv, "arkit": arkit}
    prove_files(outputs.values(), (clip,), options)
    if options.dry_run:
        return {"plan": outputs, "frames": len(opened), "settings": to_json(config)}
    with show_progress(options.progress) as progress:
        started = time.perf_counter()
        # Whoever asks for tracking wants it done, and its speed told, whatever was kept before.
        shots = find_people(opened, config, progress, anew=True)
        seconds = time.perf_counter() - started
        for i, shot in enumerate(shots):
            save_shot(shot, numbered(output, i))
        if overlay:
            from likeness.metrics.overlay import write_overlay

            write_overlay(opened, shots, load_face_model(config.model), overlay, progress)
    if csv:
        for i, shot in enumerate(shots):
            write_table(shot, numbered(csv, i))
    if arkit:
        from likeness.importers.arkit import capture_of, write_arkit
        from likeness.plan.performance import performance_of

        for i, shot in enumerate(shots):
            write_arkit(capture_of(performance_of(shot, "target")), numbered(arkit, i))
    return {**_facts(opened, shots, seconds), **outputs}


def numbered(path: Path, index: int) -> Path:
    """Return the path for person `index`: a.shot, a.2.shot, a.3.shot.

    >>> numbered(Path("a.shot"), 0).name, numbered(Path("a.shot"), 1).name
    ('a.shot', 'a.2.shot')
    """
    return path if index == 0 else path.with_name(f"{path.stem}.{index + 1}{path.suffix}")


def _facts(clip: Clip, shots: Sequence[Shot], seconds: float) -> dict[str, Any]:
    from likeness.fit import landmark_rms
    from likeness.store import load_face_model

    model = load_face_model()
    rms = [landmark_rms(shot.track, shot.params, model, clip.size) for shot in shots]
    # Where no recognizer joined them, a person who comes back is a new shot: count by frames.
    present = np.zeros((len(shots), len(clip)), np.bool_)
    for row, shot in zip(present, shots, strict=True):
        row[shot.track.start : shot.track.start + len(shot.track)] = shot.track.observed
    return {
        "frames": len(clip),
        "people": int(present.sum(0).max()),
        "observed_share": float(present.any(0).mean()),
        "landmark_rms_px": rms[0],
        "fps": len(clip) / seconds,
        "seconds": seconds,
        "shots": [
            {
                "start": shot.track.start,
                "frames": len(shot.track),
                "observed_share": float(shot.track.observed.mean()),
                "landmark_rms_px": error,
            }
            for shot, error in zip(shots, rms, strict=True)
        ],
    }

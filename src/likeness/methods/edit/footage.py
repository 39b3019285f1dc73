"""The pictures that a face generator learns from: photos and clips, their faces laid alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from likeness.condition.ffhq import squares_of
from likeness.decode import open_clip
from likeness.errors import MediaError, TrackError
from likeness.geometry import crop_from_square
from likeness.track import TrackConfig, track
from likeness.training.bank import CropBank, Excerpt, fill_excerpts
from likeness.types import Clip, Crop, Progress, silent

_IGNORED = (".csv", ".json", ".txt", ".md", ".toml")


def media_in(folder: Path) -> tuple[Clip, ...]:
    """Open every photo and clip in a folder and its folders, by name.

    Raises:
        MediaError: there is none, or one cannot be read.
    """
    files = sorted(
        path
        for path in Path(folder).rglob("*")
        if path.is_file()
        and path.suffix.lower() not in _IGNORED
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not files:
        raise MediaError(f"{folder} holds no photos or clips; expected pictures or videos of faces")
    return tuple(open_clip(file) for file in files)


def gather_faces(
    clips: Sequence[Clip],
    size: int,
    path: Path,
    *,
    aligned: bool = False,
    most: int = 200,
    config: TrackConfig | None = None,
    progress: Progress = silent,
) -> CropBank:
    """Cut every face out of photos and clips, laid as FFHQ's are.

    Args:
        clips: from `media_in`.
        size: side of the crops.
        path: file to write, as `training.bank.fill_excerpts` does.
        aligned: pictures are squares that are laid already; nothing is tracked.
        most: frames of one track at most; more are thinned out evenly.
        config: settings of tracking.
        progress: called as ("track" | "frames", done, total).

    Returns:
        A bank of crops; its people are the files' names.

    Raises:
        TrackError: no file shows a face.
        MediaError: a file cannot be read, or the disk has no room.
    """
    excerpts: list[Excerpt] = []
    for number, clip in enumerate(clips):
        found = [_whole(clip, size)] if aligned else list(_tracked(clip, size, most, config))
        excerpts += found
        progress("track", number + 1, len(clips))
    if not excerpts:
        raise TrackError(
            f"none of {len(clips)} photos and clips shows a face; expected pictures of faces, or "
            "--aligned for squares that are cut already"
        )
    return fill_excerpts(excerpts, path, progress)


def _whole(clip: Clip, size: int) -> Excerpt:
    height, width = clip.size
    side = min(height, width)
    square = crop_from_square((width - side) / 2, (height - side) / 2, side, size)
    times = np.arange(len(clip))
    crop = Crop((size, size), np.repeat(square[None], len(clip), 0))
    return Excerpt(clip, times, crop, clip.path.name)


def _tracked(clip: Clip, size: int, most: int, config: TrackConfig | None) -> Iterator[Excerpt]:
    try:
        tracks = track(clip, config or TrackConfig())
    except TrackError:
        return
    for face in tracks:
        seen = np.flatnonzero(face.observed)
        if len(seen) > most:
            seen = seen[np.linspace(0, len(seen) - 1, most).round().astype(int)]
        if len(seen):
            crop = squares_of(face.landmarks[seen]).crop(size)
            yield Excerpt(clip, seen + face.start, crop, clip.path.name)

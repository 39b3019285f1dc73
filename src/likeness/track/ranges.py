"""Track a part of a clip as it would be tracked in the whole.

All that tracking knows is forgotten at a cut. So whoever begins at one and knows the few frames
before it, which say what a cut is, finds what a run over the whole clip finds.
"""

from __future__ import annotations

from dataclasses import dataclass

from likeness.decode import stream
from likeness.track.blocks import Blocks
from likeness.track.config import TrackConfig
from likeness.track.link import KNOWN_FRAMES, CutDetector, Linker, size_of
from likeness.track.readers import open_reader
from likeness.track.smooth import smooth_track
from likeness.types import Clip, FaceTrack, Progress, Window, silent


@dataclass(frozen=True, eq=False)
class Tracked:
    """The people of the shots that begin in a part of a clip."""

    tracks: tuple[FaceTrack, ...]
    sizes: tuple[float, ...]
    """Of each track, before it was smoothed, in pixels: what tracks of a clip are ordered by."""
    turned: bool
    """Whether faces stood otherwise than upright, which a later part would know from this one."""


def track_range(
    clip: Clip, part: Window, config: TrackConfig, progress: Progress = silent
) -> Tracked:
    """Follow every face from the first cut in a part of a clip to the first cut after it.

    The clip's own beginning counts as a cut. Parts that cover a clip thus find all its tracks, each
    once; a part without a cut finds none, as the one before it goes on through it.

    Args:
        clip: what to look at.
        part: where the shots begin.
        config: settings.
        progress: called as ("track", frames of the part, its length).
    """
    from likeness.track import bytes_of, read_block

    detector, linker, reader = CutDetector(config), Linker(config), None
    blocks = Blocks(config.look_every)
    before = max(0, part.start - KNOWN_FRAMES)
    stop = len(clip)
    try:
        ahead = stream(clip, config.window, Window(before, len(clip)), reuse=True)
        for window, frames in ahead:
            images = bytes_of(frames)
            first, last = None if reader is None else 0, len(images)
            cuts: list[bool] = []
            for place, index in enumerate(window):
                cuts.append(detector.is_cut(images[place]))
                begins = index == 0 or cuts[-1]
                if begins and index >= part.stop:
                    stop, last = index, place
                    break
                if begins and first is None and index >= part.start:
                    first = place
            if first is not None and last > first:
                if reader is None:
                    reader = open_reader(config)
                    linker.cut(window.start + first)
                run = blocks.add(window.start + first, images[first:last], cuts[first:last])
                for block in run:
                    read_block(block, reader, linker)
            progress("track", min(window.stop, part.stop) - part.start, len(part))
            ended = first is None and window.stop >= part.stop
            if ended or stop < len(clip):
                break
        if reader is not None:
            for block in blocks.rest():
                read_block(block, reader, linker)
    finally:
        if reader is not None:
            reader.close()
    tracks = linker.finish(stop, stop < len(clip))
    return Tracked(
        tuple(smooth_track(found, config.smooth) for found in tracks),
        tuple(size_of(found) for found in tracks),
        reader is not None and reader.turned,
    )

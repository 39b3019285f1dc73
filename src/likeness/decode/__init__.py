"""Files in: video containers and picture sequences become clips and float RGB frames.

Convention:
    `open_clip` reads facts, `Decoder` and `stream` read pixels; nothing else in the package opens a
    video. Frames come upright, as float32 RGB in [0,1] in the clip's own primaries and transfer.

Geometry:
    Frames show what a player shows: cropped to the clean aperture, mirrored, turned upright, and
    with square pixels, so that everything that is measured in pixels has the proportions that were
    in front of the camera (`shown`). HEIC and AVIF pictures are put together from their tiles, and
    what is transparent is laid over plain white, with a warning.

Trust:
    The content of a file decides what it is, never its name. FFmpeg is kept to local files and to a
    closed list of demuxers for each kind (`kinds`); what is no regular file is not opened; and what
    a file says of its own size is held against `limits` before memory is asked for.

Policy for time stamps:
    Time stamps of the container are kept as they are, variable rate included. Frames that share a
    time stamp are moved apart, each one tick after the one before. Where time stamps are missing
    altogether, frames are counted at the container's mean rate. Frames before the first key frame
    and frames that the container marks as hidden (edit lists) do not belong to the clip. A frame
    that turns out to be damaged while decoding is filled with the one before it, with a warning.
"""

from likeness.decode.frames import Decoder, stream
from likeness.decode.limits import WINDOW_BYTES, window_length
from likeness.decode.probe import open_clip, read_marks
from likeness.decode.stored import find_stored, open_stored

__all__ = [
    "WINDOW_BYTES",
    "Decoder",
    "find_stored",
    "open_clip",
    "open_stored",
    "read_marks",
    "stream",
    "window_length",
]

"""Frames out: marked video containers and picture sequences.

Convention:
    Everything that belongs to an output is written into one hidden folder beside it and put in
    place when whole, sidecars first; an exception leaves what stood there untouched. Every output
    carries its manifest: signed inside the file (C2PA) or, where the format has no place for one,
    beside it as `OUTPUT.c2pa`; in the container's metadata; and as `OUTPUT.manifest.json`. There is
    no way to write without one.

Policy:
    Time stamps start at zero and are exact in MP4 and MOV, whose time scale is set to the
    timeline's; Matroska and WebM count milliseconds, and start at zero with whichever of picture
    and sound is first (AAC starts 1024 samples early), in step. Frames at a variable rate are coded
    without B-frames, so that every duration, the last one's too, is stored as it is. 4:2:0 cannot
    hold odd sizes: H.264 and HEVC code those in 4:4:4, which loses nothing and plays in browsers
    that decode in software, not in QuickTime; VP9 and AV1 hold them as they are.
"""

from likeness.encode.coders import EncodeConfig, encoders
from likeness.encode.inputs import inputs_of
from likeness.encode.layers import LayersFolder
from likeness.encode.place import estimate_bytes, files_of, prove_place
from likeness.encode.signed import Signed, read_essence
from likeness.encode.sink import MarkedFile, Sink
from likeness.encode.writer import Encoder, encode

__all__ = [
    "EncodeConfig",
    "Encoder",
    "LayersFolder",
    "MarkedFile",
    "Signed",
    "Sink",
    "encode",
    "encoders",
    "estimate_bytes",
    "files_of",
    "inputs_of",
    "prove_place",
    "read_essence",
]

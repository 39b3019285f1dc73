"""How much a file may ask for: checked on what it says of itself, before memory is asked for.

A few hundred bytes can promise a picture of a gigapixel, an hour of silence or a sample rate that
never ends; the limits lie well beyond what cameras and recorders write. Windows are sized in bytes,
because a frame of 8K holds 500 times the pixels of a small portrait.
"""

from __future__ import annotations

from pathlib import Path

from likeness.errors import MediaError
from likeness.types import Clip

LARGEST_PIXELS = 1 << 26
"""67 megapixels, twice 8K: as float RGB 800 MB."""
LARGEST_SIDE = 32768
MOST_FRAMES = 1 << 22
"""19 hours at 60 frames per second."""
MOST_TILES = 1024
"""A HEIC of 48 megapixels has 192 of them."""

SAMPLE_RATES = (1000, 768000)
MOST_CHANNELS = 64
MOST_SAMPLES = 1 << 27
"""Samples of mono that are held at once, 512 MiB: 2 hours and 20 minutes at 16 kHz."""
LONGEST_GAP = 600.0
"""Seconds of silence between two packets; what jumps further has no usable clock."""

PIXEL_ASPECTS = (0.125, 8.0)
"""Anamorphic lenses and broadcasts lie between 1/2 and 2."""

WINDOW_BYTES = 256 << 20
"""Float pixels that a stream keeps at once, all of its buffers together."""


def window_length(clip: Clip, budget_bytes: int = WINDOW_BYTES) -> int:
    """Return how many frames of a clip fit into a number of bytes as float32 RGB, at least 1.

    Whoever holds a window of frames, or anything that grows with it, asks for no more than this:
    16 frames are 50 MB at 512x512 and 6.4 GB at 8K.
    """
    height, width = clip.size
    return max(1, budget_bytes // (height * width * 3 * 4))


def check_pixels(width: int, height: int, path: Path) -> None:
    """Make sure that a picture is not larger than can be worked on.

    Raises:
        MediaError: It is.
    """
    if width * height > LARGEST_PIXELS or max(width, height) > LARGEST_SIDE:
        raise MediaError(
            f"{path} says that its picture has {width}x{height} pixels, expected at most "
            f"{LARGEST_PIXELS / 1e6:.0f} million and {LARGEST_SIDE} on a side; scale it down first"
        )


def check_frames(count: int, path: Path) -> None:
    """Make sure that a clip is not longer than can be indexed.

    Raises:
        MediaError: It is.
    """
    if count > MOST_FRAMES:
        raise MediaError(
            f"{path} holds more than {MOST_FRAMES} frames, which is the limit; split it first"
        )


def check_sound(rate: int, channels: int, path: Path) -> None:
    """Make sure that a sound track's rate and channels are those of a recording.

    Raises:
        MediaError: They are not.
    """
    low, high = SAMPLE_RATES
    if not low <= rate <= high:
        raise MediaError(
            f"the sound of {path} says that it has {rate} samples per second, expected {low} to "
            f"{high}; export it again at 48000"
        )
    if not 1 <= channels <= MOST_CHANNELS:
        raise MediaError(
            f"the sound of {path} says that it has {channels} channels, expected 1 to "
            f"{MOST_CHANNELS}; mix it down to stereo first"
        )


def check_length(samples: float, rate: int, path: Path) -> None:
    """Make sure that so many mono samples may be held at once.

    Raises:
        MediaError: They may not.
    """
    if not samples <= MOST_SAMPLES:
        raise MediaError(
            f"the sound of {path} lasts {samples / rate / 3600:.1f} hours, expected at most "
            f"{MOST_SAMPLES / rate / 3600:.1f}; cut out the part that is needed"
        )

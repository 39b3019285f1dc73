"""Samples as a sound file."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from likeness.errors import MediaError
from likeness.files import why_unwritable
from likeness.media_names import ffmpeg_name
from likeness.outputs import atomic_file
from likeness.types import Floats


def write_sound(
    samples: Floats, rate: int, output: Path | str, bits_per_second: int = 96000
) -> None:
    """Encode mono samples as AAC in an .m4a file.

    Args:
        samples: (S,) in [-1, 1].
        rate: samples per second.
        output: file to write; one that stands there is kept under another name.
        bits_per_second: coded rate.

    Raises:
        MediaError: the file cannot be written.
    """
    try:
        with (
            atomic_file(Path(output), None) as file,
            av.open(ffmpeg_name(file), "w", format="ipod") as container,
        ):
            stream = container.add_stream("aac", rate=rate, layout="mono")
            stream.bit_rate = bits_per_second
            planes = np.ascontiguousarray(samples, np.float32)[None]
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="mono")
            frame.sample_rate = rate
            frame.pts = 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{output} cannot be written: {why_unwritable(error)}") from error

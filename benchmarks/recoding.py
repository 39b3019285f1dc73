"""Measure what `likeness verify` says of real recordings that were only coded anew.

Run: python benchmarks/recoding.py CLIP... [--frames N] [--only NAME ...]

Every clip is cut to its first N frames and written in each way of `CODINGS`: coders of every
family, good and poor settings, palettes with both kinds of dithering, other sizes and rates.
Nothing else is changed, so a clear sign of manipulation in any of them is a false accusation.
Prints a line per clip and coding, with the score of every signal, and at the end how many were
called weak and clear.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from PIL import Image

from likeness.decode import open_clip, stream
from likeness.types import Window
from likeness.verify import verify_file
from likeness.verify.signals import strength


@dataclass(frozen=True)
class Coding:
    """A way of writing frames."""

    suffix: str
    codec: str
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    dither: str = ""
    """For palettes: sierra2_4a diffuses errors, bayer lays a regular grid over the picture."""
    scale: float = 1.0
    rate: int | None = None
    """Frames a second, by showing some twice; None leaves them."""


FEW = {"b": "150000"}
"""So few bits a second that coders freeze and smear."""
CODINGS = {
    "H.264": Coding(".mp4", "libx264", options={"crf": "23"}),
    "H.264 poor": Coding(".mp4", "libx264", options={"crf": "38"}),
    "H.264, 0.4": Coding(".mp4", "libx264", options={"crf": "18"}, scale=0.4),
    "H.264 poor, 0.4": Coding(".mp4", "libx264", options={"crf": "40"}, scale=0.4),
    "H.264, 0.5 at 30": Coding(".mp4", "libx264", options={"crf": "28"}, scale=0.5, rate=30),
    "H.264 poor, 0.5 at 30": Coding(".mp4", "libx264", options={"crf": "33"}, scale=0.5, rate=30),
    "H.264 poor, 0.7": Coding(".mp4", "libx264", options={"crf": "40"}, scale=0.7),
    "H.264, 1.5": Coding(".mp4", "libx264", options={"crf": "28"}, scale=1.5),
    "HEVC": Coding(".mp4", "libx265", options={"crf": "30", "x265-params": "log-level=none"}),
    "VP8 poor": Coding(".webm", "libvpx", options={**FEW, "cpu-used": "6"}),
    "VP9": Coding(".webm", "libvpx-vp9", options={"crf": "36", "b": "0", "cpu-used": "6"}),
    "MPEG-1": Coding(".mpg", "mpeg1video", options={"qmin": "4", "qmax": "4"}),
    "MPEG-2": Coding(".mpg", "mpeg2video", options={"qmin": "8", "qmax": "8"}),
    "MPEG-4": Coding(".avi", "mpeg4", options={"qmin": "6", "qmax": "6"}),
    "Flash": Coding(".flv", "flv", options=FEW),
    "Windows Media": Coding(".avi", "wmv2", options=FEW),
    "MJPEG good": Coding(".avi", "mjpeg", "yuvj420p", {"qmin": "3", "qmax": "3"}),
    "MJPEG poor": Coding(".mov", "mjpeg", "yuvj420p", {"qmin": "14", "qmax": "14"}),
    "ProRes": Coding(".mov", "prores_ks", "yuv422p10le"),
    "JPEG 2000": Coding(".mkv", "jpeg2000", "yuv420p", {"qmin": "8", "qmax": "8"}),
    "GIF diffused": Coding(".gif", "gif", "pal8", dither="sierra2_4a"),
    "GIF fine grid": Coding(".gif", "gif", "pal8", dither="bayer:bayer_scale=2"),
    "GIF coarse grid": Coding(".gif", "gif", "pal8", dither="bayer:bayer_scale=0"),
    "GIF fixed colors": Coding(".gif", "gif", "rgb8"),
    "JPEG pictures": Coding("", "jpeg"),
    "lossless": Coding(".mkv", "ffv1"),
}


def main() -> None:
    """Print what each signal says of each coding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--only", nargs="*", default=list(CODINGS))
    chosen = parser.parse_args()
    called: Counter[str] = Counter()
    for clip in chosen.clips:
        for name in chosen.only:
            with TemporaryDirectory() as folder:
                found = verify_file(recode(clip, Path(folder), CODINGS[name], chosen.frames))
            called[strength(found.score)] += 1
            scores = " ".join(
                f"{signal.name} {'-' if signal.score is None else f'{signal.score:.2f}'}"
                for signal in found.signals
            )
            print(f"{clip.stem:24.24} {name:21} {scores}", flush=True)
    print(", ".join(f"{count} {what}" for what, count in called.items()))


def recode(source: Path, folder: Path, coding: Coding, count: int) -> Path:
    """Write the first `count` frames of a clip in another coding and return the file."""
    clip = open_clip(source)
    window = Window(0, min(count, len(clip)))
    pictures = pictures_of(source, window)
    if coding.codec == "jpeg":
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / f"{number:05}.jpg", quality=75)
        return folder
    path = folder / f"coded{coding.suffix}"
    with av.open(str(path), "w") as container:
        rate = coding.rate or round(clip.fps)
        output = container.add_stream(coding.codec, rate=rate, options=coding.options)
        output.height, output.width = (round(coding.scale * side) // 2 * 2 for side in clip.size)
        output.pix_fmt = coding.pix_fmt
        shown = repeated(pictures, rate / float(clip.fps)) if coding.rate else pictures
        for frame in frames_for(coding, shown, clip.size):
            if coding.scale != 1:
                frame = frame.reformat(output.width, output.height, interpolation="AREA")
            frame.pts = None
            container.mux(output.encode(frame))
        container.mux(output.encode(None))
    return path


def pictures_of(source: Path, window: Window) -> Iterator[np.ndarray]:
    """Yield (H,W,3) uint8 frames."""
    for _, frames in stream(open_clip(source), 8, window):
        for frame in (frames * 255 + 0.5).byte().permute(0, 2, 3, 1).numpy():
            yield np.ascontiguousarray(frame)


def repeated(pictures: Iterator[np.ndarray], times: float) -> Iterator[np.ndarray]:
    """Show pictures `times` as often, some of them twice."""
    given = 0
    for number, picture in enumerate(pictures, 1):
        while given < int(number * times):
            yield picture
            given += 1


def frames_for(
    coding: Coding, pictures: Iterator[np.ndarray], size: tuple[int, int]
) -> Iterator[av.VideoFrame]:
    """Bring pictures into the coder's own format, through a palette where it has one."""
    frames = (av.VideoFrame.from_ndarray(picture, format="rgb24") for picture in pictures)
    if not coding.dither:
        yield from frames
        return
    graph = av.filter.Graph()
    source = graph.add_buffer(width=size[1], height=size[0], format="rgb24", time_base="1/25")
    split, palette, use, sink = (
        graph.add("split"),
        graph.add("palettegen"),
        graph.add("paletteuse", f"dither={coding.dither}"),
        graph.add("buffersink"),
    )
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    for number, frame in enumerate(frames):
        frame.pts = number
        source.push(frame)
    source.push(None)
    while True:
        try:
            yield sink.pull()
        except (av.error.EOFError, av.error.BlockingIOError):
            return


if __name__ == "__main__":
    main()

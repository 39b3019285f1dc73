"""Measure the watermark: what it costs and what it outlives; `alarms.py` counts false alarms.

Run: python benchmarks/watermark.py attacks --sizes 256 512 --actors 3 7 11 -- CLIP ...
     python benchmarks/watermark.py compare --pieces 1 -- CLIP ...
     python benchmarks/watermark.py speed
     python benchmarks/watermark.py look OUT.png CLIP ...

`attacks` cuts each clip into pieces of two seconds (`--pieces` of them, evenly placed), writes each
through `encode`, does to what was written what is listed, and tests it. Clips are used at their own
size and, with `--sizes`, resized; actors are rendered at each size.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import av
import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from likeness.actor import Actor, Motion, RenderConfig
from likeness.actor import frames as render
from likeness.decode import open_clip, stream
from likeness.encode import encode
from likeness.provenance import Ingredient, Manifest
from likeness.provenance.watermark import Detector, Stamp, Watermark, WatermarkReading
from likeness.types import Clip, Timeline, Window

FRAMES = 48
"""Two seconds at 24 frames a second."""
MANIFEST = Manifest("benchmark", "reenact", (Ingredient("bundle", "a.bundle", "5eed1e55" * 8),))


def coded(frames: torch.Tensor, crf: float, codec: str = "libx264", rate: int = 24) -> torch.Tensor:
    """Return (T,3,H,W) frames after a lossy codec at its default effort; sides become even."""
    height, width = frames.shape[2] // 2 * 2, frames.shape[3] // 2 * 2
    pictures = (frames[..., :height, :width] * 255).round().to(torch.uint8)
    options = {"crf": f"{crf:g}"}
    if codec == "libx265":
        options["x265-params"] = "log-level=error"
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        video = container.add_stream(codec, rate, options=options, width=width, height=height)
        video.pix_fmt = "yuv420p"
        for picture in pictures.permute(0, 2, 3, 1).contiguous().numpy():
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
    file.seek(0)
    with av.open(file) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).float() / 255


def scaled(frames: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return frames resized with a bicubic filter."""
    return functional.interpolate(frames, size, mode="bicubic", antialias=True).clamp(0, 1)


def by(frames: torch.Tensor, factor: float) -> torch.Tensor:
    """Return frames resized by a factor."""
    return scaled(frames, (round(frames.shape[2] * factor), round(frames.shape[3] * factor)))


def cut(frames: torch.Tensor) -> torch.Tensor:
    """Return three quarters of width and height, off center."""
    height, width = frames.shape[2:]
    top, left = height // 6, width // 12
    return frames[..., top : top + height * 3 // 4, left : left + width * 3 // 4]


def thirty(frames: torch.Tensor) -> torch.Tensor:
    """Return frames at 30 instead of 24 per second, each the latest of its time."""
    return frames[torch.arange(len(frames) * 30 // 24) * 24 // 30]


ATTACKS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "as written": lambda frames: frames,
    "H.264 CRF 23": lambda frames: coded(frames, 23),
    "H.264 CRF 28": lambda frames: coded(frames, 28),
    "H.264 CRF 33": lambda frames: coded(frames, 33),
    "HEVC CRF 28": lambda frames: coded(frames, 28, "libx265"),
    "50 %, CRF 23": lambda frames: coded(by(frames, 0.5), 23),
    "150 %, CRF 23": lambda frames: coded(by(frames, 1.5), 23),
    "crop 75 %, CRF 23": lambda frames: coded(cut(frames), 23),
    "brighter, CRF 23": lambda frames: coded((frames + 0.12).clamp(0, 1), 23),
    "less contrast, CRF 23": lambda frames: coded((frames - 0.5) * 0.7 + 0.5, 23),
    "24 to 30 fps, CRF 23": lambda frames: coded(thirty(frames), 23, rate=30),
}


def piece_of(clip: Clip, start: int) -> torch.Tensor:
    """Return `FRAMES` frames of a clip from `start` on."""
    parts = stream(clip, window=Window(start, min(len(clip), start + FRAMES)))
    return torch.cat([part for _, part in parts])


def pieces(options: argparse.Namespace) -> Iterator[tuple[str, int, torch.Tensor]]:
    """Yield name, height and frames of each piece."""
    for path in options.clips:
        clip = open_clip(path)
        starts = np.linspace(0, max(0, len(clip) - FRAMES), options.pieces).astype(int)
        for start in dict.fromkeys(starts.tolist()):
            frames = piece_of(clip, start)
            yield path.stem, clip.size[0], frames
            for side in options.sizes:
                if side < clip.size[0]:
                    yield (
                        path.stem,
                        side,
                        scaled(frames, (side, side * clip.size[1] // clip.size[0])),
                    )
    for seed in options.actors:
        for side in options.sizes:
            yield f"actor {seed}", side, acted(seed, side)


def acted(seed: int, side: int) -> torch.Tensor:
    """Return `FRAMES` frames of a procedural actor, unmarked."""
    motion = Motion.from_seed(seed, FRAMES / 25, style="expressive")
    config = RenderConfig(size=(side, side))
    return torch.cat(list(render(Actor.from_seed(seed), motion, config)))[:FRAMES]


def written(frames: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return what a file holds after `encode`, and the PSNR in dB of the mark alone."""
    size = (frames.shape[2], frames.shape[3])
    mark = Watermark(Stamp.of(MANIFEST).payload()).embed(frames[:8]) - frames[:8]
    psnr = float(-10 * mark.square().mean().log10())
    with TemporaryDirectory() as folder:
        output = Path(folder) / "piece.mp4"
        like = Clip(
            Path("piece"), "", size, np.arange(len(frames), dtype=np.int64), Fraction(1, 24), 1
        )
        with encode(output, like, MANIFEST, Timeline.of(like, sound=None)) as video:
            video.append(frames)
        return torch.cat([part for _, part in stream(open_clip(output))]), psnr


def read(frames: torch.Tensor) -> WatermarkReading:
    """Return what the detector says of some frames."""
    detector = Detector((frames.shape[2], frames.shape[3]))
    detector.add(frames)
    return detector.read()


def attacks(options: argparse.Namespace) -> None:
    """Print a table per height: attacks, rate of detection, p-values, right payloads."""
    payload = Stamp.of(MANIFEST).payload()
    found: dict[int, dict[str, list[WatermarkReading]]] = {}
    levels: dict[int, list[float]] = {}
    for name, side, frames in pieces(options):
        marked, psnr = written(frames)
        levels.setdefault(side, []).append(psnr)
        table = found.setdefault(side, {})
        for attack, change in ATTACKS.items():
            reading = read(change(marked))
            table.setdefault(attack, []).append(reading)
            says = f"p {reading.p_value:.0e}, payload {reading.payload == payload}"
            print(f"{name} {side}, {psnr:.1f} dB, {attack}: {says}", file=sys.stderr, flush=True)
    for side, table in sorted(found.items()):
        low, middle = min(levels[side]), median(levels[side])
        print(
            f"\n{side} lines, {len(levels[side])} pieces, PSNR {low:.1f} dB at least, {middle:.1f}"
        )
        print("\n| attack | found | median p | largest p | payload right | payload wrong |")
        print("|---|---|---|---|---|---|")
        for attack, readings in table.items():
            values = sorted(reading.p_value for reading in readings)
            right = sum(reading.payload == payload for reading in readings)
            wrong = sum(reading.payload not in (None, payload) for reading in readings)
            present = sum(reading.present for reading in readings)
            print(
                f"| {attack} | {present} of {len(readings)} | {median(values):.0e} | "
                f"{values[-1]:.0e} | {right} | {wrong} |"
            )


def compare(options: argparse.Namespace) -> None:
    """Print what invisible-watermark 0.2.0 (not a dependency) does, 64 bits, majority of frames."""
    from imwatermark import WatermarkDecoder, WatermarkEncoder

    bits = np.random.default_rng(0).integers(0, 2, 64).tolist()
    for name, side, frames in pieces(options):
        encoder = WatermarkEncoder()
        encoder.set_watermark("bits", bits)
        pictures = (frames * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        start = time.process_time()
        laid = [encoder.encode(picture[..., ::-1].copy(), "dwtDct") for picture in pictures]
        each = (time.process_time() - start) / len(frames) * 1000
        marked = torch.from_numpy(np.stack(laid)[..., ::-1].copy()).permute(0, 3, 1, 2) / 255
        psnr = float(-10 * (marked - frames).square().mean().log10())
        print(f"{name} {side}: {psnr:.1f} dB, {each:.0f} ms a frame", end="")
        for attack, change in ATTACKS.items():
            changed = (change(marked) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
            decoder = WatermarkDecoder("bits", 64)
            try:
                votes = [decoder.decode(picture[..., ::-1].copy(), "dwtDct") for picture in changed]
                right = int(((np.mean(votes, 0) > 0.5) == np.array(bits)).sum())
                print(f", {attack} {right}/64", end="")
            except RuntimeError as error:
                print(f", {attack} refused ({error})", end="")
        print(flush=True)


def speed(options: argparse.Namespace) -> None:
    """Print milliseconds of processor time per frame on one thread."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    for side in (256, 512, 1080):
        frames = torch.rand((8, 3, side, side), generator=generator)
        embedder = Watermark(1).embedder((side, side))
        detector = Detector((side, side))
        jobs: dict[str, Callable[[], object]] = {
            "embed": lambda embedder=embedder, frames=frames: embedder.embed(frames),
            "detect": lambda detector=detector, frames=frames: detector.add(frames),
        }
        for name, job in jobs.items():
            job()
            times = []
            for _ in range(options.repeats):
                start = time.process_time()
                job()
                times.append((time.process_time() - start) / len(frames) * 1000)
            print(f"{name} {side}x{side}: median {median(times):.2f} ms, least {min(times):.2f} ms")


def look(options: argparse.Namespace) -> None:
    """Write original, marked frame and eight times their difference, a row per clip."""
    rows = []
    for path in options.clips:
        clip = open_clip(path)
        plain = piece_of(clip, len(clip) // 2)[:1]
        marked = Watermark(Stamp.of(MANIFEST).payload()).embed(plain)
        eightfold = (0.5 + 8 * ((marked * 255).round() / 255 - plain)).clamp(0, 1)
        rows.append(scaled(torch.cat([plain, marked, eightfold], 3), (512, 1536)))
    sheet = (torch.cat(rows, 2)[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    Image.fromarray(sheet).save(options.output)


def main() -> None:
    """Read the command line and run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    kinds = parser.add_subparsers(required=True)
    for job in (attacks, compare, speed, look):
        sub = kinds.add_parser(job.__name__, help=job.__doc__)
        sub.set_defaults(job=job)
        if job is look:
            sub.add_argument("output", type=Path)
        if job is not speed:
            sub.add_argument("clips", nargs="*", type=Path)
        if job in (attacks, compare):
            sub.add_argument("--actors", nargs="*", type=int, default=[])
            sub.add_argument("--sizes", nargs="*", type=int, default=[])
            sub.add_argument("--pieces", type=int, default=3)
        if job is speed:
            sub.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    options.job(options)


if __name__ == "__main__":
    main()

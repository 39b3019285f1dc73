"""Measure what marking costs: frames per second of `encode` as it is, and without its marking.

There is no switch that turns marking off, so the time inside each part of it is taken and deducted.

Run: python benchmarks/marking.py [CLIP]      # a clip of your own; else 512x512, 250 frames
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import torch

from likeness.decode import open_clip, stream
from likeness.encode import encode, sinks, writer
from likeness.provenance import Manifest, read_manifest, trust_anchors
from likeness.provenance.watermark import Watermark
from likeness.provenance.watermark.mark import Embedder
from likeness.types import Clip

BATCH = 8
PARTS = {
    "credentials and trial signature": (writer, "rehearse"),
    "watermark pattern": (Watermark, "embedder"),
    "watermark": (Embedder, "embed"),
    "signature and its validation": (sinks, "sign_video"),
}


def drawn(count: int = 250, side: int = 512) -> tuple[Clip, Callable[[], Iterator[torch.Tensor]]]:
    """Return a clip that does not exist, and its frames: soft shapes that drift, with grain."""
    clip = Clip(Path("drawn"), "", (side, side), np.arange(count), Fraction(1, 25), 1)
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, side // 16, side // 16 * 2, generator=random)
    wide = torch.nn.functional.interpolate(coarse, scale_factor=16, mode="bicubic")[0]
    grain = 0.02 * torch.randn(BATCH, 3, side, side, generator=random)

    def frames() -> Iterator[torch.Tensor]:
        for start in range(0, count, BATCH):
            at = range(start, min(start + BATCH, count))
            window = torch.stack([wide[:, :, i : i + side] for i in at])
            yield (window + grain[: len(at)]).clamp(0, 1)

    return clip, frames


def measure(clip: Clip, frames: Callable[[], Iterator[torch.Tensor]], output: Path) -> None:
    """Encode once and print where the time went."""
    seconds: Counter[str] = Counter()

    def timed(part: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return original(*arguments)
            finally:
                seconds[part] += time.perf_counter() - began

        return run

    with ExitStack() as patches:
        for part, (home, name) in PARTS.items():
            replaced = timed(part, getattr(home, name))
            patches.enter_context(mock.patch.object(home, name, replaced))
        ready = list(frames())
        began = time.perf_counter()
        with encode(output, clip, Manifest("benchmark", "render")) as video:
            for window in ready:
                video.append(window)
        total = time.perf_counter() - began
    count, plain = len(clip), total - sum(seconds.values())
    print(f"{count} frames of {clip.size[1]}x{clip.size[0]}, {torch.get_num_threads()} threads")
    print(f"without marking {count / plain:7.1f} frames a second")
    print(f"as it is        {count / total:7.1f} frames a second")
    for part in PARTS:
        once = 1000 * seconds[part]
        print(f"{part:32} {once:8.1f} ms a file {once / count:7.2f} ms a frame")
    began = time.perf_counter()
    found = read_manifest(output, trust_anchors())
    assert found.trusted, found.problems
    print(f"{'reading it back':32} {1000 * (time.perf_counter() - began):8.1f} ms a file")
    print(f"{'file':32} {output.stat().st_size / 1000:8.1f} kB")


def main() -> None:
    """Measure twice: the first run loads libraries."""
    if len(sys.argv) > 1:
        clip = open_clip(Path(sys.argv[1]))

        def frames() -> Iterator[torch.Tensor]:
            return (pictures for _, pictures in stream(clip, BATCH))
    else:
        clip, frames = drawn()
    with TemporaryDirectory() as folder:
        for name in ("first", "second"):
            print(f"{name} file of this process:")
            measure(clip, frames, Path(folder) / f"{name}.mp4")


if __name__ == "__main__":
    main()

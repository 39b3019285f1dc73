"""Count the watermark's false alarms: unmarked frames and keys drawn at random, by the thousand.

Run: python benchmarks/alarms.py draw LOG --hours 2 --keys 64 --actors 0 1 2 --clips CLIP ...
     python benchmarks/alarms.py table LOG ... [--plot OUT.png]

`draw` goes on until it has looked at so many hours of frames, or is stopped; each piece is a line
of LOG. A piece is two seconds of a clip, of an actor, or of scenery drawn for it alone, from
a random start, cut, mirrored, scaled, brightened and coded at random. What the detector makes of a
picture before the key comes in is computed once, and then tested against the public key and many
random ones, exactly as `Detector.read` does.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from watermark import FRAMES, acted, coded, piece_of

from likeness.decode import open_clip
from likeness.provenance.watermark import PUBLIC_KEY
from likeness.provenance.watermark.evidence import Evidence
from likeness.provenance.watermark.pattern import waves
from likeness.provenance.watermark.search import Spectra, scores, search

RATE = 24
EDGES = np.arange(0, 8.01, 0.25)
"""Scores at which all places are counted, at the pattern's own scale."""
LEVELS = (0.5, 0.1, 0.03, 0.01, 1e-3, 1e-6)


def scenery(rng: np.random.Generator, side: int = 320) -> torch.Tensor:
    """Return `FRAMES` frames of things before a textured ground, seen by a panning camera."""
    margin = 96
    wide = side + 2 * margin
    falloff = np.hypot(np.fft.fftfreq(wide)[:, None], np.fft.rfftfreq(wide)[None]) + 1 / wide
    noise = np.fft.rfft2(rng.standard_normal((3, wide, wide))) / falloff ** rng.uniform(0.8, 1.8)
    ground = np.fft.irfft2(noise, s=(wide, wide))
    still = 0.5 + rng.uniform(0.02, 0.2) * ground / ground.std()
    y, x = np.mgrid[0:wide, 0:wide]
    for _ in range(int(rng.integers(0, 150))):
        cy, cx, radius = rng.uniform(0, wide), rng.uniform(0, wide), rng.uniform(2, 60)
        if rng.random() < 0.5:
            inside = np.hypot(y - cy, x - cx) < radius
        else:
            inside = (abs(y - cy) < radius) & (abs(x - cx) < radius * rng.uniform(0.1, 2))
        color, own = rng.uniform(0, 1, (3, 1)), rng.uniform(0, 1)
        still[:, inside] = color + own * (still[:, inside] - 0.5)
    speed = rng.uniform(-2, 2, 2) * (rng.random() < 0.6)
    grain = rng.uniform(0, 0.03)
    frames = np.empty((FRAMES, 3, side, side), np.float32)
    for t in range(FRAMES):
        top, left = (int(margin + v * (t - FRAMES / 2)) for v in speed)
        view = still[:, top : top + side, left : left + side]
        frames[t] = view + grain * rng.standard_normal(view.shape)
    return torch.from_numpy(frames.clip(0, 1))


def treated(frames: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, str]:
    """Return frames cut, mirrored, scaled, brightened and coded at random, and the coder's name."""
    height, width = (int(side * rng.uniform(0.6, 1)) for side in frames.shape[2:])
    top, left = (
        int(rng.integers(whole - part + 1))
        for whole, part in zip(frames.shape[2:], (height, width), strict=True)
    )
    frames = frames[..., top : top + height, left : left + width]
    mirrored = [axis for axis in (2, 3) if rng.random() < 0.5]
    frames = frames.flip(mirrored) if mirrored else frames
    least, most = 96 / min(height, width), 400 / max(height, width)
    scale = float(np.clip(rng.uniform(0.5, 1.5), min(least, most), most))
    size = round(height * scale), round(width * scale)
    frames = functional.interpolate(frames, size, mode="bicubic", antialias=True)
    frames = (frames * rng.uniform(0.6, 1.2) + rng.uniform(-0.1, 0.1)).clamp(0, 1)
    codec, crf = (("", 0), ("libx264", 18), ("libx264", 23), ("libx264", 28), ("libx264", 33),
                  ("libx265", 28))[int(rng.integers(6))]  # fmt: skip
    if codec:
        return coded(frames, crf, codec), f"{codec} {crf}"
    return frames, "none"


def draw(options: argparse.Namespace) -> None:
    """Append a line per piece to LOG: p-values of the public key and of random ones."""
    rng = np.random.default_rng(options.seed)
    clips = [open_clip(path) for path in options.clips]
    actors = [acted(seed, 256) for seed in options.actors]
    kinds = ["drawn"] + ["clip"] * bool(clips) + ["actor"] * bool(actors)
    with options.log.open("a") as log:
        for _ in range(math.ceil(options.hours * 3600 * RATE / FRAMES)):
            kind = kinds[int(rng.integers(len(kinds)))]
            if kind == "clip":
                clip = clips[int(rng.integers(len(clips)))]
                frames = piece_of(clip, int(rng.integers(max(1, len(clip) - FRAMES))))
            else:
                made = kind == "actor"
                frames = actors[int(rng.integers(len(actors)))] if made else scenery(rng)
            frames, codec = treated(frames, rng)
            evidence = Evidence((frames.shape[2], frames.shape[3]))
            evidence.add(frames)
            picture = evidence.picture()
            assert picture is not None, frames.shape
            spectra = Spectra(picture)
            keys = [PUBLIC_KEY, *(rng.bytes(16) for _ in range(options.keys))]
            readings = [search(spectra, key, len(frames)) for key in keys]
            assert not any(reading.payload for reading in readings), "a payload in unmarked frames"
            counts = np.zeros(len(EDGES), int)
            for key in keys[1:]:
                surface = scores(spectra.at(1.0), waves(key, 0)).ravel()
                above = np.histogram(surface, [*EDGES, np.inf])[0]
                counts += above[::-1].cumsum()[::-1]
            line = {
                "kind": kind, "codec": codec, "frames": len(frames), "size": frames.shape[2:],
                "p": [reading.p_value for reading in readings], "above": counts.tolist(),
            }  # fmt: skip
            print(json.dumps(line), file=log, flush=True)


def table(options: argparse.Namespace) -> None:
    """Print how p-values and scores are spread, beside their bounds."""
    lines = [json.loads(line) for path in options.logs for line in path.read_text().splitlines()]
    hours = sum(line["frames"] for line in lines) / RATE / 3600
    public = np.array([line["p"][0] for line in lines])
    others = np.concatenate([line["p"][1:] for line in lines])
    kinds = [line["kind"] for line in lines]
    print(f"{len(lines)} pieces, {hours:.2f} hours of frames:", end=" ")
    print(", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))))
    print(f"{len(others)} tests with random keys, {len(others) / len(lines) * hours:.1f} hours")
    print("\n| p at most | allowed share | random keys | public key |\n|---|---|---|---|")
    for level in LEVELS:
        shares = [f"{(values <= level).mean():.2g}" for values in (others, public)]
        print(f"| {level:g} | {level:g} | {shares[0]} | {shares[1]} |")
    print(f"\nsmallest p {others.min():.1e} of random keys, {public.min():.1e} of the public one")
    above = np.sum([line["above"] for line in lines], 0) / (len(others) * 256 * 256)
    print("\n| score above | allowed share | found |\n|---|---|---|")
    for edge, share in zip(EDGES, above, strict=True):
        if edge == round(edge) and share:
            print(f"| {edge:g} | {math.exp(-(edge**2) / 2):.1e} | {share:.1e} |")
    if options.plot:
        plot(options.plot, above)


def plot(output: Path, above: np.ndarray[Any, Any]) -> None:
    """Draw the share of places above each score, and its bound."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.semilogy(EDGES, np.exp(-(EDGES**2) / 2), "--", color="0.4", label="bound")
    axes.semilogy(EDGES[above > 0], above[above > 0], "o-", ms=3, label="unmarked frames")
    axes.set(xlabel="score (standard deviations)", ylabel="share of places above")
    axes.legend(frameon=False)
    figure.savefig(output, dpi=110)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    kinds = parser.add_subparsers(required=True)
    drawing = kinds.add_parser("draw", help=draw.__doc__)
    drawing.add_argument("log", type=Path)
    drawing.add_argument("--hours", type=float, default=1.0)
    drawing.add_argument("--keys", type=int, default=64)
    drawing.add_argument("--seed", type=int, default=0)
    drawing.add_argument("--actors", type=int, nargs="*", default=[])
    drawing.add_argument("--clips", type=Path, nargs="*", default=[])
    drawing.set_defaults(job=draw)
    listing = kinds.add_parser("table", help=table.__doc__)
    listing.add_argument("logs", type=Path, nargs="+")
    listing.add_argument("--plot", type=Path)
    listing.set_defaults(job=table)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.job(options)


if __name__ == "__main__":
    main()

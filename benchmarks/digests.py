"""Digests of what every verb and preset paints on the procedural actor, seed by seed.

    python benchmarks/digests.py [-o FILE.json] [--against FILE.json] [--only NAME ...]

A change that only moves code leaves every digest as it is. Frames are hashed as they reach the
encoder. All commands run as a user types them, in one process and on one thread, and all manifests
state the same time, which the mark in the clips carries: two runs agree to the bit.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Self

import torch

from likeness.actor import Actor, Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.cli.app import run
from likeness.encode.writer import Encoder
from likeness.provenance import manifest
from likeness.store import load_bundle

_PRESETS = ("fast", "paper", "pix2pix", "face2face", "obama")
_MODES = ("full", "expression", "pose", "gaze", "mouth")
_SETTINGS = """
[train]
steps = 6
[train.paper]
width = 8
[train.pix2pix]
width = 8
[speech]
steps = 30
"""


class OneMoment(datetime):
    """The same time at every look."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """Return the first second of 2026."""
        return cls(2026, 1, 1, tzinfo=tz)


@contextlib.contextmanager
def hashed() -> Iterator[dict[str, str]]:
    """Yield a dictionary that fills with the digest of each output's frames, by file name."""
    append, sums = Encoder.append, {}

    def listen(self: Encoder, frames: torch.Tensor) -> None:
        kept = sums.setdefault(self.output.name, hashlib.sha256())
        kept.update((frames.clamp(0, 1) * 65535 + 0.5).to(torch.int32).numpy().tobytes())
        append(self, frames)

    found: dict[str, str] = {}
    Encoder.append = listen  # type: ignore[method-assign]
    try:
        yield found
    finally:
        Encoder.append = append  # type: ignore[method-assign]
        found.update({name: kept.hexdigest()[:16] for name, kept in sums.items()})


def film(folder: Path) -> tuple[Path, Path, Path]:
    """Film target and driver, and a picture of a third actor."""
    camera = RenderConfig((192, 192))
    target, driver = folder / "target.mp4", folder / "driver.mp4"
    first = Motion.from_seed(1, 3.0, style="expressive")
    write_actor_clip(Actor.from_seed(3), first, target, camera, sound=True)
    write_actor_clip(Actor.from_seed(5), Motion.from_seed(2, 1.0), driver, camera, sound=True)
    photo = folder / "photo.mp4"
    write_actor_clip(Actor.from_seed(7), Motion.from_seed(3, 0.2), photo, camera)
    return target, driver, photo


def commands(folder: Path, clips: tuple[Path, Path, Path]) -> dict[str, list[str]]:
    """Every command, by the name of what it writes."""
    target, driver, photo = (str(clip) for clip in clips)
    (folder / "settings.toml").write_text(_SETTINGS)
    common = ["--config", str(folder / "settings.toml"), "--device", "cpu", "--json"]
    jobs: dict[str, list[str]] = {}

    def job(name: str, *words: str, ending: str = "mp4") -> None:
        jobs[name] = [*words, "-o", str(folder / f"{name}.{ending}"), *common]

    for preset in _PRESETS:
        job(
            preset,
            *("train", "reenact", target, "--preset", preset, "--size", "128", "--seed", "0"),
            ending="bundle",
        )
    for preset in _PRESETS:
        bundle = str(folder / f"{preset}.bundle")
        for mode in _MODES:
            if preset in ("face2face", "obama") and mode in ("pose", "gaze"):
                continue
            job(f"{preset}_{mode}", "reenact", bundle, driver, "--transfer", mode)
        job(f"{preset}_edit", "reenact", bundle, "--edit", "smile=0.6", "--edit", "yaw=+6")
        job(f"{preset}_dub", "dub", bundle, driver, "--from", "face")
    fast = str(folder / "fast.bundle")
    job("fast_absolute", "reenact", fast, driver, "--absolute")
    job("fast_sound", "dub", fast, driver, "--from", "sound")
    job("animate", "animate", photo, driver)
    return jobs


def paint(only: list[str]) -> dict[str, str]:
    """Run all commands and return the digests of what they painted or learned."""
    torch.set_num_threads(1)
    manifest.datetime = OneMoment  # type: ignore[attr-defined]
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="likeness-") as name, hashed() as painted:
        folder = Path(name)
        for title, words in commands(folder, film(folder)).items():
            if only and title not in only:
                continue
            began = time.monotonic()
            with contextlib.redirect_stdout(io.StringIO()) as said:
                code = run(words)
            if code not in (0, 3):
                found[title] = f"exit {code}: {said.getvalue()[:200]}"
            elif words[0] == "train":
                found[title] = learned(folder / f"{title}.bundle")
            print(f"{title}: exit {code}, {time.monotonic() - began:.1f} s", flush=True)
    found.update({Path(name).stem: digest for name, digest in painted.items()})
    return found


def learned(bundle: Path) -> str:
    """Digest of all tensors of a bundle."""
    digest = hashlib.sha256()
    for name, weights in sorted(load_bundle(bundle).networks.items()):
        for key, tensor in sorted(weights.tensors.items()):
            digest.update(f"{name}.{key}".encode())
            digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def main() -> None:
    """Print the digests, and how they differ from those of another run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    found = paint(arguments.only)
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    before = json.loads(arguments.against.read_text()) if arguments.against else {}
    for name, digest in sorted(found.items()):
        same = "" if name not in before else "  same" if before[name] == digest else "  MOVED"
        print(f"{name:24} {digest}{same}")


if __name__ == "__main__":
    main()

"""Measure every swap method of the table: between two actors with their exact truth, and on clips.

Run: python benchmarks/swap.py [--clips A.mp4 B.mp4] [--consent FILE.toml ...] [-o swap_figures]
                               [--only photo portrait ...] [--minutes M] [--seconds 6]
                               [--bundles A_on_B.bundle ...] [--bundles-back B_on_A.bundle ...]
                               [--bundles-actors SOURCE.bundle ...] [--no-actors]

Between actors: A speaks for some seconds and is the source, B performs a motion and is the target;
the truth is A's face on B's head doing exactly that (`actor.with_face_of`). With --clips, pieces of
two real clips are swapped both ways, which needs the consent of both. Methods that have to be
trained are left out, with the reason, unless --minutes says how long, or one is given that was
trained before: for A on B, for B on A, or on the actors' clips, which are left as they are in a
folder that holds them.

Prints Markdown tables. Into the folder go the clips and one contact sheet per method and direction.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from likeness.actor import Actor, Motion, RenderConfig, with_face_of
from likeness.actor_clip import write_actor_clip
from likeness.decode import open_clip, stream
from likeness.errors import LikenessError
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.table import METHODS
from likeness.provenance.consent import Consent, load_consent
from likeness.store import load_bundle
from likeness.types import Window
from likeness.verbs.evaluate import evaluate_pair
from likeness.verbs.evaluate_change import evaluate_swap
from likeness.verbs.swap import SwapConfig, swap
from likeness.verbs.swap_pairs import SwapPair

COLUMNS = {
    "identity_source": "to source", "identity_target": "to target", "nearer_to_source": "nearer",
    "pose_error_deg": "pose deg", "expression_error": "expr. mm", "gaze_error_deg": "gaze deg",
    "mouth_correlation": "mouth", "mouth_gain": "its gain",
    "blink_correlation": "blinks", "temporal_error": "flicker",
    "seam": "seam", "outside_changed": "outside",
}  # fmt: skip
TRUTH = {"psnr_face": "PSNR face", "landmark_error_px": "points px", "identity": "to truth"}
SOURCE, TARGET = 8, 3
"""Seeds of two actors whom the recognizer holds for quite different people."""


@dataclass
class Scene:
    """A source and a target, and how the result should look where that is known."""

    name: str
    source: Path
    target: Path
    consents: Sequence[Consent] = ()
    truth: Path | None = None
    bundles: Mapping[str, Path] = field(default_factory=dict)


def main() -> None:
    """Print a table per scene."""
    asked = _asked()
    asked.output.mkdir(parents=True, exist_ok=True)
    scenes = [] if asked.no_actors else [actors(asked.output, asked.seconds, asked.size)]
    for scene in scenes:
        scene.bundles = by_method(asked.bundles_actors)
    if asked.clips:
        pieces = [piece(clip, asked.output, asked.seconds) for clip in asked.clips]
        records = tuple(load_consent(path) for path in asked.consent)
        ways = ((pieces, asked.bundles), (pieces[::-1], asked.bundles_back))
        for (one, other), given in ways:
            name = f"{one.stem} on {other.stem}"
            scenes.append(Scene(name, one, other, records, bundles=by_method(given)))
    methods = [key.partition(".")[2] for key in METHODS if METHODS[key].action == "swap"]
    for scene in scenes:
        columns = [*COLUMNS.values(), *(TRUTH.values() if scene.truth else ()), "s/frame"]
        print(
            f"\n{scene.name}\n\n| method | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}"
        )
        line("target itself", scene, scene.target, None)
        if scene.truth:
            line("truth", scene, scene.truth, None)
        for method in asked.only or methods:
            attempt(method, scene, asked)


def by_method(paths: Sequence[Path]) -> dict[str, Path]:
    """Tell bundles by the short names of the methods that they swap by."""
    methods = {path: load_bundle(path).method for path in paths}
    return {
        "portrait" if method.startswith("reenact.") else method.partition(".")[2]: path
        for path, method in methods.items()
    }


def attempt(method: str, scene: Scene, asked: argparse.Namespace) -> None:
    """Swap by one method, and print what came out or why nothing did."""
    recipe = METHODS[f"swap.{method}"]
    kept = scene.bundles.get(method)
    if recipe.parts and asked.minutes is None and kept is None:
        print(
            f"| {method} | left out: it is trained first, and --minutes was not given |", flush=True
        )
        return
    out = asked.output / f"{scene.name.replace(' ', '_')}_{method}.mp4"
    train = ReenactTraining(minutes=asked.minutes or 1, holdout="none")
    config = SwapConfig(method=None if kept else method, train=train)
    began = time.monotonic()
    try:
        pair = SwapPair(kept or scene.source)
        report = swap([pair], scene.target, out, config, consents=scene.consents)
        seconds = (time.monotonic() - began) / report.frames
        line(method, scene, out, seconds, out.with_suffix(".png"))
    except LikenessError as error:
        print(f"| {method} | left out: {error} |", flush=True)


def line(
    name: str, scene: Scene, result: Path, seconds: float | None, sheet: Path | None = None
) -> None:
    """Print what is measured of one result."""
    found = evaluate_swap(result, scene.target, scene.source, sheet=sheet).json()
    cells = [_cell(found[key]) for key in COLUMNS]
    if scene.truth:
        against = evaluate_pair(result, scene.truth).json()
        cells += [_cell(against[key]) for key in TRUTH]
    cells.append(_cell(seconds))
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def actors(folder: Path, seconds: float, size: int) -> Scene:
    """Film source, target and truth."""
    source, target = Actor.from_seed(SOURCE), Actor.from_seed(TARGET)
    motion = Motion.from_seed(5, seconds, style="expressive")
    camera = RenderConfig((size, size))
    casts = {
        "actor_source": (source, Motion.from_seed(9, seconds, style="expressive")),
        "actor_target": (target, motion),
        "actor_truth": (with_face_of(target, source), motion),
    }
    paths = {name: folder / f"{name}.mp4" for name in casts}
    for name, (actor, performance) in casts.items():
        if not paths[name].is_file():
            write_actor_clip(actor, performance, paths[name], camera)
    return Scene("actors", paths["actor_source"], paths["actor_target"], (), paths["actor_truth"])


def piece(path: Path, folder: Path, seconds: float) -> Path:
    """Cut the first seconds of a recording, coded anew so finely that nothing is seen of it."""
    clip, out = open_clip(path), folder / f"{path.stem.split('_')[0]}.mp4"
    if out.is_file():
        return out
    count = int(np.searchsorted((clip.pts - clip.pts[0]) * float(clip.time_base), seconds))
    with av.open(str(out), "w") as container:
        video = container.add_stream("libx264", rate=clip.fps, options={"crf": "10"})
        video.height, video.width = clip.size
        video.pix_fmt = "yuv420p"
        for window, frames in stream(clip, 8, Window(0, count)):
            pictures = (frames * 255 + 0.5).byte().permute(0, 2, 3, 1).numpy()
            for index, picture in zip(window, pictures, strict=True):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts, frame.time_base = int(clip.pts[index] - clip.pts[0]), clip.time_base
                container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return out


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, nargs=2, default=None)
    parser.add_argument("--consent", type=Path, nargs="*", default=[])
    parser.add_argument("--bundles", type=Path, nargs="*", default=[])
    parser.add_argument("--bundles-back", type=Path, nargs="*", default=[])
    parser.add_argument("--bundles-actors", type=Path, nargs="*", default=[])
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--minutes", type=float, default=None)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--no-actors", action="store_true")
    parser.add_argument("-o", "--output", type=Path, default=Path("swap_figures"))
    return parser.parse_args()


if __name__ == "__main__":
    main()

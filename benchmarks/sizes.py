"""How much of a large portrait's training to spend at a smaller size.

    python benchmarks/sizes.py [--size 512] [--minutes 10] [--shares 0 0.4 0.6 0.8]
                               [--clip CLIP --consent FILE.toml] [-o sizes]

Trains the same portrait once per share, on the procedural actor filmed at 640 pixels or on a clip,
and evaluates each on the last third. Writes one line of JSON per share to sizes/sizes.jsonl and a
contact sheet of it, and prints a table. Keep the machine free of other work: budgets are minutes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from likeness.actor import Actor, Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.evaluate.page import self_manifest, write_sheet
from likeness.evaluate.self_reenactment import evaluate_self
from likeness.machine import hardware, peak_rss_mb
from likeness.methods.portrait.settings import ReenactTraining
from likeness.pipeline import analyze
from likeness.provenance.consent import load_consent
from likeness.provenance.permission import permit_synthesis
from likeness.verbs.train import train_portrait

SHOWN = (
    *("psnr_face", "psnr_eyes", "psnr_mouth", "sharpness_face", "sharpness_eyes"),
    *("sharpness_mouth", "landmark_error_px", "seconds_per_frame"),
)


def measure(clip: Path, share: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train and judge one portrait."""
    consents = tuple(load_consent(path) for path in arguments.consent)
    shot = analyze(clip)[0]
    config = ReenactTraining(
        size=arguments.size, minutes=arguments.minutes, early_share=share, seed=arguments.seed
    )
    path = arguments.output / f"share_{share:g}.bundle"
    bundle = train_portrait(shot, path, config, consents)
    evaluation = evaluate_self(path, clip)
    permission = permit_synthesis(bundle.people, "reenact", consents)
    sheet = path.with_suffix(".png")
    write_sheet(evaluation, sheet, shot.clip, self_manifest(sheet, path, shot.clip, permission))
    return {
        "share": share,
        "size": arguments.size,
        "minutes": arguments.minutes,
        "frame_pixels": bundle.input["frame_pixels"],
        "steps": bundle.training["steps_by_size"],
        "peak_rss_mb": round(peak_rss_mb()),
        "machine": hardware().processor,
        **evaluation.report.json(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.4, 0.6, 0.8])
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--consent", type=Path, nargs="*", default=[])
    parser.add_argument("--seconds", type=float, default=24.0, help="length of the actor's clip")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path("sizes"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    clip = arguments.clip or arguments.output / "actor.mp4"
    if not clip.exists():
        motion = Motion.from_seed(1, arguments.seconds, style="expressive")
        write_actor_clip(Actor.from_seed(3), motion, clip, RenderConfig((640, 640)))
    for share in arguments.shares:
        found = measure(clip, share, arguments)
        with (arguments.output / "sizes.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
        numbers = "  ".join(f"{key} {found[key]:.3g}" for key in SHOWN if found[key] is not None)
        print(f"share {share:g}  steps {found['steps']}  {numbers}", flush=True)


if __name__ == "__main__":
    main()

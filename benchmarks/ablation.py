"""What each part of the fast portrait is worth: train it without the part, and judge.

    python benchmarks/ablation.py CLIP [--minutes 2] [--only full paper] [--consent FILE.toml]

Prints a table in Markdown. Trainings run one after another; keep the machine free of other work.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from likeness.evaluate.self_reenactment import evaluate_self
from likeness.fit import FitConfig
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.portrait.tasks import FastConfig
from likeness.pipeline import AnalyzeConfig, analyze
from likeness.provenance.consent import load_consent
from likeness.verbs.train import train_portrait

FULL = ReenactTraining()
UNALIGNED = "frames not laid onto each other"
VARIANTS = {
    "full": FULL,
    UNALIGNED: FULL,
    "without local-contrast loss": replace(FULL, method=FastConfig(texture=0)),
    "without Laplacian pyramid": replace(FULL, method=FastConfig(detail=0)),
    "16 keyframes": replace(FULL, method=FastConfig(keyframes=16)),
    "body of the keyframe nearest in pose": replace(FULL, method=FastConfig(pose=1e6)),
    "neighbors in time offered": replace(FULL, method=FastConfig(apart=0)),
    "with a patch discriminator": replace(FULL, method=FastConfig(adversarial=0.01)),
    "keyframes in one piece": replace(FULL, method=FastConfig(layers=False)),
    "keyframes never turned": replace(FULL, method=FastConfig(turned=0)),
    "24, 48, 64, 96 channels": replace(FULL, method=FastConfig(widths=(24, 48, 64, 96))),
    "48, 96, 128, 160 channels": replace(FULL, method=FastConfig(widths=(48, 96, 128, 160))),
    "paper": replace(FULL, preset="paper", method=None),
}
COLUMNS = (
    "psnr",
    "psnr_face",
    "psnr_eyes",
    "psnr_mouth",
    "sharpness_face",
    "detail_face",
    "landmark_error_px",
    "gaze_error_deg",
    "blink_correlation",
    "temporal_error",
    "baseline_nearest_psnr_face",
)


def main() -> None:
    """Train and judge the chosen variants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--steps", type=int, help="in place of minutes, for a busy machine")
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--consent", type=Path, nargs="*", default=[])
    chosen = parser.parse_args()
    consents = [load_consent(path) for path in chosen.consent]
    print("| variant | steps |", " | ".join(COLUMNS), "|")
    print("|---" * (2 + len(COLUMNS)) + "|")
    for name in chosen.only:
        config = replace(VARIANTS[name], minutes=chosen.minutes, steps=chosen.steps)
        rounds = 0 if name == UNALIGNED else FitConfig().align_rounds
        shot = analyze(chosen.clip, AnalyzeConfig(fit=FitConfig(align_rounds=rounds)))[0]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "portrait.bundle"
            bundle = train_portrait(shot, path, config, consents)
            report = evaluate_self(path, chosen.clip).report.json()
        cells = [f"{report[column]:.3g}" for column in COLUMNS]
        print(f"| {name} | {bundle.training['steps']} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()

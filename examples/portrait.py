"""Train a portrait of one actor and let another move it, as a program instead of commands.

python examples/portrait.py target.mp4 driver.mp4 result.mp4 [consent.toml]

A real person's portrait needs their consent (likeness consent new); a rendered actor's does not.
"""

from __future__ import annotations

import sys
from pathlib import Path

import likeness


def tell(stage: str, done: int, total: int) -> None:
    """Show progress; every long function takes such a callback."""
    print(f"\r{stage} {done}/{total}   ", end="", file=sys.stderr)


def main(
    target: Path, driver: Path, output: Path, *consents: Path, minutes: float = 10.0
) -> likeness.RunReport:
    """Train, reenact; analysis is kept beside the clips, so a second run is quicker."""
    bundle = output.with_suffix(".bundle")
    training = likeness.ReenactTraining(minutes=minutes, holdout="none")
    records = [likeness.load_consent(path) for path in consents]
    likeness.train_reenact(target, bundle, training, tell, consents=records)
    report = likeness.reenact(bundle, driver, output, progress=tell)
    print(f"{report.frames} frames in {report.seconds:.0f} s, guessed: {report.fallback_frames}")
    return report


if __name__ == "__main__":
    main(*(Path(name) for name in sys.argv[1:]))

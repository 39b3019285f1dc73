"""Make the face generator that comes with the package, from procedural actors alone.

    python scripts/make_generator.py [--arch NAME] [--actors 144] [--minutes 60] [--output DIR]

Casts the actors (about 1.5 s each), learns, finds directions from what is known of each picture,
and writes the bundle into the package. `likeness train gan --actors N` does the same elsewhere.
Eigenfaces take seconds; a StyleGAN takes what it is given, and `--resume` goes on with it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from likeness.methods.edit.shipped import PLACE
from likeness.methods.edit.train import GanTraining
from likeness.store import save_bundle
from likeness.verbs.train_gan import GanJob, train_gan


def main() -> None:
    """Cast, learn, write."""
    options = read_options()
    training = GanTraining(
        arch=options.arch, components=options.components, minutes=options.minutes
    )
    job = GanJob(actors=options.actors, train=training)

    def tell(stage: str, done: int, total: int) -> None:
        if done % max(1, total // 20) == 0:
            print(f"{stage} {done}/{total}", flush=True)

    bundle = train_gan(None, options.output, job, tell, resume=options.resume)
    # A package carries tensors and JSON; whoever wants a look draws some faces.
    save_bundle(replace(bundle, preview=None), options.output)
    for name, facts in bundle.networks["directions"].config.items():
        print(name, dict(facts))


def read_options() -> Any:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", choices=("stylegan2", "eigenfaces"), default="eigenfaces")
    parser.add_argument("--actors", type=int, default=144)
    parser.add_argument("--components", type=int, default=128)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--output", type=Path, default=PLACE)
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()

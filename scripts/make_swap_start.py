"""Make the network that one-to-one swaps begin from, from procedural actors alone.

    python scripts/make_swap_start.py [--actors 28] [--steps 12000] [--work DIR] [--output DIR]

Films the actors (about 3 s each), learns to draw each from pictures of others who do the same, and
writes the bundle into the package, in float16. The shape is that of `likeness train swap` for ten
to ninety core minutes. `--resume` goes on with an interrupted training, or with more `--steps`.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from likeness import config as settings
from likeness.methods.swap.autoencoder.pretraining import RATE, PretrainingTask, folded
from likeness.methods.swap.autoencoder.pretraining_actors import ActorsConfig, film_actors
from likeness.methods.swap.autoencoder.start import FACE_TYPE, PLACE, SHAPE
from likeness.store import save_bundle
from likeness.synthesize.autoencoder import Autoencoder
from likeness.training.loop import LoopConfig, train
from likeness.types import Bundle, Weights


def main() -> None:
    """Film, learn, write."""
    options = read_options()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    network = Autoencoder(SHAPE)
    cast = ActorsConfig(actors=options.actors, poses=options.poses)
    size = SHAPE.size
    faces = film_actors(cast, FACE_TYPE, size, options.work / "actors.npz", tell)
    task = PretrainingTask(network, faces, options.batch)
    loop = LoopConfig(
        minutes=None, steps=options.steps, learning_rate=RATE, average=0.998, seed=options.seed
    )
    digest = settings.digest(SHAPE, asdict(cast), options.batch)
    outcome = train(task, loop, options.work / "state", digest, options.resume, tell)
    tensors = {name: value.half() for name, value in folded(dict(outcome.weights)).items()}
    bundle = Bundle(
        method="swap.df",
        networks={"generator": Weights("autoencoder", asdict(SHAPE), tensors)},
        input={"size": size, "face_type": FACE_TYPE, "color": "srgb", "range": [0, 1]},
        training={
            "actors": asdict(cast),
            "batch": options.batch,
            "steps": outcome.steps,
            "seed": options.seed,
            "losses": [round(loss, 3) for loss in outcome.losses[::10]],
        },
        license="CC0-1.0",
    )
    save_bundle(bundle, options.output)


def tell(stage: str, done: int, total: int) -> None:
    """Print how far it is, a hundred times."""
    if done % max(1, total // 100) == 0:
        print(f"{stage} {done}/{total}", flush=True)


def read_options() -> Any:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--actors", type=int, default=ActorsConfig().actors)
    parser.add_argument("--poses", type=int, default=ActorsConfig().poses)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("swap_start"))
    parser.add_argument("--output", type=Path, default=PLACE)
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()

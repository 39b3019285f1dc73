"""Train every network for any two people on the same procedural actors, and measure all in a table.

Run: python benchmarks/any_to_any.py FOLDER --train simswap cihanet ...
     python benchmarks/any_to_any.py FOLDER --measure simswap warp photo ... [--chosen]
     python benchmarks/any_to_any.py FOLDER --table [--chosen]
     [--actors 70] [--held 10] [--moments 8] [--steps N | --minutes M] [--photos 1]

A training takes the steps that its settings name (`any_to_any_settings`), and is repeatable.

FOLDER keeps what costs time: films of the actors (`train_*.npz`, `held_*.npz`; whatever lies there
is used as it is) with the recognizer's codes and landmarks, of each network a bundle, the state to
go on from and its row of the table, and the contact sheet `sheet.png`. Settings are to be chosen
by other actors than those of the table: `--chosen` measures on them, into FOLDER/chosen.
Actors stand in a row and each is given the face of the next (`compact.actors`), so that every
picture has its exact swap; those that are held out are seen by no training, but for one: a style
transfer learns the pictures of its one source, the second that is held out. Networks that are told
of a source by pictures and landmarks learn from filmed pictures alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from likeness import config as settings
from likeness.condition.align import TEMPLATES
from likeness.importers.recognizer import recognizer_bundle
from likeness.methods.edit.train import learn_generator
from likeness.methods.swap.compact.actors import ActorFaces, film_actors
from likeness.methods.swap.compact.pairs import Pairs, joined_pairs, pairs_of_actors
from likeness.methods.swap.simswap.answers import people_of_pairs
from likeness.methods.swap.simswap.learn import learn_system
from likeness.methods.swap.simswap.people import TEMPLATE, People
from likeness.methods.swap.simswap.train import recognizer_of
from likeness.methods.swap.survey.systems import SETTINGS, SYSTEMS
from likeness.recognize.source import Describer, scaled
from likeness.store import load_bundle, save_bundle
from likeness.training.footage import Budget
from likeness.types import Bundle

from any_to_any_faces import points_of_actors  # isort: skip
from any_to_any_settings import BY_PICTURES, CONFIGS, FACES, SIDE, START  # isort: skip
from any_to_any_table import Held, measure, rows_of, small, table  # isort: skip

CPU = torch.device("cpu")
FILMED = 128
CHUNK = 10
TRAINED = (*range(1000, 1030), *range(2000, 2040))
"""Seeds of the actors that are learned from."""
ARRAYS = ("filmed", "swapped", "cover", "filmed_theta", "swapped_theta")
HELD, CHOSEN = 12000, 9000
"""First seeds of the actors of the table, and of those by whom settings were chosen."""


def main() -> None:
    """Film, train and measure what is asked for."""
    asked = _asked()
    asked.folder.mkdir(parents=True, exist_ok=True)
    _, describer, _ = recognizer_of(recognizer_bundle(), CPU)
    name, first = ("chosen", CHOSEN) if asked.chosen else ("held", HELD)
    seeds = range(first, first + asked.held)
    held, marks = films(asked.folder, name, seeds, asked.moments, describer)
    if asked.train:
        learned = TRAINED[: asked.actors]
        known = films(asked.folder, "train", learned, asked.moments, describer)
        for name in asked.train:
            train(name, known, (held, marks), asked)
    if asked.measure or asked.table:
        out = Held.of(held, marks, seeds, asked.moments)
        rows = asked.folder / "chosen" if asked.chosen else asked.folder
        rows.mkdir(exist_ok=True)
        for name in asked.measure:
            measure(asked.folder, rows, name, out, describer, asked.photos)
        if asked.table:
            table(rows, out)


def films(
    folder: Path, name: str, seeds: Sequence[int], moments: int, describer: Describer
) -> tuple[Pairs, Tensor]:
    """Read films of actors, or make them; and the landmarks (A*F,478,3) of filmed pictures."""
    template = scaled(TEMPLATES[TEMPLATE], FILMED)
    if not any(folder.glob(f"{name}_*.npz")):
        for some in (seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)):
            made = list(film_actors(some, moments, template, describer.template))
            told = {key: np.stack([getattr(one, key) for one in made]) for key in ARRAYS}
            ends = {"seed": [one.seed for one in made], "face": [one.face for one in made]}
            np.savez(folder / f"{name}_{some[0]}.npz", **ends, **told)
    parts, points = [], []
    for path in sorted(folder.glob(f"{name}_*.npz")):
        kept = dict(np.load(path))
        made = [
            ActorFaces(int(kept["seed"][i]), int(kept["face"][i]), *(kept[k][i] for k in ARRAYS))
            for i in range(len(kept["seed"]))
        ]
        codes = path.with_suffix(".codes.npy")
        asked = describer
        if codes.is_file():
            told = iter(torch.from_numpy(np.load(codes)).split(16))
            asked = Describer(describer.template, lambda _, told=told: next(told))
        parts.append(pairs_of_actors(made, asked))
        np.save(codes, parts[-1].codes.numpy())
        marks = path.with_suffix(".points.npy")
        if not marks.is_file():
            np.save(marks, points_of_actors([one.seed for one in made], moments, template))
        points.append(np.load(marks))
    return joined_pairs(parts), torch.from_numpy(np.concatenate(points)).flatten(0, 1)


def train(
    name: str, known: tuple[Pairs, Tensor], held: tuple[Pairs, Tensor], asked: argparse.Namespace
) -> None:
    """Train one network, or go on with it, and keep its bundle."""
    folder = asked.folder / f"{name}.bundle"
    if name == "gan":
        pixels = shrunk(known[0]).faces.pictures
        made = learn_generator(pixels, FACES, asked.folder / name, "gan", True)
        save_bundle(
            Bundle("edit.stitch", dict(made.networks), {"size": SIDE}, {}, "CC0-1.0"), folder
        )
        return
    config, system = CONFIGS[name], replace(SYSTEMS[SETTINGS[name]], laid=TEMPLATE)
    # Of what is learned from alone, so that a training can go on with other weights of losses.
    digest = settings.digest([name, asked.actors, asked.moments, TRAINED[0]])
    steps = asked.steps if asked.minutes or asked.steps else config.steps
    state = asked.folder / name
    limit = Budget(asked.minutes or config.minutes, steps, 0, state, digest, True, CPU)
    state.mkdir(exist_ok=True)
    start = load_bundle(asked.folder / f"{START[name]}.bundle") if name in START else None
    if name == "korshunova":
        people = one_source(filmed(*known), filmed(*held))
    elif name in BY_PICTURES:
        people = filmed(*known)
    else:
        people = people_of_pairs(shrunk(known[0]), SIDE)
    learned, contract, sheet = learn_system(
        system, people, recognizer_bundle(), config, limit, start
    )
    told = {"size": SIDE, "contract": settings.to_json(contract)}
    record = dict(learned.record)
    curve = [round(loss, 3) for loss in record["losses"][::10]]
    print(name, record["steps"], "steps", record["seconds"], "s", curve, flush=True)
    save_bundle(
        Bundle(f"swap.{name}", learned.networks, told, record, "CC0-1.0", preview=sheet), folder
    )


def shrunk(pairs: Pairs) -> Pairs:
    """Shrink the pictures to the side of the networks, once for all batches."""
    pictures = small(torch.from_numpy(pairs.faces.pictures).float())
    faces = replace(pairs.faces, pictures=(pictures + 0.5).to(torch.uint8).numpy())
    return replace(pairs, faces=faces)


def filmed(pairs: Pairs, points: Tensor) -> People:
    """Read actors as people of whom pictures and landmarks are known, and no swaps."""
    people, real = people_of_pairs(shrunk(pairs), SIDE), np.flatnonzero(pairs.faces.real)
    bank = people.bank
    kept = replace(
        bank,
        pixels=bank.pixels[real],
        # None is the frame after another: they are a second apart.
        times=np.arange(len(real)) * 25,
        clip_indices=np.zeros(len(real), np.int64),
        person_indices=bank.person_indices[real],
    )
    return People(kept, people.codes[real], people.theta[real], people.side, points)


def one_source(people: People, held: People) -> People:
    """Put the source of a style transfer, the second that is held out, before all others."""
    rows, bank = np.flatnonzero(held.bank.person_indices == 1), people.bank
    names = np.concatenate([np.zeros(len(rows), np.int64), bank.person_indices + 1])
    nothing = np.zeros(len(names), np.int64)
    both = replace(
        bank,
        pixels=np.concatenate([held.bank.pixels[rows], bank.pixels]),
        times=nothing,
        clip_indices=nothing,
        people=("source", *bank.people),
        person_indices=names,
    )
    assert held.points is not None
    assert people.points is not None
    return People(
        both,
        torch.cat([held.codes[rows], people.codes]),
        torch.cat([held.theta[rows], people.theta]),
        people.side,
        torch.cat([held.points[rows], people.points]),
    )


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--actors", type=int, default=70)
    parser.add_argument("--held", type=int, default=10)
    parser.add_argument("--moments", type=int, default=8)
    parser.add_argument("--train", nargs="*", default=[], choices=["gan", *CONFIGS])
    parser.add_argument("--minutes", type=float, default=None)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--measure", nargs="*", default=[], choices=rows_of(CONFIGS))
    parser.add_argument("--photos", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--chosen", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()

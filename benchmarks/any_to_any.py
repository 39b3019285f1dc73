"""Train every network for any two people on the same procedural actors, and measure all in a table.

Run: python benchmarks/any_to_any.py FOLDER [--actors 70] [--held 10] [--moments 8] [--seed 1000]
         [--train faceshifter hear cihanet ...] [--minutes 5 | --steps N] [--table]
         [--only NAME ...]

FOLDER keeps what costs time: films of the actors (`train_*.npz`, `held_*.npz`; whatever lies there
is used as it is), the recognizer's codes, a bundle per network, the contact sheet `sheet.png`.
Actors stand in a row and each is given the face of the next (`compact.actors`), so that every
picture has its exact swap; those that are held out are seen by no training, but for one: a style
transfer learns the pictures of its one source, the second that is held out.

Columns: distance to source and to target by the recognizer that was in the losses; frames nearer to
the source; frames whose nearest picture among all people's is the source's; angle between fitted
heads, distance of the fitted expressions and angle between the fitted gazes, result against truth;
landmarks off the truth in pixels of a crop of 128, all of them in every second picture; PSNR
against the truth where the faces are. All rows are measured at the side of the networks' pictures.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from likeness import config as settings
from likeness.condition.align import TEMPLATES
from likeness.importers.recognizer import recognizer_bundle
from likeness.methods.edit.train import GanTraining, learn_generator
from likeness.methods.swap.compact.actors import ActorFaces, film_actors
from likeness.methods.swap.compact.pairs import Pairs, joined_pairs, pairs_of_actors
from likeness.methods.swap.simswap.judges import TwoScales
from likeness.methods.swap.simswap.people import TEMPLATE, People, chips
from likeness.methods.swap.simswap.train import recognizer_of
from likeness.methods.swap.survey.answers import SwappedPeople, people_of_pairs
from likeness.methods.swap.survey.cihanet import CihaTraining
from likeness.methods.swap.survey.faceshifter import FaceShifterTask
from likeness.methods.swap.survey.hear import HearTraining
from likeness.methods.swap.survey.ipgan import IPGANTask
from likeness.methods.swap.survey.korshunova import KORSHUNOVA, KorshunovaTask, KorshunovaTraining
from likeness.methods.swap.survey.learn import Given, System, learn_system
from likeness.methods.swap.survey.megafs import MegaFSTraining
from likeness.methods.swap.survey.perceptual import Features
from likeness.methods.swap.survey.settings import FaceShifterTraining, IPGANTraining
from likeness.methods.swap.survey.systems import SURVEY, SYSTEMS
from likeness.networks import build, runner
from likeness.recognize.source import Describer, scaled
from likeness.store import load_bundle, save_bundle
from likeness.synthesize.swap_contract import SwapContract
from likeness.training.footage import Budget
from likeness.types import Bundle, Floats

from any_to_any_faces import Read, photos_of_actors, read_faces  # isort: skip

CPU = torch.device("cpu")
SIDE, FILMED = 64, 128
EVERY = 2
"""Of so many pictures one is read and fitted, which takes longest."""
CHUNK = 10
ARRAYS = ("filmed", "swapped", "cover", "filmed_theta", "swapped_theta")
HELD = 9000
COLUMNS = (
    *("to source", "to target", "nearer %", "retrieved %"),
    *("pose deg", "expr. mm", "gaze deg", "points px", "PSNR"),
)

SHORT: Mapping[str, Any] = {"same": 0.15, "changed": 8.0, "judged": 2, "average": 0.98}
CONFIGS: Mapping[str, Any] = {
    "faceshifter": FaceShifterTraining(
        **SHORT,
        width=16,
        most=96,
        attributes=1.0,
        identity=0.2,
        reconstruction=40.0,
        adversarial=0.02,
        judge_width=16,
        learning_rate=1.5e-3,
    ),
    "ipgan": IPGANTraining(
        same=0.15, identity=0.05, reconstruction=40.0, feature=0.2, adversarial=0.02, judge_width=16
    ),
    "hear": HearTraining(
        **SHORT,
        width=16,
        most=96,
        identity=0.2,
        reconstruction=40.0,
        change=0.2,
        learning_rate=1e-3,
    ),
    "korshunova": KorshunovaTraining(),
    "megafs": MegaFSTraining(**SHORT, identity=0.2, inversion=0.3),
    "cihanet": CihaTraining(
        **SHORT, identity=0.3, attributes=0.5, adversarial=0.02, learning_rate=2e-3
    ),
}
"""Short trainings: where the answer is known, it counts most. A recognizer that is asked early and
much is pleased by colored patterns that please nobody else."""
START = {"hear": "faceshifter", "megafs": "gan"}
"""What is trained before what."""


@dataclass(frozen=True, eq=False)
class Held:
    """Actors that no training saw, N pictures of A actors at the networks' side."""

    target: Tensor
    truth: Tensor
    cover: Tensor
    theta: Tensor
    swapped_theta: Tensor
    actor: Tensor
    """(N,) whose picture; the source is the next."""
    codes: Tensor
    """(N,D) of the targets."""
    pairs: Pairs


def main() -> None:
    """Film, train and measure what is asked for."""
    asked = _asked()
    asked.folder.mkdir(parents=True, exist_ok=True)
    _, describer, _ = recognizer_of(recognizer_bundle(), CPU)
    held = films(asked.folder, "held", HELD, asked.held, asked.moments, describer)
    if asked.train:
        known = films(asked.folder, "train", asked.seed, asked.actors, asked.moments, describer)
        for name in asked.train:
            train(name, known, held, asked)
    if asked.table:
        table(asked.folder, held_out(held, asked.held, asked.moments), describer, asked)


def films(
    folder: Path, name: str, seed: int, count: int, moments: int, describer: Describer
) -> Pairs:
    """Read films of actors, or make them."""
    if not any(folder.glob(f"{name}_*.npz")):
        template = scaled(TEMPLATES[TEMPLATE], FILMED)
        for first in range(seed, seed + count, CHUNK):
            seeds = range(first, min(first + CHUNK, seed + count))
            made = list(film_actors(seeds, moments, template, describer.template))
            told = {key: np.stack([getattr(one, key) for one in made]) for key in ARRAYS}
            ends = {"seed": [one.seed for one in made], "face": [one.face for one in made]}
            np.savez(folder / f"{name}_{first}.npz", **ends, **told)
    parts = []
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
    return joined_pairs(parts)


def train(name: str, known: Pairs, held: Pairs, asked: argparse.Namespace) -> None:
    """Train one network and keep its bundle."""
    people = people_of_pairs(known, SIDE)
    folder = asked.folder / f"{name}.bundle"
    limit = Budget(asked.minutes, asked.steps, 0, asked.folder / name, "a" * 64, False, CPU)
    if name == "gan":
        faces = known.faces
        rows = np.flatnonzero(faces.real)
        pixels = (people.bank.crops(rows) * 255 + 0.5).to(torch.uint8).numpy()
        made = learn_generator(pixels, GanTraining(minutes=asked.minutes), limit.folder, "gan")
        save_bundle(
            Bundle("edit.stitch", dict(made.networks), {"size": SIDE}, {}, "CC0-1.0"), folder
        )
        return
    start = load_bundle(asked.folder / f"{START[name]}.bundle") if name in START else None
    given: People = people
    system = SYSTEMS[SURVEY[name]] if name in SURVEY else published(name)
    if name == "korshunova":
        given, system = one_source(people, people_of_pairs(held, SIDE), system)
    system = replace(system, laid=TEMPLATE)
    learned, contract, sheet = learn_system(
        system, given, recognizer_bundle(), CONFIGS[name], limit, start
    )
    told = {"size": SIDE, "contract": settings.to_json(contract)}
    record = dict(learned.record)
    print(
        name, record["steps"], "steps", record["seconds"], "s", record["losses"][::10], flush=True
    )
    save_bundle(
        Bundle(f"swap.{name}", learned.networks, told, record, "CC0-1.0", preview=sheet), folder
    )


def published(name: str) -> System:
    """Make a system of a network whose training is older than `System`."""
    kind = {"faceshifter": FaceShifterTask, "ipgan": IPGANTask}[name]

    def make(given: Given, config: Any) -> Any:
        judges = TwoScales(config.judge_width, config.size)
        return kind(given.people, given.recognizer, judges, config, given.device)

    return System(name, make)


def one_source(people: SwappedPeople, held: SwappedPeople, system: System) -> tuple[People, System]:
    """Return the source of a style transfer, the second that is held out, before all others."""
    rows = np.flatnonzero(held.bank.person_indices == 1)
    others = np.flatnonzero(people.bank.person_indices >= 0)
    bank = people.bank
    names = np.concatenate([np.zeros(len(rows), int), bank.person_indices[others] + 1])
    both = replace(
        bank,
        pixels=np.concatenate([held.bank.pixels[rows], bank.pixels[others]]),
        times=np.zeros(len(names), np.int64),
        clip_indices=np.zeros(len(names), np.int64),
        people=("source", *bank.people),
        person_indices=names,
    )
    theta = torch.cat([held.theta[rows], people.theta[others]])
    codes = torch.cat([held.codes[rows], people.codes[others]])
    found = People(both, codes, theta, people.side)

    def make(given: Given, config: KorshunovaTraining) -> KorshunovaTask:
        marks = read_faces(torch.from_numpy(both.pixels).float() / 255).landmarks[..., :2]
        mean = np.nanmean(marks, 0)
        marks = np.where(np.isnan(marks), mean, marks).astype(np.float32)
        features = Features.of(given.told_by, given.device)
        return KorshunovaTask(given, config, marks, features)

    return found, replace(KORSHUNOVA, make=make)


def held_out(pairs: Pairs, actors: int, moments: int) -> Held:
    """Read the actors that no training saw."""
    faces, shape = pairs.faces, (actors, 2, moments)
    rows = np.arange(len(faces)).reshape(shape)
    filmed, swapped = rows[:, 0].ravel(), rows[:, 1].ravel()
    pixels = small(torch.from_numpy(faces.pictures).float() / 255)
    cover = small(torch.from_numpy(faces.cover).float() / 255)
    actor = torch.arange(actors).repeat_interleave(moments)
    return Held(
        pixels[filmed],
        pixels[swapped],
        cover[filmed],
        faces.theta[filmed],
        faces.theta[swapped],
        actor,
        pairs.codes[filmed],
        pairs,
    )


def small(pictures: Tensor) -> Tensor:
    """Shrink (N,C,S,S) to the side of the networks."""
    return functional.interpolate(pictures, size=(SIDE, SIDE), mode="area")


def table(folder: Path, held: Held, describer: Describer, asked: argparse.Namespace) -> None:
    """Print a row for the target itself, the truth, the method `photo` and each network."""
    everywhere = torch.ones(len(held.target), dtype=torch.bool)
    rows: dict[str, tuple[Tensor, Tensor]] = {
        "target itself": (held.target, everywhere),
        "truth": (held.truth, everywhere),
    }
    kept = folder / "held_photo.npy"
    if not kept.is_file() and not asked.no_photo:
        template = scaled(TEMPLATES[TEMPLATE], FILMED)
        np.save(kept, photos_of_actors(range(HELD, HELD + asked.held), asked.moments, template))
    if kept.is_file():
        shown = torch.from_numpy(np.load(kept)).flatten(0, 1).float()
        rows["photo"] = (small(shown), everywhere)
    for path in sorted(folder.glob("*.bundle")):
        name = path.stem
        if name != "gan" and (not asked.only or name in asked.only):
            # A style transfer's source is the second, whom the first is given.
            only = held.actor == 0 if name == "korshunova" else everywhere
            rows[name] = (drawn(load_bundle(path), held), only)
    print(f"| | {' | '.join(COLUMNS)} |\n|---|" + "--:|" * len(COLUMNS))
    truth = read_faces(held.truth[::EVERY])
    for name, (pictures, only) in rows.items():
        measure(name, pictures, only, held, truth, describer)
    sheet(folder / "sheet.png", rows, held)


def drawn(bundle: Bundle, held: Held) -> Tensor:
    """Run a network, told of one picture of the source."""
    contract = settings.resolve(SwapContract, bundle.input["contract"])
    run = runner(build(bundle.networks["generator"]), CPU)
    count = int(held.actor.max()) + 1
    first = [int(torch.nonzero(held.actor == (a + 1) % count)[0]) for a in range(count)]
    source = torch.tensor(first)[held.actor]
    told: tuple[Tensor, ...] = (contract.counted(held.codes[source]),)
    if contract.source == "none":
        told = ()
    elif contract.source == "picture":
        told = (held.target[source],)
    elif contract.own:
        told = (torch.cat([told[0], contract.counted(held.codes)], 1),)
    parts = [
        run(*batch) for batch in zip(*(one.split(8) for one in (held.target, *told)), strict=True)
    ]
    return torch.cat([one[:, :3] for one in parts]).clamp(0, 1)


def measure(
    name: str, pictures: Tensor, only: Tensor, held: Held, truth: Read, describer: Describer
) -> None:
    """Print one row."""
    theta = held.swapped_theta if name not in ("target itself", "photo") else held.theta
    codes = told(describer, pictures, theta)
    count = int(held.actor.max()) + 1
    means = torch.stack([held.codes[held.actor == a].mean(0) for a in range(count)])
    source = (held.actor + 1) % count
    near, far = (codes - means[source]).norm(dim=1), (codes - means[held.actor]).norm(dim=1)
    nearest = held.actor[torch.cdist(codes, held.codes).argmin(1)]
    read = truth if name == "truth" else read_faces(pictures[::EVERY])
    error = (pictures - held.truth).square().mean(1, keepdim=True) * held.cover
    apart = [
        -10 * float(torch.log10(error[i].sum() / held.cover[i].sum().clamp(min=1)))
        for i in np.flatnonzero(only.numpy())
        if float(error[i].sum()) > 0
    ]
    among = only[::EVERY].numpy()
    numbers: list[float] = [
        float(near[only].mean()), float(far[only].mean()),
        100 * float((near < far)[only].float().mean()),
        100 * float((nearest == source)[only].float().mean()),
        *(_mean(one[among]) for one in read.apart(truth)),
        float(np.mean(apart)) if apart else float("nan"),
    ]  # fmt: skip
    digits = (3, 3, 0, 0, 1, 2, 1, 2, 1)
    cells = [f"{value:.{place}f}" for value, place in zip(numbers, digits, strict=True)]
    lost = int(np.isnan(read.landmarks[among, 0, 0]).sum())
    print(f"| {name}{f' ({lost} lost)' if lost else ''} | {' | '.join(cells)} |", flush=True)


def told(describer: Describer, pictures: Tensor, theta: Tensor) -> Tensor:
    """Codes of pictures (N,3,S,S)."""
    side = describer.template.size
    with torch.inference_mode():
        parts = zip(pictures.split(16), theta.split(16), strict=True)
        return torch.cat([describer.describe(chips(one, at, side)) for one, at in parts])


def sheet(path: Path, rows: Mapping[str, tuple[Tensor, Tensor]], held: Held) -> None:
    """Draw one moment of every actor: the source, and what each row made of the target."""
    count = int(held.actor.max()) + 1
    moments = len(held.actor) // count
    chosen = [a * moments + (2 * a + 1) % moments for a in range(count)]
    source = held.target[[(a + 1) % count * moments for a in range(count)]]
    lines = [torch.cat(list(source), 2)]
    for pictures, only in rows.values():
        shown = torch.where(
            only[chosen, None, None, None], pictures[chosen], pictures[chosen] * 0.5
        )
        lines.append(torch.cat(list(shown), 2))
    whole = torch.cat(lines, 1)[None]
    large = functional.interpolate(whole, scale_factor=2, mode="bicubic").clamp(0, 1)[0]
    Image.fromarray((large * 255).byte().permute(1, 2, 0).numpy()).save(path)


def _mean(values: Floats) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--actors", type=int, default=70)
    parser.add_argument("--held", type=int, default=10)
    parser.add_argument("--moments", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--train", nargs="*", default=[], choices=["gan", *CONFIGS])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--no-photo", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()

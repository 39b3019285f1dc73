"""Rows of the table of all networks for any two people, on actors that no training saw.

Columns: distance to source and to target by the recognizer that was in the losses; frames nearer to
the source; frames whose nearest picture among all people's is the source's; angle between fitted
heads, distance of the fitted expressions and angle between the fitted gazes, result against truth;
landmarks off the truth in pixels of a crop of 128, all of them in every second picture; PSNR
against the truth where the faces are. All rows are measured at the side of the networks' pictures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from likeness import config as settings
from likeness.condition.align import TEMPLATES
from likeness.methods.swap.compact.pairs import Pairs
from likeness.methods.swap.simswap.people import TEMPLATE, chips
from likeness.networks import build, runner
from likeness.recognize.source import Describer, scaled
from likeness.store import load_bundle
from likeness.synthesize.face_maps import shape
from likeness.synthesize.swap_contract import SwapContract
from likeness.synthesize.unifacegan import UniFaceGAN
from likeness.types import Bundle, Floats

from any_to_any_faces import read_faces, swaps_of_actors  # isort: skip
from any_to_any_settings import SIDE  # isort: skip

CPU = torch.device("cpu")
EVERY = 2
"""Of so many pictures one is read and fitted, which takes longest."""
COLUMNS = (
    *("to source", "to target", "nearer %", "retrieved %"),
    *("pose deg", "expr. mm", "gaze deg", "points px", "PSNR"),
)
DIGITS = (3, 3, 0, 0, 1, 2, 1, 2, 1)
BASELINES = ("target", "truth", "photo", "warp")
"""Rows without a training: the target itself, its true swap, two methods of one photo."""
OWN_SHAPE = ("target", "photo", "warp")
"""What lies on the target's landmarks, not on the truth's."""


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
    points: Tensor
    """(N,478,3) landmarks of the targets, in sides of the crop."""
    seeds: Sequence[int]
    """Of the actors."""

    @staticmethod
    def of(pairs: Pairs, points: Tensor, seeds: Sequence[int], moments: int) -> Held:
        """Read the actors that no training saw."""
        faces = pairs.faces
        rows = np.arange(len(faces)).reshape(len(seeds), 2, moments)
        filmed, swapped = rows[:, 0].ravel(), rows[:, 1].ravel()
        pixels = small(torch.from_numpy(faces.pictures).float() / 255)
        return Held(
            pixels[filmed],
            pixels[swapped],
            small(torch.from_numpy(faces.cover).float() / 255)[filmed],
            faces.theta[filmed],
            faces.theta[swapped],
            torch.arange(len(seeds)).repeat_interleave(moments),
            pairs.codes[filmed],
            points,
            seeds,
        )

    @property
    def actors(self) -> int:
        """A."""
        return len(self.seeds)

    @property
    def moments(self) -> int:
        """Pictures of each."""
        return len(self.actor) // self.actors

    def photos(self, actor: int, count: int) -> list[int]:
        """Rows of pictures of an actor, the first of them and others evenly spread."""
        step = self.moments // count
        return [actor * self.moments + step * index for index in range(count)]


def rows_of(networks: Iterable[str]) -> list[str]:
    """Names of all rows, in the order of the table."""
    return [*BASELINES, *networks]


def small(pictures: Tensor) -> Tensor:
    """Shrink (N,C,S,S) to the side of the networks."""
    return functional.interpolate(pictures, size=(SIDE, SIDE), mode="area")


def measure(
    folder: Path, rows: Path, name: str, held: Held, describer: Describer, photos: int
) -> None:
    """Draw and measure one row, and keep both in the folder of rows."""
    trained, row = "", name if photos == 1 or name in BASELINES else f"{name}.{photos}"
    if name in ("target", "truth"):
        pictures = held.target if name == "target" else held.truth
    elif name in BASELINES:
        template = scaled(TEMPLATES[TEMPLATE], 2 * SIDE)
        drawn_large = swaps_of_actors(name, held.seeds, held.moments, template)
        pictures = small(torch.from_numpy(drawn_large).flatten(0, 1).float())
    else:
        bundle = load_bundle(folder / f"{name}.bundle")
        pictures = drawn(bundle, held, photos)
        seconds, steps = bundle.training["seconds"], bundle.training["steps"]
        trained = f"{seconds / 60:.1f} min, {steps} steps"
    theta = held.theta if name in OWN_SHAPE else held.swapped_theta
    # A style transfer's source is the second, whom the first is given.
    only = held.actor == 0 if name == "korshunova" else torch.ones_like(held.actor, dtype=bool)
    numbers, lost = measured(pictures, only, theta, held, describer)
    kept: dict[str, Any] = {"trained": trained, "numbers": numbers, "lost": lost}
    (rows / f"{row}.row.json").write_text(json.dumps(kept))
    np.save(rows / f"{row}.row.npy", (pictures * 255 + 0.5).to(torch.uint8).numpy())
    print(line(row, kept), flush=True)


def line(name: str, kept: dict[str, Any]) -> str:
    """Write one row."""
    cells = [
        "" if value is None else f"{value:.{place}f}"
        for value, place in zip(kept["numbers"], DIGITS, strict=True)
    ]
    lost = f" ({kept['lost']} lost)" if kept["lost"] else ""
    return f"| {name}{lost} | {kept['trained']} | {' | '.join(cells)} |"


def table(folder: Path, held: Held) -> None:
    """Print what was measured, and draw the contact sheet."""
    found = {path.name.removesuffix(".row.json"): path for path in folder.glob("*.row.json")}
    order = [*(name for name in BASELINES if name in found), *sorted(found.keys() - {*BASELINES})]
    print(f"| | trained | {' | '.join(COLUMNS)} |\n|---|--:|" + "--:|" * len(COLUMNS))
    for name in order:
        print(line(name, json.loads(found[name].read_text())))
    pictures = [torch.from_numpy(np.load(folder / f"{name}.row.npy")).float() for name in order]
    sheet(folder / "sheet.png", [one / 255 for one in pictures], held)
    print("sheet.png: the source, then", ", ".join(order))


def drawn(bundle: Bundle, held: Held, photos: int = 1) -> Tensor:
    """Run a network, told of one or more pictures of the source."""
    contract = settings.resolve(SwapContract, bundle.input["contract"])
    network = build(bundle.networks["generator"])
    run, parts = runner(network, CPU), []
    for actor in range(held.actors):
        rows = torch.nonzero(held.actor == actor)[:, 0]
        source = held.photos((actor + 1) % held.actors, photos)
        target, code = held.target[rows], held.codes[source].mean(0, keepdim=True)
        told: tuple[Tensor, ...] = (contract.counted(code).expand(len(rows), -1),)
        if contract.source == "none":
            told = ()
        elif contract.source == "picture":
            told = (held.target[source[:1]].expand(len(rows), -1, -1, -1),)
        elif contract.source == "faces":
            told = (held.points[rows], held.target[source], held.points[source])
            if isinstance(network, UniFaceGAN):
                told = (*told, shape(held.points[rows])[0].mean(0))
        elif contract.own:
            told = (torch.cat([told[0], contract.counted(held.codes[rows])], 1),)
        answer = run(target, *told)
        if contract.mask:
            answer = torch.lerp(target, answer[:, :3], answer[:, 3:])
        parts.append(answer)
    return torch.cat(parts).clamp(0, 1)


def measured(
    pictures: Tensor, only: Tensor, theta: Tensor, held: Held, describer: Describer
) -> tuple[list[float | None], int]:
    """Return the numbers of one row, and in how many of the pictures read no face was found."""
    codes = told(describer, pictures, theta)
    means = torch.stack([held.codes[held.actor == a].mean(0) for a in range(held.actors)])
    source = (held.actor + 1) % held.actors
    near, far = (codes - means[source]).norm(dim=1), (codes - means[held.actor]).norm(dim=1)
    nearest = held.actor[torch.cdist(codes, held.codes).argmin(1)]
    among = torch.nonzero(only)[::EVERY, 0]
    read, truth = read_faces(pictures[among]), read_faces(held.truth[among])
    error = (pictures - held.truth).square().mean(1, keepdim=True) * held.cover
    apart = [
        -10 * float(torch.log10(error[i].sum() / held.cover[i].sum().clamp(min=1)))
        for i in np.flatnonzero(only.numpy())
        if float(error[i].sum()) > 0
    ]
    numbers: list[float | None] = [
        float(near[only].mean()), float(far[only].mean()),
        100 * float((near < far)[only].float().mean()),
        100 * float((nearest == source)[only].float().mean()),
        *(_mean(one) for one in read.apart(truth)),
        float(np.mean(apart)) if apart else None,
    ]  # fmt: skip
    return numbers, int(np.isnan(read.landmarks[:, 0, 0]).sum())


def told(describer: Describer, pictures: Tensor, theta: Tensor) -> Tensor:
    """Codes of pictures (N,3,S,S)."""
    side = describer.template.size
    with torch.inference_mode():
        parts = zip(pictures.split(16), theta.split(16), strict=True)
        return torch.cat([describer.describe(chips(one, at, side)) for one, at in parts])


def sheet(path: Path, rows: Iterable[Tensor], held: Held) -> None:
    """Draw one moment of every actor: the source, and what each row made of the target."""
    chosen = [a * held.moments + (2 * a + 1) % held.moments for a in range(held.actors)]
    source = held.target[[held.photos((a + 1) % held.actors, 1)[0] for a in range(held.actors)]]
    lines = [torch.cat(list(source), 2), *(torch.cat(list(one[chosen]), 2) for one in rows)]
    whole = torch.cat(lines, 1)[None]
    large = functional.interpolate(whole, scale_factor=2, mode="bicubic").clamp(0, 1)[0]
    Image.fromarray((large * 255).byte().permute(1, 2, 0).numpy()).save(path)


def _mean(values: Floats) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None

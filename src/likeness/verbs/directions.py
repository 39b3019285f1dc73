"""`likeness models directions` as a function: ways to move codes, found or fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from likeness.decode import open_clip
from likeness.errors import BundleError, ConfigError
from likeness.files import open_sheet
from likeness.importers.directions import read_directions
from likeness.methods.edit.directions import (
    Direction,
    directions_of,
    from_labels,
    from_pca,
    from_sefa,
    weights_of,
)
from likeness.methods.edit.footage import gather_faces
from likeness.methods.edit.generator import DIRECTIONS, FaceGenerator, open_generator
from likeness.methods.edit.sheet import write_directions
from likeness.methods.edit.train import encoded
from likeness.provenance.permission import permit_synthesis
from likeness.store import load_bundle, save_bundle
from likeness.types import Floats, Progress, silent

_PLACES = ("file", "seed")


@dataclass(frozen=True)
class Wanted:
    """Which directions are found; each that is given adds some."""

    labels: Path | None = None
    """A table: a column `file` (pictures, relative to the table) or `seed` (samples of the
    generator), and a column of numbers for each label."""
    sefa: int = 0
    """How many by closed-form factorization."""
    pca: int = 0
    """How many principal axes."""
    files: tuple[Path, ...] = ()
    """Published directions."""
    aligned: bool = False
    """Whether labelled pictures are squares that are laid already."""


def add_directions(
    bundle: Path,
    wanted: Wanted,
    output: Path | None = None,
    sheet: Path | None = None,
    progress: Progress = silent,
) -> Mapping[str, Any]:
    """Find directions for a generator, keep them in its bundle, and show what each does.

    Args:
        bundle: NAME.bundle of a face generator.
        wanted: which.
        output: NAME.bundle to write; None writes into `bundle`.
        sheet: PNG to write, a row per direction and face, strengths from -3 to 3.
        progress: called as ("track" | "frames", done, total).

    Returns:
        What is known of each new direction, by name.

    Raises:
        ConfigError: nothing is wanted, or labels tell nothing.
        BundleError: the bundle is none of a face generator, or a file of directions fits none.
        ConsentError: the bundle shows people whose consent does not hold any more.
    """
    loaded = load_bundle(bundle)
    generator = open_generator(loaded)
    found: list[Direction] = []
    if wanted.labels is not None:
        found += _labelled(generator, wanted, (output or bundle) / "resume", progress)
    if wanted.sefa:
        found += from_sefa(generator, wanted.sefa)
    if wanted.pca:
        found += from_pca(generator, wanted.pca)
    for path in wanted.files:
        steps = read_directions(path, generator.shape)
        found += [Direction(_word(name), step, path.name, {}) for name, step in steps.items()]
    if not found:
        raise ConfigError("nothing is wanted; expected --from-labels, --sefa, --pca or --add")
    kept = {d.name: d for d in (*directions_of(loaded), *found)}
    part = weights_of(tuple(kept.values()))
    changed = replace(loaded, networks={**loaded.networks, DIRECTIONS: part})
    people = permit_synthesis(loaded.people, "edit") if loaded.people else None
    save_bundle(changed, output or bundle, None if people is None else people.sealed)
    if sheet is not None:
        shown = () if people is None else people.shown
        write_directions(generator, found, output or bundle, shown, sheet)
    return {d.name: {"origin": d.origin, **d.facts} for d in found}


def _labelled(
    generator: FaceGenerator, wanted: Wanted, folder: Path, progress: Progress
) -> Sequence[Direction]:
    """Find a direction for each column of a table of labels."""
    path = wanted.labels
    assert path is not None  # noqa: S101 - the caller has looked
    table = open_sheet(path, ConfigError, "a table of labels")
    place = next((name for name in table.header if name in _PLACES), None)
    names = [name for name in table.header if name not in (*_PLACES, "")]
    if place is None or not names:
        raise ConfigError(
            f"{path} has the columns {', '.join(table.header) or 'of an empty file'}; expected "
            "file or seed, and at least one label"
        )
    rows = [(line, dict(zip(table.header, cells, strict=True))) for line, cells in table.rows()]

    def number(line: int, row: Mapping[str, str], name: str) -> float:
        return table.number(line, name, row[name]) if row[name].strip() else float("nan")

    labels = {
        _word(name): np.array([number(line, row, name) for line, row in rows], np.float32)
        for name in names
    }
    if place == "seed":
        seeds = [int(table.number(line, place, row[place])) for line, row in rows]
        return from_labels(_sampled(generator, seeds), labels)
    clips = [open_clip(path.parent / row[place]) for _, row in rows]
    bank = gather_faces(
        clips, generator.size, folder / "labelled.bin", aligned=wanted.aligned, most=1,
        progress=progress,
    )  # fmt: skip
    seen = [clip.path for clip in bank.clips]
    used = [n for n, clip in enumerate(clips) if clip.path in seen]
    chosen = {name: values[used] for name, values in labels.items()}
    rows_of = [seen.index(clips[n].path) for n in used]
    return from_labels(encoded(generator, bank.pixels)[rows_of], chosen)


def _sampled(generator: FaceGenerator, seeds: Sequence[int]) -> Floats:
    """Return the codes (N,L,D) of samples by their seeds."""
    codes = [generator.sample(1, torch.Generator().manual_seed(seed)) for seed in seeds]
    return np.asarray(torch.cat(codes).numpy(), np.float32)


def _word(name: str) -> str:
    word = "".join(c if c.isalnum() else "_" for c in name.lower()).strip("_")[:60]
    if not word or not word[0].isalpha():
        raise BundleError(f"a direction is called {name!r:.60}; expected a word as its name")
    return word

"""Directions: what to add to a code so that the face smiles, turns or grows old.

Papers: Shen et al., Interpreting the Latent Space of GANs (InterFaceGAN, CVPR 2020): the normal of
the plane that separates codes by a label, and, for one label to be changed alone, its part that is
orthogonal to the other normals (section 2.3). Shen and Zhou, Closed-Form Factorization (SeFa, CVPR
2021), equation 7: the codes' directions to which the layers' weights answer most. Härkönen et al.,
GANSpace (NeurIPS 2020): principal axes of codes.
Differs: a label may be any number; the plane is then the least-squares one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likeness.errors import BundleError, ConfigError
from likeness.methods.edit.generator import DIRECTIONS, FaceGenerator, StyleganFaces
from likeness.types import Bundle, Floats, Weights, check

STRENGTHS = (-3.0, -1.5, 0.0, 1.5, 3.0)
"""Columns of a contact sheet."""
_RIDGE = 0.05
"""Regularization of the plane, in units of the mean variance of codes."""


@dataclass(frozen=True, eq=False)
class Direction:
    """One way to move codes."""

    name: str
    step: Floats
    """(L,D): what strength 1 adds; (1,D) adds the same to every row."""
    origin: str
    """Where it comes from: labels, sefa, pca, or a file's name."""
    facts: Mapping[str, Any]
    """What is known of it, as JSON values: how well it separates, its share of variance."""

    def moved(self, codes: Tensor, strength: Tensor) -> Tensor:
        """Move codes (N,L,D) by strengths (N,).

        Raises:
            ContractError: the direction is of another generator.
        """
        rows, numbers = self.step.shape
        check(
            numbers == codes.shape[2] and rows in (1, codes.shape[1]),
            f"direction {self.name!r} has shape {self.step.shape}, codes have "
            f"{tuple(codes.shape[1:])}; expected a direction of the same generator",
        )
        step = torch.from_numpy(self.step).to(codes)
        return codes + strength.to(codes)[:, None, None] * step


def from_labels(
    codes: Floats, labels: Mapping[str, Floats], alone: Sequence[str] = ()
) -> tuple[Direction, ...]:
    """Find one direction per label, from codes of pictures that were labelled.

    Args:
        codes: (M,L,D).
        labels: (M,) numbers by name; rows that are no number are left out for that label.
        alone: labels whose direction shall leave the others as they are; empty takes all of them.

    Returns:
        Directions whose strength 1 changes the label, as the plane tells it, by one deviation.

    Raises:
        ConfigError: a label has fewer than 8 rows, or is the same in all.
    """
    flat = codes.mean(1).astype(np.float64)
    mean = flat.mean(0)
    centered = flat - mean
    ridge = _RIDGE * float(centered.var(0).mean()) * len(flat)
    normals, facts = {}, {}
    for name, values in labels.items():
        normals[name], facts[name] = _plane(name, centered, values.astype(np.float64), ridge)
    directions = []
    for name, normal in normals.items():
        others = [n for other, n in normals.items() if other != name]
        freed = _without(normal, others) if not alone or name in alone else normal
        # Strength 1: the plane's answer rises by one deviation of the label.
        step = freed / max(float(freed @ normal), 1e-12)
        directions.append(Direction(name, step[None].astype(np.float32), "labels", facts[name]))
    return tuple(directions)


def _plane(
    name: str, centered: NDArray[np.float64], values: NDArray[np.float64], ridge: float
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Fit label deviations by a plane over codes; return its slope (D,) and how well it fits."""
    known = np.isfinite(values)
    if known.sum() < 8 or float(values[known].std()) < 1e-9:
        raise ConfigError(
            f"label {name!r} has {int(known.sum())} rows with {len(set(values[known]))} values; "
            "expected at least 8 rows and two values"
        )
    x = centered[known]
    y = (values[known] - values[known].mean()) / values[known].std()
    gram = x.T @ x + ridge * np.eye(x.shape[1])
    normal = np.linalg.solve(gram, x.T @ y)
    # How well it tells labels of rows that it was not fitted to: every fourth.
    held = np.arange(len(x)) % 4 == 3
    part = x[~held]
    trial = np.linalg.solve(part.T @ part + ridge * np.eye(x.shape[1]), part.T @ y[~held])
    told = x[held] @ trial
    match = float(np.corrcoef(told, y[held])[0, 1]) if told.std() > 0 else 0.0
    return normal, {"rows": int(known.sum()), "correlation": round(match, 4)}


def _without(
    normal: NDArray[np.float64], others: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Take off a normal what lies along others (InterFaceGAN, section 2.3)."""
    if not others:
        return normal
    basis, _ = np.linalg.qr(np.stack(others, 1))
    return np.asarray(normal - basis @ (basis.T @ normal))


def from_sefa(
    generator: FaceGenerator, count: int = 8, rows: slice | None = None
) -> tuple[Direction, ...]:
    """Find the directions to which a StyleGAN's layers answer most.

    Args:
        generator: a StyleGAN.
        count: how many.
        rows: of W+ whose layers are asked and moved: coarse ones move shape, fine ones color. All
            by default.

    Raises:
        ConfigError: it is no StyleGAN: others have no modulation.
    """
    if not isinstance(generator, StyleganFaces):
        raise ConfigError("sefa reads a StyleGAN's modulation; use pca for other generators")
    length = generator.shape[0]
    chosen = range(length)[rows] if rows is not None else range(length)
    stacked = []
    for row, layer in enumerate(_layers(generator)):
        if row in chosen:
            weight = layer.weight.detach().double() * layer.gain
            stacked.append(weight / weight.norm(dim=1, keepdim=True).clamp_min(1e-9))
    _, values, vectors = torch.linalg.svd(torch.cat(stacked), full_matrices=False)
    share = (values**2 / (values**2).sum()).tolist()
    found = []
    deviation = _deviation(generator)
    for index in range(min(count, len(vectors))):
        step = np.zeros((length, generator.shape[1]), np.float32)
        step[list(chosen)] = vectors[index].numpy() * deviation
        facts = {"share": round(share[index], 4), "rows": [chosen[0], chosen[-1]]}
        found.append(Direction(f"sefa{index}", step, "sefa", facts))
    return tuple(found)


def _layers(generator: StyleganFaces) -> list[Any]:
    """The modulation of each row's convolution, coarse first; color layers share rows."""
    blocks = generator.module.synthesis.levels()
    styles = [conv.style for block in blocks for conv in block.convolutions()]
    return [*styles, blocks[-1].color.style]


def _deviation(generator: FaceGenerator, count: int = 512) -> float:
    """Root of the mean variance of codes: the length of one step that is neither small nor large.

    A code's distance from the mean is this times the root of D, shared by all D directions; steps
    along the few that matter may well be three times as long.
    """
    sampled = generator.sample(count, torch.Generator().manual_seed(0)).mean(1)
    return 3 * float(sampled.var(0).mean().sqrt())


def from_pca(
    generator: FaceGenerator, count: int = 8, samples: int = 4096
) -> tuple[Direction, ...]:
    """Find the principal axes of a generator's codes; strength 1 is one deviation along them."""
    codes = generator.sample(samples, torch.Generator().manual_seed(0)).mean(1).double().numpy()
    centered = codes - codes.mean(0)
    _, values, vectors = np.linalg.svd(centered, full_matrices=False)
    share = values**2 / (values**2).sum()
    return tuple(
        Direction(
            f"pca{index}",
            (vectors[index] * values[index] / np.sqrt(samples))[None].astype(np.float32),
            "pca",
            {"share": round(float(share[index]), 4)},
        )
        for index in range(min(count, len(vectors)))
    )


def sheet_of(
    generator: FaceGenerator,
    directions: Sequence[Direction],
    strengths: Sequence[float] = STRENGTHS,
    codes: Tensor | None = None,
) -> dict[str, Tensor]:
    """Draw what each direction does to a few faces, to choose from.

    Args:
        generator: who draws.
        directions: to be shown.
        strengths: columns.
        codes: (K,L,D) faces; two samples by default, moved halfway to the average.

    Returns:
        (K*columns,3,S,S) pictures in [0,1] by the direction's name.
    """
    if codes is None:
        drawn = generator.sample(2, torch.Generator().manual_seed(4))
        codes = torch.lerp(generator.average()[None].to(drawn), drawn, 0.6)
    pictures = {}
    for direction in directions:
        moved = torch.cat(
            [direction.moved(code[None].expand(len(strengths), -1, -1), torch.tensor(strengths))
             for code in codes]
        )  # fmt: skip
        with torch.no_grad():
            pictures[direction.name] = generator.draw(moved).clamp(0, 1)
    return pictures


def weights_of(directions: Sequence[Direction]) -> Weights:
    """Return directions as a part of a bundle."""
    facts = {d.name: {"origin": d.origin, **d.facts} for d in directions}
    tensors = {d.name: torch.from_numpy(np.array(d.step)) for d in directions}
    return Weights("directions", facts, tensors)


def directions_of(bundle: Bundle) -> tuple[Direction, ...]:
    """Read the directions that a bundle carries; none where it carries none.

    Raises:
        BundleError: one is no direction of the bundle's generator.
    """
    part = bundle.networks.get(DIRECTIONS)
    if part is None:
        return ()
    found = []
    for name, tensor in part.tensors.items():
        if tensor.ndim != 2 or not bool(torch.isfinite(tensor).all()):
            raise BundleError(
                f"direction {name!r:.60} has shape {tuple(tensor.shape)}, expected finite (L, D); "
                "make the directions again with `likeness models directions`"
            )
        facts = part.config.get(name, {})
        told = dict(facts) if isinstance(facts, Mapping) else {}
        origin = str(told.pop("origin", ""))
        found.append(Direction(name, tensor.float().numpy(), origin, told))
    return tuple(found)


def direction_named(name: str, known: Sequence[Direction]) -> Direction:
    """Choose one by its name.

    Raises:
        ConfigError: there is none of that name.
    """
    for direction in known:
        if direction.name == name:
            return direction
    raise ConfigError(
        f"no direction is called {name!r}; the bundle has "
        f"{', '.join(d.name for d in known) or 'none'}: make some with `likeness models directions`"
    )

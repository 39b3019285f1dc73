"""Faces as a mean and a few directions of variation: the smallest generator that there is.

Paper: Turk and Pentland, Eigenfaces for Recognition (Journal of Cognitive Neuroscience 1991): a
picture is the mean plus a weighted sum of eigenfaces; its code is the projection onto them.
Input: codes (N,1,K), 1 a deviation. Output: rgb (N,3,S,S), unclipped near [0,1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likeness.errors import ConfigError
from likeness.types import check

_BATCH = 256


@dataclass(frozen=True, slots=True)
class EigenfacesConfig:
    """Shape of the model."""

    size: int = 64
    """S: side of the pictures in pixels."""
    components: int = 96
    """K: numbers of a code."""

    def __post_init__(self) -> None:
        if min(self.size, self.components) < 1:
            raise ConfigError(
                f"size {self.size} and {self.components} components, expected 1 or more of each"
            )


class Eigenfaces(nn.Module):
    """The model; see the head of this file."""

    def __init__(self, config: EigenfacesConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or EigenfacesConfig()
        pixels = 3 * config.size**2
        self.mean = nn.Parameter(torch.zeros(pixels))
        self.faces = nn.Parameter(torch.zeros(config.components, pixels))
        """Each the change of a picture by one deviation."""

    def forward(self, codes: Tensor) -> Tensor:
        """Draw (N,3,S,S) from codes (N,1,K)."""
        side = self.config.size
        flat = self.mean + codes.flatten(1) @ self.faces
        return flat.reshape(-1, 3, side, side)

    def project(self, rgb: Tensor) -> Tensor:
        """Return the codes (N,1,K) of pictures (N,3,S,S), least squares."""
        side = self.config.size
        check(
            tuple(rgb.shape[1:]) == (3, side, side),
            f"pictures have shape {tuple(rgb.shape)}, expected (N, 3, {side}, {side})",
        )
        lengths = self.faces.square().sum(1).clamp_min(1e-12)
        return (((rgb.flatten(1) - self.mean) @ self.faces.T) / lengths)[:, None]


def learn_eigenfaces(pixels: NDArray[np.uint8], config: EigenfacesConfig) -> Eigenfaces:
    """Learn from pictures (M,3,S,S), in one pass over them per moment.

    The covariance is taken between pictures, not pixels, of at most 4096 pictures at even steps.

    Raises:
        ContractError: there are fewer pictures than components, or they have another size.
    """
    check(
        len(pixels) > config.components and pixels.shape[2] == config.size,
        f"pictures have shape {pixels.shape}, expected more than {config.components} of "
        f"{config.size} pixels",
    )
    rows = np.unique(np.linspace(0, len(pixels) - 1, min(len(pixels), 4096)).astype(int))
    mean = np.zeros(int(np.prod(pixels.shape[1:])))
    for start in range(0, len(rows), _BATCH):
        mean += _flat(pixels, rows[start : start + _BATCH]).sum(0)
    mean /= len(rows)
    # The Gram matrix of centered pictures has the covariance's eigenvalues (Turk, equation 6).
    gram = np.empty((len(rows), len(rows)))
    for start in range(0, len(rows), _BATCH):
        some = _flat(pixels, rows[start : start + _BATCH]) - mean
        for other in range(0, start + 1, _BATCH):
            both = some @ (_flat(pixels, rows[other : other + _BATCH]) - mean).T
            gram[start : start + len(both), other : other + both.shape[1]] = both
            gram[other : other + both.shape[1], start : start + len(both)] = both.T
    values, vectors = np.linalg.eigh(gram)
    keep = np.argsort(values)[::-1][: config.components]
    faces = np.zeros((config.components, len(mean)))
    for start in range(0, len(rows), _BATCH):
        some = _flat(pixels, rows[start : start + _BATCH]) - mean
        faces += vectors[start : start + len(some), keep].T @ some
    # Each row is now eigenvector times root of eigenvalue; a deviation is that over root of M.
    model = Eigenfaces(config)
    with torch.no_grad():
        model.mean.copy_(torch.from_numpy(mean))
        model.faces.copy_(torch.from_numpy(faces / np.sqrt(len(rows))))
    return model


def _flat(pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return pixels[rows].reshape(len(rows), -1).astype(np.float64) / 255

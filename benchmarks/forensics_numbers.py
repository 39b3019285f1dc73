"""Last layers, and what a detector's numbers are worth. Imported by `forensics.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch.nn import functional

PENALTY = 0.02


@dataclass(frozen=True, eq=False)
class Head:
    """A number from features (n,F): above 0 is changed, when as many are as are not."""

    weights: np.ndarray
    bias: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return (n,)."""
        return features @ self.weights + self.bias


def fit_head(
    reals: Sequence[np.ndarray], fakes: Sequence[np.ndarray], penalty: float = PENALTY
) -> Head:
    """Fit a logistic regression: every kind counts alike, and all reals as much as all fakes."""
    features = np.concatenate([*reals, *fakes])
    count = sum(map(len, reals))
    middle, spread = features.mean(0), features.std(0) + 1e-6
    x = torch.from_numpy((features - middle) / spread).double()
    truth = torch.from_numpy(np.repeat([0.0, 1.0], [count, len(features) - count]))
    parts = [np.full(len(real), 0.5 / len(reals) / len(real)) for real in reals]
    parts += [np.full(len(fake), 0.5 / len(fakes) / len(fake)) for fake in fakes]
    weights = torch.from_numpy(np.concatenate(parts))
    unknown = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([unknown], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        told = x @ unknown[:-1] + unknown[-1]
        wrong = functional.binary_cross_entropy_with_logits(told, truth, reduction="none")
        total = (weights * wrong).sum() + penalty * unknown[:-1].square().mean()
        total.backward()
        return total

    solver.step(loss)
    found = unknown.detach().numpy()
    scaled = (found[:-1] / spread).astype(np.float32)
    return Head(scaled, float(found[-1] - scaled @ middle))


def auc(real: np.ndarray, fake: np.ndarray) -> float:
    """Chance that a fake gets more than a real one."""
    ranks = rankdata(np.concatenate([real, fake]))[len(real) :]
    return float((ranks.sum() - len(fake) * (len(fake) + 1) / 2) / (len(real) * len(fake)))


def equal_error(real: np.ndarray, fake: np.ndarray) -> float:
    """Share of both that is wrong where as many real ones are as fakes."""
    bounds = np.sort(np.concatenate([real, fake]))
    wrong = [((real >= bound).mean(), (fake < bound).mean()) for bound in bounds]
    return float(min(wrong, key=lambda pair: abs(pair[0] - pair[1]))[0])


def interval(
    statistic: Callable[[np.ndarray, np.ndarray], float],
    scores: tuple[np.ndarray, np.ndarray],
    people: tuple[np.ndarray, np.ndarray],
    draws: int = 400,
) -> tuple[float, float]:
    """95 % interval by drawing people, with all of their faces."""
    names = np.unique(np.concatenate(people))
    rng, told = np.random.default_rng(0), []
    rows = [{name: np.flatnonzero(who == name) for name in names} for who in people]
    for _ in range(draws):
        drawn = rng.choice(names, len(names))
        chosen = [np.concatenate([kind[name] for name in drawn]) for kind in rows]
        if min(map(len, chosen)):
            told.append(statistic(scores[0][chosen[0]], scores[1][chosen[1]]))
    low, high = np.quantile(told, [0.025, 0.975])
    return float(low), float(high)


def platt(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Fit scale and shift of the log odds, both kinds weighing alike (Platt 1999)."""
    numbers = torch.from_numpy(np.concatenate([real, fake])).double()
    truth = torch.from_numpy(np.repeat([0.0, 1.0], [len(real), len(fake)]))
    weights = torch.from_numpy(np.repeat([0.5 / len(real), 0.5 / len(fake)],
                                         [len(real), len(fake)]))  # fmt: skip
    unknown = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([unknown], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        told = unknown[0] * numbers + unknown[1]
        wrong = functional.binary_cross_entropy_with_logits(told, truth, reduction="none")
        total = (weights * wrong).sum()
        total.backward()
        return total

    solver.step(loss)
    found = unknown.detach().numpy()
    return float(found[0]), float(found[1])

"""From numbers per frame to one number for the clip, and how sure it is. NaN means unknown."""

from __future__ import annotations

import numpy as np

from likeness.types import Floats, check


def bootstrap_interval(
    values: Floats, share: float = 0.95, resamples: int = 1000, block: int = 25, seed: int = 0
) -> tuple[float, float] | None:
    """Confidence interval of a mean, by the moving-block bootstrap (Kuensch 1989).

    Neighboring frames resemble each other, so whole blocks of them are drawn: single frames would
    pretend to a certainty that the clip doesn't give.

    Args:
        values: (n,) one number per frame in order; NaN is left out.
        share: probability that the interval claims, in (0,1).
        resamples: draws.
        block: frames per block (a second at 25 frames per second).
        seed: of the draws; the same seed gives the same interval.

    Returns:
        (low, high), or None when fewer than two values are known.

    Raises:
        ContractError: share, resamples or block are out of range.
    """
    check(0 < share < 1, f"share is {share}, expected between 0 and 1")
    check(resamples > 0 and block > 0, f"{resamples} resamples of blocks of {block}, expected > 0")
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        return None
    # At least four blocks, lest a short clip be drawn as a whole each time.
    block = max(1, min(block, len(known) // 4))
    # The clip is closed to a ring so that its ends are drawn as often as its middle.
    total = np.concatenate([[0.0], np.cumsum(np.concatenate([known, known[: block - 1]]))])
    sums = total[block:] - total[:-block]
    draws = np.random.default_rng(seed).integers(0, len(sums), (resamples, -(-len(known) // block)))
    means = sums[draws].mean(1) / block
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def mean(values: Floats) -> float | None:
    """Mean of the known values, None when there are none."""
    known = values[np.isfinite(values)]
    return float(known.mean(dtype=np.float64)) if len(known) else None


def ratio_of_roots(result: Floats, real: Floats) -> float | None:
    """Root of the ratio of two mean energies over the frames where both are known."""
    known = np.isfinite(result) & np.isfinite(real)
    below = float(real[known].sum(dtype=np.float64))
    return float(np.sqrt(result[known].sum(dtype=np.float64) / below)) if below > 0 else None

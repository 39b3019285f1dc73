"""From numbers per frame to one number for the clip, and how sure it is. NaN means unknown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from likeness.types import Floats, check


def bootstrap_interval(
    values: Floats,
    statistic: Callable[[Floats], float | None] | None = None,
    *,
    share: float = 0.95,
    resamples: int = 1000,
    block: int = 25,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Confidence interval of a number told of a clip, by the block bootstrap.

    Neighboring frames resemble each other, so whole blocks of them are drawn: single frames would
    pretend to a certainty that the clip doesn't give. Blocks overlap (Kuensch 1989) on the clip
    closed to a ring (Politis and Romano 1992), so that its ends are drawn as often as its middle.

    Args:
        values: (n,) or (n,k) numbers per frame in order; frames with a NaN are left out.
        statistic: from drawn rows of `values` to a number, or None where they don't tell it; their
            mean by default.
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
    rows = np.asarray(values, np.float64)
    known = rows[np.isfinite(rows.reshape(len(rows), -1)).all(-1)]
    count = len(known)
    if count < 2:
        return None
    # At least four blocks, lest a short clip be drawn as a whole each time.
    block = max(1, min(block, count // 4))
    draws = np.random.default_rng(seed).integers(0, count, (resamples, -(-count // block)))
    within = np.arange(block)
    told = []
    for starts in draws:
        drawn = known[((starts[:, None] + within) % count).ravel()]
        number = float(drawn.mean()) if statistic is None else statistic(drawn)
        if number is not None:
            told.append(number)
    if not told:
        return None
    low, high = np.quantile(told, [(1 - share) / 2, (1 + share) / 2])
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

"""What an evaluation found, and what it looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from likeness.metrics.exhibits import Exhibits
from likeness.types import Floats

Found = TypeVar("Found", covariant=True)


@dataclass(frozen=True, eq=False)
class Evaluation(Generic[Found]):
    """Numbers, their curves over the frames, and the frames to look at."""

    report: Found
    """Of the kind of evaluation: `SelfReport`, `PairReport`."""
    series: Mapping[str, Floats]
    """Numbers per frame by name."""
    exhibits: Exhibits

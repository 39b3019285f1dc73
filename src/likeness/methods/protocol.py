"""What a method is, as it stands in the table of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from likeness.plan.live import Meeting
from likeness.plan.plan import Plan
from likeness.plan.reenactment import Request
from likeness.plan.target import Target
from likeness.training.footage import Footage, Learned
from likeness.types import Bundle, Method, Progress

Role = Literal["target", "driver", "source"]
"""What a person has to do with an output: is changed, gives the motion, gives the identity."""


def no_directions(bundle: Bundle) -> tuple[str, ...]:
    """Name no direction: the method makes no semantic edits."""
    return ()


def nothing_ahead(bundle: Bundle, plan: Plan, device: torch.device, progress: Progress) -> None:
    """Prepare nothing: the method draws as the clip streams by."""


def as_asked(target: Target, asked: Request) -> Request:
    """Follow a request as it is."""
    return asked


@dataclass(frozen=True)
class Recipe:
    """A method: how it is trained, opened for a plan, and what may be asked of it."""

    about: str
    """One line for people."""
    action: str
    """What manifests call the work."""
    roles: tuple[Role, ...]
    """Whose faces or motion it uses: each of them is asked for consent by this name."""
    settings: Any
    """Settings of its training, as they are by default: a frozen dataclass."""
    parts: tuple[str, ...]
    """Names of the tensors and networks that its bundle holds."""
    open: Callable[[Bundle, Plan, torch.device], Method[Any]]
    """Make it ready for a plan."""
    train: Callable[[Footage, Any], Learned] | None = None
    """Learn from footage; None where there is nothing to learn."""
    adapt: Callable[[Target, Request], Request] = as_asked
    """Turn what is asked into what it can do, or refuse."""
    directions: Callable[[Bundle], tuple[str, ...]] = no_directions
    """Name the directions along which it can edit a clip."""
    follow: Callable[[Bundle, torch.device], Meeting] | None = None
    """Make it ready for whoever comes before the camera; None where it has to look ahead."""
    ready: Callable[[Bundle, torch.device], Callable[[Plan], Method[Any]]] | None = None
    """Do what `open` does before it looks at the plan, and return the rest; None where that is
    nothing. It may run beside whatever the plan is made from."""
    prepare: Callable[[Bundle, Plan, torch.device, Progress], None] = nothing_ahead
    """Do what takes long and is kept, so that `open` finds it done; it may be interrupted."""


Table = Mapping[str, Recipe]

"""Making a method ready while what its plan is made from is still being found out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import torch

from likeness.engine import Engine
from likeness.methods.protocol import Recipe
from likeness.plan.plan import Plan
from likeness.types import Bundle, Method

Opening = Callable[[], Method[Any]]


def opened_ahead(
    recipe: Recipe, bundle: Bundle, device: torch.device, engine: Engine | None = None
) -> Callable[[Plan], Opening]:
    """Begin to open a method in a thread of its own; return what turns a plan into its opening.

    The answer is that of `recipe.open`, and so are the errors, which the opening raises.

    Args:
        recipe: of the method.
        bundle: that it is opened from.
        device: where networks run.
        engine: whose workers will draw: they open the method themselves, when they need it.
    """
    if engine is not None or recipe.ready is None:
        return lambda plan: partial(recipe.open, bundle, plan, device)
    pool = ThreadPoolExecutor(1, "open")
    coming = pool.submit(recipe.ready, bundle, device)
    pool.shutdown(wait=False)
    return lambda plan: partial(_finished, coming, plan)


def _finished(coming: Future[Callable[[Plan], Method[Any]]], plan: Plan) -> Method[Any]:
    return coming.result()(plan)

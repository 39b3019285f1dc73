"""Methods that are made ready beside the making of their plan."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
import torch

from likeness.errors import BundleError
from likeness.methods.ahead import opened_ahead
from likeness.methods.protocol import Recipe

CPU = torch.device("cpu")
plan: Any = object()
bundle: Any = object()


def recipe(**changes: Any) -> Recipe:
    """Tell which function made the method, from what and in which thread."""

    def opened(found: Any, planned: Any, device: torch.device) -> Any:
        return ("open", found, planned, threading.current_thread().name)

    def ready(found: Any, device: torch.device) -> Any:
        where = threading.current_thread().name
        return lambda planned: ("ready", found, planned, where)

    row = Recipe("none", "reenact", ("target",), settings=None, parts=(), open=opened, ready=ready)
    return replace(row, **changes)


def test_a_method_is_made_ready_in_another_thread() -> None:
    kind, found, planned, where = opened_ahead(recipe(), bundle, CPU)(plan)()
    assert (kind, found, planned) == ("ready", bundle, plan)
    assert where.startswith("open")


def test_methods_without_such_a_part_and_those_of_workers_are_opened_as_ever() -> None:
    here = threading.current_thread().name
    expected = ("open", bundle, plan, here)
    assert opened_ahead(recipe(ready=None), bundle, CPU)(plan)() == expected
    engine: Any = object()
    assert opened_ahead(recipe(), bundle, CPU, engine)(plan)() == expected


def test_what_goes_wrong_is_told_when_the_method_is_opened() -> None:
    def broken(found: Any, device: torch.device) -> Any:
        raise BundleError("the weights do not fit")

    opening = opened_ahead(recipe(ready=broken), bundle, CPU)(plan)
    with pytest.raises(BundleError, match="do not fit"):
        opening()

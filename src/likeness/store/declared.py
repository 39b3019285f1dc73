"""Tensors from disk against what a network declares, before memory or time is spent on either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from likeness.errors import BundleError

LARGEST = 16384
"""Largest whole number in a network's settings: a side, a count of channels or of blocks."""
_LONGEST = 256
_FREE = ("bytes",)
"""Settings that may be larger, because a tensor of just that size must be there."""


def check_settings(network: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings with which nothing that was ever trained was built.

    Args:
        network: name of the network, for messages.
        settings: as a bundle holds them, not yet resolved.

    Raises:
        BundleError: a number or a list is far beyond what networks have.
    """
    waiting: list[tuple[str, Any]] = list(settings.items())
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(str(key), part) for key, part in value.items()]
        elif isinstance(value, list | tuple):
            if len(value) > _LONGEST:
                raise _refused(network, name, f"{len(value)} values", f"{_LONGEST} at most")
            waiting += [(name, part) for part in value]
        elif type(value) is int and name not in _FREE and not -LARGEST <= value <= LARGEST:
            raise _refused(network, name, str(value), f"{LARGEST} at most")


def _refused(network: str, name: str, found: str, expected: str) -> BundleError:
    return BundleError(
        f"{network!r} is set to {name[:60]} = {found}, expected {expected}; the bundle is damaged "
        "or was changed by hand: train or fetch it again"
    )


def check_tensors(
    network: str, declared: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor]
) -> None:
    """Check tensors against the state dict that a network declares.

    Args:
        network: name of the network, for messages.
        declared: its state dict; on the meta device it costs no memory.
        tensors: what a file holds under the same names.

    Raises:
        BundleError: a tensor is missing or left over, has another shape, holds whole numbers where
            fractions belong or the other way around, or values that are no numbers.
    """
    names = {**declared, **tensors}
    wrong = (_misfit(name, declared.get(name), tensors.get(name)) for name in names)
    found = [one for one in wrong if one]
    if found:
        raise BundleError(
            f"the weights do not fit {network!r}: {len(found)} of {len(declared)} tensors differ "
            f"({'; '.join(found[:3])}); the file is damaged or of another version: train or fetch "
            "it again"
        )


def _misfit(name: str, declared: torch.Tensor | None, found: torch.Tensor | None) -> str:
    shown = repr(name[:80])
    if found is None or declared is None:
        return f"{shown} is {'missing' if found is None else 'not known'}"
    if found.shape != declared.shape:
        return f"{shown} has shape {_sizes(found.shape)}, expected {_sizes(declared.shape)}"
    if found.is_floating_point() != declared.is_floating_point():
        return f"{shown} is {found.dtype}, expected {declared.dtype}"
    if found.is_floating_point() and not bool(torch.isfinite(found).all()):
        return f"{shown} holds values that are no numbers"
    return ""


def _sizes(shape: Sequence[int]) -> str:
    return str(tuple(int(n) for n in shape))

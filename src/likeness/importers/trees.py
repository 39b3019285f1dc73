"""From what a checkpoint holds to the tensors of one network: modules, wrappers and prefixes gone.

Publishers wrap a state dict in many ways (`state_dict`, `g_ema`, `model.module`, a whole pickled
module, `G.` and `E.` in one dict). Here every tensor gets its full dotted path, and a network is
found by the keys that all of its files have, whatever stands before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from likeness.errors import BundleError
from likeness.importers.meter import TENSORS, refuse
from likeness.importers.records import StandIn

_VISITS = 1_000_000
_PATH = 1000
"""Longest path of a tensor in characters."""

Flat = dict[str, torch.Tensor]
"""Tensors by full dotted path."""


def flatten(tree: Any) -> Flat:
    """Give every tensor of a tree its path; pickled modules count as their state dicts.

    Raises:
        BundleError: there are far more values than a checkpoint has.
    """
    answer: Flat = {}
    waiting = [("", tree)]
    visits = 0
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, torch.Tensor):
            answer[path] = node
            if len(answer) > TENSORS:
                raise refuse(f"holds more than {TENSORS} tensors")
            continue
        # Counted before they are listed: what is shared comes by again and again.
        visits += _count(node)
        if visits > _VISITS:
            raise refuse("holds far more values than networks have")
        children = list(_children(node))
        # The last to be put away is the first to be looked at: keep the file's order.
        for key, child in reversed(children):
            longer = f"{path}.{key}" if path else key
            if len(longer) > _PATH:
                raise refuse("nests names that are longer than any network's")
            if isinstance(child, torch.Tensor | dict | list | tuple | StandIn):
                waiting.append((longer, child))
    return answer


def _count(node: Any) -> int:
    items = node.state if isinstance(node, StandIn) else node
    return len(items) if isinstance(items, dict | list | tuple) else 0


def _children(node: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(node, StandIn) and "_modules" in node.state:
        yield from _parts_of_module(node.state)
    elif isinstance(node, dict | StandIn):
        items = node.state if isinstance(node, StandIn) else node
        yield from ((_named(key), value) for key, value in items.items())
    elif isinstance(node, list | tuple):
        yield from ((str(index), value) for index, value in enumerate(node))


def _named(key: Any) -> str:
    """Return a key as a part of a path; keys are plain values (see `constructors.pairs`)."""
    return str(key[:200]) if isinstance(key, str | bytes) else str(key)


def _parts_of_module(state: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Parameters, persistent buffers and submodules, in the order of a state dict."""
    fleeting = state.get("_non_persistent_buffers_set")
    # Only names: hashing what is nested can take forever.
    names = fleeting if isinstance(fleeting, list) else ()
    fleeting = {name for name in names if isinstance(name, str)}
    for group in ("_parameters", "_buffers", "_modules"):
        part = state.get(group)
        for key, value in part.items() if isinstance(part, dict) else ():
            if not (group == "_buffers" and key in fleeting):
                yield _named(key), value


def find(flat: Mapping[str, torch.Tensor], signature: Iterable[str]) -> str | None:
    """Return what stands before the signature's keys, or None where the keys are not all there.

    Of several (a generator and its running average) the average is preferred, then the shortest.

    >>> find({"g_ema.a.weight": torch.zeros(1), "g.a.weight": torch.zeros(1)}, ["a.weight"])
    'g_ema.'
    """
    first, *others = signature
    prefixes = [
        key.removesuffix(first) for key in flat if key == first or key.endswith(f".{first}")
    ]
    whole = [prefix for prefix in prefixes if all(prefix + other in flat for other in others)]
    return min(whole, key=lambda prefix: ("ema" not in prefix.lower(), len(prefix)), default=None)


def below(flat: Flat, prefix: str, parts: tuple[str, ...] = ()) -> Flat:
    """Return the tensors whose path begins with `prefix` and then one of `parts`, prefix taken off.

    Raises:
        BundleError: together they are larger than any file could hold without repeating itself.
    """
    return {
        key.removeprefix(prefix): tensor
        for key, tensor in flat.items()
        if key.startswith(prefix) and key.removeprefix(prefix).startswith(parts or ("",))
    }


def check_size(state: Mapping[str, torch.Tensor], limit: int) -> None:
    """Refuse tensors that share memory so often that copying them would fill the machine.

    Raises:
        BundleError: they are larger than `limit` bytes together.
    """
    total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if total > limit:
        raise BundleError(
            f"the tensors take {total} bytes when each has its own memory, and the file has "
            f"{limit // 2}; it is damaged or made to do harm: get it again"
        )

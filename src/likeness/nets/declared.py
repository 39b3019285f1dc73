"""Networks of which only the shapes are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_FILLING = frozenset({torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.random_})


class _Unfilled(TorchFunctionMode):
    """Leaves out drawing numbers, for which torch loads its whole compiler on the meta device."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func in _FILLING or getattr(func, "__module__", None) == torch.nn.init.__name__:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Let networks that are built within have shapes and no memory, however large they claim to be.

    They are on torch's meta device, and are not filled with first weights: that alone would
    import torch's compiler, two seconds of a command's time.
    """
    with torch.device("meta"), _Unfilled():
        yield

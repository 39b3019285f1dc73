"""Compiled loops: numba's `njit`, whose cache on disk is a convenience and never a condition.

numba refuses to cache at all where no folder can be written, and hands on whatever a full disk or a
damaged cache raises. Here both mean one warning, and the loops are compiled anew in every process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import numba
import numpy as np
from numba import types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

from likeness.files import cache_folder, why_unwritable
from likeness.files.places import warn_once

__all__ = ["intrinsic", "njit", "types"]

Function = TypeVar("Function", bound=Callable[..., Any])


def njit(
    *,
    cache: bool = True,
    nogil: bool = False,
    fastmath: bool = False,
    inline: Literal["never", "always"] = "never",
) -> Callable[[Function], Function]:
    """Compile a function at its first call, as `numba.njit` does.

    Args:
        cache: keep the machine code on disk where that is possible.
        nogil: let other threads run meanwhile.
        fastmath: let sums be taken in any order.
        inline: "always" puts the function into those that call it.
    """

    def compiled(function: Function) -> Function:
        dispatcher: Any = numba.njit(function, nogil=nogil, fastmath=fastmath, inline=inline)
        if cache:
            try:
                dispatcher._cache = _cache_of(function)
            except (RuntimeError, OSError):
                _tell("no folder for it can be written")
        answer: Function = dispatcher
        return answer

    return compiled


def _cache_of(function: Callable[..., Any]) -> Any:
    if cache_folder() is None:
        # numba would make a folder whose name is a tilde.
        raise RuntimeError("no home folder is known")
    kept: Any = _OptionalCache
    return kept(function)


def cache_place() -> Path | None:
    """Return where machine code is kept, or None where no folder for it can be written."""
    try:
        return Path(_cache_of(_tell).cache_path)
    except (RuntimeError, OSError):
        return None


_Cache: Any = FunctionCache
"""numba carries no types."""


class _OptionalCache(_Cache):  # type: ignore[misc]
    """numba's own cache, whose failures cost time and nothing else."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        """Tell machine code also by the constants and functions that it was compiled with.

        numba looks at the function's own file alone, and would run on with a constant of another
        file as it used to be.
        """
        return (*super()._index_key(sig, codegen), _used_by(self._py_func, set()))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return kept machine code, or None where there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # a damaged cache raises anything
            _tell(_reason(error))
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep machine code if that works."""
        try:
            super().save_overload(sig, data)
        except Exception as error:  # a damaged cache raises anything
            _tell(_reason(error))


def _used_by(function: Callable[..., Any], known: set[Any]) -> tuple[Any, ...]:
    """Return the global constants that a function and those that it calls were compiled with."""
    code = function.__code__
    known.add(code)
    used: list[Any] = []
    for name in sorted(set(code.co_names) & function.__globals__.keys()):
        value = function.__globals__[name]
        inner = getattr(value, "py_func", None)
        if inner is not None and inner.__code__ not in known:
            body = hashlib.sha256(inner.__code__.co_code).hexdigest()
            plain = [c for c in inner.__code__.co_consts if isinstance(c, bool | int | float)]
            used.append((name, body, repr(plain), *_used_by(inner, known)))
        elif (written := getattr(value, "_defn", None)) is not None:
            used.append((name, _written(written.__code__.co_filename)))
        elif isinstance(value, bool | int | float | tuple | np.generic):
            used.append((name, repr(value)))
    return tuple(used)


def _written(file: str) -> str:
    """Return what tells one state of a file that writes machine code itself from another."""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""


def _reason(error: BaseException) -> str:
    return why_unwritable(error) if isinstance(error, OSError) else "what is kept cannot be read"


def _tell(reason: str) -> None:
    warn_once(
        "compiled loops",
        f"compiled loops are not kept ({reason}); every run compiles them again, which takes some "
        "seconds",
    )

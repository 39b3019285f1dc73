"""Settings: frozen dataclasses resolved from defaults, a TOML file and flags, later wins.

Each stage defines its own settings beside the code that reads them; this file only knows how to
fill a dataclass, how to say what is wrong with a value, and how to write settings down.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import hashlib
import json
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from likeness.errors import ConfigError

Settings = TypeVar("Settings")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: the file cannot be read or is no TOML.
    """
    try:
        # Editors on Windows put a mark before the first word, which TOML knows nothing of.
        return tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); expected TOML") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no valid TOML: {error}") from error


def resolve(
    kind: type[Settings],
    table: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    where: str = "",
) -> Settings:
    """Fill a settings dataclass: its defaults, then `table`, then `overrides`.

    Args:
        kind: a frozen dataclass; fields may be numbers, strings, paths, fractions, literals, enums,
            tuples, mappings or further settings dataclasses.
        table: from a file; nested tables fill nested dataclasses.
        overrides: from flags; a value of None was not given and changes nothing.
        where: name of the table, for messages.

    Raises:
        ConfigError: a key is unknown (the nearest spelling is named) or missing, or a value does
            not fit.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Fit:
    ...     iterations: int = 40
    >>> resolve(Fit, {"iterations": 20})
    Fit(iterations=20)
    >>> resolve(Fit, {"iteration": 20})
    Traceback (most recent call last):
    likeness.errors.ConfigError: unknown setting 'iteration'; did you mean 'iterations'?
    """
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    return _fill(kind, _merge(table or {}, given), where)


def to_json(settings: Any) -> Any:
    """Turn settings into JSON values: what is printed by a dry run and kept in bundles.

    >>> to_json(Fraction(25, 2))
    '25/2'
    """
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        fields = dataclasses.fields(settings)
        return {field.name: to_json(getattr(settings, field.name)) for field in fields}
    if isinstance(settings, Mapping):
        return {str(key): to_json(value) for key, value in settings.items()}
    if isinstance(settings, list | tuple):
        return [to_json(value) for value in settings]
    if isinstance(settings, enum.Enum):
        return to_json(settings.value)
    if isinstance(settings, Path):
        return settings.as_posix()
    if isinstance(settings, Fraction):
        return str(settings)
    if isinstance(settings, np.ndarray):
        # Known identities can be settings; their digest tells them apart without listing them.
        content = hashlib.sha256(np.ascontiguousarray(settings).tobytes()).hexdigest()
        return f"{settings.dtype}{list(settings.shape)} sha256 {content}"
    if settings is None or isinstance(settings, bool | int | float | str):
        return settings
    raise ConfigError(f"a setting of type {type(settings).__name__} has no place in JSON")


def digest(*settings: Any) -> str:
    """Return the sha256 of settings; equal settings give equal digests on every machine."""
    text = json.dumps([to_json(s) for s in settings], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def nearest(name: str, known: typing.Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the known name that is spelled most alike, or the list."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; expected one of: {', '.join(known)}" if known else ""


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _fill(
    kind: type[Settings], table: Mapping[str, Any], where: str, default: Settings | None = None
) -> Settings:
    """Fill a dataclass from a table; what it leaves out is the default's, if there is one."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise TypeError(f"{kind} is no dataclass")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    prefix = f"{where}." if where else ""
    for key in table:
        if key not in fields:
            raise ConfigError(f"unknown setting {prefix + str(key)!r}{nearest(str(key), fields)}")
    values = {
        key: _coerce_field(fields[key], value, hints[key], prefix + key)
        for key, value in table.items()
    }
    for name, field in fields.items():
        if default is not None:
            values.setdefault(name, getattr(default, name))
        empty = field.default is field.default_factory is dataclasses.MISSING
        if empty and name not in values:
            raise ConfigError(f"setting {prefix + name!r} is missing and has no default")
    filled: Settings = kind(**values)
    return filled


def _coerce_field(field: dataclasses.Field[Any], value: Any, hint: Any, where: str) -> Any:
    """Coerce a field's value; a table changes the settings that the field has by default."""
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if isinstance(value, Mapping) and dataclasses.is_dataclass(default):
        return _fill(type(default), value, where, default)
    return _coerce(value, hint, where)


def _coerce(value: Any, hint: Any, where: str) -> Any:
    """Return `value` as the type that `hint` asks for, or raise ConfigError naming `where`."""
    origin = typing.get_origin(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _coerce_union(value, typing.get_args(hint), where)
    if origin is Literal:
        if value in typing.get_args(hint):
            return value
        choices = [str(choice) for choice in typing.get_args(hint)]
        raise ConfigError(f"{where} is {value!r}{nearest(str(value), choices)}")
    if origin is tuple:
        return _coerce_tuple(value, typing.get_args(hint), where)
    if origin is not None and issubclass(origin, Mapping):
        return _coerce_mapping(value, typing.get_args(hint)[1], where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        if isinstance(value, Mapping):
            return _fill(hint, value, where)
        raise _misfit(value, hint.__name__ + " (a table)", where)
    return _coerce_plain(value, hint, where)


def _coerce_union(value: Any, hints: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in hints:
        return None
    problems = []
    for hint in hints:
        if hint is type(None):
            continue
        try:
            return _coerce(value, hint, where)
        except ConfigError as error:
            problems.append(error)
    raise problems[0]


def _coerce_tuple(value: Any, hints: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _misfit(value, "a list", where)
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        raise ConfigError(f"{where} has {len(value)} values, expected {len(hints)}")
    pairs = zip(value, hints, strict=True)
    return tuple(_coerce(item, hint, f"{where}[{i}]") for i, (item, hint) in enumerate(pairs))


def _coerce_mapping(value: Any, hint: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _misfit(value, "a table", where)
    return {str(key): _coerce(item, hint, f"{where}.{key}") for key, item in value.items()}


def _coerce_plain(value: Any, hint: Any, where: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        if isinstance(value, hint):
            return value
        names = {str(member.value): member for member in hint}
        if str(value) in names:
            return names[str(value)]
        raise ConfigError(f"{where} is {value!r}{nearest(str(value), names)}")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and number and math.isfinite(value):
        return float(value)
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if hint is Fraction and isinstance(value, str | int | Fraction) and not isinstance(value, bool):
        try:
            return Fraction(value)
        except (ValueError, ZeroDivisionError) as error:
            raise _misfit(value, 'a fraction such as "25/2"', where) from error
    if hint in (int, str, bool) and type(value) is hint:
        return value
    raise _misfit(value, getattr(hint, "__name__", str(hint)), where)


def _misfit(value: Any, expected: str, where: str) -> ConfigError:
    return ConfigError(f"{where} is {value!r} ({type(value).__name__}), expected {expected}")

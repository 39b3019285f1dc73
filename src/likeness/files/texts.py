"""Text by format: JSON, TOML and PEM, with limits on size, nesting and digits.

Every function ends in the caller's error, whatever the file holds: half a character, numbers with
thousands of digits, arrays in arrays without end.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import tomllib
from pathlib import Path
from typing import Any

from likeness.errors import LikenessError
from likeness.files.regular import read_regular

JSON_LIMIT = 64 * 2**20
"""Largest JSON file in bytes; a manifest of an hour stays far below."""
TOML_LIMIT = 2**20
"""Largest TOML file in bytes: settings and consent records are pages."""
PEM_LIMIT = 2**20
"""Largest file of certificates or keys in bytes."""
NESTING = 64
"""Deepest nesting of lists and tables."""
_WHOLE = 2**63
_DIGITS = 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def encoding_of(head: bytes) -> tuple[str, int]:
    """Return the encoding that a file's first bytes tell, and how many of them are its mark.

    >>> encoding_of(b"\\xef\\xbb\\xbfformat = 1"), encoding_of(b"format = 1")
    (('utf-8', 3), ('utf-8', 0))
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    return "utf-8", 0


def decoded(content: bytes, where: str, error: type[LikenessError]) -> str:
    """Return text in UTF-8, or in what its byte order mark says; the mark is taken off.

    Raises:
        error: it is no text in that encoding.
    """
    encoding, mark = encoding_of(content[:4])
    try:
        return content[mark:].decode(encoding)
    except UnicodeDecodeError as reason:
        raise error(
            f"{where} is no text in {encoding.upper()} (at byte {reason.start + mark}); save it as "
            "UTF-8"
        ) from reason


def parse_json(content: str | bytes, where: str, error: type[LikenessError]) -> Any:
    """Return what JSON text says.

    Args:
        content: with or without a byte order mark.
        where: name of the file, for messages.
        error: what to raise.

    Raises:
        error: it is no JSON, nests deeper than `NESTING`, or holds a number that is not finite, a
            whole number beyond 64 bits, or text that is no Unicode.
    """
    text = decoded(content, where, error) if isinstance(content, bytes) else content
    try:
        value = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_constant)
        _check_tree(value)
    except (ValueError, RecursionError) as reason:
        raise error(f"{where} is not readable as JSON ({_told(reason)})") from reason
    return value


def read_json(path: Path, error: type[LikenessError], limit: int = JSON_LIMIT) -> Any:
    """Read a JSON file; see `parse_json`.

    Raises:
        error: the file is missing, no regular file, too large, or no JSON within the limits.
    """
    return parse_json(read_regular(path, error, "a JSON file", limit), str(path), error)


def parse_toml(content: str | bytes, where: str, error: type[LikenessError]) -> dict[str, Any]:
    """Return what TOML text says; arguments and limits are those of `parse_json`.

    Raises:
        error: it is no TOML, or beyond the limits.
    """
    text = decoded(content, where, error) if isinstance(content, bytes) else content
    try:
        _check_keys(text)
        value = tomllib.loads(text)
        _check_tree(value)
    except (ValueError, RecursionError) as reason:
        raise error(f"{where} is no valid TOML: {_told(reason)}") from reason
    return value


def read_toml(path: Path, error: type[LikenessError]) -> dict[str, Any]:
    """Read a TOML file; see `parse_toml`.

    Raises:
        error: the file is missing, no regular file, too large, or no TOML within the limits.
    """
    return parse_toml(read_regular(path, error, "a TOML file", TOML_LIMIT), str(path), error)


def read_pem(path: Path, error: type[LikenessError]) -> str:
    """Read certificates or a key in PEM, as text with line feeds only.

    Raises:
        error: the file is missing, no regular file, too large, or has no block of PEM.
    """
    content = read_regular(path, error, "a PEM file", PEM_LIMIT)
    text = decoded(content, str(path), error).replace("\r\n", "\n")
    if not text.isascii() or "-----BEGIN " not in text or "-----END " not in text:
        raise error(
            f"{path} cannot be read: it holds no block between -----BEGIN and -----END; expected "
            "a PEM file"
        )
    return text


def _told(reason: ValueError | RecursionError) -> str:
    if isinstance(reason, RecursionError):
        return f"it nests deeper than {NESTING}"
    return str(reason)[:200]


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS or not -_WHOLE <= int(digits) < _WHOLE:
        raise ValueError(f"a whole number has {len(digits)} digits, beyond 64 bits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is larger than double precision holds")
    return number


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _check_tree(tree: Any) -> None:
    """Refuse deep nesting, numbers beyond 64 bits and text that could not be written again."""
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > NESTING:
            raise ValueError(f"it nests deeper than {NESTING}")
        if isinstance(node, dict):
            waiting += [(part, depth + 1) for pair in node.items() for part in pair]
        elif isinstance(node, list):
            waiting += [(part, depth + 1) for part in node]
        elif isinstance(node, str):
            if not node.isascii() and any("\ud800" <= c <= "\udfff" for c in node):
                raise ValueError("a text holds half a character")
        elif type(node) is int and not -_WHOLE <= node < _WHOLE:
            raise ValueError("a whole number is beyond 64 bits")


def _check_keys(text: str) -> None:
    """Refuse dotted keys without end: the parser's work grows with the square of their length."""
    if "." not in text:
        return
    plain = re.sub(r'"[^"\n]*"|' + r"'[^'\n]*'", "k", text)
    joined = ".".join(part.strip(" \t") for part in plain.split("."))
    if any(word.count(".") > NESTING for word in re.split(r"[\s=,{}\[\]]+", joined)):
        raise ValueError(f"a key has more than {NESTING} parts")

"""Plain arrays in .npz archives and .npy files, every claim checked before memory is spent."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np

from likeness.errors import LikenessError
from likeness.files.regular import open_regular

CONTENT_LIMIT = 2**30
"""Most bytes that the arrays of an archive may take together."""
ENTRIES = 1000
"""Most entries of an archive."""
_KINDS = "biufSU"
"""Booleans, numbers and text: objects could be anything."""
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What zipfile, zlib and numpy's header parser raise on nonsense."""


def read_npz(
    path: Path,
    wanted: Collection[str],
    error: type[LikenessError],
    also: Collection[str] = (),
) -> dict[str, np.ndarray[Any, Any]]:
    """Read arrays of an .npz file.

    Args:
        path: as np.savez or np.savez_compressed wrote it.
        wanted: names of arrays that must be there.
        error: what to raise.
        also: names of arrays that may be there; all others stay closed.

    Raises:
        error: missing, no regular file, damaged, an array is missing, holds objects, or claims more
            than `CONTENT_LIMIT`.
    """
    names = sorted(wanted)
    with open_regular(path, error, "an .npz of plain arrays") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                if len(entries) > ENTRIES:
                    raise ValueError(f"it has {len(entries)} entries")
                found = {entry.filename.removesuffix(".npy"): entry for entry in entries}
                missing = [name for name in names if name not in found]
                if missing:
                    shown = [name[:40] for name in sorted(found)[:20]]
                    raise error(f"{path} lacks {missing}; found {shown}, expected {names}")
                names += [name for name in sorted(also) if name in found]
                if sum(found[name].file_size for name in names) > CONTENT_LIMIT:
                    raise ValueError(f"it unpacks to more than {CONTENT_LIMIT} bytes")
                arrays = {}
                for name in names:
                    with archive.open(found[name]) as member:
                        arrays[name] = _array(member, found[name].file_size)
                return arrays
        except _DAMAGE as reason:
            raise error(
                f"{path} cannot be read as an .npz of plain arrays ({str(reason)[:120]}); expected "
                f"{names}"
            ) from reason


def read_npy(path: Path, error: type[LikenessError]) -> np.ndarray[Any, Any]:
    """Read the array of an .npy file.

    Raises:
        error: missing, no regular file, damaged, of objects, or larger than `CONTENT_LIMIT`.
    """
    with open_regular(path, error, "an .npy of plain numbers", CONTENT_LIMIT) as file:
        try:
            return _array(file, path.stat().st_size)
        except _DAMAGE as reason:
            raise error(
                f"{path} cannot be read as an .npy of plain numbers ({str(reason)[:120]}); get the "
                "file again"
            ) from reason


def _array(member: IO[bytes], size: int) -> np.ndarray[Any, Any]:
    form: Any = np.lib.format
    version = form.read_magic(member)
    readers = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
    if version not in readers:
        raise ValueError("an array is of an unknown version")
    shape, fortran, dtype = readers[version](member)
    if dtype.kind not in _KINDS or dtype.hasobject or dtype.fields is not None:
        raise ValueError("an array holds objects; expected numbers")
    if any(n < 0 for n in shape) or len(shape) > 32:
        raise ValueError("an array has an impossible shape")
    needed = math.prod(shape) * dtype.itemsize
    if needed > size:
        raise ValueError("an array claims more numbers than the file has")
    content = member.read(needed)
    if len(content) != needed:
        raise ValueError("an array is cut off")
    flat = np.frombuffer(bytearray(content), dtype)
    return flat.reshape(shape, order="F" if fortran else "C")

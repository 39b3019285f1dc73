"""Checkpoints of PyTorch: zip archives, the older stream format, and bare pickles.

All are read with `unpickle`, which is stricter than torch's own `weights_only`: no class is
looked up and nothing is called. Storages are read only after their size was found in the file, and
tensors become views only where they fit their storage, so that the memory asked for never exceeds
the file's own size.
"""

from __future__ import annotations

import io
import math
import mmap
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import torch

from likeness.errors import BundleError
from likeness.files import open_regular
from likeness.importers.foreign_arrays import LARGEST, Array
from likeness.importers.meter import Meter, plain, reason, refuse
from likeness.importers.records import Name, StandIn, StorageRecord, TensorRecord
from likeness.importers.unpickle import Stream, unpickle

FILE_LIMIT = 16 * 2**30
"""Largest file in bytes: the largest published network has a tenth of it."""
PICKLE_LIMIT = 256 * 2**20
"""Largest description of tensors inside a zip archive, in bytes."""
ENTRIES = 100_000
"""Most entries of a zip archive."""
DEPTH = 64
"""Deepest nesting of dicts, lists and modules that is followed."""

_MAGIC = 0x1950A86A20F9469CFC6C
_STREAM_VERSION = 1001
_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_DAMAGE = (
    zipfile.BadZipFile,
    struct.error,
    zlib.error,
    EOFError,
    LookupError,
    RecursionError,
    OverflowError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What zipfile and torch raise on nonsense; NotImplementedError and UnicodeError are among them."""
Storages = Callable[[StorageRecord], torch.Tensor]
"""The flat numbers of a storage."""


def read_torch(path: Path) -> Any:
    """Read a checkpoint of any of the three formats.

    Returns:
        Dicts, lists, plain values and `StandIn` objects, with tensors (also where the file has
        numpy arrays) in their places. Tensors share memory where they do in the file.

    Raises:
        BundleError: no such file, too large, damaged, or holding what weights do not need.
    """
    if not path.is_file():
        raise BundleError(f"no file at {path}; give the path of a downloaded checkpoint")
    size = path.stat().st_size
    if not 0 < size <= FILE_LIMIT:
        raise BundleError(f"{path} has {size} bytes, expected 1 to {FILE_LIMIT}")
    with open_regular(path, BundleError, "a checkpoint", FILE_LIMIT) as file:
        first = file.read(4)
        file.seek(0)
        try:
            if first == b"PK\x03\x04":
                return _read_zip(file, size)
            # Mapped, so that reading more than there is asks for no more memory than there is.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                return _read_stream(mapped, size)
        except BundleError as error:
            raise BundleError(f"{path.name}: {error}") from error
        except _DAMAGE as error:
            raise BundleError(
                f"{path.name} is damaged ({reason(error)}); get the file again"
            ) from error


def _read_zip(file: BinaryIO, size: int) -> Any:
    with zipfile.ZipFile(file) as archive:
        members = _members(archive, size)
        order = members.get("byteorder")
        if order and archive.read(order) != b"little":
            raise BundleError("the file was written on a big-endian machine; save it again")
        if "data.pkl" not in members or members["data.pkl"].file_size > PICKLE_LIMIT:
            raise BundleError(
                "the zip archive holds no data.pkl of a usual size; expected a file that "
                "torch.save wrote"
            )
        script = archive.read(members["data.pkl"])
        tree = unpickle(io.BytesIO(script), storage_of, Meter(len(script)))
        kept: dict[str, torch.Tensor] = {}

        def numbers(record: StorageRecord) -> torch.Tensor:
            if record.key not in kept:
                member = members.get(f"data/{record.key}")
                if member is None or member.file_size < _bytes(record):
                    raise BundleError(
                        f"storage {plain(record.key, 20)} claims {_bytes(record)} bytes and the "
                        f"archive has {member.file_size if member else 0}; get it again"
                    )
                kept[record.key] = _flat(bytearray(archive.read(member)), record)
            return kept[record.key]

        return resolve(tree, numbers)


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return entries by name below the archive's one folder, after looking for tricks."""
    entries = archive.infolist()
    if len(entries) > ENTRIES or sum(entry.file_size for entry in entries) > size:
        raise refuse("is a zip archive that unpacks to more than its own size")
    members = {}
    for entry in entries:
        parts = PurePosixPath(entry.filename).parts
        if entry.filename.startswith("/") or ".." in parts or "\\" in entry.filename:
            raise refuse(f"names {plain(entry.filename, 60)}, which leads out of the archive")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise refuse("holds a symbolic link")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise refuse("is a compressed zip archive, which torch.save never writes")
        name = "/".join(parts[1:])
        if name in members:
            raise refuse(f"holds {plain(name, 60)} twice")
        members[name] = entry
    return members


def storage_of(pid: Any) -> StorageRecord | Name:
    """Understand a persistent id: ('storage', class, key, device, count, and None or nothing).

    Whole modules in the older format give their classes as ('module', class, file, source text).
    """
    if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module" and isinstance(pid[1], Name):
        return pid[1]
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
        raise refuse("refers to something that is no storage")
    kind, key, count, view = pid[1], pid[2], pid[4], pid[5] if len(pid) == 6 else None
    named = kind.text.rpartition(".")[2] if isinstance(kind, Name) else ""
    counted = type(count) is int and 0 <= count < LARGEST
    if named not in _DTYPES or not isinstance(key, str) or not counted:
        raise refuse(f"describes a storage of type {plain(named, 40)}")
    if view is not None:
        raise BundleError("the file keeps storages as views (torch before 0.4); save it again")
    return StorageRecord(named, key, count)


def _bytes(record: StorageRecord) -> int:
    return record.count * _DTYPES[record.kind].itemsize


def _flat(content: bytearray, record: StorageRecord) -> torch.Tensor:
    if record.count == 0:
        return torch.empty(0, dtype=_DTYPES[record.kind])
    return torch.frombuffer(content, dtype=_DTYPES[record.kind], count=record.count)


def _read_stream(file: Stream, size: int, inside: bool = False) -> Any:
    """Read torch's older format (several pickles, then raw storages) or one bare pickle.

    Args:
        file: at its first byte.
        size: its length in bytes, which is its budget, too.
        inside: it stands in a bare pickle in the place of a storage, and holds no further one.
    """
    meter = Meter(size)
    head = unpickle(file, storage_of, meter)
    if type(head) is not int or head != _MAGIC:
        if inside:
            raise refuse("holds a nested file that is no storage")
        return resolve(head, _nested_storage)
    version, machine = unpickle(file, meter=meter), unpickle(file, meter=meter)
    if type(version) is not int or version != _STREAM_VERSION or not isinstance(machine, dict):
        raise BundleError(f"the torch file has protocol {plain(version)}, expected 1001")
    if machine.get("little_endian") is not True:
        raise BundleError("the file was written on a big-endian machine; save it again")
    records: dict[str, StorageRecord] = {}

    def remembered(pid: Any) -> StorageRecord | Name:
        found = storage_of(pid)
        return found if isinstance(found, Name) else records.setdefault(found.key, found)

    tree, keys = unpickle(file, remembered, meter), unpickle(file, meter=meter)
    listed = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not listed or len(set(keys)) != len(keys) or not records.keys() >= set(keys):
        raise BundleError("the torch file lists storages that no tensor uses; get it again")
    kept: dict[str, torch.Tensor] = {}
    for key in keys:
        record = records[key]
        count = int.from_bytes(file.read(8), "little")
        if count != record.count or _bytes(record) > size - file.tell():
            raise BundleError(
                f"storage {plain(key, 20)} claims {_bytes(record)} bytes and the file has "
                f"{size - file.tell()} left; it is cut off or damaged: get it again"
            )
        kept[key] = _flat(bytearray(file.read(_bytes(record))), record)

    def numbers(record: StorageRecord) -> torch.Tensor:
        if record.key not in kept:
            raise BundleError("the torch file lacks a storage; get it again")
        return kept[record.key]

    return resolve(tree, numbers)


def _nested_storage(record: StorageRecord) -> torch.Tensor:
    """Read the whole torch file that a bare pickle holds in the place of a storage."""
    if record.nested is None:
        raise refuse("is a bare pickle and refers to storages outside itself")
    inner = _read_stream(io.BytesIO(record.nested), len(record.nested), inside=True)
    if not isinstance(inner, torch.Tensor):
        raise refuse("holds a nested file that is no storage")
    return inner


def resolve(tree: Any, storages: Storages) -> Any:
    """Put tensors in the place of records, everywhere in a tree of plain values.

    What the file shares stays shared, so that a small file cannot describe a huge tree. How deep a
    value nests is counted from below: what is shared may stand deeper elsewhere.
    """
    done: dict[int, tuple[Any, int]] = {}

    def walk(node: Any, depth: int) -> tuple[Any, int]:
        if not isinstance(node, dict | list | tuple | StandIn | TensorRecord | StorageRecord):
            return torch.from_numpy(node.value) if _holds(node) else node, 0
        if id(node) in done:
            return done[id(node)]
        done[id(node)] = None, 0  # a cycle ends here
        if depth > DEPTH:
            raise refuse(f"nests values deeper than {DEPTH}")
        made, height = rebuilt(node, depth + 1)
        if height > DEPTH:
            raise refuse(f"nests values deeper than {DEPTH}")
        done[id(node)] = made, height
        return done[id(node)]

    def rebuilt(node: Any, depth: int) -> tuple[Any, int]:
        if isinstance(node, TensorRecord):
            return _view(node, storages), 0
        if isinstance(node, StorageRecord):
            return storages(node), 0
        if isinstance(node, StandIn):
            state, height = walk(node.state, depth)
            return StandIn(node.kind, state), height + 1
        parts = [
            walk(value, depth) for value in (node.values() if isinstance(node, dict) else node)
        ]
        height = 1 + max((high for _, high in parts), default=0)
        values = [part for part, _ in parts]
        if isinstance(node, dict):
            return dict(zip(node, values, strict=True)), height
        return type(node)(values), height

    return walk(tree, 0)[0]


def _holds(node: Any) -> bool:
    return isinstance(node, Array) and node.value is not None


def _view(record: TensorRecord, storages: Storages) -> torch.Tensor:
    flat = storages(record.storage)
    count = math.prod(record.size)
    reach = sum((n - 1) * step for n, step in zip(record.size, record.stride, strict=True))
    if count > len(flat) or (count and record.offset + reach >= len(flat)):
        raise BundleError(
            f"a tensor of size {record.size} does not fit its storage of {len(flat)} values; "
            "the file is damaged: get it again"
        )
    if not count:
        return torch.empty(record.size, dtype=flat.dtype)
    return flat.as_strided(record.size, record.stride, record.offset)

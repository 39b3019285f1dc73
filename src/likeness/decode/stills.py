"""How a HEIC or AVIF picture is put together (ISO/IEC 23008-12, High Efficiency Image File Format).

Such a file holds items: tiles, thumbnails, depth, transparency. One is the primary item, which is
the picture; phones make it a grid of tiles. Which is which, how tiles lie, what is cropped and how
it is turned stands in the `meta` box; the tiles themselves are decoded by FFmpeg, to which every
item is a stream whose id is the item's number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from likeness.decode.aperture import Rectangle, of_clap
from likeness.decode.boxes import boxes, first_box, top_box
from likeness.decode.limits import MOST_TILES, check_pixels
from likeness.errors import MediaError

_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_CODED = {b"hvc1", b"hev1", b"av01", b"avc1", b"jpeg", b"vvc1"}
_DEEPEST = 4
"""Items that stand for other items, one within the other."""


@dataclass(frozen=True, slots=True)
class Still:
    """One picture of a file: which items make it up, and how it is shown."""

    items: tuple[int, ...]
    """Tiles row by row; a single one where there is no grid."""
    columns: int
    size: tuple[int, int] | None
    """(h, w) of what the tiles make together; None where the file doesn't say."""
    crop: Rectangle | None = None
    degrees: int = 0
    """Clockwise turn that makes it upright."""
    mirrored: bool = False
    """Left and right are exchanged before the turn."""
    alpha: Still | None = None
    """Another picture of the file whose luma says how opaque this one is."""


def read_still(path: Path) -> Still:
    """Read how a file's primary picture is put together.

    Raises:
        MediaError: The file does not say, or in a way that is not understood.
    """
    meta = top_box(path, b"meta")
    if meta is None or len(meta) < 4:
        raise _damaged(path, "it has no index")
    try:
        items = _Items(meta[4:], path)
        return items.still(items.primary(), alpha=True)
    except (IndexError, KeyError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> MediaError:
    return MediaError(f"{path} is no HEIC or AVIF picture that can be read ({why}); copy it again")


class _Items:
    """The `meta` box, looked up by the numbers of items."""

    def __init__(self, meta: memoryview, path: Path) -> None:
        self._path = path
        self._meta: dict[bytes, memoryview] = dict(reversed(list(boxes(meta))))
        self._kinds = self._read_kinds()
        self._references = self._read_references()
        self._properties = self._read_properties()

    def _part(self, name: bytes) -> memoryview:
        if name not in self._meta:
            raise ValueError(f"its box {name.decode()} is missing")
        return self._meta[name]

    def primary(self) -> int:
        box = self._part(b"pitm")
        return _number(box, 4, 2 if box[0] == 0 else 4)

    def still(self, item: int, *, alpha: bool = False, depth: int = 0) -> Still:
        """Describe an item as a picture."""
        kind = self._kinds.get(item)
        if depth > _DEEPEST:
            raise ValueError("its items stand for each other in a circle")
        made_of = self._references.get((b"dimg", item), ())
        crop, degrees, mirrored = self._transformed(item)
        if kind == b"iden" and len(made_of) == 1:
            return self.still(made_of[0], alpha=alpha, depth=depth + 1)
        size, columns = self._size(item), 1
        tiles: tuple[int, ...] = (item,)
        if kind == b"grid":
            columns, size = self._grid(item, len(made_of))
            tiles = tuple(made_of)
        elif kind not in _CODED:
            name = (kind or b"none").decode("ascii", "replace")
            raise MediaError(
                f"{self._path} puts its picture together in a way that is not read here "
                f"({name!r}); expected one picture or a grid of tiles; export it as JPEG or PNG"
            )
        if size is not None:
            check_pixels(size[1], size[0], self._path)
        behind = self._alpha_of(item) if alpha else None
        return Still(
            tiles,
            columns,
            size,
            crop,
            degrees,
            mirrored,
            self.still(behind, depth=depth + 1) if behind is not None else None,
        )

    def _alpha_of(self, item: int) -> int | None:
        beside = [
            other
            for (kind, other), targets in self._references.items()
            if kind == b"auxl" and item in targets
        ]
        for other in beside:
            for name, content in self._properties.get(other, ()):
                if name == b"auxC" and bytes(content[4:]).split(b"\0")[0] in _ALPHA:
                    return other
        return None

    def _grid(self, item: int, count: int) -> tuple[int, tuple[int, int]]:
        data = self._data(item)
        rows, columns = data[2] + 1, data[3] + 1
        wide = 4 if data[1] & 1 else 2
        width, height = _number(data, 4, wide), _number(data, 4 + wide, wide)
        if rows * columns != count or count > MOST_TILES:
            raise ValueError(f"{count} tiles were found for a grid of {rows} by {columns}")
        if min(width, height) < 1:
            raise ValueError("its picture is empty")
        return columns, (height, width)

    def _size(self, item: int) -> tuple[int, int] | None:
        for name, content in self._properties.get(item, ()):
            if name == b"ispe":
                return _number(content, 8, 4), _number(content, 4, 4)
        return None

    def _transformed(self, item: int) -> tuple[Rectangle | None, int, bool]:
        """Return crop, clockwise turn and mirror, from properties in their order."""
        crop, degrees, mirrored, size = None, 0, False, self._size(item)
        for name, content in self._properties.get(item, ()):
            if name == b"clap" and size is not None and not degrees and not mirrored:
                crop = of_clap(content, size)
            elif name == b"irot":
                degrees -= 90 * (content[0] & 3)
            elif name == b"imir":
                # Exchanging top and bottom (0) is exchanging left and right (1) and half a turn.
                degrees = -degrees + (0 if content[0] & 1 else 180)
                mirrored = not mirrored
        return crop, degrees % 360, mirrored

    def _data(self, item: int) -> memoryview:
        """Return the bytes of a small item, from the index or from the file."""
        box = self._part(b"iloc")
        version = box[0]
        sizes = [box[4] >> 4, box[4] & 15, box[5] >> 4, box[5] & 15 if version else 0]
        wide = 4 if version == 2 else 2
        count, at = _number(box, 6, wide), 6 + wide
        for _ in range(count):
            number, at = _number(box, at, wide), at + wide
            method = 0
            if version:
                method, at = _number(box, at, 2) & 15, at + 2
            base, at = _number(box, at + 2, sizes[2]), at + 2 + sizes[2]
            extents, at = _number(box, at, 2), at + 2
            step = sizes[3] + sizes[0] + sizes[1]
            if number == item and extents == 1:
                start = base + _number(box, at + sizes[3], sizes[0])
                length = _number(box, at + sizes[3] + sizes[0], sizes[1])
                return self._bytes(method, start, min(length or 12, 4096))
            at += extents * step
        raise ValueError(f"item {item} lies nowhere")

    def _bytes(self, method: int, start: int, length: int) -> memoryview:
        if method == 1:
            return self._part(b"idat")[start : start + length]
        with self._path.open("rb") as file:
            file.seek(start)
            return memoryview(file.read(length))

    def _read_kinds(self) -> Mapping[int, bytes]:
        box = self._part(b"iinf")
        kinds = {}
        for name, entry in boxes(box[6 if box[0] == 0 else 8 :]):
            if name == b"infe" and entry[0] >= 2:
                wide = 2 if entry[0] == 2 else 4
                kinds[_number(entry, 4, wide)] = bytes(entry[6 + wide : 10 + wide])
        return kinds

    def _read_references(self) -> Mapping[tuple[bytes, int], list[int]]:
        found: dict[tuple[bytes, int], list[int]] = {}
        box = self._meta.get(b"iref")
        if box is None:
            return found
        wide = 2 if box[0] == 0 else 4
        for kind, content in boxes(box[4:]):
            count = _number(content, wide, 2)
            targets = [_number(content, wide + 2 + wide * n, wide) for n in range(count)]
            found[kind, _number(content, 0, wide)] = targets
        return found

    def _read_properties(self) -> Mapping[int, list[tuple[bytes, memoryview]]]:
        held = first_box(self._part(b"iprp"), b"ipco")
        index = first_box(self._part(b"iprp"), b"ipma")
        found: dict[int, list[tuple[bytes, memoryview]]] = {}
        if held is None or index is None:
            return found
        known = list(boxes(held))
        wide, long = (2 if index[0] == 0 else 4), index[3] & 1
        at = 8
        for _ in range(_number(index, 4, 4)):
            item, count, at = _number(index, at, wide), index[at + wide], at + wide + 1
            for _ in range(count):
                which = _number(index, at, 2) & 0x7FFF if long else index[at] & 0x7F
                at += 2 if long else 1
                if 0 < which <= len(known):
                    found.setdefault(item, []).append(known[which - 1])
        return found


def _number(data: memoryview, at: int, size: int) -> int:
    if at + size > len(data):
        raise ValueError("it is cut off")
    return int.from_bytes(data[at : at + size], "big")

"""Media that no encoder here writes, put together byte by byte for tests and benchmarks."""

from __future__ import annotations

import struct
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from likeness.decode.boxes import boxes, first_box


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return one box of an ISO base media file."""
    content = b"".join(parts)
    return struct.pack(">I4s", len(content) + 8, kind) + content


def full_box(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    """Return a box with version and flags."""
    return box(kind, struct.pack(">I", version << 24), *parts)


def hevc(picture: np.ndarray, folder: Path, pix_fmt: str = "yuv444p") -> tuple[bytes, bytes]:
    """Return the `hvcC` box and the coded bytes of an (H,W,3) uint8 picture."""
    path = folder / "tile.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx265",
            rate=25,
            width=picture.shape[1],
            height=picture.shape[0],
            options={"x265-params": "log-level=none:crf=2:keyint=1:pools=none:frame-threads=1"},
        )
        stream.pix_fmt = pix_fmt
        stream.codec_context.color_range = 2
        stream.codec_context.colorspace = 5
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = frame.reformat(format=pix_fmt, dst_colorspace=5, dst_color_range=2)
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = memoryview(path.read_bytes())
    top = dict(boxes(data))
    entries = first_box(top[b"moov"], b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    assert entries is not None
    entry = next(boxes(entries[8:]))[1]
    setup = first_box(entry[78:], b"hvcC")
    assert setup is not None
    return box(b"hvcC", bytes(setup)), bytes(top[b"mdat"])


def write_heic(
    path: Path,
    tiles: Sequence[np.ndarray],
    *,
    columns: int = 1,
    size: tuple[int, int] | None = None,
    transforms: Sequence[bytes] = (),
    alpha: np.ndarray | None = None,
    pix_fmt: str = "yuv444p",
    brand: bytes = b"heic",
) -> Path:
    """Write a HEIC of one picture, or of a grid where `size` (h, w) is given.

    Args:
        path: The file.
        tiles: (h,w,3) uint8 each, row by row.
        columns: Tiles in a row.
        size: What the grid shows; no grid where None.
        transforms: Boxes that belong to the primary item, in order.
        alpha: (h,w) uint8 laid beside a single picture as its opacity.
        pix_fmt: How tiles are coded.
        brand: The file's kind.
    """
    coded = [hevc(tile, path.parent, pix_fmt) for tile in tiles]
    if alpha is not None:
        coded.append(hevc(np.repeat(alpha[..., None], 3, 2), path.parent, pix_fmt))
    count = len(tiles)
    properties = [setup for setup, _ in coded]
    of_item: dict[int, list[int]] = {n + 1: [n + 1] for n in range(len(coded))}
    for n, tile in enumerate([*tiles, *([alpha] if alpha is not None else [])]):
        properties.append(full_box(b"ispe", struct.pack(">II", tile.shape[1], tile.shape[0])))
        of_item[n + 1].append(len(properties))
    kinds = [(n + 1, b"hvc1") for n in range(len(coded))]
    references, primary, grid = b"", 1, b""
    if size is not None:
        primary = len(coded) + 1
        kinds.append((primary, b"grid"))
        rows = count // columns
        grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, size[1], size[0])
        references += box(
            b"dimg", struct.pack(f">HH{count}H", primary, count, *range(1, count + 1))
        )
        properties.append(full_box(b"ispe", struct.pack(">II", size[1], size[0])))
        of_item[primary] = [len(properties)]
    if alpha is not None:
        references += box(b"auxl", struct.pack(">HHH", count + 1, 1, primary))
        properties.append(full_box(b"auxC", b"urn:mpeg:hevc:2015:auxid:1\0"))
        of_item[count + 1].append(len(properties))
    for transform in transforms:
        properties.append(transform)
        of_item[primary].append(len(properties))
    names = [
        box(b"infe", b"\2\0\0\0", struct.pack(">HH4s", n, 0, kind), b"\0") for n, kind in kinds
    ]

    def meta(start: int) -> bytes:
        places, at = [], start
        for n, (_, data) in enumerate(coded):
            places.append(struct.pack(">HHHHII", n + 1, 0, 0, 1, at, len(data)))
            at += len(data)
        if grid:
            places.append(struct.pack(">HHHHII", primary, 1, 0, 1, 0, len(grid)))
        links = b"".join(
            struct.pack(">HB", item, len(linked)) + bytes(0x80 | n for n in linked)
            for item, linked in sorted(of_item.items())
        )
        return full_box(
            b"meta",
            full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
            full_box(b"pitm", struct.pack(">H", primary)),
            full_box(b"iloc", b"\x44\0", struct.pack(">H", len(places)), *places, version=1),
            full_box(b"iinf", struct.pack(">H", len(names)), *names),
            full_box(b"iref", references) if references else b"",
            box(
                b"iprp",
                box(b"ipco", *properties),
                full_box(b"ipma", struct.pack(">I", len(of_item)), links),
            ),
            box(b"idat", grid) if grid else b"",
        )

    head = box(b"ftyp", brand, bytes(4), b"mif1", brand)
    start = len(head) + len(meta(0)) + 8
    path.write_bytes(head + meta(start) + box(b"mdat", *(data for _, data in coded)))
    return path


def insert_box(data: bytes, way: Sequence[bytes], new: bytes) -> bytes:
    """Return an ISO file with a box put at the end of the first box that `way` leads to.

    The index must stand behind the data, so that no offset changes. `stsd` is entered at its first
    entry, a visual one at its boxes.
    """
    at, end, sizes = 0, len(data), []
    for wanted in way:
        if wanted == b"*":
            found = at
        else:
            found = at
            while data[found + 4 : found + 8] != wanted:
                found += int.from_bytes(data[found : found + 4], "big")
                assert found < end, wanted
        size = int.from_bytes(data[found : found + 4], "big")
        sizes.append(found)
        at = found + 8 + (8 if wanted == b"stsd" else 0)
        end = found + size
    changed = bytearray(data)
    for place in sizes:
        size = int.from_bytes(data[place : place + 4], "big") + len(new)
        changed[place : place + 4] = size.to_bytes(4, "big")
    return bytes(changed[:end]) + new + bytes(changed[end:])


CLAP_WAY = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"*")


def clap(width: int, height: int, across: int = 0, down: int = 0) -> bytes:
    """Return a clean aperture box; offsets of the middle in half pixels."""
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, across, 2, down, 2))


def write_wave(path: Path, samples: np.ndarray, rate: int) -> Path:
    """Write (S,C) int16 samples."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def write_sound(
    path: Path,
    samples: np.ndarray,
    rate: int,
    *,
    codec: str,
    layout: str,
    starts: Sequence[float] = (0.0,),
    container: str | None = None,
) -> Path:
    """Code (S,C) samples in [-1,1], once from each of the moments in `starts` (seconds) on."""
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 64000 * stream.codec_context.layout.nb_channels
        # Samples are handed over packed: PyAV fills planar frames of eight channels wrongly.
        resampler = av.AudioResampler(stream.format, layout, rate)
        step = stream.codec_context.frame_size or 1024
        for start in starts:
            for n in range(0, len(samples) - step + 1, step):
                part = np.ascontiguousarray(samples[n : n + step], np.float32).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(part, format="flt", layout=layout)
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = round(start * rate) + n
                for piece in resampler.resample(frame):
                    output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return path

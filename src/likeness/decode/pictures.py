"""Pictures as clips: one file, a folder, or a numbered pattern."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.video.frame import VideoFrame

from likeness.decode.container import orientation_of
from likeness.decode.pixels import depth_of, tags_of
from likeness.errors import MediaError
from likeness.provenance.digests import files_digest
from likeness.types import Clip, Ints

_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".bmp", ".webp", ".dpx"}
_EXIF = {
    1: (0, False),
    2: (0, True),
    3: (180, False),
    4: (180, True),
    5: (270, True),
    6: (90, False),
    7: (90, True),
    8: (270, False),
}
"""EXIF orientation to degrees clockwise, and whether to mirror before turning."""
_NUMBER = re.compile(r"%(?:0(\d+))?d")


def is_pictures(path: Path) -> bool:
    """Tell whether `path` is a folder, a picture or a numbered pattern, not a video."""
    if path.is_dir() or path.suffix.lower() in _SUFFIXES:
        return True
    return bool(_NUMBER.search(path.name)) and not path.exists()


def list_pictures(path: Path) -> tuple[list[Path], Ints]:
    """Return the files of a sequence in order, and the place of each in time (counted from 0).

    Raises:
        MediaError: There are none, or a folder mixes kinds.
    """
    if path.is_dir():
        return _list_folder(path)
    if _NUMBER.search(path.name) and not path.exists():
        return _list_pattern(path)
    if not path.is_file():
        raise MediaError(f"{path} does not exist; expected a picture")
    return [path], np.zeros(1, np.int64)


def _list_folder(folder: Path) -> tuple[list[Path], Ints]:
    files = [f for f in folder.iterdir() if f.suffix.lower() in _SUFFIXES and f.name[0] != "."]
    if not files:
        raise MediaError(f"{folder} holds no pictures; expected PNG, JPEG, TIFF or EXR files")
    kinds = sorted({f.suffix.lower() for f in files})
    if len(kinds) > 1:
        raise MediaError(
            f"{folder} mixes {', '.join(kinds)}; expected one kind; name a pattern such as "
            f"{folder.name}/%05d{kinds[0]}"
        )
    # Numbers in names count as numbers, so that frame_10 comes after frame_9.
    files.sort(key=lambda f: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", f.name)])
    return files, np.arange(len(files), dtype=np.int64)


def _list_pattern(pattern: Path) -> tuple[list[Path], Ints]:
    match = _NUMBER.search(pattern.name)
    if match is None or not pattern.parent.is_dir():
        raise MediaError(f"{pattern.parent} does not exist; expected a folder with pictures")
    digits = rf"(\d{{{match.group(1)},}})" if match.group(1) else r"(\d+)"
    before, after = pattern.name[: match.start()], pattern.name[match.end() :]
    name = re.compile(re.escape(before) + digits + re.escape(after))
    numbered = {
        int(found.group(1)): file
        for file in pattern.parent.iterdir()
        if (found := name.fullmatch(file.name))
    }
    if not numbered:
        raise MediaError(f"no file is called like {pattern}; expected numbered pictures")
    numbers = np.array(sorted(numbered), np.int64)
    return [numbered[int(number)] for number in numbers], numbers - numbers[0]


def read_picture(path: Path) -> VideoFrame:
    """Decode one picture file.

    Raises:
        MediaError: It is missing, damaged or no picture.
    """
    try:
        # Opened by handle, so that a percent sign in the name is not taken for a pattern.
        with path.open("rb") as file, av.open(file, "r", metadata_errors="replace") as container:
            frame = next(iter(container.decode(video=0)), None)
    except (av.error.FFmpegError, OSError, IndexError, ValueError) as error:
        raise MediaError(f"{path} cannot be read as a picture ({error})") from error
    if frame is None:
        raise MediaError(f"{path} holds no picture: it is truncated or damaged")
    return frame


def orientation_of_picture(path: Path, frame: VideoFrame) -> tuple[int, bool]:
    """Return degrees clockwise and whether to mirror before, from EXIF where there is any.

    PyAV reports the angle of an EXIF orientation (tag 0x112, TIFF 6.0 page 36) but not its mirror.
    """
    if path.suffix.lower() in (".jpg", ".jpeg"):
        with path.open("rb") as file:
            found = _exif_orientation(file.read(1 << 16))
        if found in _EXIF:
            return _EXIF[found]
    return orientation_of(frame)


def _exif_orientation(head: bytes) -> int | None:
    start = head.find(b"Exif\0\0")
    if start < 0:
        return None
    block = head[start + 6 :]
    order: Literal["little", "big"] = "little" if block[:2] == b"II" else "big"
    first = int.from_bytes(block[4:8], order)
    count = int.from_bytes(block[first : first + 2], order)
    for entry in range(first + 2, min(first + 2 + 12 * count, len(block)), 12):
        if int.from_bytes(block[entry : entry + 2], order) == 0x112:
            return int.from_bytes(block[entry + 8 : entry + 10], order)
    return None


def open_pictures(path: Path, frame_rate: Fraction) -> Clip:
    """Read the facts of a picture, folder or pattern; see `open_clip`."""
    if frame_rate <= 0:
        raise MediaError(f"the frame rate is {frame_rate}, expected more than 0")
    files, pts = list_pictures(path)
    frame = read_picture(files[0])
    degrees, _ = orientation_of_picture(files[0], frame)
    lying = degrees in (90, 270)
    return Clip(
        path=path,
        digest=files_digest(files),
        size=(frame.width, frame.height) if lying else (frame.height, frame.width),
        pts=pts,
        time_base=1 / frame_rate,
        last_duration=1,
        color=tags_of(frame),
        bit_depth=depth_of(frame),
        rotation=degrees,
        codec=files[0].suffix[1:].lower(),
    )

"""Pictures as clips: one file, a folder, or a numbered pattern."""

from __future__ import annotations

import logging
import re
import stat
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.frame import VideoFrame
from PIL import Image

from likeness.decode.aperture import Rectangle
from likeness.decode.container import cause, open_container
from likeness.decode.kinds import EXPECTED, is_heif, is_still
from likeness.decode.limits import LARGEST_PIXELS, check_frames, check_pixels
from likeness.decode.pixels import depth_of, tags_of
from likeness.decode.shown import Shown, check_shown
from likeness.decode.stills import read_still
from likeness.decode.tiles import read_tiles
from likeness.errors import MediaError
from likeness.media_names import require_file, unusable
from likeness.provenance.digests import files_digest
from likeness.types import Clip, Ints

log = logging.getLogger(__name__)

_SUFFIXES = {
    ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".bmp", ".webp", ".dpx", ".heic", ".heif",
    ".avif",
}  # fmt: skip
"""What a folder of pictures is searched for; what a file is, its content tells."""
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
_ORIENTATION = 0x112
_NUMBER = re.compile(r"%(?:0([0-9]{1,2}))?d")
_MOST_DIGITS = 15


class Picture(NamedTuple):
    """A decoded picture and how it is shown."""

    frame: VideoFrame
    shown: Shown


def is_pictures(path: Path) -> bool:
    """Tell whether `path` is a folder, a picture by its content, or a numbered pattern.

    Raises:
        MediaError: It is neither a folder nor a regular file that can be read.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return bool(_NUMBER.search(path.name))
    except OSError as error:
        raise unusable(path, error, EXPECTED["video"]) from error
    except ValueError:
        mode = 0
    if stat.S_ISDIR(mode):
        return True
    require_file(path, EXPECTED["video"])
    return is_still(path)


def list_pictures(path: Path) -> tuple[list[Path], Ints]:
    """Return the files of a sequence in order, and the place of each in time (counted from 0).

    Raises:
        MediaError: There are none, or a folder mixes kinds.
    """
    try:
        if path.is_dir():
            return _list_folder(path)
        if _NUMBER.search(path.name) and not path.exists():
            return _list_pattern(path)
    except OSError as error:
        raise unusable(path, error, "a folder with pictures") from error
    require_file(path, EXPECTED["picture"])
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
    check_frames(len(files), folder)
    files.sort(key=_in_order)
    return files, np.arange(len(files), dtype=np.int64)


def _in_order(file: Path) -> list[str | int]:
    """Numbers in names count as numbers, so that frame_10 comes after frame_9."""
    parts = re.split(r"([0-9]+)", file.name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def _list_pattern(pattern: Path) -> tuple[list[Path], Ints]:
    match = _NUMBER.search(pattern.name)
    if match is None or not pattern.parent.is_dir():
        raise MediaError(f"{pattern.parent} does not exist; expected a folder with pictures")
    least = int(match.group(1) or 1)
    digits = rf"([0-9]{{{min(least, _MOST_DIGITS)},{_MOST_DIGITS}}})"
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


def read_picture(path: Path) -> Picture:
    """Decode one picture file.

    Raises:
        MediaError: It is missing, damaged, no picture or too large.
    """
    require_file(path, EXPECTED["picture"])
    with path.open("rb") as file:
        head = file.read(64)
    if is_heif(head):
        return _read_heif(path)
    if head[8:16] == b"WEBPVP8X" and len(head) > 20 and head[20] & 2:
        raise MediaError(
            f"{path} is an animated WebP, which cannot be decoded; expected one picture or a "
            "video; convert it to .mp4 or .gif first"
        )
    orientation = _facts(path)
    with open_container(path, "picture") as container:
        stream = next(iter(container.streams.video), None)
        if stream is None or stream.codec_context is None:
            raise MediaError(f"{path} holds no picture; expected {EXPECTED['picture']}")
        check_pixels(stream.codec_context.width, stream.codec_context.height, path)
        stream.codec_context.options = {"max_pixels": str(LARGEST_PIXELS)}
        try:
            frame = next(iter(container.decode(stream)), None)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise MediaError(f"{path} cannot be read as a picture ({cause(error)})") from error
        if frame is None:
            raise MediaError(f"{path} holds no picture: it is truncated or damaged")
    size = (frame.height, frame.width)
    whole = Rectangle(0, 0, frame.width, frame.height)
    # Density is about print, and coders write it both ways round: pixels of pictures are square.
    return Picture(frame, check_shown(Shown(size, whole, *orientation), path))


def _read_heif(path: Path) -> Picture:
    still = read_still(path)
    frame = read_tiles(path, still)
    whole = Rectangle(0, 0, frame.width, frame.height)
    crop = still.crop or whole
    inside = min(crop.left, crop.top, crop.width - 1, crop.height - 1) >= 0
    if not inside or crop.left + crop.width > frame.width or crop.top + crop.height > frame.height:
        log.warning("%s crops its picture to what lies outside of it; it is left whole", path)
        crop = whole
    shown = Shown((frame.height, frame.width), crop, still.degrees, still.mirrored)
    return Picture(frame, check_shown(shown, path))


def _facts(path: Path) -> tuple[int, bool]:
    """Return what makes a picture upright, from EXIF (tag 0x112, TIFF 6.0 page 36) if there is any.

    Read without decoding, in every format that Pillow knows; and while its header is read, its size
    is checked.

    Raises:
        MediaError: The picture is too large.
    """
    try:
        with Image.open(path) as picture:
            # A picture too large is not asked further; and PNG's own reader of EXIF would decode.
            size = picture.size
            fits = size[0] * size[1] <= LARGEST_PIXELS
            found = Image.Image.getexif(picture).get(_ORIENTATION, 1) if fits else 1
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        many = re.search(r"[0-9]+", str(error))
        raise MediaError(
            f"{path} says that its picture has {many.group() if many else 'too many'} pixels, "
            f"expected at most {LARGEST_PIXELS / 1e6:.0f} million; scale it down first"
        ) from error
    except Exception as error:
        # Pillow's readers of notes fail in many ways; a picture is readable without its notes.
        log.debug("no notes are read from %s: %s", path, error)
        return 0, False
    check_pixels(*size, path)
    return _EXIF.get(found, (0, False)) if isinstance(found, int) else (0, False)


def open_pictures(path: Path, frame_rate: Fraction, *, square: bool = True) -> Clip:
    """Read the facts of a picture, folder or pattern; see `open_clip`."""
    if frame_rate <= 0:
        raise MediaError(f"the frame rate is {frame_rate}, expected more than 0")
    files, pts = list_pictures(path)
    frame, shown = read_picture(files[0])
    shown = replace(shown, squared=square)
    return Clip(
        path=path,
        digest=files_digest(files),
        size=shown.size,
        pts=pts,
        time_base=1 / frame_rate,
        last_duration=1,
        color=tags_of(frame),
        bit_depth=depth_of(frame),
        rotation=shown.degrees,
        pixel_aspect=shown.pixel_aspect,
        codec=files[0].suffix[1:].lower(),
    )

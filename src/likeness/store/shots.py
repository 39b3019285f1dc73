"""Shots on disk (NAME.shot/) and the cache of analyzed shots beside their clip.

NAME.shot/
  shot.json             facts of clip, track and params
  arrays.safetensors    pts, boxes, landmarks, ..., gaze
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from likeness.errors import BundleError, ContractError
from likeness.files import cache_folder, why_unwritable
from likeness.files.places import warn_once
from likeness.store.files import (
    FORMAT,
    Index,
    Sha256,
    Strict,
    TensorFile,
    read_arrays,
    read_index,
    sha256_of,
    versions,
    write_arrays,
    write_index,
)
from likeness.store.folders import recover, whole_folder
from likeness.types import AudioTrack, Clip, ColorTags, FaceParams, FaceTrack, Shot

INDEX = "shot.json"
CACHE_INDEX = "shots.json"
TRACK_ARRAYS = ("boxes", "landmarks", "scores", "observed")
INSIDE = "shot"
"""Name of the shot's folder inside a bundle."""
_PEOPLE = ("home", "Users")
"""Folders whose entries are names of people."""
PARAM_ARRAYS = ("shape", "albedo", "expression", "rotation", "translation", "light", "gaze")

log = logging.getLogger("likeness.store")

Ratio = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,15}(/[1-9][0-9]{0,15})?$")]
"""A positive rational as "numerator/denominator": time never rests as a float."""


LAST = 2**53
"""Largest time stamp, in units of a clip's time base."""
Small = Annotated[int, Field(ge=0, le=65535)]
Side = Annotated[int, Field(ge=1, le=65535)]
Word = Annotated[str, Field(max_length=4096)]
_OPTIONAL = ("identity", "cut_after")
"""Arrays of a track that not every shot has."""
_DTYPES = {"pts": np.int64, "observed": np.bool_, "cut_after": np.bool_}
"""Types of arrays; all others are float32."""


class ColorRecord(Strict):
    """`ColorTags` on disk."""

    primaries: Small
    transfer: Small
    matrix: Small
    full_range: bool


class AudioRecord(Strict):
    """`AudioTrack` on disk."""

    index: Small
    codec: Word
    sample_rate: Annotated[int, Field(ge=0, le=2**31)]
    channels: Small


class ClipRecord(Strict):
    """`Clip` on disk, without its time stamps."""

    relative: Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]
    """Path of the video from the folder that holds the shot, with forward slashes; its name alone
    where the path would tell the folders of somebody's machine."""
    absolute: str | None = None
    """Written by earlier versions; never followed."""
    digest: Sha256
    size: tuple[Side, Side]
    time_base: Ratio
    last_duration: Annotated[int, Field(ge=1, le=LAST)]
    color: ColorRecord
    bit_depth: Annotated[int, Field(ge=1, le=32)]
    rotation: Literal[0, 90, 180, 270]
    pixel_aspect: Ratio
    audio: Annotated[tuple[AudioRecord, ...], Field(max_length=1000)]
    codec: Word


class ShotIndex(Index):
    """The content of shot.json."""

    kind: Literal["shot"] = "shot"
    clip: ClipRecord
    start: Annotated[int, Field(ge=0, le=LAST)]
    model: Word
    expression_names: Annotated[tuple[Word, ...], Field(max_length=10_000)]
    focal: Annotated[float, Field(ge=-1e9, le=1e9)]
    arrays: TensorFile


class CacheIndex(Index):
    """The content of shots.json in the cache: written last, so that it vouches for the rest."""

    kind: Literal["shots"] = "shots"
    digest: str
    settings: str
    count: Annotated[int, Field(ge=0, le=1000)]


def save_shot(shot: Shot, path: Path) -> None:
    """Write a shot as the folder `path` (by habit NAME.shot), replacing an older shot there.

    Raises:
        BundleError: `path` is taken by something that is no shot, or cannot be written.
    """
    path = Path(path)
    with whole_folder(path, INDEX) as folder:
        write_shot(shot, folder, path)


def write_shot(shot: Shot, folder: Path, final: Path) -> None:
    """Write the files of a shot into `folder`, which will stand at `final`."""
    arrays: dict[str, np.ndarray[Any, Any]] = {"pts": shot.clip.pts}
    arrays |= {name: getattr(shot.track, name) for name in TRACK_ARRAYS}
    arrays |= {name: getattr(shot.params, name) for name in PARAM_ARRAYS}
    for name in _OPTIONAL:
        if getattr(shot.track, name) is not None:
            arrays[name] = getattr(shot.track, name)
    index = ShotIndex(
        format=FORMAT,
        versions=versions(),
        clip=_clip_record(shot.clip, final),
        start=shot.track.start,
        model=shot.params.model,
        expression_names=shot.params.expression_names,
        focal=shot.params.focal,
        arrays=write_arrays(folder / "arrays.safetensors", arrays),
    )
    write_index(folder / INDEX, index)


def read_shot_index(path: Path) -> ShotIndex:
    """Read what a shot says of itself, without its arrays.

    Raises:
        BundleError: the folder is no shot.
    """
    return read_index(Path(path) / INDEX, "shot", ShotIndex)


def load_shot(path: Path) -> Shot:
    """Read a shot; its clip points at the video where it is found from here.

    It is looked for at its recorded place, which is relative to the shot, and beside the shot or
    the bundle that holds it. The video itself is not opened, for a shot is useful without its
    pixels; `decode` opens it only if it is the file whose digest was recorded.

    Raises:
        BundleError: the folder is no shot, or it is damaged or inconsistent.
    """
    path = Path(path)
    recover(path)
    index = read_shot_index(path)
    arrays = read_arrays(path, index.arrays)
    wanted = {"pts", *TRACK_ARRAYS, *PARAM_ARRAYS}
    if not wanted <= arrays.keys() <= wanted | {*_OPTIONAL}:
        raise BundleError(f"{path} holds arrays {sorted(arrays)}, expected {sorted(wanted)}")
    _check_arrays(path, arrays)
    if index.start + len(arrays["boxes"]) > len(arrays["pts"]):
        raise BundleError(
            f"{path} tracks frames {index.start} to {index.start + len(arrays['boxes'])} of a clip "
            f"with {len(arrays['pts'])}; it is damaged: track the clip again"
        )
    try:
        track = FaceTrack(
            start=index.start,
            **{name: arrays[name] for name in TRACK_ARRAYS},
            identity=arrays.get("identity"),
            cut_after=arrays.get("cut_after"),
        )
        params = FaceParams(
            model=index.model,
            **{name: arrays[name] for name in PARAM_ARRAYS},
            expression_names=index.expression_names,
            focal=index.focal,
        )
        return Shot(_clip(index.clip, arrays["pts"], path), track, params)
    except ContractError as error:
        raise BundleError(f"{path} is inconsistent: {error}") from error


def _check_arrays(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    for name, array in arrays.items():
        expected = np.dtype(_DTYPES.get(name, np.float32))
        if array.dtype != expected:
            raise BundleError(
                f"{path}: {name} is {array.dtype}, expected {expected}; track the clip again"
            )
        if array.ndim == 0:
            raise BundleError(f"{path}: {name} is a single value, expected a row per frame")
    pts = arrays["pts"]
    if len(pts) and (int(pts.min()) < -LAST or int(pts.max()) > LAST):
        raise BundleError(f"{path}: pts lie beyond {LAST}; track the clip again")
    for name in ("shape", "albedo"):
        if arrays[name].ndim != 1:
            raise BundleError(
                f"{path}: {name} has shape {arrays[name].shape}, expected one row of coefficients"
            )


def _clip_record(clip: Clip, final: Path) -> ClipRecord:
    return ClipRecord(
        relative=_relative(Path(clip.path).absolute(), final.absolute()),
        digest=clip.digest,
        size=clip.size,
        time_base=str(clip.time_base),
        last_duration=clip.last_duration,
        color=ColorRecord(**dataclasses.asdict(clip.color)),
        bit_depth=clip.bit_depth,
        rotation=clip.rotation,  # type: ignore[arg-type]  # pydantic checks the four values
        pixel_aspect=str(clip.pixel_aspect),
        audio=tuple(AudioRecord(**dataclasses.asdict(track)) for track in clip.audio),
        codec=clip.codec,
    )


def _relative(video: Path, shot: Path) -> str:
    """Return how a shot names its video: relative, and without anybody's private folders."""
    try:
        shared = Path(os.path.commonpath([video, shot.parent]))
    except ValueError:  # another drive
        return video.name
    # Where the two have no more in common than "/" or "/home", the way from one to the other would
    # spell out the whole path, or whose folder it is: a bundle is given to others.
    telling = shared == Path(shared.anchor) or shared.name in _PEOPLE
    if telling and video.parent != shared:
        return video.name
    return Path(os.path.relpath(video, shot.parent)).as_posix()


def _find(record: ClipRecord, shot: Path) -> Path:
    """Return where a shot's video lies; where it should lie, if it is nowhere."""
    recorded = Path(record.relative)
    around = [shot.parent] if shot.name != INSIDE else [shot.parent, shot.parent.parent]
    places = [] if recorded.is_absolute() else [Path(os.path.normpath(shot.parent / recorded))]
    places += [folder / recorded.name for folder in around]
    there = [place for place in dict.fromkeys(places) if _is_clip(place)]
    if len(there) > 1:
        # Names are no proof: of several, the recorded one is meant.
        same = [place for place in there if place.is_file() and _same(place, record.digest)]
        there = same or there
    return (there or places)[0]


def _is_clip(place: Path) -> bool:
    """Tell files, folders and numbered patterns of pictures from pipes, devices and nothing."""
    return place.is_file() or place.is_dir() or ("%" in place.name and place.parent.is_dir())


def _same(place: Path, digest: str) -> bool:
    try:
        return sha256_of(place) == digest
    except BundleError:
        return False


def _clip(record: ClipRecord, pts: np.ndarray[Any, Any], shot: Path) -> Clip:
    return Clip(
        path=_find(record, shot.absolute()),
        digest=record.digest,
        size=record.size,
        pts=pts,
        time_base=Fraction(record.time_base),
        last_duration=record.last_duration,
        color=ColorTags(**record.color.model_dump()),
        bit_depth=record.bit_depth,
        rotation=record.rotation,
        pixel_aspect=Fraction(record.pixel_aspect),
        audio=tuple(AudioTrack(**audio.model_dump()) for audio in record.audio),
        codec=record.codec,
    )


def shot_cache(clip: Clip, settings: str) -> Path:
    """Return the folder where the shots of `clip` under these settings are kept.

    It stands in `.likeness/` beside the clip where that can be written, else in the user's cache.
    Named by content, so a renamed clip finds its shots and an edited one does not.

    Args:
        settings: digest of all settings that influence the analysis.
    """
    name = f"{clip.digest[:16]}-{settings[:16]}"
    beside = Path(clip.path).absolute().parent
    user = cache_folder()
    # Without a place of the user's own, what is beside the clip is tried, and may fail to be kept.
    root = beside / ".likeness" if user is None or _writable(beside) else user
    return root / name


def _writable(folder: Path) -> bool:
    # Mode bits are asked too, because for an administrator os.access says yes to everything.
    try:
        mode = folder.stat().st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and os.access(folder, os.W_OK) and bool(mode & 0o222)


def cached_shots(clip: Clip, settings: str) -> tuple[Shot, ...] | None:
    """Return the kept shots of `clip`, or None where there are none or they are damaged."""
    folder = shot_cache(clip, settings)
    recover(folder)
    if not (folder / CACHE_INDEX).is_file():
        return None
    try:
        index = read_index(folder / CACHE_INDEX, "shots", CacheIndex)
        if (index.digest, index.settings) != (clip.digest, settings):
            return None
        shots = tuple(load_shot(folder / f"{i}.shot") for i in range(index.count))
    except BundleError as error:
        log.warning("analyzing %s again: %s", clip.path, error)
        return None
    return tuple(dataclasses.replace(shot, clip=clip) for shot in shots)


def cache_shots(clip: Clip, settings: str, shots: Sequence[Shot]) -> Path | None:
    """Keep the shots of `clip` (none at all is an answer too) and return their folder.

    A cache is a convenience: where it cannot be written, that is logged once and None returned.
    """
    path = shot_cache(clip, settings)
    with optional(f"the analysis of {clip.path.name}"):
        with whole_folder(path, CACHE_INDEX) as folder:
            for i, shot in enumerate(shots):
                (folder / f"{i}.shot").mkdir()
                write_shot(shot, folder / f"{i}.shot", path / f"{i}.shot")
            index = CacheIndex(
                format=FORMAT,
                versions=versions(),
                digest=clip.digest,
                settings=settings,
                count=len(shots),
            )
            write_index(folder / CACHE_INDEX, index)
        return path
    return None


@contextlib.contextmanager
def optional(what: str) -> Iterator[None]:
    """Let the block fail to write what can be computed again: one warning, and on without it.

    Args:
        what: what is not kept then, for the message: "the analysis of a.mp4".
    """
    try:
        yield
    except (BundleError, OSError) as error:
        reason = why_unwritable(error) if isinstance(error, OSError) else str(error)
        warn_once("cache", f"{what} is not kept and will be done again next time ({reason})")

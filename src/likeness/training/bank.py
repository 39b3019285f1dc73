"""The crops that a training draws from, on disk and mapped into memory.

Training needs frames in any order, again and again. Decoding them each time would be slow and
holding them would cost memory that grows with the clips; one flat file of bytes, read through the
page cache, costs neither.

A bank takes any number of clips and photos of any number of people, each frame with a crop of its
own. `bank_file` says how the file is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from likeness.condition.crop import cut
from likeness.decode import Decoder
from likeness.errors import MediaError
from likeness.files import why_unreadable
from likeness.training.bank_file import BankFile
from likeness.types import Clip, Crop, Floats, Ints, Progress, Window, check, silent

_RULE = "2: crops by each frame's own scale"
"""What a row holds; part of a file's digest, so that crops of another rule are cut anew."""

_CHUNK = 16
"""Frames that are decoded before they are cut."""

_CHUNK_BYTES = 256 << 20
"""Most memory of these frames; a larger frame comes alone."""


@dataclass(frozen=True, eq=False)
class Excerpt:
    """Frames of one clip or photo that show one person, and where to cut them."""

    clip: Clip
    """A video, a sequence, or a photo as a clip of one frame."""
    times: Ints
    """(N,) increasing indices of frames of the clip."""
    crop: Crop
    """N similarities, one for each."""
    person: str = ""
    """Who is seen; excerpts of one person carry the same label."""

    def __post_init__(self) -> None:
        name, times = self.clip.path.name, self.times
        check(len(times) > 0, f"no frames of {name} were chosen, expected one or more")
        check(bool(np.all(np.diff(times) > 0)), f"times of {name} must increase")
        check(
            times[0] >= 0 and times[-1] < len(self.clip),
            f"frames {times[0]} to {times[-1]} were chosen of {name}, which has {len(self.clip)}",
        )
        check(
            len(self.crop) == len(times),
            f"{len(self.crop)} crops for {len(times)} frames of {name}, expected one for each",
        )


@dataclass(frozen=True, eq=False)
class CropBank:
    """Crops of chosen frames, and what each of its M rows is."""

    pixels: NDArray[np.uint8]
    """(M,3,h,w) memory map."""
    times: Ints
    """(M,) index of the frame in its clip."""
    crop: Crop
    """M similarities, of the size at which crops are read."""
    clips: tuple[Clip, ...]
    """Clips and photos, each once."""
    clip_indices: Ints
    """(M,) which of `clips` the frame is from."""
    people: tuple[str, ...]
    """Labels of the people, each once."""
    person_indices: Ints
    """(M,) which of `people` is seen."""

    def __len__(self) -> int:
        return len(self.times)

    def shrunk(self, side: int) -> CropBank:
        """Return the same bank, read as squares of a smaller side: training begins there."""
        h, w = self.pixels.shape[2:]
        check(h == w, f"crops of {h}x{w} are not square")
        check(side <= h, f"crops of {h} cannot grow")
        factor = np.float32(side / self.crop.size[0])
        return replace(self, crop=Crop((side, side), self.crop.crop_from_frame * factor))

    def crops(self, rows: Ints) -> torch.Tensor:
        """Return (N,3,h,w) RGB in [0,1] of the given rows."""
        found = torch.from_numpy(self.pixels[rows]).float().div_(255)
        if self.crop.size == tuple(found.shape[2:]):
            return found
        return functional.interpolate(
            found, size=self.crop.size, mode="bicubic", align_corners=False, antialias=True
        ).clamp_(0, 1)

    def raw(self, rows: Ints) -> torch.Tensor:
        """Return (N,3,h,w) uint8 of the given rows."""
        if self.crop.size == self.pixels.shape[2:]:
            return torch.from_numpy(np.array(self.pixels[rows]))
        # One by one: as floats, a gallery of large crops would fill the memory.
        parts = [self.crops(row[None]) for row in np.asarray(rows)]
        return torch.cat([(part * 255 + 0.5).to(torch.uint8) for part in parts])


def fill_bank(
    clip: Clip, crop: Crop, times: Ints, path: Path, progress: Progress = silent
) -> CropBank:
    """Write the crops of chosen frames of one clip to a flat file and map it.

    Args:
        clip: where the frames come from.
        crop: one similarity for all frames, one for each of `times`, or one for each frame of the
            clip.
        times: (M,) increasing indices of the frames to keep.
        path: file to write, as in `fill_excerpts`.
        progress: called as ("frames", done, total).

    Raises:
        ContractError: crops and frames differ in number, or a frame is not in the clip.
        MediaError: the clip cannot be read, or the disk has no room for the crops.
    """
    return fill_excerpts([Excerpt(clip, times, _one_each(crop, times, clip))], path, progress)


def fill_excerpts(excerpts: Sequence[Excerpt], path: Path, progress: Progress = silent) -> CropBank:
    """Write the crops of any number of excerpts to a flat file and map it.

    A clip is decoded once, however many excerpts are from it, and only one clip is open at a time.

    Args:
        excerpts: in the order of the bank's rows; all crops of one size.
        path: file to write. One that holds the same frames of the same files, cut alike, is used as
            it is; one that was interrupted is continued; any other is replaced.
        progress: called as ("frames", done, total).

    Raises:
        ContractError: there is nothing to cut, or crops differ in size.
        MediaError: a clip cannot be read, or the disk has no room for the crops.
    """
    check(len(excerpts) > 0, "a bank of no excerpts, expected one or more")
    size = excerpts[0].crop.size
    for excerpt in excerpts:
        check(
            excerpt.crop.size == size,
            f"crops of {excerpt.clip.path.name} have size {excerpt.crop.size}, expected {size} "
            "like the first excerpt's",
        )
    count = sum(len(excerpt.times) for excerpt in excerpts)
    file = BankFile(path, (count, 3, *size), _digest(excerpts))
    if not file.whole():
        _fill(file, excerpts, progress)
    return _bank(file.read(), excerpts)


def files_of_people(folder: Path) -> Mapping[str, tuple[Path, ...]]:
    """List what each person's folder inside `folder` holds, sorted by name.

    Hidden files and empty folders are left out.

    Raises:
        MediaError: the folder is missing, or holds no folder with files.
    """
    try:
        inside = sorted(entry for entry in Path(folder).iterdir() if entry.is_dir())
        found = {entry.name: _visible_files(entry) for entry in inside if entry.name[0] != "."}
    except OSError as error:
        raise MediaError(f"{folder} cannot be read: {why_unreadable(error)}") from error
    people = {name: files for name, files in found.items() if files}
    if not people:
        raise MediaError(
            f"{folder} holds no folder with photos or clips, expected one folder for each person"
        )
    return people


def _visible_files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(p for p in folder.iterdir() if p.is_file() and p.name[0] != "."))


def _one_each(crop: Crop, times: Ints, clip: Clip) -> Crop:
    matrices: Floats = crop.crop_from_frame
    if len(crop) == 1:
        matrices = np.repeat(matrices, len(times), 0)
    elif len(crop) == len(clip) and len(crop) != len(times):
        matrices = matrices[times]
    return Crop(crop.size, matrices)


def _digest(excerpts: Sequence[Excerpt]) -> bytes:
    """Return the sha256 of all that decides what the rows hold."""
    whole = hashlib.sha256(f"{_RULE} {excerpts[0].crop.size} {len(excerpts)}".encode())
    for excerpt in excerpts:
        whole.update(f"{excerpt.clip.digest} {len(excerpt.times)}".encode())
        whole.update(np.ascontiguousarray(excerpt.times, "<i8").tobytes())
        whole.update(np.ascontiguousarray(excerpt.crop.crop_from_frame, "<f4").tobytes())
    return whole.digest()


def _bank(pixels: NDArray[np.uint8], excerpts: Sequence[Excerpt]) -> CropBank:
    clips = {(e.clip.path, e.clip.digest): e.clip for e in excerpts}
    keys = {key: index for index, key in enumerate(clips)}
    people = {name: i for i, name in enumerate(dict.fromkeys(e.person for e in excerpts))}
    lengths = [len(excerpt.times) for excerpt in excerpts]
    matrices = np.concatenate([excerpt.crop.crop_from_frame for excerpt in excerpts])
    return CropBank(
        pixels=pixels,
        times=np.concatenate([excerpt.times for excerpt in excerpts]),
        crop=Crop(excerpts[0].crop.size, matrices),
        clips=tuple(clips.values()),
        clip_indices=np.repeat([keys[e.clip.path, e.clip.digest] for e in excerpts], lengths),
        people=tuple(people),
        person_indices=np.repeat([people[excerpt.person] for excerpt in excerpts], lengths),
    )


def _fill(file: BankFile, excerpts: Sequence[Excerpt], progress: Progress) -> None:
    """Cut what the file doesn't hold yet, clip by clip."""
    firsts = np.cumsum([0, *(len(excerpt.times) for excerpt in excerpts)])
    groups: dict[tuple[Path, str], list[int]] = {}
    for index, excerpt in enumerate(excerpts):
        groups.setdefault((excerpt.clip.path, excerpt.clip.digest), []).append(index)
    with file.writing():
        done = chunk = 0
        for group in groups.values():
            members = [(excerpts[index], int(firsts[index])) for index in group]
            times = [_times_of(members, chosen) for chosen in _chunks(members)]
            # Chunks that an interrupted run has written are stepped over unread.
            skipped = min(max(file.chunks - chunk, 0), len(times))
            done += sum(rows for _, rows in times[:skipped])
            chunk += skipped
            for chosen, frames in _decoded(members[0][0].clip, [t for t, _ in times[skipped:]]):
                done += _cut_chunk(file, members, chosen, frames)
                chunk += 1
                file.note(chunk)
                progress("frames", done, int(firsts[-1]))


def _chunks(members: Sequence[tuple[Excerpt, int]]) -> list[Ints]:
    """Split the frames that are needed of one clip into chunks to be decoded at once."""
    needed = np.unique(np.concatenate([excerpt.times for excerpt, _ in members]))
    height, width = members[0][0].clip.size
    length = max(1, min(_CHUNK, _CHUNK_BYTES // (12 * height * width)))
    return [needed[start : start + length] for start in range(0, len(needed), length)]


def _times_of(members: Sequence[tuple[Excerpt, int]], chosen: Ints) -> tuple[Ints, int]:
    """Return a chunk and how many rows it fills."""
    return chosen, sum(int(np.isin(excerpt.times, chosen).sum()) for excerpt, _ in members)


def _decoded(clip: Clip, chunks: Sequence[Ints]) -> Iterator[tuple[Ints, torch.Tensor]]:
    """Decode chunks of frames into one buffer, which the next chunk overwrites."""
    if not chunks:
        return
    buffer = torch.empty((max(len(chosen) for chosen in chunks), 3, *clip.size))
    with Decoder(clip) as decoder:
        for chosen in chunks:
            for row, time in enumerate(chosen.tolist()):
                decoder.read(Window(time, time + 1), buffer[row : row + 1])
            yield chosen, buffer[: len(chosen)]


def _cut_chunk(
    file: BankFile,
    members: Sequence[tuple[Excerpt, int]],
    chosen: Ints,
    frames: torch.Tensor,
) -> int:
    """Write a chunk's crops of all excerpts of its clip; return how many."""
    written = 0
    for excerpt, first in members:
        start, stop = np.searchsorted(excerpt.times, [chosen[0], chosen[-1] + 1]).tolist()
        if start == stop:
            continue
        crop = Crop(excerpt.crop.size, excerpt.crop.crop_from_frame[start:stop])
        which = torch.from_numpy(np.searchsorted(chosen, excerpt.times[start:stop]))
        crops = cut(frames[which], crop)
        file.put(first + start, (crops * 255 + 0.5).to(torch.uint8).numpy())
        written += stop - start
    return written

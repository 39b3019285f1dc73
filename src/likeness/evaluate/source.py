"""Who the source of a swap is: what a recognizer says of a photo, photos, a clip or a bundle."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from likeness.condition.crop import cut
from likeness.decode import Decoder, open_clip, open_stored
from likeness.errors import MediaError, TrackError
from likeness.methods.swap.source import photos_of
from likeness.metrics.swap import face_square
from likeness.provenance.digests import files_digest
from likeness.provenance.manifest import Ingredient, sha256_of
from likeness.recognize import Recognizer, embed_faces
from likeness.store import load_bundle, load_shot
from likeness.track.config import TrackConfig
from likeness.track.landmarks import read_largest
from likeness.track.readers import open_reader
from likeness.types import Clip, Floats, Ints, Window

log = logging.getLogger(__name__)

_LOOKS = 24
"""Pictures of the source that are looked at, spread over what there is."""


@dataclass(frozen=True, eq=False)
class Source:
    """The person whose face a swap puts on the target."""

    pictures: torch.Tensor
    """(K,3,s,s) RGB in [0,1]: squares around the face, to be looked at."""
    codes: Floats
    """(K,D) what the recognizer says of each; (K,0) where there is none."""

    def code(self, who: Recognizer) -> Floats:
        """Return the code (D,) that stands for all pictures."""
        return who.mean(self.codes)

    def own(self, who: Recognizer) -> float | None:
        """Return the mean distance of each picture to the code of the others."""
        if len(self.codes) < 2:
            return None
        others = [who.mean(np.delete(self.codes, i, 0)) for i in range(len(self.codes))]
        return float(who.distance(self.codes, np.stack(others)).mean())


def source_of(path: Path, who: Recognizer | None) -> Source:
    """Look at the source of a swap.

    Args:
        path: a photo, a folder of photos, a clip, a NAME.shot, or a NAME.bundle that holds photos
            or names the clip it was trained on. The largest face of each picture is meant.
        who: the recognizer; None where there is none.

    Raises:
        TrackError: no picture shows a face.
        MediaError, BundleError: the source cannot be read, or shows nobody.
    """
    if path.suffix == ".bundle":
        frames, landmarks = _of_bundle(path)
    elif path.suffix == ".shot":
        frames, landmarks = _of_clip(open_stored(load_shot(path).clip))
    elif path.is_dir():
        frames, landmarks = _of_folder(path)
    else:
        frames, landmarks = _of_clip(open_clip(path))
    if not frames:
        raise TrackError(
            f"no face was found in {path.name}; expected a source that shows one from the front"
        )
    squares = torch.cat(
        [cut(frame, face_square(face)) for frame, face in zip(frames, landmarks, strict=True)]
    )
    codes = np.zeros((len(frames), 0), np.float32)
    if who is not None:
        told = [
            embed_faces(frame, face, who) for frame, face in zip(frames, landmarks, strict=True)
        ]
        codes = np.concatenate(told)
        kept = _one_person(codes, who)
        squares, codes = squares[torch.from_numpy(kept)], codes[kept]
    return Source(squares, codes)


def source_ingredient(path: Path) -> Ingredient:
    """Name a source in a manifest, a folder of photos by the digest of all of them."""
    if path.is_dir() and path.suffix not in (".bundle", ".shot"):
        return Ingredient("source", path.name, files_digest(_files(path)))
    index = {".bundle": path / "bundle.json", ".shot": path / "shot.json"}
    return Ingredient("source", path.name, sha256_of(index.get(path.suffix, path)))


Seen = tuple[list[torch.Tensor], list[Floats]]
"""(1,3,H,W) pictures and (1,478,3) landmarks in them."""


def _of_bundle(path: Path) -> Seen:
    bundle = load_bundle(path)
    if bundle.shot is not None:
        return _of_clip(open_stored(bundle.shot.clip))
    photos = photos_of(bundle)
    return [photo.picture[None] for photo in photos], [photo.track.landmarks for photo in photos]


def _of_folder(path: Path) -> Seen:
    files = _files(path)
    frames, landmarks = list[torch.Tensor](), list[Floats]()
    for file in (files[i] for i in _spread(len(files))):
        try:
            seen = _of_clip(open_clip(file))
        except MediaError as error:
            log.warning("%s; it is left out", error)
            continue
        frames += seen[0]
        landmarks += seen[1]
    return frames, landmarks


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.is_file() and file.name[0] != ".")


def _of_clip(clip: Clip) -> Seen:
    """Read the largest face of pictures that are spread over a clip; a photo has one."""
    frames, landmarks = list[torch.Tensor](), list[Floats]()
    reader = open_reader(TrackConfig(max_faces=1, even=False))
    try:
        with Decoder(clip) as decoder:
            for index in _spread(len(clip)):
                frame = decoder.read(Window(int(index), int(index) + 1))
                # Frames lie far apart: nothing is followed from one to the next.
                reader.reset()
                face = read_largest(reader, frame)
                if np.isfinite(face).all():
                    frames.append(frame)
                    landmarks.append(face)
    finally:
        reader.close()
    return frames, landmarks


def _spread(count: int) -> Ints:
    chosen = np.linspace(0, count - 1, min(count, _LOOKS)).round().astype(np.int64)
    return np.asarray(np.unique(chosen), np.int64)


def _one_person(codes: Floats, who: Recognizer) -> Ints:
    """Keep the pictures that show whoever most of them show."""
    apart = np.stack([who.distance(codes, code) for code in codes])
    like = apart < who.threshold
    kept: Ints = np.flatnonzero(like[like.sum(1).argmax()])
    if len(kept) < len(codes):
        log.warning(
            "%d of %d pictures of the source show somebody else", len(codes) - len(kept), len(codes)
        )
    return kept

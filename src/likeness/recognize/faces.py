"""One code for a person in a shot, from the frames in which the face is seen best."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from likeness.decode import Decoder
from likeness.errors import ConfigError, TrackError
from likeness.recognize.embedder import Embedder
from likeness.track import TrackConfig, track
from likeness.types import Clip, FaceTrack, Floats, Ints, Window

_EYES, _NOSE = ((33, 133), (362, 263)), 1
_BESIDE = 0.45
"""Faces narrower than this share of the largest stand in a photo's background."""
_MOST_ASIDE = 0.6
"""Where the nose stands between the eyes, 0 in their middle and 1 beyond one of them: from here on
a face counts as seen from the side."""


@dataclass(frozen=True)
class EmbedConfig:
    """Which frames of a track are looked at."""

    frames: int = 8
    """Frames whose codes are averaged."""
    candidates: int = 24
    """Frames that are decoded, of which the sharpest are kept."""

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= self.candidates:
            raise ConfigError(
                f"frames is {self.frames} and candidates is {self.candidates}; expected at least 1,"
                " and no fewer candidates than frames"
            )


def embed_faces(frames: Tensor, landmarks: Floats, embedder: Embedder) -> Floats:
    """Return the codes (N,D) of one face in each of N frames.

    Args:
        frames: (N,3,H,W) RGB in [0,1].
        landmarks: (N,478,>=2) x, y in pixels of the frame.
        embedder: who tells people apart.
    """
    with torch.no_grad():
        found: Floats = embedder.codes(embedder.crops(frames, landmarks)).float().cpu().numpy()
    return found


def embed_track(
    clip: Clip, face: FaceTrack, embedder: Embedder, config: EmbedConfig | None = None
) -> Floats:
    """Return the code (D,) of the person in a track.

    Large and frontal faces are chosen by their landmarks, one in each of as many spans of time as
    there are candidates, and of these the sharpest by their pixels.

    Raises:
        TrackError: the face was observed in no frame.
        MediaError: the clip cannot be read.
    """
    config = config or EmbedConfig()
    chosen = best_frames(face, config.candidates)
    crops = []
    with Decoder(clip) as decoder:
        for index in chosen:
            at = face.start + int(index)
            frame = decoder.read(Window(at, at + 1))
            crops.append(embedder.crops(frame, face.landmarks[index : index + 1]))
    pictures = torch.cat(crops)
    keep = torch.argsort(sharpness(pictures), descending=True, stable=True)[: config.frames]
    with torch.no_grad():
        codes: Floats = embedder.codes(pictures[keep.sort().values]).float().cpu().numpy()
    return embedder.mean(codes)


def embed_photo(photo: Clip, embedder: Embedder, config: TrackConfig | None = None) -> Floats:
    """Return the code (D,) of the one person whom a photo shows.

    Args:
        photo: a clip, by habit of one frame.
        embedder: who tells people apart.
        config: how faces are found.

    Raises:
        TrackError: nobody is seen, or several people of like size.
        MediaError, BackendError: from reading and tracking.
    """
    faces = track(photo, config or TrackConfig())
    widths = [float(np.median(face.boxes[:, 2] - face.boxes[:, 0])) for face in faces]
    if sum(width > _BESIDE * max(widths) for width in widths) > 1:
        raise TrackError(
            f"{photo.path.name} shows {len(faces)} faces, {', '.join(f'{w:.0f}' for w in widths)}"
            " pixels wide; expected one person: crop the photo to whom you mean"
        )
    return embed_track(photo, faces[int(np.argmax(widths))], embedder)


def identified(
    clip: Clip, face: FaceTrack, embedder: Embedder, config: EmbedConfig | None = None
) -> FaceTrack:
    """Return the track with its `identity`; see `embed_track`."""
    return replace(face, identity=embed_track(clip, face, embedder, config))


def best_frames(face: FaceTrack, count: int) -> Ints:
    """Choose the most frontal and largest observed faces, spread over the track.

    Returns:
        At most `count` indices into the track, increasing.

    Raises:
        TrackError: the face was observed in no frame.
    """
    seen = np.flatnonzero(face.observed)
    if not len(seen):
        raise TrackError(
            f"the face from frame {face.start} on was observed in none of {len(face)} frames;"
            " nobody can be recognized"
        )
    quality = _quality(face.landmarks[seen])
    spans = np.array_split(np.arange(len(seen)), min(count, len(seen)))
    best = [span[np.argmax(quality[span])] for span in spans]
    return np.asarray(seen[best], np.int64)


def _quality(landmarks: Floats) -> Floats:
    """Return (N,) distances between the eyes in pixels, less where the head is turned."""
    xy = np.asarray(landmarks[..., :2], np.float64)
    eyes = np.stack([xy[:, list(pair)].mean(1) for pair in _EYES], 1)
    across = eyes[:, 1] - eyes[:, 0]
    wide = np.linalg.norm(across, axis=-1)
    nose = xy[:, _NOSE] - eyes.mean(1)
    aside = 2 * np.abs((nose * across).sum(-1)) / np.maximum(wide, 1e-6) ** 2
    quality: Floats = (wide * np.clip(1 - aside / _MOST_ASIDE, 0.05, 1)).astype(np.float32)
    return quality


def sharpness(crops: Tensor) -> Tensor:
    """Return (N,) mean squares of the Laplacian of the luma of crops (N,3,h,w)."""
    luma = crops.mean(1)
    around = luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1] + luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:]
    laplacian = around - 4 * luma[:, 1:-1, 1:-1]
    return laplacian.square().mean((1, 2))

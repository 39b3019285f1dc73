"""Everything that can be told about one file: what it says of itself, its mark, and signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from likeness.decode import open_clip, read_marks, stream
from likeness.decode.pictures import is_pictures, list_pictures
from likeness.encode import read_essence
from likeness.errors import LikenessError, MediaError, TrackError
from likeness.provenance import ManifestReading, read_manifest
from likeness.provenance.reading import read_detached
from likeness.provenance.signing import Content, detached_of
from likeness.provenance.watermark import Detector, Stamp, WatermarkReading
from likeness.track import TrackConfig, track
from likeness.types import Clip, FaceTrack, Floats, Progress, Window, silent
from likeness.verify.everyone import Judged, Others, room
from likeness.verify.signal import Scene, SignalReading
from likeness.verify.signals import BLIND_SPOTS, CALIBRATED, SIGNALS, combine, strength
from likeness.verify.words import forensic_sentence, headline, mark_sentence, origin_sentence

_WINDOW = 8
"""Frames decoded at once."""
_CROPS = 8
_CROP_SIDE = 144
_MARGIN = 1.5
"""Side of a face crop over the larger side of the landmarks' box."""
_DEFAULT = TrackConfig()
_UNREADABLE = (
    *(LikenessError, OSError, ValueError, TypeError, LookupError, AttributeError),
    *(ArithmeticError, RecursionError, RuntimeError),
)
"""What text of a stranger can make readers raise. None of it says anything about the pictures."""


@dataclass(frozen=True, eq=False)
class Verification:
    """What was found out about a file."""

    clip: Clip
    manifest: ManifestReading
    watermark: WatermarkReading
    signals: tuple[SignalReading, ...]
    track: FaceTrack | None
    """The face that was judged."""
    tracks: int
    """How many runs of one person in one shot were found."""
    crops: tuple[tuple[float, torch.Tensor], ...]
    """Faces (3,h,w) in [0,1] with their time in seconds, spread over the track."""
    others: tuple[Judged, ...] = ()
    """Further large faces, which only the trained detector looked at."""

    @property
    def score(self) -> float | None:
        """Largest score of all signals and faces in [0,1], or None where none applied."""
        return combine(self.readings)

    @property
    def readings(self) -> tuple[SignalReading, ...]:
        """What all signals say of the main face, then the trained detector of each other one."""
        return (*self.signals, *(other.reading for other in self.others))

    @property
    def people(self) -> tuple[Judged, ...]:
        """Every face that the trained detector looked at, the largest first."""
        if self.track is None:
            return ()
        own = [signal for signal in self.signals if signal.name == "learned"]
        return (*(Judged(self.track, signal) for signal in own), *self.others)

    @property
    def stamp(self) -> Stamp | None:
        """What the watermark says, where its payload could be read."""
        payload = self.watermark.payload
        return Stamp.unpack(payload) if self.watermark.present and payload is not None else None

    @property
    def blind_spots(self) -> tuple[str, ...]:
        """What nothing of this can see, then what each signal can't."""
        return (*BLIND_SPOTS, *(f"{signal.title}: {signal.blind_spot}" for signal in self.signals))

    def json(self) -> dict[str, Any]:
        """Return JSON values."""
        clip = self.clip
        seen = self.track
        return {
            "file": str(clip.path),
            "sha256": clip.digest,
            "frames": len(clip),
            "size": list(clip.size),
            "seconds_of_video": clip.seconds if len(clip) > 1 else None,
            "face_frames": int(seen.observed.sum()) if seen is not None else 0,
            "verdict": headline(self),
            "reasons": [origin_sentence(self), mark_sentence(self), forensic_sentence(self)],
            "manifest": _manifest_json(self.manifest),
            "watermark": _watermark_json(self.watermark, self.stamp),
            "forensics": {
                "score": self.score,
                "calibrated": CALIBRATED,
                "strength": strength(self.score),
                "signals": {signal.name: _signal_json(signal) for signal in self.signals},
                "people": [person.json() for person in self.people],
                "blind_spots": list(self.blind_spots),
            },
        }


def verify_file(
    path: Path | str,
    anchors: Sequence[str] = (),
    config: TrackConfig = _DEFAULT,
    progress: Progress = silent,
) -> Verification:
    """Examine a video, picture or picture sequence, whoever made it.

    The file is read twice, once to find faces and once for everything else, in constant memory but
    for the landmarks. Nothing is written, not even beside the file, and nothing is fetched.

    Args:
        path: what to examine.
        anchors: certificates in PEM that are trusted as roots of a manifest's signature.
        config: settings of the tracker.
        progress: called as ("track" | "examine", done, total).

    Raises:
        MediaError: the file is missing, no video or picture, or nothing of it can be decoded.
        BackendError: the landmark backend is not usable here.
    """
    path = Path(path)
    clip = open_clip(path)
    manifest = _read_manifest(path, anchors)
    found = sorted(_faces(clip, config, progress), key=room, reverse=True)
    main = found[0] if found else None
    scene = Scene(clip, main)
    signals = [make(scene) for make in SIGNALS]
    detector, gallery, others = Detector(clip.size), _Gallery(scene), Others(clip, found)
    for window, frames in stream(clip, _WINDOW):
        detector.add(frames)
        for signal in signals:
            signal.look(window, frames)
        others.look(window, frames)
        gallery.look(window, frames)
        progress("examine", window.stop, len(clip))
    return Verification(
        clip,
        manifest,
        detector.read(),
        tuple(signal.read() for signal in signals),
        main,
        len(found),
        tuple(gallery.crops),
        others.read(),
    )


class _Gallery:
    """Keeps a few face crops, spread over the frames in which the face was seen."""

    def __init__(self, scene: Scene) -> None:
        self.crops: list[tuple[float, torch.Tensor]] = []
        self._scene = scene
        self._wanted: set[int] = set()
        if scene.track is not None:
            seen = np.flatnonzero(scene.track.observed)
            some = np.linspace(0, len(seen) - 1, min(_CROPS, len(seen))).round().astype(int)
            self._wanted = {int(seen[i]) + scene.track.start for i in some}

    def look(self, window: Window, frames: torch.Tensor) -> None:
        """Cut the face from the frames that were chosen."""
        for row, frame in enumerate(window):
            points = self._scene.landmarks(frame) if frame in self._wanted else None
            if points is not None:
                time = float(self._scene.seconds(np.array([frame]))[0])
                self.crops.append((time, _crop(frames[row], points)))


def _crop(frame: torch.Tensor, points: Floats) -> torch.Tensor:
    """Cut a square around (478,3) landmarks from a (3,H,W) frame; gray lies beyond its border."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    side = max(8, round(_MARGIN * float((high - low).max())))
    x, y = (round(float(v) - side / 2) for v in (low + high) / 2)
    square = torch.full((3, side, side), 0.5)
    height, width = frame.shape[1:]
    rows, columns = slice(max(0, y), min(height, y + side)), slice(max(0, x), min(width, x + side))
    part = frame[:, rows, columns]
    top, left = rows.start - y, columns.start - x
    square[:, top : top + part.shape[1], left : left + part.shape[2]] = part
    size = (_CROP_SIDE, _CROP_SIDE)
    shown = torch.nn.functional.interpolate(
        square[None], size, mode="bilinear", align_corners=False, antialias=True
    )
    return shown[0].clamp(0, 1)


def _read_manifest(path: Path, anchors: Sequence[str]) -> ManifestReading:
    """Read what a file says of itself; whatever stands there, the pictures are still judged."""
    try:
        if path.is_file():
            return read_manifest(path, anchors, marks=_marks(path), essence=_essence(path))
        # A folder or a numbered pattern: its manifest can only stand beside it.
        beside = detached_of(path)
        if not beside.is_file():
            return ManifestReading()
        return read_detached(Content(tuple(list_pictures(path)[0])), beside, anchors)
    except _UNREADABLE as error:
        problem = (
            f"What the file says of itself could not be read ({type(error).__name__}), so neither "
            "a manifest nor the absence of one is proven."
        )
        return ManifestReading(problems=(problem,))


def _marks(path: Path) -> Mapping[str, str]:
    try:
        return read_marks(path)
    except _UNREADABLE:
        return {}


def _essence(path: Path) -> str | None:
    try:
        return None if is_pictures(path) else read_essence(path)
    except MediaError:
        # Cut off in the middle of a packet: what can be decoded is examined all the same.
        return None


def _faces(clip: Clip, config: TrackConfig, progress: Progress) -> tuple[FaceTrack, ...]:
    try:
        return track(clip, config, progress)
    except TrackError:
        # Nobody in the picture: the manifest and the watermark can still be read.
        return ()


def _manifest_json(found: ManifestReading) -> dict[str, Any]:
    return {
        "finding": found.finding,
        "present": found.present,
        "valid": found.valid,
        "trusted": found.trusted,
        "actions": list(found.actions),
        "consent": list(found.consent),
        "source": found.source,
        "signer": found.signer,
        "generator": found.generator,
        "ingredients": [
            {"role": one.role, "name": one.name, "sha256": one.sha256} for one in found.ingredients
        ],
        "problems": list(found.problems),
    }


def _watermark_json(found: WatermarkReading, stamp: Stamp | None) -> dict[str, Any]:
    payload = found.payload if found.present else None
    return {
        "present": found.present,
        "p_value": found.p_value,
        # 64 bits are more than a JSON number keeps in many programs.
        "payload": None if payload is None else f"{payload:016x}",
        "origin": stamp.origin if stamp else None,
        "created": stamp.created.isoformat() if stamp else None,
    }


def _signal_json(signal: SignalReading) -> Mapping[str, Any]:
    return {"score": signal.score, "finding": signal.finding, **signal.numbers}

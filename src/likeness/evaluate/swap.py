"""Judging a swap: whose face it shows, whose motion, and what else it changed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from likeness.condition.conditioner import select
from likeness.decode import open_clip
from likeness.errors import BackendError, TrackError
from likeness.evaluate.evaluation import Evaluation
from likeness.evaluate.source import Source, source_of
from likeness.fit.vergence import vergence_of, with_vergence
from likeness.geometry import axis_angle, rotation_matrix
from likeness.metrics.aligned import common_size, match_frames, stream_pairs
from likeness.metrics.exhibits import Exhibits
from likeness.metrics.motion import gaze_error_deg
from likeness.metrics.swap import Apart, SwapEvaluation, SwapReport
from likeness.people import find_people, find_person, recognizer
from likeness.recognize import Recognizer, embed_faces, embed_track
from likeness.store import load_face_model
from likeness.types import Bools, Clip, FaceParams, Floats, Ints, Progress, Shot, check, silent

log = logging.getLogger(__name__)

_WINDOW = 4
_ASKED = 120
"""Frames in which the recognizer is asked, spread over the clip."""
_OVERLAP = 0.3
"""Least overlap (intersection over union) of two boxes that lie on one face."""


def evaluate_swap(
    result: Path,
    target: Path,
    source: Path,
    progress: Progress = silent,
    *,
    face: str = "largest",
) -> Evaluation[SwapReport]:
    """Judge a swap by its files.

    Both clips start together; frames are paired by their time stamps. Both are tracked and fitted
    alike and apart from each other; in the result, the face that lies where the target's lies is
    meant.

    Args:
        result: the swap.
        target: the clip that it was made from.
        source: a photo, a folder of photos, a clip or a bundle of the person who gave the identity.
        progress: called as ("track" | "fit" | "evaluate", done, total).
        face: whose face of the target was replaced: largest, a number, or like=PHOTO.

    Raises:
        MediaError: a clip cannot be read, or they show pictures of different shape.
        TrackError: a face is missing in the target, the result or the source.
    """
    made, real = open_clip(result), open_clip(target)
    common_size(made, real)
    who = _recognizer()
    person = source_of(source, who)
    old = find_person(real, face, progress=progress)
    frames = match_frames(made, real)
    new = _same_place(find_people(made, progress=progress), old, frames, (made, real))
    both = (_Followed.of(new, frames[0]), _Followed.of(old, frames[1]))
    identity = _Identity.of(who, person, old, both)
    exhibits = Exhibits(
        len(frames[0]), unit="mm", names=("target", "result"), above=("source", person.pictures)
    )
    evaluation, compare, done = SwapEvaluation(), _Comparison(*both), 0
    for drawn, expected in stream_pairs((made, real), frames, _WINDOW):
        rows = np.arange(done, done + len(drawn))
        seen = [one.landmarks(rows, int(drawn.shape[-1])) for one in both]
        given = compare(rows) | identity.distances(drawn, seen[0], rows)
        evaluation.add(expected, drawn, seen[1], seen[0], given)
        names = [f"frame {i}" for i in frames[0][rows]]
        # The worst are those whose face does something else.
        exhibits.add(names, expected, drawn, seen[1], -evaluation.latest("expression_error"))
        done += len(drawn)
        progress("evaluate", done, len(frames[0]))
    left_out = {
        "result": len(made) - len(np.unique(frames[0])),
        "target": len(real) - len(np.unique(frames[1])),
    }
    report = evaluation.result(left_out, identity.apart)
    return Evaluation(report, evaluation.series(), exhibits)


@dataclass(frozen=True, eq=False)
class _Followed:
    """One person in the frames that are compared."""

    shot: Shot
    rows: Ints
    """(M,) of the track, for each pair of frames."""
    seen: Bools
    """(M,) False where the face was filled in, or not tracked at all."""

    @staticmethod
    def of(shot: Shot, frames: Ints) -> _Followed:
        rows = frames - shot.track.start
        inside = rows.clip(0, len(shot.track) - 1)
        return _Followed(shot, inside, (rows == inside) & shot.track.observed[inside])

    def landmarks(self, pairs: Ints, width: int) -> Floats:
        """(n,478,3) in pixels of frames of another width; NaN where the face was not seen."""
        found = self.shot.track.landmarks[self.rows[pairs]] * (width / self.shot.clip.size[1])
        return np.where(self.seen[pairs, None, None], found, np.nan).astype(np.float32)

    def params(self, pairs: Ints) -> FaceParams:
        return select(self.shot.params, self.rows[pairs])


@dataclass(frozen=True, eq=False)
class _Identity:
    """How far the faces of the result are from source and target."""

    who: Recognizer | None
    codes: tuple[Floats, ...]
    """Of source and target."""
    asked: frozenset[int]
    apart: Apart

    @staticmethod
    def of(
        who: Recognizer | None, source: Source, target: Shot, both: tuple[_Followed, _Followed]
    ) -> _Identity:
        if who is None:
            return _Identity(None, (), frozenset(), Apart())
        codes = (source.code(who), embed_track(target.clip, target.track, who))
        seen = np.flatnonzero(both[0].seen & both[1].seen)
        chosen = np.linspace(0, max(0, len(seen) - 1), min(len(seen), _ASKED)).round().astype(int)
        apart = Apart(float(who.distance(*codes)), source.own(who))
        return _Identity(who, codes, frozenset(int(i) for i in seen[chosen]), apart)

    def distances(self, frames: torch.Tensor, landmarks: Floats, pairs: Ints) -> dict[str, Floats]:
        """(n,) by name; NaN where nobody was asked."""
        told = np.full((2, len(pairs)), np.nan, np.float32)
        chosen = [i for i, pair in enumerate(pairs) if int(pair) in self.asked]
        if self.who is not None and chosen:
            found = embed_faces(frames[chosen], landmarks[chosen], self.who)
            told[:, chosen] = [self.who.distance(found, code) for code in self.codes]
        return {"identity_source": told[0], "identity_target": told[1]}


def _recognizer() -> Recognizer | None:
    try:
        return recognizer()
    except BackendError as error:
        log.warning("%s; identity is not measured", error)
        return None


def _same_place(
    people: tuple[Shot, ...], target: Shot, frames: tuple[Ints, Ints], clips: tuple[Clip, Clip]
) -> Shot:
    """Return the person of the result whose face lies where the target's lies.

    Raises:
        TrackError: nobody's does.
    """
    old = _Followed.of(target, frames[1])
    scale = clips[1].size[1] / clips[0].size[1]
    best, most = people[0], 0.0
    for shot in people:
        new = _Followed.of(shot, frames[0])
        overlap = _overlap(shot.track.boxes[new.rows] * scale, target.track.boxes[old.rows])
        together = overlap[old.seen & new.seen]
        # Of several scenes of one person, the longest: a sum, where a mean would prefer any.
        if len(together) and together.mean() >= _OVERLAP and together.sum() > most:
            best, most = shot, float(together.sum())
    if most == 0:
        raise TrackError(
            f"{clips[0].path.name} shows no face where the target's lies in {clips[1].path.name}; "
            "expected a swap of this clip. If another face was replaced, name it with --face"
        )
    return best


def _overlap(one: Floats, other: Floats) -> Floats:
    """(n,) intersection over union of (n,4) boxes."""
    low = np.maximum(one[:, :2], other[:, :2])
    high = np.minimum(one[:, 2:], other[:, 2:])
    common = (high - low).clip(min=0).prod(-1)
    areas = [(box[:, 2:] - box[:, :2]).prod(-1) for box in (one, other)]
    return np.asarray(common / np.maximum(areas[0] + areas[1] - common, 1e-6), np.float32)


class _Comparison:
    """What two fitted faces do, side by side."""

    def __init__(self, new: _Followed, old: _Followed) -> None:
        models = (new.shot.params.model, old.shot.params.model)
        check(models[0] == models[1], f"fits of different models: {models[0]} and {models[1]}")
        self._both = (new, old)
        self._apart = tuple(
            vergence_of(one.shot.params, one.shot.track.observed) for one in (old, new)
        )
        self._modes = load_face_model(models[0]).expression

    def __call__(self, pairs: Ints) -> dict[str, Floats]:
        """Return (n,) by name; NaN where either face was not seen."""
        new, old = (one.params(pairs) for one in self._both)
        turned = np.swapaxes(rotation_matrix(old.rotation), -1, -2) @ rotation_matrix(new.rotation)
        moved = np.einsum("ne,evc->nvc", new.expression - old.expression, self._modes)
        unseen = ~(self._both[0].seen[pairs] & self._both[1].seen[pairs])
        found = {
            "pose_error_deg": np.degrees(np.linalg.norm(axis_angle(turned), axis=-1)),
            "expression_error": np.linalg.norm(moved, axis=-1).mean(-1),
            "gaze": gaze_error_deg(new.gaze, with_vergence(old.gaze, *self._apart)),
        }
        return {name: np.where(unseen, np.nan, values) for name, values in found.items()}

"""Who is in a clip: each person's shots joined across cuts, and whose face is meant.

Cuts part what the tracker follows. A recognizer tells which shots show the same person; these are
fitted anew with one identity and become one shot (`plan.joining`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from likeness import config as settings
from likeness.analysis import Analysis, fitted_by
from likeness.decode import open_clip
from likeness.engine import Engine
from likeness.errors import BackendError, ConfigError, TrackError
from likeness.fit import fit
from likeness.importers.recognizer import recognizer_bundle
from likeness.pipeline import AnalyzeConfig, analyze
from likeness.plan.joining import joined
from likeness.plan.performance import BLEND
from likeness.recognize import (
    Recognizer,
    embed_faces,
    embed_photo,
    identified,
    join,
    most_like,
    open_recognizer,
)
from likeness.store import cache_shots, cached_shots, load_face_model
from likeness.track.landmarks import Face
from likeness.types import Clip, Floats, Progress, Shot, silent

log = logging.getLogger(__name__)

_REVISION = 2
"""Raised when joining changes what it answers, so that kept people are made anew."""
LIKE = "like="


def find_people(
    source: Path | Clip,
    config: AnalyzeConfig | None = None,
    progress: Progress = silent,
    *,
    anew: bool = False,
    engine: Engine | None = None,
) -> tuple[Shot, ...]:
    """Track and fit a clip and join what shows the same person.

    Args:
        source: a clip, its path, or a NAME.shot folder.
        config: settings of tracking and fitting.
        progress: called as ("track" | "fit", done, total).
        anew: look at the clip again, whatever was kept.
        engine: whose workers share the clip; the answer is the same.

    Returns:
        One shot per person, largest face first. Where no recognizer can be had, or people are only
        seen together, one per person and scene.

    Raises:
        MediaError, TrackError, FitError: as `analyze`.
    """
    config = config or AnalyzeConfig()
    shots = analyze(source, config, progress, anew=anew, engine=engine)
    if not _may_be_one(shots):
        return shots
    clip = shots[0].clip
    digest = settings.digest(config, "people", _REVISION)
    kept = None if anew else cached_shots(clip, digest)
    if kept is None:
        try:
            who = recognizer()
        except BackendError as error:
            log.warning("%s; scenes of one person are not joined", error)
            return shots
        known = [replace(shot, track=identified(clip, shot.track, who)) for shot in shots]
        kept = tuple(_whole(group, config, progress, engine) for group in join(known, who))
        cache_shots(clip, digest, kept)
    if len(kept) < len(shots):
        log.info(
            "%d scenes of %s show %d people; gaps up to %g s are blended, longer ones held",
            *(len(shots), clip.path.name, len(kept), BLEND),
        )
    return kept


def recognizer() -> Recognizer:
    """Open the recognizer that tells people apart.

    Raises:
        BackendError: its package is not installed.
    """
    return open_recognizer(recognizer_bundle(), dtype=torch.bfloat16)


def check_face(face: str, name: str = "face") -> None:
    """Check how a person is named, before anything is looked at.

    Raises:
        ConfigError: it is none of: largest, a number, like=PHOTO with a photo that exists.
        MediaError: the photo cannot be opened.
    """
    if face.startswith(LIKE):
        photo = Path(face[len(LIKE) :])
        if not photo.exists():
            raise ConfigError(
                f"{name} is {face!r}, and there is no such photo; expected like=PHOTO"
            )
        open_clip(photo)
    elif face != "largest" and not face.isdecimal():
        raise ConfigError(
            f"{name} is {face!r}; expected largest, a number from 0 on, or like=PHOTO"
        )


def find_person(
    source: Path | Clip,
    face: str = "largest",
    config: AnalyzeConfig | None = None,
    progress: Progress = silent,
    *,
    engine: Engine | None = None,
) -> Shot:
    """Return the person of a clip that `--face` names; see `find_people` and `chooser`."""
    choose = chooser(face)
    return choose(find_people(source, config, progress, engine=engine))


def chooser(face: str) -> Callable[[Sequence[Shot]], Shot]:
    """Return what picks the person that `--face` names; a photo is looked at before any clip.

    Args:
        face: largest, a number from 0 on, or like=PHOTO: whoever the photo shows.

    Returns:
        Takes people from `find_people`, largest face first. Raises TrackError where there are
        fewer people, or nobody is like the photo.

    Raises:
        ConfigError: `face` is none of these.
        MediaError, TrackError: the photo cannot be opened, or shows nobody.
        BackendError: there is no recognizer to compare with a photo.
    """
    check_face(face)
    if not face.startswith(LIKE):
        return partial(_numbered, face=face)
    photo, who = Path(face[len(LIKE) :]), recognizer()
    return partial(_like, photo=photo, who=who, code=embed_photo(open_clip(photo), who))


def _numbered(people: Sequence[Shot], face: str) -> Shot:
    name = people[0].clip.path.name
    if face == "largest" and len(people) > 1 and _together(people):
        log.warning(
            "%s shows %d people; the largest face is taken. Choose another with --face 0 to %d or "
            "--face like=PHOTO",
            *(name, len(people), len(people) - 1),
        )
    number = 0 if face == "largest" else int(face)
    if number >= len(people):
        raise TrackError(
            f"--face {number} was asked for, and {name} shows {len(people)} people; expected a "
            f"number from 0 to {len(people) - 1}, largest face first"
        )
    return people[number]


def face_like(face: str | None) -> Callable[[torch.Tensor, Sequence[Face]], int] | None:
    """Return what finds, among the faces of a picture (3,H,W), the one that `like=PHOTO` means.

    Raises:
        TrackError: the photo shows nobody; and when called, where nobody is like it.
    """
    if face is None or not face.startswith(LIKE):
        return None
    photo, who = Path(face[len(LIKE) :]), recognizer()
    code = embed_photo(open_clip(photo), who)

    def nearest(picture: torch.Tensor, faces: Sequence[Face]) -> int:
        landmarks = np.stack([found.landmarks for found in faces])
        codes = embed_faces(picture.expand(len(faces), -1, -1, -1), landmarks, who)
        apart = who.distance(codes, code)
        if apart.min() >= who.threshold:
            raise TrackError(
                f"nobody in the picture is the person in {photo.name}: the nearest face is "
                f"{apart.min():.2f} away, expected below {who.threshold:g}; give another photo, or "
                "choose the face by its number"
            )
        return int(apart.argmin())

    return nearest


def _like(people: Sequence[Shot], photo: Path, who: Recognizer, code: Floats) -> Shot:
    known = [
        shot
        if shot.track.identity is not None
        else replace(shot, track=identified(shot.clip, shot.track, who))
        for shot in people
    ]
    found = most_like(code, known, who, photo.name)
    return next(shot for shot, seen in zip(people, known, strict=True) if seen is found)


def _whole(
    group: Sequence[Shot], config: AnalyzeConfig, progress: Progress, engine: Engine | None
) -> Shot:
    """Join one person's shots; all but the longest are fitted anew with its identity."""
    main = max(group, key=lambda shot: int(shot.track.observed.sum()))
    known = replace(config.fit, known=main.params)
    others = [shot for shot in group if shot is not main]
    clip, tracks = main.clip, [shot.track for shot in others]
    if engine is not None:
        how = Analysis(config.track, known, config.model)
        fitted = fitted_by(engine, clip, tracks, how, progress)
    else:
        model = load_face_model(config.model)
        fitted = tuple(fit(clip, face, model, known, progress) for face in tracks)
    anew = [replace(shot, params=params) for shot, params in zip(others, fitted, strict=True)]
    return joined([main, *anew])


def _may_be_one(shots: Sequence[Shot]) -> bool:
    """Tell whether any two shots are never seen together, so that they may show one person."""
    return any(not _together((a, b)) for i, a in enumerate(shots) for b in shots[:i])


def _together(shots: Sequence[Shot]) -> bool:
    """Tell whether a frame shows at least two of the shots."""
    last = max(shot.track.window.stop for shot in shots)
    seen = np.zeros(last, np.int64)
    for shot in shots:
        seen[shot.track.start : shot.track.window.stop] += 1
    return bool((seen > 1).any())

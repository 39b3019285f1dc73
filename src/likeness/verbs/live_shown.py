"""Whom a live run shows: a portrait or a photo, and who agreed to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from likeness.composite.finish_settings import FinishConfig
from likeness.decode import open_clip
from likeness.decode.camera import NOWHERE, Camera
from likeness.live import LiveConfig
from likeness.methods.photo.animation import AnimateConfig, fitted_picture
from likeness.methods.photo.find import find_photo
from likeness.methods.photo.method import photo_bundle
from likeness.methods.photo.plan import stand_in
from likeness.methods.protocol import Recipe
from likeness.methods.table import METHODS, recipe_of
from likeness.people import check_face, face_like
from likeness.plan.live import LivePlan
from likeness.plan.target import Target
from likeness.provenance.consent import Consent
from likeness.provenance.manifest import Ingredient, sha256_of
from likeness.provenance.motion import Motion
from likeness.provenance.permission import (
    UNKNOWN,
    Permission,
    permit_synthesis,
)
from likeness.store import load_bundle
from likeness.types import Bundle, Clip, Timeline
from likeness.verbs.animate import permit_animation, permit_photo
from likeness.verbs.live_swap import lent, permit_live_swap
from likeness.verbs.swap_source import PORTRAIT, open_source


@dataclass(frozen=True)
class LiveSettings:
    """Settings of `likeness live`."""

    swap: bool = False
    """Lay the face over that of whoever is before the camera, in place of moving its picture."""
    face: str | None = None
    """Whose face in a photo: largest, a number from 0 on, or like=PHOTO."""
    finish: FinishConfig = field(default_factory=FinishConfig)
    live: LiveConfig = field(default_factory=LiveConfig)
    animate: AnimateConfig = field(default_factory=AnimateConfig)

    def __post_init__(self) -> None:
        if self.face is not None:
            check_face(self.face)


def permitted(shown: Path, consents: Sequence[Consent], swap: bool = False) -> Permission:
    """Permit to show somebody live, whoever is before the camera, or refuse.

    Raises:
        ConsentError: nobody agreed, or what was agreed to does not cover this.
    """
    if swap:
        return permit_live_swap(open_source(shown, None), (), consents)
    if shown.suffix == ".bundle":
        return permit_synthesis(load_bundle(shown).people, "reenact", consents)
    return permit_photo(open_clip(shown), consents)


def shown_by(
    shown: Path, config: LiveSettings, consents: Sequence[Consent], camera: Camera
) -> tuple[Bundle, LivePlan, Permission]:
    """Read whom a live run shows, and ask who agreed, the driver included.

    Raises:
        ConsentError: nobody agreed that this person be shown so, or that this driver moves them;
            to a swap, the person before the camera as well.
        BundleError, TrackError, MediaError: the bundle or the photo is not usable.
    """
    if config.swap:
        source = open_source(shown, None)
        permission = permit_live_swap(source, (_driver(camera),), consents)
        target = [replace(played, role="target") for played in _played(camera)]
        return lent(source, config.face, permission, camera.clip, target)
    ready = _portrait if shown.suffix == ".bundle" else _photo
    return ready(shown, config, consents, camera)


def shown_as(bundle: Bundle, action: str) -> Recipe:
    """Return how a bundle is shown: a portrait is also laid over faces.

    Raises:
        BundleError: the bundle is of another method or lacks a part.
    """
    if action == "swap" and bundle.method.startswith("reenact."):
        return METHODS[PORTRAIT]
    return recipe_of(bundle, action)


def _portrait(
    path: Path, config: LiveSettings, consents: Sequence[Consent], camera: Camera
) -> tuple[Bundle, LivePlan, Permission]:
    bundle = load_bundle(path)
    recipe_of(bundle, "reenact")
    target = Target.of(bundle)
    permission = permit_synthesis(target.people, "reenact", consents, _driver(camera))
    made_from = Ingredient("bundle", path.name, sha256_of(path / "bundle.json"))
    like = replace(target.shot.clip, path=NOWHERE, audio=())
    files = (made_from, *_played(camera))
    return bundle, LivePlan("reenact", like, target.plate, files, target.whole), permission


def _photo(
    path: Path, config: LiveSettings, consents: Sequence[Consent], camera: Camera
) -> tuple[Bundle, LivePlan, Permission]:
    clip = open_clip(path)
    permission = permit_animation(clip, _driver(camera), consents)
    look = config.live
    face = find_photo(clip, 0, config.face, None, look.fit, face_like(config.face))
    bundle = photo_bundle(face, clip, config.animate, permission.people)
    picture, _ = fitted_picture(face.picture, config.animate.max_side)
    line = Timeline(np.zeros(1, np.int64), 1 / camera.clip.fps, 1, None)
    like = stand_in(clip, (picture.shape[1], picture.shape[2]), line)
    files = (Ingredient("target", clip.path.name, clip.digest), *_played(camera))
    return bundle, LivePlan("animate", replace(like, path=NOWHERE), picture, files), permission


def _driver(camera: Camera) -> Clip | Motion:
    """Return what a permission is asked for: the file that plays, or somebody nobody can name."""
    return camera.source or Motion(NOWHERE, UNKNOWN)


def _played(camera: Camera) -> tuple[Ingredient, ...]:
    played = camera.source
    return () if played is None else (Ingredient("driver", played.path.name, played.digest),)

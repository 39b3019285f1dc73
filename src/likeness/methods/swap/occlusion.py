"""What is in front of a target's face: found by what the fitted face predicts against what is seen.

Per pixel, the logarithm of a likelihood ratio: seen color if this is the face, whose own color and
spread are known (`appearance`) and whose light is fitted to this frame, against seen color if it is
anything at all. A hand of the face's own color agrees with the face on even skin and disagrees at
its edges, its shadows, and wherever it hides a lid, a brow or lips; so agreement counts little,
disagreement much, and a field whose neighbours want the same answer, the more the more alike they
look, fills the shape in between (mean field; Kraehenbuehl and Koltun 2011, with the guided filter
in place of their Gaussians). What was found in the frames before, carried along by the mesh, is a
mild prior.

Each frame's evidence depends on that frame alone, and its answer on the evidence of itself and the
frames before: it is the same in any window.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property, partial

import cv2
import numpy as np
import torch

from likeness.compiled import njit
from likeness.composite.mask import LIPS, face_width, soft_hull
from likeness.condition.mesh import PortraitMesh
from likeness.decode import Decoder
from likeness.decode.stored import exists
from likeness.methods.swap.appearance import SIDE, Appearance, SeenFace, appearance_of, split
from likeness.methods.swap.glasses import glasses_on
from likeness.methods.swap.view import SwapTarget, TargetView
from likeness.store import load_face_model
from likeness.track.matte import guided_filter
from likeness.types import Bools, Floats, Window

_LEAST, _MOST = -0.9, 5.0
"""Evidence of one pixel: agreement says little, disagreement much."""
_OTHERS = ((0.9, 0.35), (0.30, 0.07))
"""Deviations of lightness and color of what may be in front, mean logarithms: of anything, and of
other skin."""
_RIM = 0.015
"""Width of the face's rim, in units of the crop's side, that a fit may miss."""
_LOUD = 3.0
"""Evidence from which on a pixel is believed without its neighbours."""
_LIPS_AROUND, _LIPS_EDGE = 0.12, 0.06
"""How far around the tracked mouth lips may be, and the soft edge of that, in face widths."""
_LIPS_SPREAD = (0.35, 0.08)
"""Deviation of lightness and color of lips and the creases beside them."""
_NEAR = 0.05
"""How far around what is surely in front its color is known, in sides of the crop."""
_CERTAIN = 0.15
_UNLIKE = 1.8
"""Most that another color than that of what is in front nearby says for the face."""
_PRIOR = -0.6
_PAST = (0.30, 0.18, 0.10)
"""Weights of the evidence of the frames before, the last one first."""
_HELD = 2.0
"""Most that one pixel of the past says."""
_PULL = (3.0, 3.0, 3.0)
"""How strongly neighbours want the same answer, round by round."""
_REACH = (0.05, 0.035, 0.02)
"""How far they see, in units of the crop's side."""
_ENOUGH = 9.0
"""Evidence that a spot needs in all, for each percent of the crop's side."""
_FLECK = 0.0035
"""Share of the face up to which a spot is noise, a mole or the tip of one hair."""
_WITHIN = 0.05
"""Share of the face that a spot covers which is believed although it does not reach the rim: what
is held before a face comes from outside, teeth and folds don't."""
_KEPT = 64
"""Frames whose evidence is held."""
_HALVED = 192
"""Side in crop pixels from which on crops are looked at at half the size."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one frame says of what is in front, by itself."""

    ratio: Floats
    """(h,w) logarithm of the likelihood ratio, 0 outside the face."""
    seen: SeenFace
    guide: Floats
    """(h,w) luma in [0,1]."""
    unrolled: Floats
    """(side,side) the same ratio on the atlas."""


@dataclass(frozen=True, eq=False)
class Occlusion:
    """Tells window by window where a target's face is seen."""

    target: SwapTarget
    appearance: Appearance
    _held: OrderedDict[int, Future[Evidence]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def visible(self, view: TargetView) -> torch.Tensor:
        """Return (N,1,h,w) in [0,1]: one where the face is seen, zero where something covers it."""
        answers = [
            visible_in(now, self._told(now, self._before(number)), view.crop.size)
            for number, now in zip(view_numbers(view), self._all(view), strict=True)
        ]
        return torch.from_numpy(np.stack(answers))[:, None]

    def glasses(self, view: TargetView) -> torch.Tensor:
        """Return (N,1,h,w) in [0,1]: one where the target's own glasses are."""
        answers = []
        for now in self._all(view):
            worn = sampled(self.worn, now.seen.places) * now.seen.inside
            answers.append(cv2.resize(worn, (view.crop.size[1], view.crop.size[0])))
        return torch.from_numpy(np.stack(answers))[:, None]

    @cached_property
    def worn(self) -> Floats:
        """(side,side) where on the atlas glasses are worn throughout the clip."""
        return glasses_on(self.appearance)

    def _all(self, view: TargetView) -> list[Evidence]:
        """Return the evidence of all frames of a window."""
        # All of them first: whoever else needs one waits for this thread, which waits for nobody
        # before it has kept them.
        places = [self._place(number) for number in view_numbers(view)]
        for n, (place, mine) in enumerate(places):
            if mine:
                self._keep(place, partial(evidence_of, self.appearance, view, n))
        return [place.result() for place, _ in places]

    def _place(self, number: int) -> tuple[Future[Evidence], bool]:
        """Return where a frame's evidence comes to be, and whether the caller has to find it."""
        with self._lock:
            if number in self._held:
                return self._held[number], False
            place = self._held[number] = Future()
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)
            return place, True

    def _keep(self, place: Future[Evidence], find: Callable[[], Evidence]) -> None:
        try:
            place.set_result(find())
        except BaseException as error:
            place.set_exception(error)
            raise

    def _before(self, number: int) -> list[Evidence]:
        """Return the evidence of the frames before, the last one first."""
        past = []
        for earlier in range(number - 1, max(-1, number - 1 - len(_PAST)), -1):
            if self.target.observed[earlier]:
                place, mine = self._place(earlier)
                if mine:
                    self._keep(place, partial(self._read, earlier))
                past.append(place.result())
        return past

    def _read(self, number: int) -> Evidence:
        """Find the evidence of a frame that no window brought: from the clip."""
        window = Window(number, number + 1)
        with Decoder(self.target.shot.clip) as decoder:
            frames = decoder.read(window)
        return evidence_of(self.appearance, self.target.view(window, frames), 0)

    def _told(self, now: Evidence, past: list[Evidence]) -> Floats:
        """(h,w): what the frames before say of this one's pixels."""
        told = np.zeros((SIDE, SIDE), np.float32)
        for weight, before in zip(_PAST[: len(past)], past, strict=True):
            told += weight * np.clip(before.unrolled, -_HELD, _HELD)
        return sampled(told, now.seen.places) * now.seen.inside


def view_numbers(view: TargetView) -> range:
    """Return the numbers of a window's frames."""
    return range(view.window.start, view.window.stop)


def occlusion_of(target: SwapTarget) -> Occlusion | None:
    """Learn what a target looks like, to find what is in front of them.

    Returns:
        None where the clip is gone or shows them in less than three frames.

    Raises:
        MediaError: the clip cannot be read.
    """
    if not exists(target.shot.clip):
        return None
    mesh = PortraitMesh.of(load_face_model(target.shot.params.model), target.shot.params.shape)
    appearance = appearance_of(target, mesh)
    return None if appearance is None else Occlusion(target, appearance)


def evidence_of(appearance: Appearance, view: TargetView, n: int) -> Evidence:
    """Compare one frame of a window with what the face looks like."""
    times = 2 if min(view.crop.size) >= _HALVED else 1
    h, w = view.crop.size
    pixels = cv2.merge(list(np.ascontiguousarray(view.pixels[n].numpy())))
    if times > 1:
        pixels = cv2.resize(pixels, (w // times, h // times), interpolation=cv2.INTER_AREA)
    small = np.asarray(pixels, np.float32)
    seen = appearance.look(small, view, n)
    expected = appearance.expected(seen)
    # Where the face turns away, its color is known ever less.
    sure = np.clip(seen.facing, 0.08, 0.5) / 0.5
    known = np.asarray(cv2.merge([expected, appearance.spread[..., 0] / sure]), np.float32)
    there = sampled(known, seen.places)
    tint = sampled(appearance.spread[..., 1] / sure, seen.places)
    lightness, color = split(seen.logs - there[..., :3])
    ratio = _ratio(lightness, color, there[..., 3], tint)
    ratio = _unless_lips(ratio, appearance, seen, expected, view.landmarks[n] / times)
    rim = 2 * max(1, round(_RIM * max(small.shape))) + 1
    inner = cv2.erode(seen.inside.astype(np.uint8), np.ones((rim, rim), np.uint8)) > 0
    ratio = np.where(inner, ratio, 0).astype(np.float32)
    ratio = ratio + _unlike_what_is_near(ratio, seen.logs) * inner
    # Single pixels are noise, unless they say much: hair is as thin.
    calm = np.asarray(cv2.blur(ratio, (3, 3)), np.float32) * seen.inside
    ratio = np.where(ratio > _LOUD, ratio, calm)
    guide = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)
    places = appearance.atlas.carry(seen.vertices)
    return Evidence(ratio, seen, guide, sampled(ratio, places) * appearance.known)


@njit(cache=True, nogil=True)
def _ratio(
    lightness: Floats, color: Floats, spread: Floats, tint: Floats
) -> Floats:  # pragma: no cover - compiled
    """Logarithm of p(seen | in front) / p(seen | face), held within what one pixel may say."""
    h, w = lightness.shape
    out = np.empty((h, w), np.float32)
    for y in range(h):
        for x in range(w):
            light, hue = lightness[y, x] ** 2, color[y, x] ** 2
            wide, tinted = max(spread[y, x], 1e-3) ** 2, max(tint[y, x], 1e-3) ** 2
            face = 0.5 * (light / wide + hue / tinted) + np.log(np.sqrt(wide) * tinted)
            least = np.inf
            for rare, odd in _OTHERS:
                # What is in front is known worse than the face, also where that is known badly.
                broad, mixed = rare**2 + 2.25 * wide, odd**2 + 2.25 * tinted
                other = 0.5 * (light / broad + hue / mixed) + np.log(np.sqrt(broad) * mixed)
                least = min(least, other)
            out[y, x] = min(max(face - least, _LEAST), _MOST)
    return out


def _unless_lips(
    ratio: Floats, appearance: Appearance, seen: SeenFace, expected: Floats, face: Floats
) -> Floats:
    """Believe (h,w) evidence less where lips may be: pulled farther than the face could be fitted.

    Around the mouth that the tracker sees, a pixel of the lips' own color, or as dark as the crease
    beside them, speaks for the face, whatever the fitted mesh expects there.
    """
    width = face_width(face)
    zone = soft_hull([face[list(LIPS), :2]], width, ratio.shape, _LIPS_EDGE, _LIPS_AROUND)  # type: ignore[arg-type]
    rows, columns = np.flatnonzero(zone.max(1) > 0), np.flatnonzero(zone.max(0) > 0)
    if not len(rows):
        return ratio
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    light = sampled(expected - appearance.color, seen.places[box])
    lightness, color = split(seen.logs[box] - light - appearance.lips)
    spreads = [np.full(lightness.shape, spread, np.float32) for spread in _LIPS_SPREAD]
    other = _ratio(lightness, color, spreads[0], spreads[1])
    answer = ratio.copy()
    answer[box] -= zone[box] * np.maximum(ratio[box] - other, 0)
    return answer


def _unlike_what_is_near(ratio: Floats, logs: Floats) -> Floats:
    """What has to be added to (h,w) evidence for what is in front nearby.

    Skin between strands of dark hair looks like the face and nothing like the hair; skin beside a
    hand looks like both. So agreement with the face counts more where what is surely in front
    close by has another color.
    """
    sure = np.clip(ratio - 1, 0, _MOST)
    side = 2 * round(_NEAR * max(ratio.shape)) + 1
    weighted = cv2.merge([*(plane * sure for plane in cv2.split(logs)), sure])
    sums = np.asarray(cv2.blur(weighted, (side, side)))
    there = np.maximum(sums[..., 3], 1e-4)
    lightness, color = split(logs - sums[..., :3] / there[..., None])
    apart = 0.5 * ((lightness / _OTHERS[1][0]) ** 2 + (color / _OTHERS[1][1]) ** 2)
    certain = np.clip(there / _CERTAIN, 0, 1)
    return np.asarray(-certain * np.clip(apart - 1, 0, _UNLIKE) * (ratio < 1), np.float32)


def visible_in(now: Evidence, told: Floats, size: tuple[int, int]) -> Floats:
    """Return (h,w) at the crop's `size`: what of the face is seen, from evidence and the past."""
    side = max(now.ratio.shape)
    field_ = now.ratio + told + _PRIOR * now.seen.inside
    inside = now.seen.inside.astype(np.float32)
    wish = field_.copy()
    for pull, reach in zip(_PULL, _REACH, strict=True):
        covered = inside / (1 + np.exp(-wish))
        radius = max(2, round(reach * side))
        near = guided_filter(now.guide, covered, radius)
        share = np.asarray(cv2.blur(inside, (2 * radius + 1,) * 2), np.float32)
        wish = field_ + pull * 2 * (near / np.maximum(share, 0.2) - 0.5)
    covered = inside / (1 + np.exp(-wish))
    covered = _supported(covered.astype(np.float32), now.ratio + told, now.seen.inside)
    if not covered.any():
        return np.ones(size, np.float32)
    whole = cv2.resize(covered, (size[1], size[0]))
    whole = cv2.GaussianBlur(whole, (0, 0), max(0.8, 0.004 * max(size)))
    return np.asarray(1 - np.clip((whole - 0.25) / 0.4, 0, 1), np.float32)


def _supported(covered: Floats, evidence: Floats, inside: Bools) -> Floats:
    """Leave out spots that little speaks for, and small ones that begin within the face."""
    side = max(covered.shape)
    spots = (covered > 0.4).astype(np.uint8)
    count, labels = cv2.connectedComponents(spots)
    if count < 2:
        return np.zeros_like(covered)
    speaking = np.where(covered > 0.4, np.maximum(evidence, 0), 0)
    total = np.bincount(labels.ravel(), speaking.ravel(), count)
    area = np.bincount(labels.ravel(), minlength=count)
    whole = max(int(inside.sum()), 1)
    kept = (total > _ENOUGH * side / 100) & (total > 0.7 * area) & (area > _FLECK * whole)
    reach = 2 * max(1, round(1.5 * _RIM * side)) + 1
    rim = inside & (cv2.erode(inside.astype(np.uint8), np.ones((reach, reach), np.uint8)) == 0)
    touching = np.bincount(labels[rim], minlength=count) > 0
    kept &= touching | (area > _WITHIN * whole)
    kept[0] = False
    grown = cv2.dilate(kept[labels].astype(np.uint8), np.ones((5, 5), np.uint8))
    return np.asarray(covered * grown, np.float32)


def sampled(values: Floats, places: Floats) -> Floats:
    """Sample (h,w) or (h,w,C<=4) values at (h',w',2) places in pixels, corner origin, linearly."""
    shifted = np.ascontiguousarray(places, np.float32) - np.float32(0.5)
    found = cv2.remap(
        np.ascontiguousarray(values, np.float32),
        shifted[..., 0],
        shifted[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(found, np.float32)

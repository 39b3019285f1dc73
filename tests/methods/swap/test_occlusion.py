"""What is in front of a target's face: found, steady, the same in any window."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from likeness.actor import Film, Motion, RenderConfig, Truth, truth
from likeness.composite.finish import FinishConfig
from likeness.composite.mask import hull
from likeness.decode import Decoder
from likeness.encode import encode
from likeness.methods.swap.method import swapped
from likeness.methods.swap.occlusion import Occlusion, occlusion_of
from likeness.methods.swap.view import SwapFace, SwapTarget, TargetView
from likeness.painting import paint
from likeness.plan.swap import plan_swap
from likeness.provenance.manifest import RENDERED, Manifest
from likeness.provenance.permission import actor_entry
from likeness.types import Bools, Clip, FaceTrack, Shot, Timeline, Window
from tests.stage import actor

SIDE, COUNT, SEED = 192, 24, 5
COVERED = range(10, 19)
"""Frames in which something is before the face."""


LOWER_LIP = [146, 91, 181, 84, 17, 314, 405, 321, 375]

Filmed = Callable[[str], tuple[Shot, Bools]]


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Filmed:
    """Films an actor behind something, once for each."""
    folder, kept = tmp_path_factory.mktemp("films"), {}

    def film_once(cover: str) -> tuple[Shot, Bools]:
        if cover not in kept:
            kept[cover] = film(folder, cover)
        return kept[cover]

    return film_once


@lru_cache(maxsize=1)
def performance() -> tuple[torch.Tensor, Truth]:
    motion, config = Motion.from_seed(5, COUNT / 25), RenderConfig((SIDE, SIDE), noise=0.006)
    shots = Film(actor(SEED), motion, config)
    pictures = torch.stack([shots.shoot(n).image for n in range(COUNT)])
    return pictures, truth(actor(SEED), motion, config)


def film(folder: Path, cover: str) -> tuple[Shot, Bools]:
    """Film an actor behind something; also (T,H,W) where that is."""
    bare, known = performance()
    pictures, landmarks = bare.clone(), known.landmarks.copy()
    where = np.zeros((COUNT, SIDE, SIDE), bool)
    for n in range(COUNT):
        face = landmarks[n]
        if cover == "glasses":
            for eye in (33, 133), (362, 263):
                center = face[list(eye), :2].mean(0) + np.array([0, 3])
                ring(pictures[n], where[n], center)
        elif cover == "ball" and n in COVERED:
            disk(pictures[n], where[n], face[17, :2] + np.array([(n - 14) * 3, 4]), 15)
        elif cover == "hand" and n in COVERED:
            skin = pictures[n][:, int(face[4, 1]), int(face[4, 0])]
            palm(pictures[n], where[n], face[50, :2] + np.array([(n - 14) * 3, -6]), skin)
        elif cover == "lips" and n in COVERED:
            lip = pictures[n][:, int(face[16, 1]), int(face[16, 0])]
            face[LOWER_LIP, 1] += 0.7 * (face[152, 1] - face[17, 1])
            pulled(pictures[n], where[n], face[[17, 152], :2].mean(0), lip)
        elif cover == "fleck" and n in COVERED:
            disk(pictures[n], where[n], face[10, :2] + np.array([0, 6]), 2)
    path = folder / f"{cover}.mp4"
    plain = Clip(path, "", (SIDE, SIDE), np.arange(COUNT), Fraction(1, 25), 1)
    people = (actor_entry(SEED, "target"),)
    manifest = Manifest(path.name, "render", people=people, digital_source_type=RENDERED)
    with encode(path, plain, manifest, Timeline.of(plain)) as video:
        video.append(pictures)
    xy = landmarks[..., :2]
    boxes = np.concatenate([xy.min(1), xy.max(1)], 1).astype(np.float32)
    ones = np.ones(COUNT, np.float32)
    track = FaceTrack(0, boxes, landmarks, ones, ones.astype(bool))
    return Shot(plain, track, known.params), where


def lay(picture: torch.Tensor, where: Bools, flat: np.ndarray, color: np.ndarray) -> None:
    alpha = torch.from_numpy(flat.astype(np.float32) / 255)
    picture += alpha * (torch.from_numpy(color.astype(np.float32)) - picture)
    where |= flat > 127


def disk(picture: torch.Tensor, where: Bools, center: np.ndarray, radius: int) -> None:
    flat = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(flat, tuple(int(v) for v in center), radius, (255,), -1, cv2.LINE_AA)
    lay(picture, where, flat, np.full((3, 1, 1), 0.12))


def pulled(picture: torch.Tensor, where: Bools, center: np.ndarray, lip: torch.Tensor) -> None:
    flat = np.zeros((SIDE, SIDE), np.uint8)
    middle = tuple(int(v) for v in center)
    cv2.ellipse(flat, middle, (14, 7), 0, 0, 360, (255,), -1, cv2.LINE_AA)
    lay(picture, where, flat, lip.numpy()[:, None, None] * np.ones((3, SIDE, SIDE)))


def ring(picture: torch.Tensor, where: Bools, center: np.ndarray) -> None:
    flat = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(flat, tuple(int(v) for v in center), 15, (255,), 2, cv2.LINE_AA)
    lay(picture, where, flat, np.full((3, 1, 1), 0.1))


def palm(picture: torch.Tensor, where: Bools, center: np.ndarray, skin: torch.Tensor) -> None:
    flat = np.zeros((SIDE, SIDE), np.uint8)
    x, y = (int(v) for v in center)
    cv2.circle(flat, (x, y), 16, (255,), -1, cv2.LINE_AA)
    for k in range(4):
        cv2.line(flat, (x - 12 + 8 * k, y - 8), (x - 16 + 11 * k, y - 38), (255,), 7, cv2.LINE_AA)
    deep = cv2.distanceTransform(flat, cv2.DIST_L2, 5)
    shade = 0.72 + 0.5 * np.clip(cv2.GaussianBlur(deep, (0, 0), 1.5) / 12, 0, 1)
    lay(picture, where, flat, skin.numpy()[:, None, None] * shade)


def made(shot: Shot) -> Occlusion:
    found = occlusion_of(SwapTarget.of(shot, np.arange(COUNT) / 25))
    assert found is not None
    return found


def view_of(shot: Shot, target: SwapTarget, window: Window) -> TargetView:
    with Decoder(shot.clip) as decoder:
        return target.view(window, decoder.read(window))


def compared(shot: Shot, where: Bools, frames: range) -> tuple[float, float, float]:
    """Missed share of what is in front, false share of the free face, and what is changed."""
    occlusion = made(shot)
    missed, true, false, free = 0, 0, 0, 0
    for number in frames:
        view = view_of(shot, occlusion.target, Window(number, number + 1))
        found = occlusion.visible(view)[0, 0].numpy() < 0.5
        real, face = in_crop(view, where[number])
        true += (real & face).sum()
        missed += (real & face & ~found).sum()
        free += (face & ~real).sum()
        false += (found & face & ~real).sum()
    return missed / max(true, 1), false / max(free, 1), float(true)


def in_crop(view: TargetView, where: Bools) -> tuple[Bools, Bools]:
    """(h,w) of one frame in the crop, and (h,w) the face."""
    h, w = view.crop.size
    x, y = (int(v) + 200 for v in -view.crop.crop_from_frame[0][:, 2])
    real = np.pad(where, 200)[y : y + h, x : x + w]
    return real, hull(view.landmarks[0], (h, w), 0.05, -0.03) > 0.5


def test_a_free_face_is_free(filmed: Filmed) -> None:
    shot, where = filmed("nothing")
    _, false, true = compared(shot, where, range(0, COUNT, 3))
    assert true == 0
    assert false < 0.01


@pytest.mark.parametrize(("cover", "most_missed"), [("ball", 0.10), ("hand", 0.55)])
def test_what_is_in_front_is_found(cover: str, most_missed: float, filmed: Filmed) -> None:
    shot, where = filmed(cover)
    missed, false, true = compared(shot, where, range(8, 20))
    assert true > 500
    assert missed < most_missed
    assert false < 0.04


@pytest.mark.parametrize("cover", ["lips", "fleck"])
def test_lips_that_are_pulled_and_flecks_are_the_face_s_own(cover: str, filmed: Filmed) -> None:
    missed, _, _ = compared(*filmed(cover), COVERED)
    assert missed > 0.85


def test_a_frame_gets_one_answer_in_any_window_and_from_any_thread(filmed: Filmed) -> None:
    shot, _ = filmed("hand")
    one, other = made(shot), made(shot)
    windows = [Window(start, min(start + 4, COUNT)) for start in range(0, COUNT, 4)]
    views = [view_of(shot, one.target, window) for window in windows]
    in_order = torch.cat([one.visible(view) for view in views])
    odd = [Window(13, 16), Window(5, 6), Window(14, 15)]
    for window in odd:
        found = other.visible(view_of(shot, other.target, window))
        assert torch.equal(found, in_order[window.start : window.stop])
    with ThreadPoolExecutor(4) as pool:
        at_once = torch.cat(list(pool.map(made(shot).visible, views)))
    assert torch.equal(at_once, in_order)


class Painted:
    """Draws green all over."""

    def draw(self, view: TargetView) -> SwapFace:
        green = torch.tensor([0.1, 0.8, 0.2])[:, None, None].expand_as(view.pixels)
        return SwapFace(green.contiguous(), torch.ones_like(view.pixels[:, :1]))


def test_a_swap_leaves_what_is_in_front(filmed: Filmed) -> None:
    shot, where = filmed("ball")
    config = FinishConfig(color="none", grain=0.0, ranges=({"frames": "16-", "occluders": False},))
    method = swapped(Painted(), plan_swap(shot, (), config))
    for number, kept in ((14, True), (17, False)):
        window = Window(number, number + 1)
        with Decoder(shot.clip) as decoder:
            before = decoder.read(window)
        after = paint(before, [method], window)
        core = cv2.erode(where[number].astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        core &= hull(shot.track.landmarks[number], (SIDE, SIDE), 0.05, -0.08) > 0.9
        assert core.sum() > 30
        moved = (after - before)[0].abs().amax(0).numpy()[core]
        assert (np.median(moved) < 0.02) == kept


def test_glasses_stay_where_that_is_asked_for(filmed: Filmed) -> None:
    shot, where = filmed("glasses")
    occlusion = made(shot)
    view = view_of(shot, occlusion.target, Window(6, 7))
    worn = occlusion.glasses(view)[0, 0].numpy()
    real, _ = in_crop(view, where[6])
    below = np.zeros_like(real)
    below[int(view.landmarks[0, 468, 1]) :] = True
    rims = real & below
    assert (worn[rims] > 0.4).mean() > 0.6
    grown = cv2.dilate(real.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert (worn[~grown] > 0.4).mean() < 0.005
    # They are part of the face unless they are asked for.
    assert occlusion.visible(view).min() > 0.9
    bare, _ = filmed("nothing")
    assert made(bare).worn.max() < 0.5
    config = FinishConfig(color="none", keep_glasses=True, occluders=False, grain=0.0)
    method = swapped(Painted(), plan_swap(shot, (), config))
    after = paint(view.frames, [method], Window(6, 7))
    moved = (after - view.frames)[0].abs().amax(0).numpy()
    inner = where[6] & (hull(shot.track.landmarks[6], (SIDE, SIDE), 0.05, -0.05) > 0.9)
    inner[: int(shot.track.landmarks[6, 468, 1])] = False
    free = (hull(shot.track.landmarks[6], (SIDE, SIDE), 0.05, -0.15) > 0.9) & ~inner
    assert np.median(moved[inner]) < 0.35 * np.median(moved[free])


def test_a_clip_that_is_gone_has_nothing_in_front(actor_shot: Shot, tmp_path: Path) -> None:
    gone = replace(actor_shot, clip=replace(actor_shot.clip, path=tmp_path / "gone.mp4"))
    assert occlusion_of(SwapTarget.of(gone, np.arange(48) / 25)) is None

"""Hands and microphones before an edited face stay what they are, whatever engine draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from likeness.composite.mask import hull
from likeness.decode import Decoder
from likeness.methods.edit.crops import AlignConfig, smoothed_squares
from likeness.methods.edit.method import open_stitch
from likeness.methods.edit.occluders import Occluders
from likeness.methods.edit.surface import SurfaceConfig, open_surface, surface_bundle
from likeness.methods.edit.surface_warp import around
from likeness.painting import paint
from likeness.plan.edit import plan_edit
from likeness.plan.plan import Plan
from likeness.training.bank import fill_bank
from likeness.types import Bools, Crop, Method, Shot, Window
from tests.methods.edit.tiny import SIDE, eigenfaces, plan_of
from tests.methods.swap.test_occlusion import COUNT, film

CPU = torch.device("cpu")
ROUNDING = 1 / 255
COVERED = (12, 14, 16)
"""Frames in which something is well inside the face."""
Filmed = Callable[[str], tuple[Shot, Bools]]


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Filmed:
    """Films an actor behind something, once for each."""
    folder, kept = tmp_path_factory.mktemp("covered"), {}

    def film_once(cover: str) -> tuple[Shot, Bools]:
        if cover not in kept:
            kept[cover] = film(folder, cover)
        return kept[cover]

    return film_once


def planned(shot: Shot, direction: str, occluders: bool = True) -> Plan:
    strengths = {direction: np.ones(len(shot.clip), np.float32)}
    return plan_edit(shot, strengths, {"occluders": occluders})


def frame(shot: Shot, number: int) -> torch.Tensor:
    with Decoder(shot.clip) as decoder:
        return decoder.read(Window(number, number + 1))


def apart(method: Method, real: torch.Tensor, number: int) -> np.ndarray:
    """(H,W) by how much an edit changes a frame."""
    result = paint(real, [method], Window(number, number + 1))
    return (result - real)[0].abs().amax(0).numpy()


def changed(shot: Shot, where: Bools, methods: tuple[Method, ...]) -> list[float]:
    """Share of what is in front of the face that each method changes by more than rounding."""
    shares = []
    for method in methods:
        touched, total = 0, 0
        for number in COVERED:
            face = hull(shot.track.landmarks[number], shot.clip.size, 0.05, -0.03) > 0.5
            inner = cv2.erode(where[number].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            core = inner & face
            touched += int((apart(method, frame(shot, number), number)[core] > ROUNDING).sum())
            total += int(core.sum())
        assert total > 500
        shares.append(touched / total)
    return shares


@pytest.mark.parametrize(
    ("cover", "direction", "most"), [("ball", "age", 0.02), ("hand", "tan", 0.7)]
)
def test_the_surface_leaves_what_is_in_front(
    filmed: Filmed, cover: str, direction: str, most: float
) -> None:
    shot, where = filmed(cover)
    bundle = surface_bundle(shot, SurfaceConfig())
    kept, edited = changed(
        shot,
        where,
        (
            open_surface(bundle, planned(shot, direction), CPU),
            open_surface(bundle, planned(shot, direction, occluders=False), CPU),
        ),
    )
    assert kept < most * edited


@pytest.mark.parametrize("direction", ["age", "smile", "tan"])
def test_what_is_found_is_not_even_rounded(filmed: Filmed, direction: str) -> None:
    shot, _ = filmed("hand")
    method = open_surface(surface_bundle(shot, SurfaceConfig()), planned(shot, direction), CPU)
    assert method.occluders is not None
    real = frame(shot, 14)
    whole = Crop(shot.clip.size, np.eye(2, 3, dtype=np.float32)[None])
    visible = method.occluders.visible(Window(14, 15), real, whole)[0, 0].numpy()
    assert (visible == 0).sum() > 300
    assert apart(method, real, 14)[visible == 0].max() == 0


def test_a_free_face_is_edited_as_without(filmed: Filmed) -> None:
    shot, _ = filmed("nothing")
    method = open_surface(surface_bundle(shot, SurfaceConfig()), planned(shot, "tan"), CPU)
    assert method.occluders is not None
    without = replace(method, occluders=None)
    missing, total = 0, 0
    for number in COVERED:
        real = frame(shot, number)
        kept, all_of_it = apart(method, real, number), apart(without, real, number)
        there = all_of_it > ROUNDING
        missing += int((kept[there] <= ROUNDING).sum())
        total += int(there.sum())
    assert total > 5000
    assert missing < 0.01 * total


def test_a_generators_face_goes_behind_what_is_in_front(filmed: Filmed, tmp_path: Path) -> None:
    shot, where = filmed("ball")
    squares = smoothed_squares(shot.track.landmarks, np.ones(COUNT, bool), AlignConfig())
    bank = fill_bank(shot.clip, squares.crop(SIDE), np.arange(COUNT), tmp_path / "crops.bin")
    plan = plan_of(shot, {"brighter": np.ones(COUNT, np.float32)})
    method = open_stitch(eigenfaces(np.array(bank.pixels)), plan, CPU, folder=tmp_path / "work")
    assert method.occluders is not None
    kept, edited = changed(shot, where, (method, replace(method, occluders=None)))
    assert edited > 0.8
    assert kept < 0.02


def test_nobody_is_kept_who_is_not_asked_for(filmed: Filmed) -> None:
    shot, _ = filmed("nothing")
    assert Occluders.of(planned(shot, "tan", occluders=False)) is None


def test_nothing_is_fetched_from_what_is_in_front() -> None:
    rng = np.random.default_rng(0)
    ways = cv2.GaussianBlur(rng.normal(0, 1, (60, 80, 2)).astype(np.float32), (0, 0), 12)
    flow = ways * np.float32(6 / np.abs(ways).max())
    visible = np.ones((60, 80), np.float32)
    visible[20:40, 30:50] = 0
    calm = around(flow, visible)
    y, x = np.mgrid[:60, :80].astype(np.float32)
    seen = cv2.remap(
        visible,
        x + calm[..., 0],
        y + calm[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    assert seen[visible == 1].min() > 0.999
    assert not calm[visible == 0].any()
    assert np.array_equal(calm[:, -8:], flow[:, -8:])

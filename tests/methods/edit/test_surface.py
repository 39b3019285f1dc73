"""The surface engine on an actor: what it changes, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from likeness.decode import Decoder
from likeness.errors import ConfigError
from likeness.methods.edit.strength import over_time, paired
from likeness.methods.edit.surface import (
    SurfaceConfig,
    SurfaceEdit,
    open_surface,
    surface_bundle,
    surface_directions,
)
from likeness.methods.edit.surface_directions import DIRECTIONS, Material
from likeness.methods.edit.surface_face import EditedFace
from likeness.methods.edit.surface_folds import GROUPS, activations, fold_textures
from likeness.methods.edit.surface_move import SLIM, pulled
from likeness.methods.edit.surface_view import NOWHERE, Box, FrameView, boxed, drawn
from likeness.methods.edit.surface_warp import backward_flow, warped
from likeness.metrics.regions import face_hull
from likeness.painting import paint
from likeness.plan.edit import plan_edit
from likeness.plan.performance import performance_of
from likeness.plan.plan import Plan
from likeness.store import load_face_model
from likeness.types import Shot, Window

CPU = torch.device("cpu")


def planned(shot: Shot, *directions: str) -> Plan:
    bundle = surface_bundle(shot, SurfaceConfig())
    seconds = performance_of(shot, "target").seconds
    return plan_edit(
        shot, over_time(paired(directions, []), seconds, surface_directions(bundle), 0.3), {}
    )


def opened(shot: Shot, *directions: str) -> SurfaceEdit:
    return open_surface(surface_bundle(shot, SurfaceConfig()), planned(shot, *directions), CPU)


@pytest.fixture(scope="module")
def frames(actor_shot: Shot) -> torch.Tensor:
    with Decoder(actor_shot.clip) as decoder:
        return decoder.read(Window(0, 6))


def painted(method: SurfaceEdit, frames: torch.Tensor) -> torch.Tensor:
    return paint(frames, [method], Window(0, len(frames)))


@pytest.mark.parametrize("name", DIRECTIONS)
def test_each_direction_changes_the_face_and_leaves_the_rest_bit_for_bit(
    actor_shot: Shot, frames: torch.Tensor, name: str
) -> None:
    landmarks = actor_shot.track.landmarks[: len(frames)]
    height, width = actor_shot.clip.size
    hull = face_hull(landmarks, (height, width))
    for strength in ("1", "-1"):
        method = opened(actor_shot, f"{name}={strength}")
        layer = method.synthesize(method.condition(Window(0, len(frames)), frames))
        found = painted(method, frames)
        apart = (found - frames).abs().amax(1).numpy()
        assert apart[hull].mean() > 1e-4
        assert float(layer.alpha.mean()) < 0.8
        # Shoulders and the wall beside them are not touched, not even rounded.
        assert apart[:, height - 12 :, :12].max() == 0
        assert apart[:, height - 12 :, width - 12 :].max() == 0
        untouched = apart == 0
        assert untouched.mean() > 0.2
        assert float(found.min()) >= 0
        assert float(found.max()) <= 1


@pytest.mark.parametrize("name", DIRECTIONS)
def test_a_gray_clip_stays_gray(actor_shot: Shot, frames: torch.Tensor, name: str) -> None:
    gray = (frames * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    film = gray.expand(-1, 3, -1, -1).contiguous()
    found = painted(opened(actor_shot, f"{name}=1"), film)
    assert float((found - film).abs().max()) > 0.02
    assert float((found - found.mean(1, keepdim=True)).abs().max()) < 0.5 / 255


def test_strength_zero_is_the_clip(actor_shot: Shot, frames: torch.Tensor) -> None:
    assert torch.equal(painted(opened(actor_shot, "age=0", "smile=0"), frames), frames)


def test_a_frame_is_alike_in_any_window(actor_shot: Shot, frames: torch.Tensor) -> None:
    method = opened(actor_shot, "age=1", "smile=0.5")
    whole = painted(method, frames)
    alone = [paint(frames[i : i + 1], [method], Window(i, i + 1))[0] for i in range(len(frames))]
    assert torch.equal(whole, torch.stack(alone))


def detail(pictures: torch.Tensor, shot: Shot) -> float:
    """Deviation of fine luma inside the cheeks and forehead."""
    luma = pictures.mean(1).numpy()
    fine = luma - np.stack([gaussian_filter(one, 3) for one in luma])
    hull = face_hull(shot.track.landmarks[: len(pictures)], shot.clip.size)
    inner = np.stack([gaussian_filter(one.astype(np.float32), 4) > 0.97 for one in hull])
    return float(fine[inner].std())


def test_older_has_more_detail_and_younger_less(actor_shot: Shot, frames: torch.Tensor) -> None:
    def of(strength: str) -> float:
        return detail(painted(opened(actor_shot, f"age={strength}"), frames), actor_shot)

    levels = [of(strength) for strength in ("-1", "0", "1", "2")]
    assert levels == sorted(levels)
    assert levels[2] > 1.03 * levels[1]


class WholeView(FrameView):
    """A frame that is looked at everywhere, whether the face is there or not."""

    @property
    def box(self) -> Box:
        return slice(0, self.luma.shape[0]), slice(0, self.luma.shape[1])


@pytest.mark.parametrize(("name", "strength"), [("age", 1.0), ("age", -1.0), ("smile", 1.0)])
def test_looking_at_the_face_alone_changes_nothing(
    actor_shot: Shot, frames: torch.Tensor, name: str, strength: float
) -> None:
    face = EditedFace.of(actor_shot, load_face_model(actor_shot.params.model))
    direction = DIRECTIONS[name].make(Material.of(face, 0))
    pixels = drawn(face.cut(0, frames[0]), face.size)
    shades = [
        direction.shade(kind(face.pose(0), pixels), strength) for kind in (FrameView, WholeView)
    ]
    assert shades[0] is not None
    assert shades[1] is not None
    assert np.abs(shades[1]).max() > 0.05
    assert np.abs(shades[0] - shades[1]).max() < 3e-3


def test_a_box_holds_what_is_there_in_whole_blocks() -> None:
    there = np.zeros((30, 22), bool)
    assert boxed(there) == NOWHERE
    there[9, 13] = there[10, 21] = True
    assert boxed(there) == (slice(8, 12), slice(12, 22))
    assert boxed(there, 3) == (slice(4, 16), slice(8, 22))


def test_folds_deepen_where_the_face_folds() -> None:
    rest = activations({})
    raised = activations({"browInnerUp": 1.0, "browOuterUpLeft": 1.0})
    assert rest["forehead", ""] == GROUPS["forehead"].rest
    assert raised["forehead", ""] > rest["forehead", ""] + 0.5
    assert raised["forehead", "Left"] > raised["forehead", "Right"]
    assert raised["nasolabial", "Left"] == rest["nasolabial", "Left"]


def test_folds_are_grooves_of_their_depth(actor_shot: Shot) -> None:
    face = EditedFace.of(actor_shot, load_face_model(actor_shot.params.model))
    full: Mapping[tuple[str, str], float] = {
        (name, side): 1.0 for name in GROUPS for side in ("Right", "Left", "")
    }
    one = fold_textures(face.model, face.places, 0)
    height = one.total(full)
    assert -3 < height.min() < -0.4
    assert 0.1 < height.max() < 2
    again = fold_textures(face.model, face.places, 0).total(full)
    assert np.array_equal(height, again)
    assert not np.array_equal(height, fold_textures(face.model, face.places, 1).total(full))


def test_handles_pull_both_sides_alike(actor_shot: Shot) -> None:
    model = load_face_model(actor_shot.params.model)
    moved = pulled(model, SLIM)
    mirror = moved[model.regions["twin"]] * np.array([-1, 1, 1])
    assert np.allclose(moved, mirror, atol=0.35)
    assert moved[172, 0] > 1
    assert np.abs(moved[10]).max() < 0.2


def test_a_flow_moves_the_mouth_where_the_surface_goes(actor_shot: Shot) -> None:
    face = EditedFace.of(actor_shot, load_face_model(actor_shot.params.model))
    posed = face.pose(0)
    up = np.zeros_like(face.model.mean)
    corner = int(face.model.regions["mouth_corners"][0])
    near = np.linalg.norm(face.model.mean - face.model.mean[corner], axis=1)
    up[:, 1] = -5 * np.exp(-0.5 * (near / 12) ** 2)
    flow = backward_flow(posed, up)
    assert flow is not None
    x, y = posed.vertices[corner, :2].astype(int)
    # What is now above was below: pixels come from further down the picture.
    assert flow[y - 3, x, 1] > 1
    assert abs(flow[0, 0]).max() == 0
    assert backward_flow(posed, np.zeros_like(up)) is None


def test_standing_still_moves_no_pixel() -> None:
    picture = np.random.default_rng(0).random((9, 11, 3)).astype(np.float32)
    assert np.array_equal(warped(picture, np.zeros((9, 11, 2), np.float32)), picture)


def test_frames_without_a_face_stay_and_are_listed(actor_shot: Shot) -> None:
    observed = actor_shot.track.observed.copy()
    observed[10:30] = False
    observed[40] = False
    track = type(actor_shot.track)(
        0,
        actor_shot.track.boxes,
        actor_shot.track.landmarks,
        actor_shot.track.scores,
        observed,
    )
    plan = planned(Shot(actor_shot.clip, track, actor_shot.params), "age=1")
    assert plan.absent is not None
    # A gap as short as a blink of the tracker is bridged, a long one passes through.
    assert np.flatnonzero(plan.absent).tolist() == list(range(10, 30))
    assert np.flatnonzero(plan.guessed).tolist() == [*range(10, 30), 40]
    assert any("20 frames" in warning for warning in plan.warnings)


def test_an_unknown_direction_is_refused(actor_shot: Shot) -> None:
    plan = plan_edit(actor_shot, {"wisdom": np.ones(len(actor_shot.clip), np.float32)}, {})
    with pytest.raises(ConfigError, match="wisdom"):
        open_surface(surface_bundle(actor_shot, SurfaceConfig()), plan, CPU)

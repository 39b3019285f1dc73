"""What a swap is shown of its target, and the way between crops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.geometry import crop_from_square
from likeness.methods.swap.view import (
    SwapTarget,
    cut_upright,
    following_crop,
    into_crop,
    moved,
)
from likeness.types import Clip, Crop, Shot, Window


def upright(left: int, top: int, side: int, block: int) -> Crop:
    matrix = np.array([[1 / block, 0, -left / block], [0, 1 / block, -top / block]], np.float32)
    return Crop((side, side), matrix[None])


def test_a_crop_shows_the_frames_own_pixels() -> None:
    frame = torch.rand((1, 3, 40, 50), generator=torch.Generator().manual_seed(1))
    found = cut_upright(frame, upright(8, 4, 16, 1))
    assert torch.equal(found, frame[:, :, 4:20, 8:24])


def test_outside_the_frame_its_border_is_repeated() -> None:
    frame = torch.rand((1, 3, 20, 20), generator=torch.Generator().manual_seed(2))
    found = cut_upright(frame, upright(-8, 12, 16, 1))
    assert torch.equal(found[:, :, :, :8], found[:, :, :, 8:9].expand(-1, -1, -1, 8))
    assert torch.equal(found[:, :, 8:], found[:, :, 7:8].expand(-1, -1, 8, -1))


def test_a_coarser_crop_shows_the_means_of_blocks() -> None:
    frame = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(3))
    found = cut_upright(frame, upright(16, 32, 8, 4))
    assert torch.allclose(found[0, :, 1, 2], frame[0, :, 36:40, 24:28].mean((1, 2)), atol=1e-6)


def big(shot: Shot, times: int) -> Shot:
    """The same shot as a frame of many times the size would show it."""
    clip: Clip = replace(shot.clip, size=tuple(n * times for n in shot.clip.size))
    track = replace(
        shot.track, boxes=shot.track.boxes * times, landmarks=shot.track.landmarks * times
    )
    return Shot(clip, track, shot.params)


@pytest.mark.parametrize("times", [1, 3, 9])
def test_the_crop_follows_on_whole_pixels(actor_shot: Shot, times: int) -> None:
    shot = big(actor_shot, times)
    crop = following_crop(shot.track)
    block = 1 / crop.crop_from_frame[0, 0, 0]
    assert block == round(block)
    assert max(crop.size) <= 640
    assert [side % 16 for side in crop.size] == [0, 0]
    assert (crop.crop_from_frame[:, :, 2] % 8 == 0).all()
    # Room for the border in which a blend runs out, 0.06 sides, on all four sides of the face.
    inside = into_crop(shot.track.landmarks, crop)[..., :2]
    room = 0.06 * max(crop.size)
    assert inside.min() > room
    assert (inside.max((0, 1)) < np.array(crop.size[::-1]) - room).all()


def test_a_crop_is_as_wide_as_the_widest_face(actor_shot: Shot) -> None:
    boxes = actor_shot.track.boxes.copy()
    slim = following_crop(actor_shot.track).size
    middle, half = boxes[:, [0, 2]].mean(1), 0.5 * np.ptp(boxes[:, [1, 3]], axis=1)
    boxes[:, 0], boxes[:, 2] = middle - 1.5 * half, middle + 1.5 * half
    broad = following_crop(replace(actor_shot.track, boxes=boxes)).size
    assert slim[0] > slim[1]
    assert broad[1] > broad[0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.sampled_from([0.5, 1.0, 2.0]))
def test_moving_a_picture_between_crops_keeps_places(x: int, y: int, scale: float) -> None:
    side = 64
    ramp = torch.linspace(0, 1, side)
    picture = torch.stack([ramp.expand(side, side), ramp[:, None].expand(side, side)])[None]
    crop = Crop((side, side), crop_from_square(0, 0, side, side)[None])
    to = Crop((16, 16), crop_from_square(x, y, 16 / scale, 16)[None])
    found = moved(picture, crop, to)[0]
    # The crop's pixel (8, 8) lies at (x, y) + 8.5 / scale of the picture.
    expected = ((torch.tensor([x, y]) + 8.5 / scale) - 0.5) / (side - 1)
    assert torch.allclose(found[:, 8, 8], expected.float(), atol=0.01)


def test_gaps_longer_than_a_blink_are_absences(actor_shot: Shot) -> None:
    observed = np.ones(len(actor_shot.track), bool)
    observed[5:8] = False
    observed[20:40] = False
    shot = replace(actor_shot, track=replace(actor_shot.track, observed=observed))
    target = SwapTarget.of(shot, np.arange(len(shot.clip), dtype=np.float32) / 25)
    assert target.present[5:8].all()
    assert not target.present[20:40].any()
    assert not target.observed[5:8].any()


def test_a_view_tells_of_its_frames(actor_shot: Shot) -> None:
    target = SwapTarget.of(actor_shot, np.arange(len(actor_shot.clip), dtype=np.float32) / 25)
    frames = torch.rand((3, 3, 128, 128))
    view = target.view(Window(4, 7), frames)
    assert view.rows.tolist() == [4, 5, 6]
    assert view.pixels.shape == (3, 3, *target.crop.size)
    back = np.linalg.inv(np.vstack([view.crop.crop_from_frame[0], [0, 0, 1]]))[:2]
    places = view.landmarks[0, :, :2] @ back[:, :2].T + back[:, 2]
    assert np.abs(places - actor_shot.track.landmarks[4, :, :2]).max() < 1e-3

"""Faces are read on their feet, whichever way up they stand, and nonsense is not taken for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.actor import Actor, Motion, RenderConfig, frames
from likeness.decode import open_clip
from likeness.errors import TrackError
from likeness.methods.photo.find import find_photo
from likeness.track import TrackConfig, track
from likeness.track.detect import Image
from likeness.track.landmarks import Face, Reader
from likeness.track.readers import open_reader
from likeness.track.upright import AGREED, SURE, UprightReader, turned_back
from tests.conftest import write_clip

CAREFUL = TrackConfig(small_faces="never")


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """(10,H,W,3) uint8: an actor who moves a little."""
    motion = Motion.from_seed(2, 0.4)
    batches = frames(Actor.from_seed(2), motion, RenderConfig(size=(256, 256), samples=1))
    shown = np.concatenate([batch.permute(0, 2, 3, 1).numpy() for batch in batches])
    return (shown * 255 + 0.5).clip(0, 255).astype(np.uint8)


class Standing(Reader):
    """Finds a face in pictures whose brightest corner is this one; doubts as it is told."""

    def __init__(self, doubts: dict[int, float | None]) -> None:
        self.doubts = doubts
        self.reads = self.resets = 0

    def read(self, image: Image) -> list[Face]:
        """Answer by the quarter turns that the picture was turned by."""
        self.reads += 1
        corners = [image[0, 0], image[0, -1], image[-1, -1], image[-1, 0]]
        turn = int(np.argmax([corner.max() for corner in corners]))
        if turn not in self.doubts or image.max() == 0:
            return []
        points = np.full((478, 3), 5.0, np.float32)
        points[0] = 2.0
        return [Face(points, 1.0, self.doubts[turn])]

    def reset(self) -> None:
        """Count it."""
        self.resets += 1

    def close(self) -> None:
        """Nothing is open."""


def marked(height: int = 20, width: int = 30) -> Image:
    image = np.zeros((height, width, 3), np.uint8)
    image[0, 0] = 255
    return image


def upright(monkeypatch: pytest.MonkeyPatch, doubts: dict[int, float | None]) -> UprightReader:
    inner = Standing(doubts)
    reader = UprightReader(inner, lambda: inner)
    monkeypatch.setattr(
        UprightReader,
        "_alone",
        lambda self, image, turn: [
            face
            for face in self._read_turned([image], turn)[0]
            if face.doubt is not None and face.doubt <= AGREED
        ],
    )
    return reader


def read(reader: UprightReader, images: Sequence[Image]) -> list[int]:
    return [len(faces) for faces in reader.read_run(images, [False] * len(images))]


def test_a_sure_face_costs_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = upright(monkeypatch, {0: SURE, 2: 0.001})
    assert read(reader, [marked()] * 5) == [1] * 5
    assert reader._reader.reads == 5  # type: ignore[attr-defined]


def test_the_way_that_agrees_better_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = upright(monkeypatch, {0: 0.016, 2: 0.007})
    (faces,) = reader.read_run([marked()], [False])
    assert faces[0].doubt == 0.007
    np.testing.assert_allclose(faces[0].landmarks[0], [28, 18, 2])
    assert upright(monkeypatch, {0: 0.016, 2: 0.03}).read(marked())[0].doubt == 0.016


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_nonsense_is_turned_until_it_makes_sense(
    monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    reader = upright(monkeypatch, {0: 0.08, turn: 0.01})
    assert read(reader, [marked()] * 3) == [1] * 3
    assert reader._turn == turn
    # The next shot stands as the one before, until shown otherwise.
    assert len(reader.read_run([marked()], [True])[0]) == 1


def test_nonsense_that_no_turn_mends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = upright(monkeypatch, {0: 0.08, 1: 0.2})
    assert read(reader, [marked()] * 3) == [0] * 3
    assert reader.refused == 3
    # Without a mirrored reading nothing is known, and the face stays.
    unknown = upright(monkeypatch, {0: None})
    assert read(unknown, [marked()] * 3) == [1] * 3
    assert unknown.refused == 0


def test_faceless_frames_are_turned_now_and_then_only(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = upright(monkeypatch, {})
    assert read(reader, [marked()] * 50) == [0] * 50
    assert reader._reader.reads == 50 + 2 * 3  # type: ignore[attr-defined]


@given(st.integers(1, 3), st.integers(2, 40), st.integers(2, 40))
def test_positions_come_back_from_every_turn(turn: int, height: int, width: int) -> None:
    image = np.zeros((height, width), np.uint8)
    x, y = width // 3, height // 2
    image[y, x] = 1
    turned = np.rot90(image, -turn)
    (row,), (column,) = np.nonzero(turned)
    point = np.array([[column + 0.5, row + 0.5, 7.0]], np.float32)
    back = turned_back(point, turn, (height, width))
    np.testing.assert_allclose(back, [[x + 0.5, y + 0.5, 7.0]])


def test_a_clip_upside_down_is_tracked_like_one_upright(
    pictures: np.ndarray, tmp_path: Path
) -> None:
    plain = open_clip(write_clip(tmp_path / "up.mp4", pictures))
    turned = open_clip(
        write_clip(tmp_path / "down.mp4", np.ascontiguousarray(pictures[:, ::-1, ::-1]))
    )
    config = replace(CAREFUL, min_length=4)
    (expected,), (found,) = track(plain, config), track(turned, config)
    assert found.observed.sum() == expected.observed.sum() == 10
    back = np.stack([turned_back(points, 2, (256, 256)) for points in found.landmarks])
    width = float((expected.boxes[:, 2] - expected.boxes[:, 0]).mean())
    apart = np.linalg.norm((back - expected.landmarks)[..., :2], axis=-1).mean()
    assert apart < 0.02 * width


@pytest.mark.parametrize("even", [True, False])
def test_a_picture_upside_down_is_read_on_its_feet(pictures: np.ndarray, even: bool) -> None:
    reader = open_reader(replace(CAREFUL, even=even))
    try:
        (face,) = reader.read(np.ascontiguousarray(pictures[0, ::-1, ::-1]))
    finally:
        reader.close()
    eyes, mouth = face.landmarks[[33, 263], 1].mean(), face.landmarks[[61, 291], 1].mean()
    assert eyes > mouth + 20


def test_a_photo_upside_down_is_refused_with_what_to_do(
    shared_data: Path, pictures: np.ndarray, tmp_path: Path
) -> None:
    odd = shared_data / "odd" / "upside_down.jpg"
    if not odd.is_file():
        pytest.skip("no odd pictures at ../shared/data/odd")
    with pytest.raises(TrackError, match=r"upside down .*turn the picture by 180 degrees"):
        find_photo(open_clip(odd))


def test_an_actor_upside_down_is_refused_as_a_photo(pictures: np.ndarray, tmp_path: Path) -> None:
    from PIL import Image as Picture

    Picture.fromarray(pictures[0, ::-1, ::-1].copy()).save(tmp_path / "down.png")
    with pytest.raises(TrackError, match="upside down"):
        find_photo(open_clip(tmp_path / "down.png"))
    Picture.fromarray(pictures[0]).save(tmp_path / "up.png")
    assert len(find_photo(open_clip(tmp_path / "up.png")).track) == 1

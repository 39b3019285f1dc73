"""Followed faces are read as by looking in every frame, and newcomers from their first frame on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.actor import Actor, Motion, RenderConfig, frames
from likeness.decode import open_clip
from likeness.errors import ConfigError
from likeness.track import TrackConfig, track
from likeness.track.blocks import Blocks
from likeness.track.following import FollowingReader
from likeness.track.landmarks import (
    BundledReader,
    Face,
    Reader,
    positions,
    positions_one_by_one,
)

LENGTH, COMES = 22, 15
"""Frames, and the one in which the second person appears."""


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """A person who is there all the time, and one to the right who appears."""
    found = []
    for seed in (2, 5):
        moves = frames(Actor.from_seed(seed), Motion.from_seed(seed, 0.9), RenderConfig((128, 128)))
        whole = np.concatenate([part.permute(0, 2, 3, 1).numpy() for part in moves])
        found.append((whole[:LENGTH] * 255 + 0.5).clip(0, 255).astype(np.uint8))
    left, right = found
    right[:COMES] = right[:1, :1, :1]
    return list(np.ascontiguousarray(np.concatenate([left, right], 2)))


def read(reader: Reader, images: list[np.ndarray], length: int) -> list[list[Face]]:
    found = []
    for _, block, begins in blocks_of(images, length):
        found += reader.read_run(block, [begins] + [False] * (len(block) - 1))
    reader.close()
    return found


def blocks_of(images: list[np.ndarray], length: int) -> Iterator[Any]:
    blocks = Blocks(length)
    yield from blocks.add(0, images, [False] * len(images))
    yield from blocks.rest()


def test_one_face_is_read_as_by_looking_in_every_frame(pictures: list[np.ndarray]) -> None:
    images = pictures[:COMES]
    config = TrackConfig(small_faces="never")
    slow = read(BundledReader(config), images, 12)
    for fast, faces in zip(read(FollowingReader(config), images, 12), slow, strict=True):
        np.testing.assert_allclose(fast[0].landmarks, faces[0].landmarks, atol=1e-3)


def test_a_newcomer_is_read_from_the_first_frame_on(pictures: list[np.ndarray]) -> None:
    config = TrackConfig(small_faces="never")
    slow = read(BundledReader(config), pictures, 12)
    fast = read(FollowingReader(config), pictures, 12)
    assert [len(faces) for faces in slow] == [1] * COMES + [2] * (LENGTH - COMES)
    assert [len(faces) for faces in fast] == [len(faces) for faces in slow]
    for ours, theirs in zip(fast[COMES + 1 :], slow[COMES + 1 :], strict=True):
        for face in theirs:
            near = min(np.abs(face.landmarks - one.landmarks)[:, :2].mean() for one in ours)
            assert near < 0.2


def test_fewer_looks_are_taken_while_a_face_is_followed(
    pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, reader = [], FollowingReader(TrackConfig(small_faces="never"))
    stranger = reader._looking().stranger

    def looked(*given: Any) -> bool:
        looks.append(given)
        return stranger(*given)

    monkeypatch.setattr(reader._looking(), "stranger", looked)
    wide: Callable[[Any], Any] = reader._direct.read
    counted = []
    monkeypatch.setattr(reader._direct, "read", lambda image: counted.append(1) or wide(image))
    read(reader, pictures[:COMES], 6)
    # The first frame is read with room for all; of the blocks' others only the ends are looked at.
    assert (len(counted), len(looks)) == (1, 3)


@pytest.mark.parametrize("pieces", [(30,), (7, 11, 12), (1, 2, 3, 24), (16, 14)])
def test_blocks_lie_as_shots_do_however_frames_come(pieces: tuple[int, ...]) -> None:
    images = [np.full((1, 1, 3), n, np.uint8) for n in range(30)]
    cuts = [n in (4, 18) for n in range(30)]
    blocks, found, at = Blocks(6), [], 0
    for count in pieces:
        found += list(blocks.add(at, images[at : at + count], cuts[at : at + count]))
        at += count
    found += list(blocks.rest())
    assert [(w.start, w.stop, begins) for w, _, begins in found] == [
        *((0, 4, False), (4, 10, True), (10, 16, False), (16, 18, False)),
        *((18, 24, True), (24, 30, False)),
    ]
    assert [int(image[0, 0, 0]) for _, block, _ in found for image in block] == list(range(30))


def test_a_clip_is_tracked_alike_with_few_looks(
    pictures: list[np.ndarray], make_clip: Any, tmp_path: Path
) -> None:
    clip = open_clip(make_clip(tmp_path / "two.mp4", np.stack(pictures)))
    slow, fast = (track(clip, TrackConfig(look_every=n, min_length=5)) for n in (1, 12))
    assert [t.window for t in fast] == [t.window for t in slow]
    for one, other in zip(fast, slow, strict=True):
        assert np.abs(one.landmarks - other.landmarks)[..., :2].mean() < 0.1
    with pytest.raises(ConfigError, match="look_every"):
        TrackConfig(look_every=0)


@pytest.mark.parametrize("more", [0, 1])
def test_landmarks_are_read_from_bytes_as_one_by_one(more: int) -> None:
    from mediapipe.framework.formats.landmark_pb2 import NormalizedLandmarkList

    values = np.random.default_rng(0).uniform(-1, 1, (478, 3)).astype(np.float32)
    message = NormalizedLandmarkList()
    for x, y, z in values.tolist():
        message.landmark.add(x=x, y=y, z=z, **({"presence": 0.5} if more else {}))
    np.testing.assert_array_equal(positions(message), values)
    np.testing.assert_array_equal(positions_one_by_one(message.landmark), values)

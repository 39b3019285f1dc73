"""Tracking with the bundled models: on the procedural actor, and on shared pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.actor import Actor, Motion, RenderConfig, frames
from likeness.errors import BackendError
from likeness.track.config import TrackConfig
from likeness.track.landmarks import Face, Reader
from likeness.track.readers import open_reader


def _bytes(image: torch.Tensor) -> np.ndarray:
    return (image.permute(1, 2, 0).numpy() * 255 + 0.5).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    motion = Motion.from_seed(2, 0.2)
    return _bytes(next(frames(Actor.from_seed(2), motion, RenderConfig(size=(256, 256)), 1))[0])


def _read(reader: Reader, image: np.ndarray) -> list[Face]:
    try:
        return reader.read(image)
    finally:
        reader.close()


def test_actor_is_found(picture: np.ndarray) -> None:
    (face,) = _read(open_reader(TrackConfig()), picture)
    assert face.landmarks.shape == (478, 3)
    assert 80 < face.box[2] - face.box[0] < 200


def test_small_face_in_a_large_frame_is_found(picture: np.ndarray) -> None:
    frame = np.full((1080, 1920, 3), 90, np.uint8)
    small = picture[::2, ::2]
    frame[700:828, 1500:1628] = small
    assert not _read(open_reader(TrackConfig(small_faces="never")), frame)
    (face,) = _read(open_reader(TrackConfig()), frame)
    assert np.all(face.box > [1500, 700, 1500, 700])
    assert np.all(face.box < [1628, 828, 1628, 828])


def test_empty_frame_has_no_face() -> None:
    assert _read(open_reader(TrackConfig()), np.full((240, 320, 3), 128, np.uint8)) == []


def test_task_backend_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"face_landmarker\.task"):
        open_reader(TrackConfig(backend="task"))
    wrong = tmp_path / "wrong.task"
    wrong.write_bytes(b"not a model")
    with pytest.raises(BackendError, match=r"wrong\.task"):
        open_reader(TrackConfig(backend="task", model=wrong))

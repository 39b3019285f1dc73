"""Reading in the mirror: a face and its mirror image are read alike."""

from __future__ import annotations

import numpy as np

from likeness.actor import Actor, Motion, RenderConfig, frames
from likeness.store import load_face_model
from likeness.track.config import TrackConfig
from likeness.track.landmarks import Face, Reader
from likeness.track.mirror import EvenReader, twins
from likeness.track.readers import open_reader


def test_twins_are_mirror_images_on_the_face_model():
    model, other = load_face_model(), twins()
    mean = model.mean[model.landmark_vertices[:468]]
    np.testing.assert_array_equal(other[other], np.arange(478))
    np.testing.assert_allclose(mean[other[:468]], mean * [-1, 1, 1], atol=1e-3)


def test_an_even_reader_reads_mirror_images_alike():
    motion = Motion.from_seed(2, 0.2)
    picture = next(frames(Actor.from_seed(2), motion, RenderConfig(size=(256, 256)), 1))[0]
    image = (picture.permute(1, 2, 0).numpy() * 255 + 0.5).clip(0, 255).astype(np.uint8)

    def apart(even: bool) -> float:
        """Pixels by which the answers to a picture and to its mirror image differ on average."""
        found = []
        for shown in (image, np.ascontiguousarray(image[:, ::-1])):
            reader = open_reader(TrackConfig(even=even))
            for _ in range(3):
                (face,) = reader.read(shown)
            reader.close()
            found.append(face.landmarks[:, :2])
        plain, mirrored = found
        mirrored = mirrored[twins()] * [-1, 1] + [256, 0]
        return float(np.linalg.norm(plain - mirrored, axis=1).mean())

    assert apart(even=False) > 0.3
    assert apart(even=True) < 0.01


class _Fixed(Reader):
    """A reader that answers the same faces whatever it is shown."""

    def __init__(self, *faces: Face) -> None:
        self.faces, self.forgot = list(faces), 0

    def read(self, image: np.ndarray) -> list[Face]:
        return self.faces

    def reset(self) -> None:
        self.forgot += 1

    def close(self) -> None:
        self.faces = []


def _face(x: float) -> Face:
    spread = np.random.default_rng(0).uniform(0, 40, (478, 3)).astype(np.float32)
    return Face(spread + np.float32([x, 10, 0]), 1.0)


def test_faces_without_a_twin_stay_as_they_are():
    first, second = _Fixed(_face(5), _face(150)), _Fixed()
    readers = iter((first, second))
    even = EvenReader(lambda: next(readers))
    blank = np.zeros((60, 200, 3), np.uint8)
    assert even.read(blank) == first.faces
    # The left face again, two pixels off, as the mirror shows it; the right one was not seen.
    moved = _face(7).landmarks[twins()]
    moved[:, 0] = 200 - moved[:, 0]
    second.faces = [Face(moved, 1.0)]
    left, right = even.read(blank)
    np.testing.assert_allclose(left.landmarks, _face(6).landmarks, atol=1e-4)
    assert right is first.faces[1]
    even.reset()
    assert (first.forgot, second.forgot) == (1, 1)
    run = even.read_run([blank] * 3, [False, True, False])
    assert [len(faces) for faces in run] == [2, 2, 2]
    assert (first.forgot, second.forgot) == (2, 2)
    even.close()
    assert first.faces == second.faces == []


def test_a_sample_of_mirrored_frames_moves_those_between() -> None:
    """Every third frame is asked; between them what it said is taken in proportion."""
    rng = np.random.default_rng(1)
    shape, offs = _face(5), rng.uniform(-3, 3, 13)

    asked: list[int] = []

    class Plain(_Fixed):
        def read(self, image: np.ndarray) -> list[Face]:
            return [Face(shape.landmarks + int(image[0, 0, 0]), 1.0)]

    class Other(_Fixed):
        def read(self, image: np.ndarray) -> list[Face]:
            number = int(image[0, 0, 0])
            asked.append(number)
            landmarks = (shape.landmarks + number + np.float32([offs[number], 0, 0]))[twins()]
            landmarks[:, 0] = 200 - landmarks[:, 0]
            return [Face(landmarks, 1.0)]

    images = [np.full((60, 200, 3), n, np.uint8) for n in range(13)]
    readers = iter((Plain(), Other()))
    even = EvenReader(lambda: next(readers), 3)
    found = [
        faces
        for run in (images[:1], images[1:7], images[7:])
        for faces in even.read_run(run, [False] * len(run))
    ]
    assert asked == [0, 3, 6, 9, 12]
    known = np.interp(range(13), asked, offs[asked]) / 2
    for number, (face,) in enumerate(found):
        expected = shape.landmarks + number + np.float32([known[number], 0, 0])
        np.testing.assert_allclose(face.landmarks, expected, atol=1e-3)
        assert (face.doubt is not None) == (number in asked)
    even.close()


def test_a_sample_of_mirrored_frames_is_as_even_as_all() -> None:
    images = []
    for part in frames(Actor.from_seed(2), Motion.from_seed(2, 0.4), RenderConfig(size=(128, 128))):
        whole = part.permute(0, 2, 3, 1).numpy() * 255 + 0.5
        images += list(whole.clip(0, 255).astype(np.uint8))
    found = []
    for config in (TrackConfig(mirror_every=1), TrackConfig(), TrackConfig(even=False)):
        reader = open_reader(config)
        answers = reader.read_run(images, [False] * len(images))
        reader.close()
        found.append(np.stack([faces[0].landmarks[:, :2] for faces in answers]))
    all_frames, sampled, plain = found
    assert np.abs(sampled - all_frames).mean() < 0.3 * np.abs(plain - all_frames).mean()

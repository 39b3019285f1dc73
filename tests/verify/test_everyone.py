"""Further faces of a clip: who is shown to the trained detector, and what becomes of it."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from likeness.types import Clip, FaceTrack, Shot, Window
from likeness.verify.everyone import Judged, Others, room
from likeness.verify.signal import SignalReading

COUNT = 3


def face(shot: Shot, scale: float, right: float = 0.0) -> FaceTrack:
    points = np.repeat(shot.track.landmarks[:1] * scale, COUNT, 0).astype(np.float32)
    points[..., 0] += right
    box = np.concatenate([points[..., :2].min(1), points[..., :2].max(1)], 1)
    return FaceTrack(0, box, points, np.ones(COUNT, np.float32), np.ones(COUNT, bool))


def clip() -> Clip:
    return Clip(Path("duo.mp4"), "", (256, 640), np.arange(COUNT), Fraction(1, 25), 1)


def test_the_largest_and_the_tiny_are_not_looked_at_again(actor_shot: Shot) -> None:
    main, second, tiny = (face(actor_shot, scale) for scale in (2.0, 1.5, 0.3))
    assert room(main) > room(second) > room(tiny) > 0
    others = Others(clip(), [main, second, tiny])
    others.look(Window(0, COUNT), torch.rand(COUNT, 3, 256, 640))
    (told,) = others.read()
    assert told.track is second
    assert told.reading.title == "Trained detector, face 2"
    assert Others(clip(), [main]).read() == ()
    assert Others(clip(), []).read() == ()


def test_frames_that_were_not_seen_take_no_room(actor_shot: Shot) -> None:
    whole = face(actor_shot, 1.0)
    part = replace(whole, observed=np.array([True, False, False]))
    assert np.isclose(room(part) * 3, room(whole))


def test_the_answer_tells_where_each_face_is(actor_shot: Shot) -> None:
    track = face(actor_shot, 1.0, right=100)
    reading = SignalReading(
        "learned", "Trained detector", 0.3, "found", "much", {"probability": 0.9}
    )
    told = Judged(track, reading).json()
    assert told["frames"] == [0, COUNT]
    assert told["box"][0] > 100
    assert (told["score"], told["probability"]) == (0.3, 0.9)

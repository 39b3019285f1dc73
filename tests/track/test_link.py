"""Linking, cutting, filling and tiles: all on synthetic faces, no models."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.errors import ConfigError
from likeness.track.config import TrackConfig
from likeness.track.detect import suppress, tiles
from likeness.track.landmarks import Face
from likeness.track.link import CutDetector, Linker, fill

_RNG = np.random.default_rng(3)
_CLOUD = _RNG.uniform(-0.5, 0.5, (478, 3)).astype(np.float32)


def _face(x: float, y: float, size: float) -> Face:
    return Face(_CLOUD * size + np.array([x, y, 0], np.float32), 1.0)


def test_two_people_swap_order_and_stay_themselves() -> None:
    linker = Linker(TrackConfig())
    for i in range(30):
        big, small = _face(100 + i, 100, 80), _face(300 - i, 110, 50)
        linker.add(i, [big, small] if i % 3 else [small, big])
    first, second = linker.finish(30)
    assert len(first) == len(second) == 30
    assert np.allclose(np.diff(first.landmarks[:, :, 0].mean(1)), 1, atol=1e-3)
    assert np.allclose(np.diff(second.landmarks[:, :, 0].mean(1)), -1, atol=1e-3)
    assert (first.boxes[:, 2] - first.boxes[:, 0]).mean() > 70


def test_a_cut_is_remembered_and_the_end_is_none() -> None:
    linker = Linker(TrackConfig())
    for i in range(30):
        if i == 14:
            linker.cut(i)
        linker.add(i, [] if 10 <= i < 14 else [_face(100 + i, 100, 80)])
    before, after = sorted(linker.finish(32), key=lambda one: one.start)
    assert before.cut_after is not None
    assert after.cut_after is not None
    # Missed for four frames before the cut: what follows the last one is no blink.
    assert np.flatnonzero(before.cut_after).tolist() == [9]
    # Missed in the last two: the clip ends, the camera does not turn away.
    assert not after.cut_after.any()


def test_short_gap_is_filled_and_marked() -> None:
    linker = Linker(TrackConfig(max_gap=5))
    for i in range(20):
        linker.add(i, [] if 8 <= i < 13 else [_face(100 + 2 * i, 100, 60)])
    (track,) = linker.finish(20)
    assert track.window.start == 0
    assert track.window.stop == 20
    assert track.observed.tolist() == [not 8 <= i < 13 for i in range(20)]
    assert np.allclose(np.diff(track.landmarks[:, 0, 0]), 2, atol=1e-3)
    assert np.all(track.scores[8:13] == 0)


def test_long_gap_ends_a_track() -> None:
    linker = Linker(TrackConfig(max_gap=5))
    for i in range(40):
        linker.add(i, [] if 12 <= i < 18 else [_face(100, 100, 60)])
    tracks = linker.finish(40)
    assert sorted((t.start, len(t)) for t in tracks) == [(0, 12), (18, 22)]


def test_false_alarms_are_dropped_but_a_single_picture_is_kept() -> None:
    linker = Linker(TrackConfig(min_length=8))
    for i in range(20):
        extra = [_face(400, 300, 40)] if i in (4, 5, 6) else []
        linker.add(i, [_face(100, 100, 60), *extra])
    assert len(linker.finish(20)) == 1
    photo = Linker(TrackConfig(min_length=8))
    photo.add(0, [_face(100, 100, 60)])
    assert len(photo.finish(1)) == 1


def test_cut_ends_all_tracks() -> None:
    linker = Linker(TrackConfig())
    for i in range(20):
        if i == 9:
            linker.cut(i)
        linker.add(i, [_face(100, 100, 60)])
    assert sorted(t.start for t in linker.finish(20)) == [0, 9]


def test_cuts_are_seen_and_pans_are_not() -> None:
    detector = CutDetector(TrackConfig())
    wide = _RNG.uniform(0, 255, (120, 16, 3)).repeat(40, 1)[:, :640].astype(np.uint8)
    other = (wide[::-1, ::-1] // 3).astype(np.uint8)
    frames = [wide[:, 6 * i : 6 * i + 200] for i in range(12)] + [other[:, :200]] * 5
    found = [i for i, frame in enumerate(frames) if detector.is_cut(frame)]
    assert found == [12]


def test_fill_interpolates_between_neighbors() -> None:
    values = np.array([[0.0], [4.0], [6.0]], np.float32)
    assert fill(values, np.array([0, 4, 5]), 6)[:, 0].tolist() == [0, 1, 2, 3, 4, 6]


@pytest.mark.parametrize("size", [(1080, 1920), (2160, 3840), (500, 2000), (480, 480)])
def test_tiles_cover_the_frame(size: tuple[int, int]) -> None:
    seen = np.zeros(size, bool)
    cover = tiles(size, 960)
    for x, y, width, height in cover[1:] or cover:
        assert x >= 0
        assert y >= 0
        seen[y : y + height, x : x + width] = True
    assert seen.all()
    assert cover[0] == (0, 0, size[1], size[0])


def test_suppress_keeps_the_best_of_overlapping_boxes() -> None:
    boxes = np.array([[0, 0, 10, 10, 0.6], [1, 1, 11, 11, 0.9], [30, 0, 40, 10, 0.7]], np.float32)
    assert np.allclose(suppress(boxes)[:, 4], [0.9, 0.7])


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="max_faces"):
        TrackConfig(max_faces=0)
    with pytest.raises(ConfigError, match="bundled"):
        TrackConfig(backend="other")  # type: ignore[arg-type]

"""Settings of a finish for ranges of frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.cli.options import Options, settings
from likeness.composite.finish import FinishConfig, FinishRanges
from likeness.composite.finish_settings import fade_warnings
from likeness.config import digest, to_json
from likeness.errors import ConfigError
from likeness.types import Window

SECONDS = np.arange(100) / 25


def colors(config: FinishConfig) -> list[str]:
    ranges = FinishRanges.of(config, SECONDS)
    found = []
    for start in range(0, 100, 7):
        window = Window(start, min(start + 7, 100))
        for run, one in ranges.runs(window):
            found += [one.color] * (run.stop - run.start)
    return found


def test_a_range_holds_from_its_first_to_its_last_frame_and_the_later_one_wins() -> None:
    config = FinishConfig(
        color="lct",
        ranges=(
            {"frames": "20-40", "color": "rct"},
            {"frames": "1.2s-2s", "color": "mkl"},
            {"frames": "90-", "color": "none"},
            {"frames": 5, "color": "idt"},
        ),
    )
    wanted = ["lct"] * 100
    wanted[20:41] = ["rct"] * 21
    wanted[30:51] = ["mkl"] * 21
    wanted[90:] = ["none"] * 10
    wanted[5] = "idt"
    assert colors(config) == wanted


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 9))
def test_windows_make_no_difference(a: int, b: int, length: int) -> None:
    first, last = sorted((a, b))
    config = FinishConfig(ranges=({"frames": f"{first}-{last}", "grain": 0},))
    ranges = FinishRanges.of(config, SECONDS)
    found = []
    for start in range(0, 100, length):
        for run, one in ranges.runs(Window(start, min(start + length, 100))):
            found += [one.grain] * (run.stop - run.start)
    assert [n for n, grain in enumerate(found) if grain == 0] == list(range(first, last + 1))


def test_a_range_changes_the_clips_settings_and_leaves_the_rest() -> None:
    config = FinishConfig(
        mask="learned", grain=0.5, ranges=({"frames": "3-4", "regions": ["face", "-eyes"]},)
    )
    ranges = FinishRanges.of(config, SECONDS)
    inner = ranges.settings[1]
    assert (inner.mask, inner.grain, inner.regions) == ("learned", 0.5, ("face", "-eyes"))
    assert inner.ranges == ()
    assert ranges.any("occluders")
    off = FinishConfig(occluders=False, ranges=({"frames": "3-4", "occluders": True},))
    assert FinishRanges.of(off, SECONDS).any("occluders")
    assert to_json(config)["ranges"] == [{"frames": "3-4", "regions": ["face", "-eyes"]}]
    assert digest(config) != digest(FinishConfig(mask="learned", grain=0.5))


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"frames": "40-20", "color": "rct"}, "backward"),
        ({"frames": "x", "color": "rct"}, "120-240"),
        ({"frames": "1.5-3", "color": "rct"}, "120-240"),
        ({"color": "rct"}, "None"),
        ({"frames": "1-2"}, "changes nothing"),
        ({"frames": "1-2", "colour": "rct"}, "did you mean 'color'"),
        ({"frames": "1-2", "feather": 7.0}, "0.005 to 0.5"),
        ({"frames": "1-2", "ranges": []}, "whole clip"),
        ({"frames": "1-2", "mask_file": "m.png"}, "whole clip"),
    ],
)
def test_a_range_that_cannot_be_meant_is_told_at_once(table: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        FinishConfig(ranges=(table,))


@pytest.mark.parametrize("frames", ["100-120", "90-100", "5s-6s", "4s-"])
def test_a_range_beyond_the_clip_is_told_before_work(frames: str) -> None:
    config = FinishConfig(ranges=({"frames": frames, "color": "rct"},))
    with pytest.raises(ConfigError, match="0 to 99"):
        FinishRanges.of(config, SECONDS)


def test_settings_files_hold_ranges_as_tables(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[finish]\ngrain = 0.5\n[[range]]\nframes = "3-4"\ncolor = "rct"\n')
    read = settings(FinishConfig, "finish", Options(config=file), {"mask": "full"})
    assert (read.grain, read.mask) == (0.5, "full")
    assert FinishRanges.of(read, SECONDS).settings[1].color == "rct"
    file.write_text("range = 3\n")
    with pytest.raises(ConfigError, match=r"\[\[range\]\]"):
        settings(FinishConfig, "finish", Options(config=file))
    file.write_text('[finish]\nranges = []\n[[range]]\nframes = "3-4"\n')
    with pytest.raises(ConfigError, match="twice"):
        settings(FinishConfig, "finish", Options(config=file))


def test_fading_is_told_with_its_rule() -> None:
    degrees = np.zeros(100, np.float32)
    degrees[10:15], degrees[14] = 70, 90
    config = FinishConfig(ranges=({"frames": "0-11", "fade": [80.0, 85.0]},))
    told = fade_warnings(FinishRanges.of(config, SECONDS), degrees)
    assert len(told) == 1
    assert "frames 12 to 14" in told[0]
    assert "from 65 degrees on, gone at 85" in told[0]
    assert "1 of them" in told[0]
    assert fade_warnings(FinishRanges.of(FinishConfig(), SECONDS), np.zeros(100)) == ()

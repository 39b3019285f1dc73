"""How swapped faces are finished: settings of a clip, and of ranges of its frames."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from likeness.composite.color import ColorMode
from likeness.composite.mask import check_regions
from likeness.config import resolve, to_json
from likeness.errors import ConfigError
from likeness.types import Bools, Floats, Ints, Window

OnMiss = Literal["hold", "blur", "blank", "original"]
_RANGE = re.compile(r"\s*([0-9.]{1,12})?(s?)\s*(-?)\s*([0-9.]{1,12})?(s?)\s*")
_MOST_RANGES = 1000


@dataclass(frozen=True)
class FinishConfig:
    """How a swapped face is laid into the target's frames."""

    color: ColorMode = "low-pass"
    """How its color is brought to the target's: light alone (low-pass), mean and spread in Lab
    (rct; rct-literal as DeepFaceLab counts them), linear maps (lct, mkl), whole distributions (idt,
    sot, hist-match); relight is for methods that light their face by the target's fitted light,
    with low-pass after it."""
    mask: Literal["hull", "region", "learned", "full"] = "hull"
    """Where it may lie: the hull of the target's face, named regions, what the method has learned
    to cover, or wherever the method draws. Never where the method draws nothing."""
    regions: tuple[str, ...] = ("face",)
    """For the mask region: face, eyes, brows, nose, mouth, upper, lower; with a minus sign, what is
    left out."""
    forehead: bool = True
    """Whether a hull ends at the hairline: above the tracker's outline where skin is seen there,
    below it where a fringe falls over the forehead."""
    grow: float = -0.01
    """How far a hull is moved outward in units of the face's width; negative is inward."""
    feather: float = 0.06
    """Width of the mask's soft edge in units of the face's width."""
    mask_file: Path | None = None
    """A picture, numbered pictures or a video of the target's size and length; where it is black,
    the target stays as it is."""
    occluders: bool = True
    """Whether what covers the target's face (a hand, a microphone, hair) stays in front."""
    keep_glasses: bool = False
    """Whether the target's own glasses stay in front."""
    blend: Literal["alpha", "multiband", "poisson"] = "multiband"
    """How it is mixed with what lies under it."""
    bands: int = 6
    """Bands of the blend multiband, the coarsest included."""
    kept_bands: int = 0
    """How many of the coarsest bands stay the target's own."""
    contrast: float = 0.0
    """Share to which the target's local contrast is taken over, band by band, 0 to 1."""
    motion_blur: float = 0.5
    """Share of the frame's time for which the shutter was open: 0.5 is film's 180 degrees."""
    grain: float = 1.0
    """Share of the grain that the target's skin has more of than the drawn face; 0 adds none."""
    sharpen: float = 0.0
    """Detail that is added to the drawn face, 0 to 3; 1 doubles the finest."""
    fade: tuple[float, float] = (65.0, 85.0)
    """Degrees between face and camera from which the swap fades, and at which it is gone."""
    on_miss: OnMiss = "hold"
    """What happens in frames in which the target's face is not seen: hold draws through gaps that
    are as short as a blink and leaves longer ones as they were decoded; blur and blank hide the
    face where it was last seen; original leaves every such frame as it was."""
    ranges: tuple[Mapping[str, Any], ...] = ()
    """Settings for ranges of frames, [[range]] in a file: `frames`, "120-240" or "4.8s-9.6s", and
    any of the above; where ranges overlap, the later one holds."""

    def __post_init__(self) -> None:
        for name, low, high in _LIMITS:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} is {value:g}, expected {low:g} to {high:g}")
        if self.kept_bands >= self.bands:
            raise ConfigError(
                f"kept_bands is {self.kept_bands}, expected fewer than the {self.bands} bands"
            )
        begins, ends = self.fade
        if not 0 < begins < ends <= 180:
            raise ConfigError(
                f"fade is {begins:g} to {ends:g} degrees; expected two increasing angles up to 180"
            )
        check_regions(self.regions)
        if len(self.ranges) > _MOST_RANGES:
            raise ConfigError(f"{len(self.ranges)} ranges, expected at most {_MOST_RANGES}")
        for number, table in enumerate(self.ranges, 1):
            _parsed(table, number)
            _changed(self, table, number)


_LIMITS = (
    ("feather", 0.005, 0.5),
    ("grow", -0.4, 0.4),
    ("bands", 2, 8),
    ("kept_bands", 0, 7),
    ("contrast", 0, 1),
    ("motion_blur", 0, 1),
    ("grain", 0, 4),
    ("sharpen", 0, 3),
)


@dataclass(frozen=True, eq=False)
class FinishRanges:
    """Which settings hold in each of M frames."""

    settings: tuple[FinishConfig, ...]
    """Those of the whole clip first, then those of its ranges."""
    index: Ints
    """(M,) which of them holds."""

    @staticmethod
    def of(config: FinishConfig, seconds: Floats) -> FinishRanges:
        """Resolve the ranges of a clip.

        Args:
            config: settings, with their ranges.
            seconds: (M,) when the frames are shown, counted from the first.

        Raises:
            ConfigError: a range lies outside the clip or holds no frame.
        """
        whole = dataclasses.replace(config, ranges=())
        chosen, index = [whole], np.zeros(len(seconds), np.int64)
        for number, table in enumerate(config.ranges, 1):
            held = _frames(table, number, np.asarray(seconds, np.float64))
            # A later range changes the clip's settings, not those of an earlier range.
            chosen.append(_changed(whole, table, number))
            index[held] = number
        return FinishRanges(tuple(chosen), index)

    def __len__(self) -> int:
        return len(self.index)

    def runs(self, window: Window) -> Iterator[tuple[slice, FinishConfig]]:
        """Yield the runs of a window's frames that share settings, counted from its start."""
        index = self.index[window.start : window.stop]
        edges = np.flatnonzero(np.diff(index)) + 1
        ends = [0, *edges.tolist(), len(index)]
        for start, stop in pairwise(ends):
            if stop > start:
                yield slice(start, stop), self.settings[int(index[start])]

    def any(self, name: str) -> bool:
        """Tell whether a setting is on in any frame."""
        used = np.unique(self.index)
        return any(bool(getattr(self.settings[int(i)], name)) for i in used)


def _parsed(table: Mapping[str, Any], number: int) -> tuple[tuple[float, bool], tuple[float, bool]]:
    """Read `frames` of a range: start and stop, each with whether it counts seconds."""
    text = table.get("frames")
    text = str(text) if isinstance(text, int) and not isinstance(text, bool) else text
    match = _RANGE.fullmatch(text) if isinstance(text, str) else None
    if match is None or not (match[1] or match[4]):
        raise _misread(text, number)
    try:
        start = (float(match[1]) if match[1] else 0.0, match[2] == "s")
        end = (float(match[4]) if match[4] else np.inf, match[5] == "s")
        stop = end if match[3] else start
    except ValueError as error:
        raise _misread(text, number) from error
    for value, counts_seconds in (start, stop):
        if not counts_seconds and np.isfinite(value) and value != int(value):
            raise _misread(text, number)
    if start[1] == stop[1] and stop[0] < start[0]:
        raise ConfigError(f"range {number} is {text!r}, which runs backward")
    return start, stop


def _misread(text: Any, number: int) -> ConfigError:
    return ConfigError(
        f'range {number} has the frames {text!r}; expected frames such as "120-240", one such as '
        '"120", seconds such as "4.8s-9.6s", or an open end such as "120-"'
    )


def _frames(table: Mapping[str, Any], number: int, seconds: Floats) -> Bools:
    (start, start_seconds), (stop, stop_seconds) = _parsed(table, number)
    numbers = np.arange(len(seconds))
    # Half a millisecond forgives rounded time stamps.
    after = seconds >= start - 5e-4 if start_seconds else numbers >= start
    before = seconds <= stop + 5e-4 if stop_seconds else numbers <= stop
    held: Bools = after & before
    beyond = np.isfinite(stop) and not stop_seconds and stop >= len(seconds)
    if not held.any() or beyond:
        last = len(seconds) - 1
        raise ConfigError(
            f"range {number} has the frames {table['frames']!r}, and the clip has 0 to {last} "
            f"(up to {float(seconds[-1]):g}s); give frames that it has, or leave the end open"
        )
    return held


def _changed(config: FinishConfig, table: Mapping[str, Any], number: int) -> FinishConfig:
    """Return settings with those of a range laid over them."""
    given = {key: value for key, value in table.items() if key != "frames"}
    if not given:
        raise ConfigError(f"range {number} changes nothing; give it a setting besides its frames")
    if "ranges" in given or "mask_file" in given:
        name = "ranges" if "ranges" in given else "mask_file"
        raise ConfigError(f"range {number} holds {name}, which is for the whole clip")
    fields = dataclasses.fields(config)
    kept = {field.name: getattr(config, field.name) for field in fields if field.name != "ranges"}
    try:
        return resolve(FinishConfig, {**kept, **given})
    except ConfigError as error:
        raise ConfigError(f"range {number} ({table.get('frames')}): {error}") from error


def fade_warnings(ranges: FinishRanges, degrees: Floats) -> tuple[str, ...]:
    """Say in words in which frames a swap fades because the head is turned too far.

    Args:
        ranges: settings of M frames.
        degrees: (M,) between the face and the camera.
    """
    begins = np.array([one.fade[0] for one in ranges.settings])[ranges.index]
    ends = np.array([one.fade[1] for one in ranges.settings])[ranges.index]
    faded = degrees > begins
    if not faded.any():
        return ()
    gone = int((degrees >= ends).sum())
    used = sorted({ranges.settings[int(i)].fade for i in np.unique(ranges.index[faded])})
    rule = ", or ".join(f"from {a:g} degrees on, gone at {b:g}" for a, b in used)
    whole = f"; in {gone} of them nothing of it is left" if gone else ""
    return (
        f"the head turns away from the camera in frames {named_runs(faded)}: the swapped face "
        f"fades there ({rule}){whole}",
    )


def named_runs(chosen: Bools, most: int = 4) -> str:
    """Name runs of True in (M,) facts, such as "3 to 9, 14 and 5 more runs"."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    pairs: Sequence[tuple[int, int]] = list(zip(edges[::2], edges[1::2], strict=True))
    names = [f"{a} to {b - 1}" if b - 1 > a else f"{a}" for a, b in pairs]
    more = f" and {len(names) - most} more runs" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def settings_json(config: FinishConfig) -> Mapping[str, Any]:
    """Return settings as JSON values, for manifests."""
    values: Mapping[str, Any] = to_json(config)
    return values

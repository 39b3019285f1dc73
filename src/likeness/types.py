"""The nouns of the pipeline: frozen dataclasses, checked once, without behavior.

Letters: T frames in clip, N frames in track or window, P points, V vertices, H W frame, h w crop,
C channels, S identity modes, A albedo modes, E expression modes, D code.

Numbers (tracks, params, transforms) rest as numpy arrays; pixels flow as torch tensors (N,3,H,W).

Convention:
    RGB in [0,1] float32. Positions are (x, y) in pixels with the origin at the image corner, so the
    center of the first pixel is (0.5, 0.5). Sizes are (h, w). Angles are radians, lengths
    millimetres. The camera looks along +z with x right and y down. Time is `pts * time_base`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from likeness.errors import ContractError

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

Progress = Callable[[str, int, int], None]
"""Called as (stage, done, total) by everything that takes longer than a second."""


def silent(stage: str, done: int, total: int) -> None:
    """Report progress to nobody."""


def check(fact: bool, message: str) -> None:
    """Raise ContractError with `message` unless `fact` holds."""
    if not fact:
        raise ContractError(message)


def _check_shape(name: str, array: Any, shape: tuple[int | None, ...]) -> None:
    found = tuple(array.shape)
    matches = len(found) == len(shape) and all(
        b is None or a == b for a, b in zip(found, shape, strict=True)
    )
    check(matches, f"{name} has shape {found}, expected {shape} (None is any)")


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open run of consecutive frames [start, stop)."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        check(0 <= self.start <= self.stop, f"window [{self.start}, {self.stop}) runs backward")

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))


@dataclass(frozen=True, slots=True)
class ColorTags:
    """How coded values become color, in ITU-T H.273 code points (2 is unspecified)."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool = False


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """One sound stream of a clip; its packets are copied, never decoded, on the way out."""

    index: int
    """Stream index in the container."""
    codec: str
    sample_rate: int
    channels: int


@dataclass(frozen=True, eq=False)
class Clip:
    """A video file (or image sequence) as facts, without pixels."""

    path: Path
    digest: str
    """sha256 of the file's bytes, hexadecimal."""
    size: tuple[int, int]
    """(H, W) after rotation: the upright frame."""
    pts: Ints
    """(T,) presentation times in units of `time_base`, strictly increasing."""
    time_base: Fraction
    last_duration: int
    """How long the last frame stands, in units of `time_base`."""
    color: ColorTags = ColorTags()
    bit_depth: int = 8
    rotation: int = 0
    """Degrees clockwise that the coded picture was turned by to be upright: 0, 90, 180 or 270."""
    pixel_aspect: Fraction = Fraction(1)
    audio: tuple[AudioTrack, ...] = ()
    codec: str = ""

    def __post_init__(self) -> None:
        _check_shape("pts", self.pts, (None,))
        check(len(self.pts) > 0, f"{self.path} holds no frames")
        check(bool(np.all(np.diff(self.pts) > 0)), "pts must be strictly increasing")
        check(self.last_duration > 0, f"last_duration is {self.last_duration}, expected > 0")
        check(min(self.size) > 0, f"frame size {self.size} is empty")

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def seconds(self) -> float:
        """Duration including the last frame."""
        return float((int(self.pts[-1]) - int(self.pts[0]) + self.last_duration) * self.time_base)

    @property
    def fps(self) -> Fraction:
        """Mean frame rate, derived from the time stamps."""
        ticks = int(self.pts[-1]) - int(self.pts[0]) + self.last_duration
        return Fraction(len(self.pts)) / (ticks * self.time_base)

    def windows(self, length: int) -> Iterator[Window]:
        """Cover the clip with windows of `length` frames; the last may be shorter."""
        for start in range(0, len(self), length):
            yield Window(start, min(start + length, len(self)))


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound file, or the sound of a clip, as facts, without samples."""

    path: Path
    digest: str
    """sha256 of the file's bytes, hexadecimal."""
    audio: tuple[AudioTrack, ...]
    seconds: float
    """Duration of the first track."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """When each written frame is shown, and which sound lies under it."""

    pts: Ints
    time_base: Fraction
    last_duration: int
    sound: Clip | Sound | None
    """Whose audio packets are copied; None for silence."""
    sound_until: Fraction | None = None
    """Seconds from which on no packet is copied; None copies all of them."""

    def __post_init__(self) -> None:
        _check_shape("pts", self.pts, (None,))
        check(bool(np.all(np.diff(self.pts) > 0)), "pts must be strictly increasing")

    def __len__(self) -> int:
        return len(self.pts)

    @staticmethod
    def of(clip: Clip, sound: Clip | None = None) -> Timeline:
        """The clip's own timing, with the sound of `sound`."""
        return Timeline(clip.pts, clip.time_base, clip.last_duration, sound)


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """Where one person's face is, in consecutive frames of one shot."""

    start: int
    """Index in the clip of the track's first frame."""
    boxes: Floats
    """(N,4) x0 y0 x1 y1 in pixels of the upright frame."""
    landmarks: Floats
    """(N,478,3) x y in pixels; z in the same scale, smaller is nearer, 0 near the head's middle."""
    scores: Floats
    """(N,) confidence in [0,1]; 0 where not observed."""
    observed: Bools
    """(N,) False where the face was filled in, not seen."""
    identity: Floats | None = None
    """(D,) what a recognizer says of the face, in its own terms (`recognize`), or None."""
    cut_after: Bools | None = None
    """(N,) True in the last frame that shows the face before the picture cuts; None is nowhere."""

    def __post_init__(self) -> None:
        n = len(self.boxes)
        check(n > 0, "a track needs at least one frame")
        _check_shape("boxes", self.boxes, (n, 4))
        _check_shape("landmarks", self.landmarks, (n, 478, 3))
        _check_shape("scores", self.scores, (n,))
        _check_shape("observed", self.observed, (n,))
        if self.cut_after is not None:
            _check_shape("cut_after", self.cut_after, (n,))

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def cuts(self) -> Bools:
        """(N,) `cut_after`, False where nothing is known."""
        return np.zeros(len(self), np.bool_) if self.cut_after is None else self.cut_after

    @property
    def window(self) -> Window:
        """Frames of the clip that the track covers."""
        return Window(self.start, self.start + len(self))


@dataclass(frozen=True, eq=False)
class FaceParams:
    """What one face is (shape, albedo, focal) and does (the rest), in terms of a face model.

    Convention:
        camera point = R(rotation) @ head point + translation, millimetres; pixel = focal * xy / z
        + center of the frame. Gaze angles turn the eyes in the head: yaw > 0 toward image right,
        pitch > 0 downward. Eye 0 is the person's right eye (image left), eye 1 the left.
    """

    model: str
    """Name of the face model that the coefficients belong to."""
    shape: Floats
    """(S,) identity coefficients in standard deviations."""
    albedo: Floats
    """(A,) albedo coefficients in standard deviations."""
    expression: Floats
    """(N,E) expression weights, 0 rest, 1 full."""
    expression_names: tuple[str, ...]
    rotation: Floats
    """(N,3) axis-angle, head to camera."""
    translation: Floats
    """(N,3) millimetres."""
    light: Floats
    """(N,9,3) spherical-harmonic coefficients per color channel."""
    gaze: Floats
    """(N,2,2) per eye (yaw, pitch) relative to the head."""
    focal: float
    """Pixels of the upright frame."""

    def __post_init__(self) -> None:
        n, e = len(self.rotation), len(self.expression_names)
        _check_shape("expression", self.expression, (n, e))
        _check_shape("rotation", self.rotation, (n, 3))
        _check_shape("translation", self.translation, (n, 3))
        _check_shape("light", self.light, (n, 9, 3))
        _check_shape("gaze", self.gaze, (n, 2, 2))
        check(self.focal > 0, f"focal is {self.focal}, expected > 0 pixels")

    def __len__(self) -> int:
        return len(self.rotation)

    def column(self, name: str) -> Floats:
        """(N,) weights of the expression called `name`."""
        check(name in self.expression_names, f"no expression is called {name!r}")
        return self.expression[:, self.expression_names.index(name)]


@dataclass(frozen=True, eq=False)
class Shot:
    """All that is known of one person in one clip; saved as NAME.shot/."""

    clip: Clip
    track: FaceTrack
    params: FaceParams

    def __post_init__(self) -> None:
        check(
            len(self.track) == len(self.params),
            f"track has {len(self.track)} frames, params have {len(self.params)}",
        )


@dataclass(frozen=True, eq=False)
class Crop:
    """Aligned squares cut from frames."""

    size: tuple[int, int]
    crop_from_frame: Floats
    """(N,2,3) similarities with positive scale; the inverse is computed, never stored."""

    def __post_init__(self) -> None:
        _check_shape("crop_from_frame", self.crop_from_frame, (None, 2, 3))
        determinant = np.linalg.det(self.crop_from_frame[:, :, :2])
        check(bool(np.all(determinant > 0)), "crop_from_frame must keep orientation")

    def __len__(self) -> int:
        return len(self.crop_from_frame)


@dataclass(frozen=True, eq=False)
class Layer:
    """What a method paints back: straight alpha in crop space."""

    crop: Crop
    rgb: torch.Tensor
    """(N,3,h,w) in [0,1]."""
    alpha: torch.Tensor
    """(N,1,h,w) in [0,1]; 0 leaves the decoded frame untouched, bit for bit."""

    def __post_init__(self) -> None:
        n, (h, w) = len(self.crop), self.crop.size
        _check_shape("rgb", self.rgb, (n, 3, h, w))
        _check_shape("alpha", self.alpha, (n, 1, h, w))


Told = TypeVar("Told")
"""What a method's conditioner tells its own generator; no two methods need to agree on it."""


class Method(Protocol[Told]):
    """A choice for the two slots of the pipeline that differ: condition and synthesize.

    It is asked by several threads at once, window by window, and must answer for a frame alike
    whatever window the frame comes in.
    """

    def condition(self, window: Window, frames: torch.Tensor) -> Told:
        """Tell the generator about a window of the output's timeline.

        Args:
            window: N frames of the output.
            frames: (N,3,H,W) RGB in [0,1]: the decoded frames that the plan shows there.
        """
        ...

    def synthesize(self, told: Told) -> Layer:
        """Let the generator answer."""
        ...


@dataclass(frozen=True, eq=False)
class Weights:
    """One network at rest: a key of the literal class table, its settings and its tensors."""

    network: str
    config: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained model: all that is needed to run it, nothing needed only to train it."""

    method: str
    networks: Mapping[str, Weights]
    input: Mapping[str, Any]
    """Crop spec, color and range that the networks expect (JSON values)."""
    training: Mapping[str, Any]
    """Resolved settings, seed, data digests, steps and seconds (JSON values)."""
    license: str
    people: tuple[Mapping[str, Any], ...] = ()
    """Who is shown, in which role, and on which consent."""
    shot: Shot | None = None
    """The target's performance: clip facts and params, no pixels."""
    preview: torch.Tensor | None = None
    """(3,h,w) picture for people who browse bundles."""
    versions: Mapping[str, str] = field(default_factory=dict)

"""A trained detector among the signals: what a small network says of a clip's faces.

One network was trained on real faces that were blended with a changed copy of themselves (Shiohara
and Yamasaki 2022), the other on faces that were laid over others; `docs/verify.md` says how both
were measured and what they miss. Each face is shown at the frame's own pixel density and whole at a
fixed size; the answer is one number, and a map of where a change is seen. The mean over up to 32
frames, calibrated on people whom training never saw, is a probability under the stated base rate.
The score is how rarely real pictures get as far, so that it means what the scores of other signals
mean. Where the face is too small or seen too rarely, or the answer lies where the detector is no
help, it says so and gives no score.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.nn import functional

from likeness.track.measure import EYE_CORNERS
from likeness.types import Floats, Window
from likeness.verify.detector import Detector, read_detector
from likeness.verify.faces import LEAST, sight, whole_face
from likeness.verify.signal import NO_FACE, Curve, Scene, SignalReading, surprise

BASE_RATE = 0.5
"""Share of changed clips that the probability assumes."""
_FRAMES = 32
"""Faces that are looked at, spread over the clip."""
_FEW = 3
"""Faces below which nothing is said: single photos that are blurred or were edited mislead it."""
_TITLE = "Trained detector"
_MOSTLY = 0.6
_BLIND = (
    "Knows the traces of blending, and how faces look that this program laid over others. Most "
    "single changes stay below its threshold; what moves or shades a person's own face it mostly "
    "misses, and what is drawn whole by a strong generator, or filmed again from a screen, may "
    "leave no trace. It was trained on few people, most of them in photographs."
)


@dataclass(frozen=True)
class Calibration:
    """From the network's number to what is said of it."""

    scale: float
    """The log odds are scale * number + shift, at the base rate."""
    shift: float
    alarm: float
    """Probability from which a clip is called changed: printed with its false alarms."""
    calm: float
    """Probability up to which nothing is found; between both it cannot be told."""
    least: float
    """Pixels between the outer corners of the eyes below which nothing is said."""
    real: tuple[float, ...]
    """The network's numbers for real pictures of people whom training never saw: quantiles at
    equal steps, increasing."""
    pictures: int
    """How many pictures these stand for: nothing rarer than one among them can be told."""

    def probability(self, number: float) -> float:
        """Return the probability that a face was changed, at the base rate."""
        return float(1 / (1 + np.exp(-np.clip(self.scale * number + self.shift, -30, 30))))

    def rarity(self, number: float) -> float:
        """Return the share of real pictures that get as far."""
        below = float(np.searchsorted(self.real, number)) / len(self.real)
        return max(1 - below, 1 / self.pictures)


def detector() -> tuple[Detector, Calibration]:
    """Return the networks and their calibration.

    Raises:
        BundleError: the files in the package are damaged.
    """
    networks, bundle = read_detector()
    known = dict(bundle.input["calibration"])
    return networks, Calibration(**{**known, "real": tuple(known["real"])})


class LearnedSignal:
    """Shows the network some faces while the clip goes by."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._network, self._calibration = detector()
        self._numbers: list[tuple[int, float]] = []
        self._inside = {"mouth": 0.0, "face": 0.0, "": 0.0}
        self._most: tuple[float, torch.Tensor, Floats] | None = None
        self._chosen = frozenset[int]()
        if scene.track is not None:
            seen = np.flatnonzero(scene.track.observed)
            some = np.linspace(0, len(seen) - 1, min(_FRAMES, len(seen))).round().astype(int)
            self._chosen = frozenset(int(seen[i]) + scene.track.start for i in some)

    def look(self, window: Window, frames: torch.Tensor) -> None:
        """Show the network the faces of the frames that were chosen."""
        for row, frame in enumerate(window):
            points = self._scene.landmarks(frame) if frame in self._chosen else None
            if points is None or min(frames.shape[2:]) < LEAST:
                continue
            if _between_eyes(points) >= self._calibration.least:
                self._ask(frames[row], points, frame)

    def read(self) -> SignalReading:
        """Say what the network made of all faces together."""
        if self._scene.track is None:
            return _without(NO_FACE)
        if not self._numbers:
            return _without(
                f"the face has less than {self._calibration.least:.0f} pixels between the outer "
                "corners of the eyes; too small to tell"
            )
        known = self._calibration
        number = float(np.mean([number for _, number in self._numbers]))
        probability, rarity = known.probability(number), known.rarity(number)
        numbers = {
            "probability": probability,
            "base_rate": BASE_RATE,
            "alarm": known.alarm,
            "rarity": rarity,
            "faces": len(self._numbers),
        }
        curves = self._curves() if len(self._numbers) > 1 else ()
        if len(self._numbers) < _FEW:
            found = (
                f"cannot tell from so few pictures of a face: {_FEW} are needed; the probability "
                f"is {probability:.0%}"
            )
            return SignalReading("learned", _TITLE, None, found, _BLIND, numbers, curves)
        if known.calm < probability < known.alarm:
            return SignalReading(
                "learned", _TITLE, None, f"cannot tell: the probability is {probability:.0%}, and "
                f"between {known.calm:.0%} and {known.alarm:.0%} the detector is as often wrong as "
                "it helps", _BLIND, numbers, curves)  # fmt: skip
        if probability <= known.calm:
            found = "no sign of blending"
            return SignalReading("learned", _TITLE, 0.0, found, _BLIND, numbers, curves)
        finding = (
            f"{probability:.0%} likely changed if every other clip were, most in {self._part()}; "
            f"{rarity:.1%} of real pictures get as far"
        )
        return SignalReading(
            "learned", _TITLE, surprise(rarity), finding, _BLIND, numbers, curves, self._picture(),
            "The face that speaks most; red is where the network sees a change.")  # fmt: skip

    def _ask(self, picture: torch.Tensor, points: Floats, frame: int) -> None:
        height, width = picture.shape[1:]
        seen = sight(points, (height, width), len(self._numbers))
        crop = torch.from_numpy(np.ascontiguousarray(seen.of(picture.numpy())))
        whole = whole_face(picture.permute(1, 2, 0).numpy(), points)
        number, where = self._network(
            crop,
            torch.from_numpy(seen.oval(points)),
            torch.from_numpy(np.ascontiguousarray(whole.transpose(2, 0, 1))),
        )
        shown = where.numpy()
        self._numbers.append((frame, number))
        for part, inside in (("mouth", seen.mouth(points)), ("face", seen.oval(points))):
            at_map = cv2.resize(inside, shown.shape[::-1], interpolation=cv2.INTER_AREA)
            self._inside[part] += float((shown * at_map).sum())
        self._inside[""] += float(shown.sum())
        if self._most is None or number > self._most[0]:
            self._most = (number, crop, shown)

    def _part(self) -> str:
        """Name the smallest part that holds most of the map."""
        for part in ("mouth", "face"):
            if self._inside[part] > _MOSTLY * self._inside[""]:
                return f"the {part}"
        return "the whole head"

    def _curves(self) -> tuple[Curve, ...]:
        frames = np.array([frame for frame, _ in self._numbers])
        told = [self._calibration.probability(number) for _, number in self._numbers]
        return (
            Curve(
                "Trained detector",
                self._scene.seconds(frames),
                {"probability": np.array(told, np.float32)},
                ("seconds", "probability"),
                usual=(0.0, self._calibration.alarm),
                over_time=True,
                limits=(0.0, 1.0),
            ),
        )

    def _picture(self) -> torch.Tensor | None:
        if self._most is None:
            return None
        _, crop, where = self._most
        small = torch.from_numpy(where.copy())[None, None]
        red = functional.interpolate(small, crop.shape[1:], mode="bilinear", align_corners=False)
        tint = torch.tensor([1.0, 0.1, 0.1])[:, None, None]
        return torch.lerp(crop, tint.expand_as(crop), 0.5 * red[0]).clamp(0, 1)


def _between_eyes(points: Floats) -> float:
    """Pixels between the outer corners of the eyes."""
    return float(np.linalg.norm(np.subtract(*points[EYE_CORNERS[:, 0], :2])))


def _without(reason: str) -> SignalReading:
    return SignalReading("learned", _TITLE, None, f"Not applicable: {reason}.", _BLIND)

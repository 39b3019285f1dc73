"""What an actor does: head motion, speech, blinks and gaze drawn from a seed.

A motion knows nothing of the person who performs it, so the same motion on two actors is exact
ground truth for transfer between them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.interpolate import PchipInterpolator

from likeness.actor.surface import Reals
from likeness.types import Floats, Window, check

Style = Literal["talk", "expressive", "still"]

EXPRESSIONS = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight",
    "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft",
    "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight",
    "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight",
    "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
    "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft",
    "noseSneerRight", "tongueOut",
)  # fmt: skip

# Mouth shapes of speech: weights by name, where "mouthSmile" means both sides.
_VOWELS: tuple[dict[str, float], ...] = (
    {"jawOpen": 0.48, "mouthStretch": 0.10, "mouthUpperUp": 0.10, "mouthLowerDown": 0.15},
    {"jawOpen": 0.28, "mouthSmile": 0.22, "mouthStretch": 0.20, "mouthLowerDown": 0.20},
    {"jawOpen": 0.16, "mouthSmile": 0.32, "mouthUpperUp": 0.12, "mouthLowerDown": 0.18},
    {"jawOpen": 0.32, "mouthFunnel": 0.50, "mouthPucker": 0.15},
    {"jawOpen": 0.14, "mouthPucker": 0.60, "mouthFunnel": 0.25},
    {"jawOpen": 0.36, "mouthLowerDown": 0.10},
)
_CONSONANTS: tuple[dict[str, float], ...] = (
    {"jawOpen": 0.02, "mouthPress": 0.45, "mouthClose": 0.02},
    {"jawOpen": 0.05, "mouthRollLower": 0.45, "mouthUpperUp": 0.12},
    {"jawOpen": 0.08, "mouthStretch": 0.12, "mouthSmile": 0.10},
    {"jawOpen": 0.10, "mouthFunnel": 0.30},
    {"jawOpen": 0.12},
)
_PAIRED = {name[:-4] for name in EXPRESSIONS if name.endswith("Left")} - {"jaw", "mouth"}
YAW, PITCH, ROLL = np.deg2rad([25.0, 12.0, 8.0])


@dataclass(frozen=True, eq=False)
class Motion:
    """N frames of performance.

    Convention:
        Angles as in FaceParams; yaw, pitch and roll as in `geometry.rotation_from_euler`.
        Translation is relative to where the actor stands.
    """

    fps: float
    expression: Floats
    """(N,52) weights in the order of `EXPRESSIONS`."""
    angles: Floats
    """(N,3) yaw, pitch, roll in radians."""
    translation: Floats
    """(N,3) millimetres."""
    gaze: Floats
    """(N,2,2) per eye (yaw, pitch) relative to the head."""
    seed: int = 0

    def __post_init__(self) -> None:
        n = len(self.angles)
        check(n > 0, "a motion needs at least one frame")
        check(self.fps > 0, f"fps is {self.fps}, expected > 0")
        found = (self.expression.shape, self.translation.shape, self.gaze.shape)
        expected = ((n, len(EXPRESSIONS)), (n, 3), (n, 2, 2))
        check(found == expected, f"motion arrays have shapes {found}, expected {expected}")

    def __len__(self) -> int:
        return len(self.angles)

    @staticmethod
    def from_seed(seed: int, seconds: float, fps: float = 25.0, style: Style = "talk") -> Motion:
        """Draw a performance.

        Args:
            seed: any integer >= 0.
            seconds: length, greater than zero.
            fps: frames per second; the same seed at another rate is the same performance.
            style: "talk" speaks with moderate head motion, "expressive" adds smiles, frowns, wide
                eyes and the full range of turns, "still" only breathes and blinks.

        Raises:
            ContractError: seconds or fps is not positive.
        """
        check(seconds > 0, f"seconds is {seconds}, expected > 0")
        check(fps > 0, f"fps is {fps}, expected > 0")
        count = max(round(seconds * fps), 1)
        time = np.arange(count) / fps
        gain = {"talk": 0.75, "expressive": 1.0, "still": 0.1}[style]
        weights = np.zeros((count, len(EXPRESSIONS)))
        if style != "still":
            _speak(weights, time, seed, 1.0 if style == "talk" else 1.15)
            _emote(weights, time, seed, style)
        _blink(weights, time, seed)
        angles = _turn(time, seed, gain)
        gaze = _look(time, seed, angles)
        _lids_follow(weights, gaze)
        sway = _wander(time, seed, 31, (0.13, 0.29), 3) * np.array([9.0, 4.0, 10.0]) * gain
        return Motion(
            fps,
            np.clip(weights, 0, 1).astype(np.float32),
            angles.astype(np.float32),
            sway.astype(np.float32),
            gaze.astype(np.float32),
            seed,
        )

    def column(self, name: str) -> Floats:
        """(N,) weights of one expression."""
        check(name in EXPRESSIONS, f"no expression is called {name!r}")
        return self.expression[:, EXPRESSIONS.index(name)]

    def cut(self, window: Window) -> Motion:
        """Return the frames of a window."""
        span = slice(window.start, window.stop)
        return replace(
            self,
            expression=self.expression[span],
            angles=self.angles[span],
            translation=self.translation[span],
            gaze=self.gaze[span],
        )


def torso_motion(motion: Motion, lag: float = 0.30) -> tuple[Floats, Floats]:
    """How shoulders follow the head: late and a little.

    Args:
        motion: performance.
        lag: time constant of the low-pass in seconds.

    Returns:
        (N,3) yaw, pitch, roll and (N,3) translation of the torso: the head's, filtered, times 0.22,
        0.10, 0.18 (angles) and 0.55 (translation).
    """
    share = 1 - np.exp(-1 / (motion.fps * lag))
    state = np.concatenate([motion.angles[0], motion.translation[0]]).astype(np.float64)
    out = np.empty((len(motion), 6))
    both = np.concatenate([motion.angles, motion.translation], 1)
    for index, now in enumerate(both):
        state = state + share * (now - state)
        out[index] = state
    angles = out[:, :3] * [0.22, 0.10, 0.18]
    return angles.astype(np.float32), (out[:, 3:] * 0.55).astype(np.float32)


def _add(weights: Reals, name: str, values: Reals, right: float = 1.0) -> None:
    """Add a curve to an expression, or to both sides of a paired one."""
    if name in _PAIRED:
        weights[:, EXPRESSIONS.index(name + "Left")] += values
        weights[:, EXPRESSIONS.index(name + "Right")] += values * right
    else:
        weights[:, EXPRESSIONS.index(name)] += values


def _wander(
    time: Reals, seed: int, stream: int, frequencies: tuple[float, ...], channels: int
) -> Reals:
    """(N,channels) smooth wandering within about [-1, 1]: sines with random phases."""
    rng = np.random.default_rng((seed, stream))
    total = np.zeros((len(time), channels))
    for f in frequencies:
        rate = f * rng.uniform(0.8, 1.2, channels)
        phase = rng.uniform(0, 2 * np.pi, channels)
        total += np.sin(2 * np.pi * time[:, None] * rate + phase)
    return np.asarray(total / len(frequencies))


def _pulse(time: Reals, start: float, rise: float, hold: float, fall: float) -> Reals:
    """0 to 1 to 0 with smooth flanks."""
    up = np.clip((time - start) / rise, 0, 1)
    down = np.clip((time - start - rise - hold) / fall, 0, 1)
    return np.asarray(up * up * (3 - 2 * up) * (1 - down * down * (3 - 2 * down)))


def _speak(weights: Reals, time: Reals, seed: int, gain: float) -> None:
    """Phrases of 4 to 5.5 syllables per second with closures and pauses."""
    rng = np.random.default_rng((seed, 21))
    end = float(time[-1]) + 1.0
    clock, keys = float(rng.uniform(0.1, 0.4)), [(0.0, {"jawOpen": 0.0})]
    while clock < end:
        phrase = clock + rng.uniform(1.4, 3.6)
        loud = rng.uniform(0.8, 1.2)
        while clock < phrase:
            beat = 1 / rng.uniform(4.0, 5.5)
            sound = _CONSONANTS[int(rng.integers(len(_CONSONANTS)))]
            vowel = _VOWELS[int(rng.integers(len(_VOWELS)))]
            stress = loud * rng.uniform(0.65, 1.25)
            keys.append((clock, sound))
            keys.append((clock + 0.5 * beat, {k: v * stress for k, v in vowel.items()}))
            clock += beat
        keys.append((clock, {"jawOpen": 0.01}))
        clock += rng.uniform(0.3, 0.8)
        keys.append((clock, {"jawOpen": 0.01}))
        clock += 0.05
    moments = np.array([t for t, _ in keys])
    for name in sorted({n for _, shape in keys for n in shape}):
        values = [shape.get(name, 0.0) for _, shape in keys]
        curve = PchipInterpolator(moments, values)(time) * gain
        _add(weights, name, curve, right=0.92)


def _emote(weights: Reals, time: Reals, seed: int, style: Style) -> None:
    """Smiles, raised and lowered brows; in expressive style also wide eyes, frowns, sneers."""
    rng = np.random.default_rng((seed, 22))
    events: list[tuple[tuple[tuple[str, float], ...], float]] = [
        ((("mouthSmile", 0.75), ("cheekSquint", 0.45), ("eyeSquint", 0.2)), 0.30),
        ((("browInnerUp", 0.7), ("browOuterUp", 0.6)), 0.35),
        ((("browDown", 0.6),), 0.20),
    ]
    if style == "expressive":
        events += [
            ((("eyeWide", 0.8), ("browInnerUp", 0.8), ("browOuterUp", 0.8)), 0.25),
            ((("mouthFrown", 0.7), ("browDown", 0.5)), 0.20),
            ((("noseSneer", 0.6), ("mouthUpperUp", 0.4)), 0.15),
            ((("mouthLeft", 0.6),), 0.12),
            ((("mouthRight", 0.6),), 0.12),
            ((("jawOpen", 0.45), ("browOuterUp", 0.5)), 0.20),
        ]
    end = float(time[-1]) + 1.0
    for shapes, rate in events:
        clock = float(rng.exponential(1 / rate))
        while clock < end:
            size = rng.uniform(0.6, 1.1)
            pulse = size * _pulse(
                time, clock, rng.uniform(0.25, 0.5), rng.uniform(0.4, 1.6), rng.uniform(0.35, 0.7)
            )
            for name, weight in shapes:
                _add(weights, name, pulse * weight, right=float(rng.uniform(0.85, 1.0)))
            clock += 1.5 + float(rng.exponential(1 / rate))


def _blink(weights: Reals, time: Reals, seed: int) -> None:
    """Blinks every 2 to 5 s: 0.12 s to close, 0.05 s shut, 0.2 s to open; both eyes, fully."""
    rng = np.random.default_rng((seed, 23))
    clock = float(rng.uniform(0.5, 1.6))
    closed = np.zeros(len(time))
    while clock < float(time[-1]) + 1.0:
        closed = np.maximum(closed, _pulse(time, clock, 0.12, 0.05, 0.20))
        clock += float(rng.uniform(2.0, 5.0) if rng.random() > 0.15 else 0.45)
    _add(weights, "eyeBlink", closed)


def _turn(time: Reals, seed: int, gain: float) -> Reals:
    """(N,3) yaw, pitch, roll: wandering, deliberate turns and bursts of nods."""
    rng = np.random.default_rng((seed, 24))
    angles = _wander(time, seed, 25, (0.11, 0.23, 0.47), 3) * [0.45, 0.45, 0.6]
    end = float(time[-1]) + 1.0
    clock = float(rng.uniform(0.3, 2.0))
    side = 1.0 if rng.random() < 0.5 else -1.0
    while clock < end:
        pulse = _pulse(time, clock, rng.uniform(0.5, 0.9), rng.uniform(0.4, 1.3), 0.8)
        reach = np.array([side * rng.uniform(0.6, 1.0), rng.uniform(-0.6, 0.6), 0.4 * side])
        angles += pulse[:, None] * (reach - 0.5 * angles)
        side = -side if rng.random() < 0.75 else side
        clock += float(rng.uniform(2.4, 4.5))
    clock = float(rng.uniform(1.0, 3.0))
    while clock < end:
        burst = _pulse(time, clock, 0.3, 0.6, 0.4)
        angles[:, 1] += burst * 0.55 * np.sin(2 * np.pi * 1.9 * (time - clock))
        clock += float(rng.uniform(3.0, 6.5))
    # tanh keeps the extremes inside the range without a corner in the curve.
    limit = np.array([YAW, PITCH, ROLL])
    return np.asarray(np.tanh(angles * 1.25) * limit * min(gain * 1.05, 1.0))


def _look(time: Reals, seed: int, angles: Reals) -> Reals:
    """(N,2,2) gaze: saccades between fixations, held against part of the head's motion."""
    rng = np.random.default_rng((seed, 26))
    end = float(time[-1]) + 1.0
    moments, targets = [0.0], [np.zeros(2)]
    clock = float(rng.uniform(0.3, 1.0))
    while clock < end:
        wide = rng.random() < 0.35
        reach = np.deg2rad([19.0, 10.0] if wide else [7.0, 4.0])
        target = rng.uniform(-1, 1, 2) * reach if rng.random() > 0.3 else np.zeros(2)
        moments += [clock, clock + 0.05]
        targets += [targets[-1], target]
        clock += 0.06 + float(rng.uniform(0.5, 1.9))
    path = np.array(targets)
    gaze = np.stack([np.interp(time, moments, path[:, k]) for k in range(2)], 1)
    # The eyes stay on the other person while the head turns: half of the turn is taken back.
    gaze -= 0.5 * angles[:, :2]
    limit = np.deg2rad([26.0, 15.0])
    gaze = np.tanh(gaze / limit) * limit
    return np.repeat(gaze[:, None], 2, 1)


def _lids_follow(weights: Reals, gaze: Reals) -> None:
    """Set the eyeLook weights that go with the gaze; full weight at 30 degrees."""
    full = np.deg2rad(30.0)
    for eye, (side, inward) in enumerate((("Right", 1.0), ("Left", -1.0))):
        yaw, pitch = gaze[:, eye, 0] * inward / full, gaze[:, eye, 1] / full
        for name, value in (("In", yaw), ("Out", -yaw), ("Down", pitch), ("Up", -pitch)):
            weights[:, EXPRESSIONS.index(f"eyeLook{name}{side}")] = np.clip(value, 0, 1)

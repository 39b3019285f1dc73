"""Author the expression modes: handles spread over the skin, jaw, lids and smooth details."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from face_handles import BOTH, LOWER_LID, NAMES, RIGHT, SLIDE, UPPER_LID, Pull
from face_topology import Floats, Ints, graph_distance
from scipy.linalg import eigh

OUT_UP_FRONT = np.array([-1.0, -1.0, -1.0])
"""(out, up, front) of the person's right side, image left, in head axes."""
JAW_ANGLE = np.deg2rad(21.0)
_CHIN = (152, 148, 377, 176, 400, 175, 199, 200, 18, 83, 313, 17, 84, 314, 181, 405, 91, 321,
         14, 87, 317, 178, 402, 88, 318, 149, 378, 171, 396, 208, 428, 201, 421, 182, 406, 106, 335,
         194, 418, 32, 262, 140, 369)  # fmt: skip
_ABOVE = (0, 37, 267, 39, 269, 40, 270, 13, 82, 312, 81, 311, 80, 310, 1, 2, 98, 327, 164, 129, 358,
          205, 425, 50, 280, 117, 346, 145, 374, 10, 234, 454, 127, 356, 93, 323, 203, 423, 36, 266,
          123, 352, 147, 376, 137, 366, 116, 345)  # fmt: skip


@dataclass(frozen=True)
class Skin:
    """The mesh that expressions are authored on."""

    mean: Floats
    faces: Ints
    twin: Ints
    inner_pairs: Ints
    """(P,2) inner upper lip vertex and the lower one that touches it."""

    def stiffness(self) -> Floats:
        """Bi-Laplacian of the edge graph with inverse-length weights (V,V)."""
        laplacian = self.laplacian()
        mass = np.maximum(np.diag(laplacian), 1e-9)
        return np.asarray(laplacian @ (laplacian / mass[:, None]))

    def laplacian(self) -> Floats:
        """Graph Laplacian with weights one over edge length (V,V)."""
        weights = np.zeros((len(self.mean), len(self.mean)))
        for i, j in ((0, 1), (1, 2), (2, 0)):
            a, b = self.faces[:, i], self.faces[:, j]
            weights[a, b] = weights[b, a] = 1.0 / np.linalg.norm(
                self.mean[a] - self.mean[b], axis=1
            )
        return np.diag(weights.sum(1)) - weights

    def spread(self, handles: dict[int, Floats], reach: float, still: tuple[int, ...]) -> Floats:
        """Continue displacements smoothly: least bending energy, zero beyond `reach`."""
        pulled = np.array(sorted(handles), np.int64)
        distance = graph_distance(self.faces, self.mean, pulled)
        fixed = np.where(distance > reach)[0]
        known = np.unique(np.concatenate([pulled, fixed, np.array(still, np.int64)]))
        values = np.zeros((len(known), 3))
        for row, vertex in enumerate(known):
            values[row] = handles.get(int(vertex), np.zeros(3))
        free = np.setdiff1d(np.arange(len(self.mean)), known)
        # A little membrane energy keeps thin-plate overshoot away.
        energy = self.stiffness() + 0.05 * self.laplacian()
        moved = np.zeros_like(self.mean)
        moved[known] = values
        moved[free] = np.linalg.solve(
            energy[np.ix_(free, free)], -energy[np.ix_(free, known)] @ values
        )
        return moved

    def mirrored(self, offsets: Floats) -> Floats:
        """The same displacement on the other side of the face."""
        return offsets[self.twin] * [-1.0, 1.0, 1.0]


def named_modes(skin: Skin) -> Floats:
    """All 52 named modes (52,V,3) in the order of `NAMES`."""
    modes: dict[str, Floats] = {}
    for name, pull in RIGHT.items():
        modes[f"{name}Right"] = _pulled(skin, pull)
    modes["eyeBlinkRight"] = _blink(skin)
    modes["eyeLookInRight"] = -modes["eyeLookOutRight"]
    slide = _pulled(skin, SLIDE)
    modes["mouthRight"] = 0.5 * (slide - skin.mirrored(slide))
    jaw = jaw_weights(skin)
    modes["jawRight"] = jaw[:, None] * np.array([-8.0, 0.0, 0.0])
    for name in [n for n in modes if n.endswith("Right")]:
        modes[name.removesuffix("Right") + "Left"] = skin.mirrored(modes[name])
    for name, pull in BOTH.items():
        modes[name] = _pulled(skin, pull)
    modes["jawForward"] = jaw[:, None] * np.array([0.0, 0.6, -8.0])
    modes["jawOpen"] = _jaw_open(skin, jaw)
    modes["mouthClose"] = _mouth_close(skin, modes["jawOpen"])
    # The tongue is no part of the tracker's mesh; the name is kept so that files stay aligned.
    modes["tongueOut"] = np.zeros_like(skin.mean)
    return np.stack([modes[name] for name in NAMES])


def jaw_weights(skin: Skin) -> Floats:
    """How much each vertex follows the jaw (V,), 0..1, harmonic between jaw and skull."""
    values = dict.fromkeys(_ABOVE, 0.0) | dict.fromkeys(_CHIN, 1.0)
    values |= dict.fromkeys((61, 78, 291, 308), 0.40)
    values |= dict.fromkeys((80, 310, 40, 270), 0.05) | dict.fromkeys((88, 318, 91, 321), 0.86)
    values |= dict.fromkeys((95, 324, 146, 375), 0.62) | dict.fromkeys((191, 415, 185, 409), 0.17)
    values |= dict.fromkeys((150, 379), 0.95) | dict.fromkeys((136, 365), 0.85)
    values |= dict.fromkeys((172, 397), 0.68) | dict.fromkeys((58, 288), 0.42)
    values |= dict.fromkeys((132, 361), 0.2) | dict.fromkeys((204, 424, 211, 431, 170, 395), 0.95)
    values |= dict.fromkeys((202, 422, 210, 430, 169, 394), 0.82)
    values |= dict.fromkeys((43, 273), 0.66) | dict.fromkeys((57, 287), 0.4)
    # Everything above the nose's base stays with the skull.
    high = np.where(skin.mean[:, 1] < skin.mean[2, 1] - 4.0)[0]
    values |= {int(v): 0.0 for v in high}
    spread = skin.spread(
        {v: np.array([w, 0.0, 0.0]) for v, w in values.items()}, reach=1e9, still=()
    )
    return spread[:, 0].clip(0.0, 1.0)


def _pulled(skin: Skin, pull: Pull) -> Floats:
    handles = {v: np.array(p) * OUT_UP_FRONT for v, p in pull.handles.items()}
    if pull.both:
        for vertex, offset in list(handles.items()):
            if skin.twin[vertex] != vertex:
                handles[int(skin.twin[vertex])] = offset * [-1.0, 1.0, 1.0]
    still = set(pull.still) | ({int(skin.twin[v]) for v in pull.still} if pull.both else set())
    moved = skin.spread(handles, pull.reach, tuple(still))
    if not pull.closed:
        return moved
    for upper, lower in skin.inner_pairs:
        handles[int(upper)] = handles[int(lower)] = 0.5 * (moved[upper] + moved[lower])
    return skin.spread(handles, pull.reach, tuple(still))


def _blink(skin: Skin) -> Floats:
    """Lay the upper lid onto the lower one, which rises a little to meet it."""
    handles = {33: np.zeros(3), 133: np.zeros(3)}
    for upper, lower in zip(UPPER_LID, LOWER_LID, strict=True):
        gap = skin.mean[lower] - skin.mean[upper]
        handles[upper] = 0.93 * gap
        handles[lower] = -0.07 * gap
    return skin.spread(handles, 13.0, ())


def _jaw_open(skin: Skin, jaw: Floats) -> Floats:
    """Turn the jaw about the axis through its joints in front of the ears; weights blend it."""
    hinge = skin.mean[[234, 454]].mean(0) + np.array([0.0, 6.0, -4.0])
    c, s = np.cos(JAW_ANGLE), np.sin(JAW_ANGLE)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    arm = skin.mean - hinge
    moved = arm @ turn.T - arm
    if moved[152, 1] < 0:
        moved = arm @ turn - arm
    return np.asarray(jaw[:, None] * moved)


def _mouth_close(skin: Skin, jaw_open: Floats) -> Floats:
    """Bring the lips together again while the jaw stays open: the lower lip does most of it."""
    handles: dict[int, Floats] = {}
    outer = {0: 17, 37: 84, 39: 181, 40: 91, 185: 146}
    pairs = [(int(a), int(b)) for a, b in skin.inner_pairs]
    pairs += [*outer.items(), *((int(skin.twin[a]), int(skin.twin[b])) for a, b in outer.items())]
    for upper, lower in pairs:
        gap = jaw_open[lower] - jaw_open[upper]
        handles[upper], handles[lower] = 0.22 * gap, -0.78 * gap
    for chin, share in ((18, 0.45), (83, 0.45), (313, 0.45), (200, 0.15)):
        handles[chin] = -share * jaw_open[chin]
    return skin.spread(handles, 18.0, (2, 152, 199))


def detail_modes(skin: Skin, named: Floats) -> tuple[list[str], Floats]:
    """Smooth corrective modes, orthogonal to the named ones and to each other.

    Each region's candidates are the lowest vibration modes of its patch of skin (held at its rim)
    times one axis. What the named modes already span is projected out; a candidate that keeps
    less than a third of itself is left out. Weight one moves the fastest vertex by 2.5 mm.
    """
    flat = named.reshape(len(named), -1)
    basis = np.linalg.qr(flat[np.abs(flat).max(1) > 0].T)[0]
    names: list[str] = []
    modes: list[Floats] = []
    for region, seeds, reach, axes, wanted in _PATCHES:
        kept = 0
        shapes = _vibrations(skin, seeds, reach, 8)
        if region.startswith("left"):
            seeds = tuple(int(skin.twin[v]) for v in seeds)
            shapes = [shape[skin.twin] for shape in _vibrations(skin, seeds, reach, 8)]
        for k, shape in enumerate(shapes):
            for letter in axes:
                candidate = np.zeros((len(skin.mean), 3))
                candidate[:, "xyz".index(letter)] = shape
                column = candidate.ravel() / np.linalg.norm(shape)
                rest: Floats = column - basis @ (basis.T @ column)
                if kept == wanted or np.linalg.norm(rest) < 0.34:
                    continue
                rest = rest / np.linalg.norm(rest)
                basis = np.concatenate([basis, rest[:, None]], axis=1)
                offsets = rest.reshape(-1, 3)
                names.append(f"detail_{region}_{k}{letter}")
                modes.append(offsets * 2.5 / np.linalg.norm(offsets, axis=1).max())
                kept += 1
    return names, np.stack(modes)


_PATCHES: tuple[tuple[str, tuple[int, ...], float, str, int], ...] = (
    ("mouth", (0, 17, 61, 291, 164, 18, 13, 14), 22.0, "xyz", 12),
    ("rightEye", (159, 145, 33, 133, 27, 23), 10.0, "xy", 4),
    ("leftEye", (386, 374, 263, 362, 257, 253), 10.0, "xy", 4),
    ("rightBrow", (105, 66, 63, 52), 22.0, "xy", 3),
    ("leftBrow", (334, 296, 293, 282), 22.0, "xy", 3),
    ("nose", (4, 98, 327, 129, 358, 50, 280), 24.0, "xyz", 4),
    ("jaw", (152, 136, 365, 172, 397, 204, 424, 58, 288, 18), 26.0, "xyz", 6),
)


def _vibrations(skin: Skin, seeds: tuple[int, ...], reach: float, count: int) -> list[Floats]:
    distance = graph_distance(skin.faces, skin.mean, np.array(seeds, np.int64))
    patch = np.where(distance < reach)[0]
    laplacian = skin.laplacian()
    mass = np.diag(np.diag(laplacian)[patch])
    _, vectors = eigh(laplacian[np.ix_(patch, patch)], mass, subset_by_index=[0, count - 1])
    shapes = []
    for vector in vectors.T:
        shape = np.zeros(len(skin.mean))
        shape[patch] = vector * np.sign(vector[np.argmax(np.abs(vector))])
        shapes.append(shape)
    return shapes

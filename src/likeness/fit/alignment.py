"""A finer fit: the face of each frame is laid onto the same face in other frames, pixel by pixel.

Landmarks are a network's guess and err by a pixel or two, each frame in its own way. Frames of one
person know better: warped by the current fit, a reference frame has to coincide with the wanted
one. Optical flow (Kroeger et al., ECCV 2016) tells where it does not, and one Gauss-Newton step
moves pose and expression after it. This is Face2Face's photometric term (Thies et al. 2016, eq. 3)
with real frames in place of the model's coarse albedo, so pores and lashes can speak.

The refined params agree with each other better than with any absolute truth: a reference keeps the
mean error of its neighbors.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from likeness.decode import stream
from likeness.face3d.camera import project
from likeness.face3d.model import FaceModel
from likeness.face3d.raster import rasterize
from likeness.fit.config import FitConfig
from likeness.fit.energy import Values
from likeness.fit.landmarks import set_up
from likeness.fit.looks import SIDE, Look, Looks, Luma
from likeness.fit.pixel_loops import lay_over
from likeness.fit.solve import Problem, State, follow_flow, spread_subset
from likeness.geometry import axis_angle, rotation_matrix
from likeness.machine import cores
from likeness.parallel import runs
from likeness.types import Bools, Clip, FaceParams, FaceTrack, Floats, Ints, Progress

_BATCH = 256
"""Frames whose meshes are held at once."""
_KEPT = 64
"""Frames that are laid in one go where their squares are kept: threads wait once a go."""
_REFERENCES = 48
_OTHERS = 3
"""Reference frames that a frame is laid onto."""
_NEIGHBORS = 6
"""The same among the references themselves, whose errors all others inherit."""
_STAY, _STAY_LIDS = 0.3, 0.08
"""How far flow may usually move expression weights; a lid that opens has no flow to follow."""


@dataclass(frozen=True, eq=False, slots=True)
class References:
    """Frames that others are laid onto."""

    look: Look
    mesh: Floats
    """(R,V,3) in their squares."""
    frames: Ints
    """(R,) which frames of the track they are."""


def align(
    clip: Clip,
    track: FaceTrack,
    params: FaceParams,
    model: FaceModel,
    config: FitConfig,
    progress: Progress,
    looks: Looks | None = None,
) -> FaceParams:
    """Refine pose and expression of every frame against the clip's own pixels.

    Args:
        clip, track, params: N frames of one person, fitted to landmarks.
        model: the face model of params.
        config: `align_rounds` of 0 leaves params as they are; `window` frames are held at once.
        progress: called as ("align", done, total).
        looks: squares of the faces, kept from an earlier pass; otherwise they are cut by params.

    Returns:
        The same params with other rotation, translation and expression.
    """
    observed = np.flatnonzero(track.observed)
    if config.align_rounds == 0 or len(observed) <= _NEIGHBORS:
        return params
    problem = set_up(track, model, clip.size, config)
    parts = []
    with ThreadPoolExecutor(cores(), "align") as pool:
        aligner = Aligner(model, clip.size, params, problem, pool)
        chosen = observed[spread_subset(aligner.describe(observed), _REFERENCES)]
        looks = looks or Looks(model, clip.size, params)
        look = looks.read(clip, track, chosen)
        references = _settle(aligner, look, chosen, config.align_rounds)
        for frames, look in _stream_looks(clip, track, looks, config.window):
            state = aligner.state.part(frames)
            for _ in range(config.align_rounds):
                state = aligner.step(state, look, frames, references, _OTHERS)
            parts.append(state)
            progress("align", int(frames[-1]) + 1, len(track))
    found = State.joined(parts)
    return replace(
        params,
        rotation=axis_angle(found.rotation),
        translation=found.translation,
        expression=found.expression,
    )


def _stream_looks(
    clip: Clip, track: FaceTrack, looks: Looks, window: int
) -> Iterator[tuple[Ints, Look]]:
    """Yield numbers (n,) of frames of the track and their squares, decoding unless all are kept."""
    if looks.known(np.arange(len(track))) is not None:
        for begin in range(0, len(track), _KEPT):
            frames = np.arange(begin, min(begin + _KEPT, len(track)))
            yield frames, looks.read(clip, track, frames)
        return
    for piece, pixels in stream(clip, window, track.window, reuse=True):
        frames = np.arange(piece.start, piece.stop) - track.start
        yield frames, looks.cut(pixels.numpy(), frames)


def _settle(aligner: Aligner, look: Look, chosen: Ints, rounds: int) -> References:
    """Lay the reference frames onto each other."""
    state = aligner.state.part(chosen)
    for _ in range(rounds):
        references = References(look, look.place(aligner.mesh(state)), chosen)
        state = aligner.step(state, look, chosen, references, _NEIGHBORS)
    return References(look, look.place(aligner.mesh(state)), chosen)


class Aligner:
    """Lays frames of one person onto reference frames."""

    def __init__(
        self,
        model: FaceModel,
        size: tuple[int, int],
        params: FaceParams,
        problem: Problem,
        pool: Executor,
    ) -> None:
        self.model, self.size, self.problem, self.pool = model, size, problem, pool
        used = model.landmark_vertices[:468]
        self.vertices = used[used >= 0]
        self.triangles = np.asarray(model.triangles, np.int64)
        lids = [name.startswith("eyeBlink") for name in model.expression_names]
        self.stay = np.where(lids, _STAY_LIDS, _STAY).astype(np.float32)
        self.state = State(
            params.shape,
            params.focal,
            rotation_matrix(params.rotation),
            params.translation,
            params.expression,
        )

    def mesh(self, state: State) -> Floats:
        """Return (n,V,3): the fitted mesh in frame pixels, with depth in millimetres."""
        head = self.model.vertices(state.shape, state.expression)
        turn = axis_angle(state.rotation)
        return project(head, turn, state.translation, state.focal, self.size)

    def describe(self, frames: Ints) -> Floats:
        """Return (n,12) principal coordinates of the mesh in its box: how frames differ to see."""
        flat = np.empty((len(frames), 2 * len(self.vertices)), np.float32)
        for begin in range(0, len(frames), _BATCH):
            some = slice(begin, begin + _BATCH)
            mesh = self.mesh(self.state.part(frames[some]))[:, self.vertices, :2]
            mesh = mesh - mesh.mean(1, keepdims=True)
            mesh /= np.ptp(mesh, 1, keepdims=True).max(-1, keepdims=True)
            flat[some] = mesh.reshape(len(mesh), -1)
        flat = flat - flat.mean(0)
        _, _, axes = np.linalg.svd(flat[:: max(1, len(flat) // 300)], full_matrices=False)
        return np.asarray(flat @ axes[:12].T, np.float32)

    def step(
        self, state: State, look: Look, frames: Ints, references: References, count: int
    ) -> State:
        """Move pose and expression of n frames so that the nearest references fall onto them."""

        def move(run: slice) -> State:
            return self._step(state.part(run), look.part(run), frames[run], references, count)

        return State.joined(list(self.pool.map(move, runs(len(frames)))))

    def _step(
        self, state: State, look: Look, frames: Ints, references: References, count: int
    ) -> State:
        mesh = look.place(self.mesh(state))
        ours, theirs = self._centered(mesh), self._centered(references.mesh)
        # |a - b|^2 as a product; |a|^2 is the same for all references and tells nothing.
        distance = (theirs**2).sum(1) - 2 * ours @ theirs.T
        distance[frames[:, None] == references.frames] = np.inf
        nearest = np.argsort(distance, 1)[:, :count]
        found = [
            self._flow(look.luma[n], mesh[n], references, nearest[n]) for n in range(len(frames))
        ]
        flow = np.stack([flow for flow, _ in found]) / look.scale[:, None, None]
        seen = np.stack([seen for _, seen in found])
        return follow_flow(self.problem.part(frames), state, flow, seen, self.stay)

    def _centered(self, mesh: Floats) -> Values:
        """(n,2P) places of the landmark vertices about their middle."""
        xy = mesh[:, self.vertices, :2].astype(np.float64)
        return np.asarray((xy - xy.mean(1, keepdims=True)).reshape(len(xy), -1))

    def _flow(
        self, luma: Luma, mesh: Floats, references: References, chosen: Ints
    ) -> tuple[Floats, Bools]:
        """Find where the vertices (P,2) should go, in pixels of the square, and which are seen."""
        import cv2

        ids, weights = rasterize(mesh, self.model.triangles, (SIDE, SIDE))
        drawn = np.empty_like(luma)
        # Off the mesh the frame itself stands, so that the flow there is none.
        lay_over(
            *(luma, ids, weights, self.triangles),
            references.mesh[chosen, :, :2],
            references.look.luma[chosen],
            drawn,
        )
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        flow = cv2.blur(search.calc(luma, drawn, None), (3, 3))  # type: ignore[call-overload]
        at = mesh[self.vertices, :2]
        column = np.floor(at[:, 0]).astype(int).clip(0, SIDE - 1)
        row = np.floor(at[:, 1]).astype(int).clip(0, SIDE - 1)
        # frame(p) = drawn(p + flow): what the mesh expects at p stands at p - flow.
        return -flow[row, column], ids[row, column] >= 0

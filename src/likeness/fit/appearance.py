"""What the pixels say: colors at the surface, albedo and light, and a steadier head pose.

Surface samples (vertices and triangle centers) are read from every frame once, in one more pass
over the clip; a few kilobytes a frame are kept, no pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from likeness.decode import stream
from likeness.face3d.camera import camera_points, pixel_jacobian, pixels
from likeness.face3d.light import harmonics, vertex_normals
from likeness.face3d.model import FaceModel
from likeness.fit.config import FitConfig
from likeness.fit.energy import Values
from likeness.fit.pixel_loops import read_crosses
from likeness.fit.seen_range import seen_rows
from likeness.fit.solve import spread_subset
from likeness.geometry import axis_angle, rotation_matrix
from likeness.machine import cores
from likeness.parallel import runs, side_by_side
from likeness.types import Bools, Clip, FaceParams, FaceTrack, Floats, Ints, Progress

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_LIGHT_SPREAD = 3.0
"""Frames (deviation of a Gaussian) over which light is taken as the same."""
_PRIOR = np.array([0.006, 0.006, 0.006, 0.6, 0.6, 3.0])
"""How far the pixels may usually move the landmarks' pose: radians and millimetres."""
_PIXEL = 0.02
"""Usual difference of luma between frame and template."""
_TOGETHER = 16
"""Frames that one thread looks at in one go."""
_SHARE = 150.0
"""Neighboring samples err together; all of them count like this many free ones."""


@dataclass(frozen=True, eq=False, slots=True)
class Surface:
    """Samples of N frames at V vertices followed by F triangle centers."""

    colors: NDArray[np.uint8]
    """(N,V,3) RGB at vertices."""
    luma: NDArray[np.float16]
    """(N,V+F) in [0,1] at all samples."""
    gradient: NDArray[np.float16]
    """(N,V+F,2) luma per pixel."""
    normals: NDArray[np.float16]
    """(N,V+F,3) in camera axes."""

    @staticmethod
    def empty(count: int, vertices: int, triangles: int) -> Surface:
        """Make room for `count` frames."""
        samples = (count, vertices + triangles)
        return Surface(
            np.empty((count, vertices, 3), np.uint8),
            np.empty(samples, np.float16),
            np.empty((*samples, 2), np.float16),
            np.empty((*samples, 3), np.float16),
        )


def read_surface(
    clip: Clip,
    track: FaceTrack,
    params: FaceParams,
    model: FaceModel,
    config: FitConfig,
    progress: Progress,
    also: Callable[[Floats, slice], None] | None = None,
) -> Surface:
    """Read colors, luma and luma gradients where the fitted surface is seen.

    Each sample is the mean of a cross of five bilinear taps whose arm is about half a percent of
    the face; its gradient is their central difference.

    Args:
        clip, track, params: N frames.
        model: the face model.
        config: `window` frames are held at once.
        progress: called as ("light", done, total).
        also: is shown the same frames (n,3,H,W), and which of the track they are.
    """
    window = track.window
    surface = Surface.empty(len(window), len(model.mean), len(model.triangles))

    def read(frames: Floats, some: slice, arm: float) -> None:
        points, normals = _surface_points(params, model, some)
        placed = pixels(points, params.focal, clip.size)[..., :2]
        colors, gradient = sample_cross(frames, placed, arm)
        surface.colors[some] = np.clip(colors[:, : len(model.mean)] * 255 + 0.5, 0, 255)
        surface.luma[some] = colors @ _LUMA
        surface.gradient[some], surface.normals[some] = gradient, normals
        if also is not None:
            also(frames, some)

    with ThreadPoolExecutor(cores(), "surface") as pool:
        for piece, frames in stream(clip, config.window, window, reuse=True):
            some = slice(piece.start - window.start, piece.stop - window.start)
            widths = track.boxes[some, 2] - track.boxes[some, 0]
            seen = track.observed[some]
            extent = float((widths[seen] if seen.any() else widths).mean())
            arm, some_runs = max(0.75, 0.006 * extent), runs(len(piece))
            held = [frames.numpy()[run] for run in some_runs]
            rows = [slice(some.start + run.start, some.start + run.stop) for run in some_runs]
            list(pool.map(read, held, rows, [arm] * len(rows)))
            progress("light", some.stop, len(track))
    return surface


def sample_cross(frames: Floats, points: Floats, arm: float) -> tuple[Floats, Floats]:
    """Sample frames at points, with gradients.

    Args:
        frames: (n,3,H,W) RGB in [0,1].
        points: (n,P,2) pixels, corner origin.
        arm: pixels from the middle to the outer taps.

    Returns:
        (n,P,3) mean colors and (n,P,2) luma gradients per pixel.
    """
    colors, gradient = np.empty((*points.shape[:2], 3), np.float32), np.empty_like(points)
    read_crosses(frames, points, arm, _LUMA, colors, gradient)
    return colors, gradient


def sample_cross_reference(
    frames: torch.Tensor, points: Floats, arm: float
) -> tuple[Floats, Floats]:
    """Do what `sample_cross` does, by torch's own sampling."""
    height, width = frames.shape[2:]
    taps = arm * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)
    where = points[:, :, None] + taps
    grid = torch.from_numpy((where / np.array([width, height]) * 2 - 1).astype(np.float32))
    seen = torch.nn.functional.grid_sample(
        frames, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    values = seen.permute(0, 2, 3, 1).numpy()
    luma = values @ _LUMA
    gradient = np.stack([luma[..., 1] - luma[..., 2], luma[..., 3] - luma[..., 4]], -1) / (2 * arm)
    return values.mean(2), gradient.astype(np.float32)


def solve_albedo(
    surface: Surface, model: FaceModel, observed: Bools | None = None, rounds: int = 4
) -> Floats:
    """Estimate albedo coefficients from frames that are spread over the clip.

    min over beta, gamma of sum |c - (mean + beta . modes) sum_b gamma_b Y_b(n)|^2 + |beta|^2
    (Face2Face's E_col at vertices, Thies et al. 2016, eq. 4), alternating between the light of each
    frame and the albedo of all, both linear.

    Args:
        surface: samples of N frames.
        model: the face model.
        observed: (N,) frames in which the face was seen: only they count; None is all.
        rounds: of light and albedo.

    Returns:
        (A,) in standard deviations.
    """
    seen = seen_rows(len(surface.luma), observed)
    mean = surface.luma[:, : len(model.mean) : 8][seen].astype(np.float32)
    chosen = seen[spread_subset(mean, 24)]
    count = len(model.albedo)
    beta = np.zeros(count, np.float32)
    modes = model.albedo.reshape(count, -1)
    for _ in range(rounds):
        light = solve_light(surface, model, beta, chosen)
        h, g = np.eye(count), np.zeros(count)
        said = partial(_albedo_rows, surface, model, modes, len(chosen))
        for more, pull in side_by_side(said, list(zip(chosen, light, strict=True))):
            h += more
            g += pull
        beta = np.clip(np.linalg.solve(h, g), -3, 3).astype(np.float32)
    return beta


def _albedo_rows(
    surface: Surface, model: FaceModel, modes: Floats, many: int, frame: tuple[int, Floats]
) -> tuple[Values, Values]:
    """Return what one of `many` frames says of the albedo, in its light: J'J (A,A) and J'r (A,)."""
    index, light = frame
    colors, basis, weight = _vertex_rows(surface, model, np.array([index]))
    shading = np.maximum(basis[0] @ light, 0.02)
    rows = (modes.reshape(len(modes), -1, 3) * shading).astype(np.float64)
    residual = colors[0] - model.albedo_mean * shading
    inverse = weight[0][:, None] / (0.08**2 * many * 8)
    return (
        np.einsum("avc,bvc->ab", rows * inverse, rows, optimize=True),
        np.einsum("avc,vc->a", rows * inverse, residual, optimize=True),
    )


def solve_light(
    surface: Surface,
    model: FaceModel,
    albedo: Floats,
    chosen: Ints | None = None,
    observed: Bools | None = None,
) -> Floats:
    """Solve for the nine-coefficient light of frames, by robust linear least squares.

    With `chosen` None, all frames are solved and the normal equations are averaged over a few
    frames, because light changes slowly. Frames in which the face was not seen add none.

    Args:
        surface: samples of N frames.
        model: the face model.
        albedo: (A,) coefficients.
        chosen: frames to solve, each for itself.
        observed: (N,) frames in which the face was seen; None is all.

    Returns:
        (n,9,3).
    """
    index = np.arange(len(surface.colors)) if chosen is None else chosen
    reflect = model.colors(albedo)
    h = np.zeros((len(index), 3, 9, 9))
    g = np.zeros((len(index), 3, 9))

    def gather(some: slice) -> None:
        colors, basis, weight = _vertex_rows(surface, model, index[some])
        for _ in range(3):
            for c in range(3):
                rows = basis * reflect[:, c, None]
                scaled = rows * weight[..., None]
                h[some, c] = np.swapaxes(scaled, 1, 2) @ rows
                g[some, c] = (np.swapaxes(scaled, 1, 2) @ colors[..., c, None])[..., 0]
            light = _ridge(h[some], g[some])
            error = np.linalg.norm(colors - reflect * (basis @ light), axis=-1)
            scale = 2 * np.maximum(np.median(error, axis=1, keepdims=True), 0.01)
            weight = _visible(basis, model) / (1 + (error / scale) ** 2)

    side_by_side(gather, runs(len(index), _TOGETHER))
    if chosen is None and len(index) > 1:
        if observed is not None and observed.any():
            h[~observed], g[~observed] = 0, 0
        h = gaussian_filter1d(h, _LIGHT_SPREAD, axis=0, mode="nearest")
        g = gaussian_filter1d(g, _LIGHT_SPREAD, axis=0, mode="nearest")
    return _ridge(h, g).astype(np.float32)


def refine_pose(
    surface: Surface, params: FaceParams, model: FaceModel, track: FaceTrack, weight: float
) -> FaceParams:
    """Move each frame's head so that its pixels agree with the clip's mean face.

    E_pixel = sum_p w_p (I(p) - g T_p s_p)^2 / sigma^2 + |d|^2 / prior^2, with the template T_p the
    clip's median of luma over shading, s_p the frame's shading and g its gain. One Gauss-Newton
    step d on rotation and translation, from gradients that were read at the landmarks' pose: their
    errors are below a pixel, and the mean of a clip doesn't follow one frame's jitter. Points that
    expressions move count little.

    Args:
        surface: samples at `params`.
        params: fit by landmarks, with light.
        model: the face model.
        track: says which frames were seen.
        weight: of the pixels against the landmarks; 0 changes nothing.

    Returns:
        Params with rotation and translation moved.
    """
    if weight <= 0 or len(params) < 10:
        return params
    batches = runs(len(params), _TOGETHER)
    ratio = np.empty(surface.luma.shape, np.float32)

    def flatten(some: slice) -> None:
        ratio[some] = surface.luma[some] / _shading(surface, params, some)
        ratio[some] /= np.median(ratio[some], axis=1, keepdims=True)

    side_by_side(flatten, batches)
    template = np.median(ratio[track.observed], axis=0, overwrite_input=True)
    still = _stillness(model)
    step = partial(_pose_step, surface, params, model, template, still, weight)
    steps = np.concatenate(side_by_side(step, batches))
    steps = np.clip(steps, -3 * _PRIOR, 3 * _PRIOR) * track.observed[:, None]
    turn = rotation_matrix(steps[:, :3].astype(np.float32)) @ rotation_matrix(params.rotation)
    return replace(
        params,
        rotation=axis_angle(turn),
        translation=(params.translation + steps[:, 3:]).astype(np.float32),
    )


def _pose_step(
    surface: Surface,
    params: FaceParams,
    model: FaceModel,
    template: Floats,
    still: Floats,
    weight: float,
    some: slice,
) -> Values:
    """Return the Gauss-Newton step (n,6) of some frames' rotation and translation."""
    facing = np.clip(-surface.normals[some, :, 2].astype(np.float32) * 2 - 0.4, 0, 1)
    luma = surface.luma[some].astype(np.float32)
    predicted = template * _shading(surface, params, some)
    trust = still * facing
    squares = np.maximum((trust * predicted**2).sum(1), 1e-6)
    error = luma - ((trust * luma * predicted).sum(1) / squares)[:, None] * predicted
    trust = weight * trust / (1 + (error / (2 * _PIXEL)) ** 2) / _PIXEL**2
    points, _ = _surface_points(params, model, some)
    slope = pixel_jacobian(points, params.focal)
    by_camera = np.einsum("npi,npij->npj", surface.gradient[some].astype(np.float32), slope)
    turned = points - params.translation[some, None]
    rows = np.concatenate([np.cross(turned, by_camera), by_camera], -1).astype(np.float64)
    scaled = rows * trust[..., None] * (_SHARE / trust.shape[1])
    h = np.swapaxes(scaled, 1, 2) @ rows + np.diag(_PRIOR**-2.0)
    g = (np.swapaxes(scaled, 1, 2) @ error[..., None])[..., 0]
    return np.asarray(-np.linalg.solve(h, g[..., None])[..., 0])


def _shading(surface: Surface, params: FaceParams, some: slice) -> Floats:
    """(n,V+F) luma of a white surface under the light of some frames."""
    basis = harmonics(surface.normals[some].astype(np.float32))
    return np.asarray(np.maximum((basis @ params.light[some]) @ _LUMA, 0.05), np.float32)


def _surface_points(params: FaceParams, model: FaceModel, some: slice) -> tuple[Floats, Floats]:
    """Camera-space points (n,V+F,3) and unit normals of vertices and triangle centers."""
    head = model.vertices(params.shape, params.expression[some])
    points = camera_points(head, params.rotation[some], params.translation[some])
    normals = vertex_normals(points, model.triangles)
    centers = points[:, model.triangles].mean(2)
    a, b, c = (points[:, model.triangles[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    flat /= np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-9)
    return np.concatenate([points, centers], 1), np.concatenate([normals, flat], 1)


def _vertex_rows(surface: Surface, model: FaceModel, index: Ints) -> tuple[Floats, Floats, Floats]:
    """Colors (n,V,3), light basis (n,V,9) and weights (n,V) of some frames."""
    v = len(model.mean)
    basis = harmonics(surface.normals[index, :v].astype(np.float32))
    return surface.colors[index].astype(np.float32) / 255, basis, _visible(basis, model)


def _visible(basis: Floats, model: FaceModel) -> Floats:
    """Weight of vertices that face the camera and show skin, from the basis's z term."""
    weight = np.clip(-basis[..., 2] / float(np.sqrt(np.pi)) * 1.5 - 0.3, 0, 1)
    for name in ("lips_inner", "left_eye", "right_eye"):
        if name in model.regions:
            weight[..., model.regions[name]] *= 0.2
    return np.asarray(weight, np.float32)


def _stillness(model: FaceModel) -> Floats:
    """(V+F,) near 1 where expressions hardly move the surface, near 0 at lids, lips and jaw."""
    named = [not name.startswith("detail") for name in model.expression_names]
    motion = np.sqrt((model.expression[np.array(named)] ** 2).sum((0, 2)))
    still = 1 / (1 + (motion / np.quantile(motion, 0.3)) ** 2)
    return np.asarray(np.concatenate([still, still[model.triangles].mean(1)]), np.float32)


def _ridge(h: Values, g: Values) -> Values:
    """Solve (n,3,9,9), (n,3,9) with the non-constant coefficients drawn to zero; (n,9,3)."""
    pull = 0.02 * np.diag([1e-3] + [1.0] * 8)
    level = np.maximum(h[..., 0, 0], 1e-6)[..., None, None]
    light: Values = np.swapaxes(np.linalg.solve(h + pull * level, g[..., None])[..., 0], 1, 2)
    return light

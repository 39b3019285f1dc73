"""Published face models behind our FaceModel: Basel 2017, FLAME and ICT-FaceKit.

None of them is shipped; each has its own license. All are brought into head axes (x image right, y
down, z away from the camera) and millimetres, and given the tracker's landmarks (see
`correspondence`). Save the result with `store.save_face_model` to load it quickly from then on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from likeness.errors import BackendError, BundleError, ContractError
from likeness.face3d.model import FaceModel
from likeness.files import read_npz
from likeness.importers.correspondence import MULTI_PIE_68, correspond
from likeness.types import Floats, Ints

_AXES = np.array([1.0, -1.0, -1.0], np.float32)
"""From x to the person's left, y up, z to the front."""
_SKIN = np.array([0.78, 0.60, 0.52], np.float32)
_LARGEST = 2**30
"""Most bytes of one array: Basel's largest has a tenth of it."""
_JAW_ANGLE = 0.35
_FLAME_JOINTS = {"jaw": 2, "left_eye": 3, "right_eye": 4}
_OPTIONAL = ("weights", "J_regressor")
_ICT_PARTS = ("face", "head_and_neck")
Archive = dict[str, np.ndarray[Any, Any]]


@contextmanager
def _checked_layout(path: Path) -> Iterator[None]:
    """Turn what arrays of other shapes, types and values cause into one sentence."""
    try:
        yield
    except (ValueError, LookupError, TypeError, ArithmeticError, ContractError) as error:
        raise BundleError(
            f"the arrays of {path} do not fit together ({str(error)[:120]}); expected the layout "
            "that its publisher documents: get it again"
        ) from error


def load_basel2017(path: Path, modes: int = 80) -> FaceModel:
    """Read the Basel Face Model 2017 (Gerig et al. 2018), `model2017-1_*_nomouth.h5`.

    Args:
        path: the .h5 file: groups shape, color and expression, each with model/mean,
            model/pcaBasis and model/pcaVariance, and shape/representer/cells.
        modes: most modes to keep of each group (the file has 199, 199 and 100).

    Returns:
        A model with expressions basel_000, ...; one unit is one standard deviation, so weights run
        both ways. It has no eyeballs.

    Raises:
        BackendError: h5py is not installed.
        BundleError: no such file, or another layout.
    """
    with _checked_layout(path):
        return _basel2017(path, modes)


def _basel2017(path: Path, modes: int) -> FaceModel:
    try:
        import h5py  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise BackendError(
            "reading Basel 2017 needs h5py; run: pip install 'likeness[basel]'"
        ) from error
    _found(path)
    try:
        with h5py.File(path, "r") as file:
            mean, identity = _pca(file, "shape", modes)
            shift, expression = _pca(file, "expression", modes)
            albedo_mean, albedo = _pca(file, "color", modes)
            cells = np.asarray(_dataset(file, "shape/representer/cells"), np.int64)
    except (OSError, KeyError, RuntimeError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"{path} has not the layout of Basel 2017 ({error}); expected groups shape, color "
            "and expression with model/mean, model/pcaBasis and model/pcaVariance"
        ) from error
    mean = (mean + shift) * _AXES
    triangles = _outward(cells.T if cells.shape[0] == 3 else cells, mean)
    landmarks = correspond(mean, np.unique(triangles))
    return FaceModel(
        name="basel2017",
        mean=mean - landmarks.origin,
        identity=identity * _AXES,
        expression=expression * _AXES,
        expression_names=tuple(f"basel_{k:03d}" for k in range(len(expression))),
        triangles=triangles,
        albedo_mean=albedo_mean,
        albedo=albedo,
        regions={},
        landmark_vertices=landmarks.landmark_vertices,
    )


def load_flame(path: Path, identity_modes: int = 300) -> FaceModel:
    """Read FLAME (Li et al. 2017) from an .npz with the arrays of its official file.

    The official download is a Python pickle, which can run code when it is read; this package does
    not open it. Convert it once, where you trust it, with plain arrays only:

        np.savez("flame.npz", v_template=..., f=..., shapedirs=..., weights=..., J_regressor=...)

    Args:
        path: .npz with v_template (V,3) metres, f (F,3), shapedirs (V,3,K) and, both or neither,
            weights (V,5) and J_regressor (5,V), dense.
        identity_modes: how many of the K modes are identity; the rest are expressions.

    Returns:
        A model with expressions flame_000, ... in standard deviations and, where weights and joints
        are given, jawOpen (the jaw's rotation made linear) and eyeballs. Albedo is plain skin.

    Raises:
        BundleError: a pickle, no such file, or another layout.
    """
    with _checked_layout(path):
        return _flame(path, identity_modes)


def _flame(path: Path, identity_modes: int) -> FaceModel:
    if path.suffix.lower() in (".pkl", ".pickle"):
        raise BundleError(
            f"{path} is a pickle, which could run code; convert it to .npz first "
            "(see likeness.importers.face_models.load_flame)"
        )
    arrays = _archive(path, ("v_template", "f", "shapedirs"))
    mean = 1000.0 * arrays["v_template"].astype(np.float32) * _AXES
    modes = 1000.0 * np.moveaxis(arrays["shapedirs"].astype(np.float32), -1, 0) * _AXES
    identity, expression = modes[:identity_modes], modes[identity_modes:]
    names = [f"flame_{k:03d}" for k in range(len(expression))]
    eyes = None
    if {"weights", "J_regressor"} <= set(arrays):
        joints = arrays["J_regressor"].astype(np.float32) @ mean
        jaw = _jaw_open(mean, joints[_FLAME_JOINTS["jaw"]], arrays["weights"])
        expression, names = np.concatenate([expression, jaw[None]]), [*names, "jawOpen"]
        eyes = joints[[_FLAME_JOINTS["right_eye"], _FLAME_JOINTS["left_eye"]]]
    triangles = _outward(arrays["f"].astype(np.int64), mean)
    landmarks = correspond(mean, np.unique(triangles))
    return FaceModel(
        name="flame",
        mean=mean - landmarks.origin,
        identity=identity,
        expression=expression,
        expression_names=tuple(names),
        triangles=triangles,
        albedo_mean=np.tile(_SKIN, (len(mean), 1)),
        albedo=np.zeros((0, len(mean), 3), np.float32),
        regions={},
        landmark_vertices=landmarks.landmark_vertices,
        eye_centers=None if eyes is None else eyes - landmarks.origin,
    )


def load_ict(path: Path) -> FaceModel:
    """Read ICT-FaceKit (Li et al. 2020) from an .npz of its FaceXModel meshes.

    Args:
        path: .npz with neutral_vertices (V,3) centimetres, identity_deltas, expression_deltas and
            expression_names, triangles, landmarks68, region_names, region_vertex_ranges and
            region_triangle_ranges.

    Returns:
        Face, head and neck without teeth, lashes and eyeballs (their centers are kept), with the
        file's expressions under ARKit's names; halves of browInnerUp and cheekPuff are joined.
        Albedo is plain skin.

    Raises:
        BundleError: no such file, or another layout.
    """
    with _checked_layout(path):
        return _ict(path)


def _ict(path: Path) -> FaceModel:
    wanted = (
        "neutral_vertices", "identity_deltas", "expression_deltas", "expression_names",
        "triangles", "landmarks68", "region_names", "region_vertex_ranges",
        "region_triangle_ranges",
    )  # fmt: skip
    arrays = _archive(path, wanted)
    parts = [str(name) for name in arrays["region_names"]]
    faces = np.concatenate([_part(arrays, "triangles", parts.index(p)) for p in _ICT_PARTS])
    kept, faces = np.unique(faces, return_inverse=True)
    scale = 10.0 * _AXES
    vertices = arrays["neutral_vertices"].astype(np.float32) * scale
    identity = arrays["identity_deltas"].astype(np.float32) * scale
    names, expression = _arkit(arrays["expression_names"], arrays["expression_deltas"][:, kept])
    mean = vertices[kept]
    triangles = _outward(faces.reshape(-1, 3).astype(np.int64), mean)
    skin = np.where(kept < arrays["region_vertex_ranges"][parts.index("face"), 1])[0]
    place = {int(vertex): index for index, vertex in enumerate(kept)}
    anchors = {
        landmark: place[int(arrays["landmarks68"][point])]
        for point, landmark in MULTI_PIE_68.items()
    }
    landmarks = correspond(mean, skin, anchors)
    balls = [slice(*arrays["region_vertex_ranges"][parts.index(f"eyeball_{s}")])
             for s in ("right", "left")]  # fmt: skip
    centers = np.stack([0.5 * (vertices[b].min(0) + vertices[b].max(0)) for b in balls])
    return FaceModel(
        name="ict_facekit",
        mean=mean - landmarks.origin,
        identity=identity[:, kept],
        expression=expression * scale,
        expression_names=names,
        triangles=triangles,
        albedo_mean=np.tile(_SKIN, (len(mean), 1)),
        albedo=np.zeros((0, len(mean), 3), np.float32),
        regions={"face": skin},
        landmark_vertices=landmarks.landmark_vertices,
        eye_centers=centers - landmarks.origin,
        eye_identity=np.stack([identity[:, b].mean(1) for b in balls], axis=1),
        eye_radius=float(np.ptp(vertices[balls[0]][:, 0]) / 2),
    )


def _pca(file: Any, group: str, modes: int) -> tuple[Floats, Floats]:
    """Mean (V,3) and modes (K,V,3) of one standard deviation each."""
    mean = np.asarray(_dataset(file, f"{group}/model/mean"), np.float32).reshape(-1, 3)
    variance = _dataset(file, f"{group}/model/pcaVariance")[:modes]
    deviation = np.sqrt(np.asarray(variance, np.float32))
    basis = _dataset(file, f"{group}/model/pcaBasis")[:, :modes]
    basis = np.asarray(basis, np.float32) * deviation
    return mean, np.ascontiguousarray(basis.T).reshape(len(deviation), -1, 3)


def _dataset(file: Any, name: str) -> Any:
    """Return numbers that lie in this file: HDF5 can name other files, and claim any size."""
    import h5py  # type: ignore[import-untyped, unused-ignore]

    path = ""
    for part in name.split("/"):
        path = f"{path}/{part}"
        if not isinstance(file.get(path, getlink=True), h5py.HardLink):
            raise BundleError(f"{path} is a link to elsewhere; expected the numbers themselves")
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "iuf":
        raise BundleError(f"{name} holds no numbers")
    if found.external or found.is_virtual:
        raise BundleError(f"{name} lies in another file; expected the numbers themselves")
    if found.size * found.dtype.itemsize > _LARGEST:
        raise BundleError(f"{name} claims more than {_LARGEST} bytes; get the file again")
    return found


def _found(path: Path) -> None:
    if not path.is_file():
        raise BundleError(f"no file at {path}; give the path of a downloaded face model")


def _archive(path: Path, wanted: tuple[str, ...]) -> Archive:
    """Read plain arrays; numpy refuses pickled objects inside."""
    _found(path)
    return read_npz(path, wanted, BundleError, _OPTIONAL)


def _part(arrays: Archive, name: str, part: int) -> np.ndarray[Any, Any]:
    start, stop = arrays["region_triangle_ranges"][part]
    return arrays[name][start:stop]


def _outward(triangles: Ints, mean: Floats) -> Ints:
    """Turn the winding of the whole mesh so that cross(b - a, c - a) points outward."""
    a, b, c = (mean[triangles[:, k]].astype(np.float64) for k in range(3))
    middle = mean.mean(0)
    volume = float(np.einsum("fi,fi->", a - middle, np.cross(b - middle, c - middle)))
    return triangles if volume > 0 else np.ascontiguousarray(triangles[:, [0, 2, 1]])


def _jaw_open(mean: Floats, joint: Floats, weights: np.ndarray[Any, Any]) -> Floats:
    c, s = np.cos(_JAW_ANGLE), np.sin(_JAW_ANGLE)
    arm = mean - joint
    # About the x axis, taking the chin (y down, z toward the camera) down and back.
    turned = np.stack([arm[:, 0], c * arm[:, 1] - s * arm[:, 2], s * arm[:, 1] + c * arm[:, 2]], 1)
    follow = weights[:, _FLAME_JOINTS["jaw"]].astype(np.float32)
    return np.asarray(follow[:, None] * (turned - arm), np.float32)


def _arkit(
    names: np.ndarray[Any, Any], deltas: np.ndarray[Any, Any]
) -> tuple[tuple[str, ...], Floats]:
    """Rename name_L / name_R and join what ARKit does not divide."""
    joined: dict[str, Floats] = {}
    for name, delta in zip((str(n) for n in names), deltas.astype(np.float32), strict=True):
        base, _, side = name.partition("_")
        if base == "PupilDilate":
            continue
        if base not in ("browInnerUp", "cheekPuff"):
            base += {"L": "Left", "R": "Right", "": ""}[side]
        joined[base] = joined[base] + delta if base in joined else delta
    return tuple(joined), np.stack(list(joined.values()))

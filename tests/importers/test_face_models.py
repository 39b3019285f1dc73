"""Loaders of published face models: tiny files of the same layout, and ICT-FaceKit itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.errors import BundleError
from likeness.face3d.light import vertex_normals
from likeness.face3d.model import FaceModel
from likeness.importers.face_models import load_basel2017, load_flame, load_ict
from likeness.store import load_face_model, save_face_model

AXES = np.array([1.0, -1.0, -1.0])


@pytest.fixture(scope="module")
def ours() -> FaceModel:
    return load_face_model()


def foreign(ours: FaceModel) -> np.ndarray:
    """Our mean as another model would store it: elsewhere, y up and z to the front."""
    return (ours.mean + np.array([3.0, -20.0, 40.0])) * AXES


def as_closed(ours: FaceModel) -> np.ndarray:
    return np.concatenate([ours.triangles, ours.mouth_triangles, *ours.eye_triangles])


def write_basel(path: Path, ours: FaceModel) -> Path:
    h5py = pytest.importorskip("h5py", reason="reading Basel 2017 needs h5py")
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        groups = {"shape": foreign(ours), "expression": np.zeros((468, 3)),
                  "color": ours.albedo_mean}  # fmt: skip
        for group, mean in groups.items():
            file[f"{group}/model/mean"] = mean.ravel().astype(np.float32)
            basis = rng.normal(size=(468 * 3, 5)).astype(np.float32)
            file[f"{group}/model/pcaBasis"] = basis
            file[f"{group}/model/pcaVariance"] = np.arange(5, 0, -1, dtype=np.float32)
        file["shape/representer/cells"] = as_closed(ours).T[[0, 2, 1]]
    return path


def test_basel(ours: FaceModel, tmp_path: Path) -> None:
    path = write_basel(tmp_path / "model2017-1.h5", ours)
    model = load_basel2017(path, modes=3)
    np.testing.assert_array_equal(model.landmark_vertices[:468], np.arange(468))
    assert np.all(model.landmark_vertices[468:] == -1)
    np.testing.assert_allclose(model.mean, ours.mean, atol=0.02)
    assert model.identity.shape == (3, 468, 3)
    # One unit is one standard deviation: basis times the root of its variance.
    rng = np.random.default_rng(0)
    first = rng.normal(size=(468 * 3, 5))[:, 0].reshape(-1, 3)
    np.testing.assert_allclose(model.identity[0], np.sqrt(5) * first * AXES, atol=1e-4)
    np.testing.assert_allclose(model.albedo_mean, ours.albedo_mean, atol=1e-6)
    assert vertex_normals(model.mean, model.triangles)[1, 2] < -0.3


def test_basel_of_another_layout(tmp_path: Path) -> None:
    pytest.importorskip("h5py", reason="reading Basel 2017 needs h5py")
    other = tmp_path / "other.h5"
    other.write_bytes(b"not hdf5")
    with pytest.raises(BundleError, match="Basel 2017"):
        load_basel2017(other)
    with pytest.raises(BundleError, match="no file"):
        load_basel2017(tmp_path / "absent.h5")


def test_flame(ours: FaceModel, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    mean = foreign(ours)
    weights = np.zeros((468, 5), np.float32)
    weights[152, 2] = 1.0
    joints = np.zeros((5, 468), np.float32)
    joints[2, [234, 454]] = 0.5
    joints[3, [263, 362]] = 0.5
    joints[4, [33, 133]] = 0.5
    path = tmp_path / "flame.npz"
    np.savez(
        path, v_template=mean / 1000, f=as_closed(ours), weights=weights, J_regressor=joints,
        shapedirs=rng.normal(0, 0.001, (468, 3, 6)),
    )  # fmt: skip
    model = load_flame(path, identity_modes=4)
    assert model.expression_names == ("flame_000", "flame_001", "jawOpen")
    assert len(model.identity) == 4
    np.testing.assert_allclose(model.mean, ours.mean, atol=0.05)
    np.testing.assert_array_equal(model.landmark_vertices[:468], np.arange(468))
    jaw = model.expression[2]
    assert jaw[152, 1] > 10
    assert np.all(jaw[:152] == 0)
    assert model.eye_centers is not None
    np.testing.assert_allclose(model.eye_centers[0], ours.mean[[33, 133]].mean(0), atol=0.1)


def test_flame_pickle_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(b"\x80\x04.")
    with pytest.raises(BundleError, match="pickle"):
        load_flame(path)
    hidden = tmp_path / "objects.npz"
    np.savez(hidden, v_template=np.array([{"a": 1}], object), f=np.zeros(1), shapedirs=np.zeros(1))
    with pytest.raises(BundleError, match="plain arrays"):
        load_flame(hidden)
    lacking = tmp_path / "lacking.npz"
    np.savez(lacking, v_template=np.zeros((3, 3)))
    with pytest.raises(BundleError, match="lacks"):
        load_flame(lacking)


def test_another_mesh_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    path = tmp_path / "flame.npz"
    np.savez(path, v_template=rng.normal(0, 3, (50, 3)), f=rng.integers(0, 50, (90, 3)),
             shapedirs=np.zeros((50, 3, 2)))  # fmt: skip
    with pytest.raises(BundleError, match="mm"):
        load_flame(path, identity_modes=1)


def test_ict(shared_data: Path, ours: FaceModel, tmp_path: Path) -> None:
    path = shared_data / "ict_facekit.npz"
    if not path.is_file():
        pytest.skip("no ict_facekit.npz in the test data")
    model = load_ict(path)
    assert model.identity.shape[0] == 100
    assert len(set(ours.expression_names[:52]) - set(model.expression_names)) == 1  # tongueOut
    placed = model.mean[model.landmark_vertices[:468]]
    assert len(np.unique(model.landmark_vertices[:468])) > 440
    assert np.median(np.linalg.norm(placed - ours.mean, axis=1)) < 6.0
    tip = model.mean[np.argmin(model.mean[:, 2])]
    assert np.linalg.norm(tip - placed[4]) < 8.0
    assert vertex_normals(model.mean, model.triangles)[model.landmark_vertices[4], 2] < -0.5
    agreement = {}
    for name in ("jawOpen", "mouthSmileLeft", "eyeWideRight", "browOuterUpLeft", "mouthPucker"):
        theirs = model.expression[model.expression_names.index(name)]
        theirs = theirs[model.landmark_vertices[:468]].ravel()
        mode = ours.expression[ours.expression_names.index(name)].ravel()
        agreement[name] = theirs @ mode / np.linalg.norm(theirs) / np.linalg.norm(mode)
    assert min(agreement.values()) > 0.7, agreement
    assert model.eye_centers is not None
    lids = placed[[159, 145]].mean(0)
    assert np.linalg.norm(model.eye_centers[0, :2] - lids[:2]) < 5.0
    save_face_model(model, tmp_path / "ict.safetensors")
    again = load_face_model(tmp_path / "ict.safetensors")
    np.testing.assert_allclose(again.mean, model.mean)
    np.testing.assert_allclose(again.expression, model.expression, atol=0.02)

"""The shipped face model: anatomy, names, symmetry, expressions."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from likeness.errors import BundleError, ContractError
from likeness.face3d.model import FaceModel
from likeness.geometry import gaze_direction
from likeness.store import load_face_model, save_face_model


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model()


def posed(model: FaceModel, **weights: float) -> np.ndarray:
    expression = np.zeros((1, len(model.expression)), np.float32)
    for name, weight in weights.items():
        expression[0, model.expression_names.index(name)] = weight
    return model.vertices(np.zeros(len(model.identity), np.float32), expression)[0]


def gap(vertices: np.ndarray, a: int, b: int) -> float:
    return float(np.linalg.norm(vertices[a] - vertices[b]))


def test_anatomy(model: FaceModel) -> None:
    assert model.mean.shape == (468, 3)
    assert int(np.argmin(model.mean[:, 2])) in (1, 4)
    assert model.mean[10, 1] < model.mean[1, 1] < model.mean[152, 1]
    assert 120 < np.ptp(model.mean[:, 0]) < 165
    assert model.eye_centers is not None
    assert gap(model.eye_centers, 0, 1) == pytest.approx(63.0, abs=0.5)
    assert model.eye_centers[0, 0] < 0 < model.eye_centers[1, 0]
    assert gap(model.mean, 13, 14) < 1.0
    assert 44 < gap(model.mean, 61, 291) < 56
    assert 6 < gap(model.mean, 159, 145) < 12


def test_mesh_is_an_oriented_surface_with_three_holes(model: FaceModel) -> None:
    directed = {tuple(t[[i, (i + 1) % 3]]) for t in model.triangles for i in range(3)}
    assert len(model.triangles) == 852
    assert len(directed) == 3 * 852
    edges = {tuple(sorted(edge)) for edge in directed}
    assert 468 - len(edges) + 852 == 1 - 3
    whole = [*model.triangles, *model.mouth_triangles, *model.eye_triangles[0]]
    whole += list(model.eye_triangles[1])
    closed = {tuple(t[[i, (i + 1) % 3]]) for t in np.array(whole) for i in range(3)}
    assert len(closed) == 3 * 898
    rim = [(b, a) for a, b in closed if (b, a) not in closed]
    assert len(rim) == 36
    assert {int(a) for a, _ in rim} == set(model.regions["face_oval"].tolist())


def test_mirror_twins_make_the_mean_symmetric(model: FaceModel) -> None:
    twin = model.regions["twin"]
    np.testing.assert_array_equal(twin[twin], np.arange(468))
    np.testing.assert_allclose(model.mean[twin] * [-1, 1, 1], model.mean, atol=1e-3)
    np.testing.assert_allclose(model.albedo_mean[twin], model.albedo_mean, atol=2e-3)
    for right in [n for n in model.expression_names if n.endswith("Right")]:
        a = model.expression[model.expression_names.index(right)]
        b = model.expression[model.expression_names.index(right[: -len("Right")] + "Left")]
        np.testing.assert_allclose(a[twin] * [-1, 1, 1], b, atol=0.02)


def test_names_are_arkit_then_details(model: FaceModel) -> None:
    named = [n for n in model.expression_names if not n.startswith("detail_")]
    assert len(named) == 52
    assert named == sorted(named)
    assert model.expression_names[:52] == tuple(named)
    assert 24 <= len(model.expression_names) - 52 <= 36
    size = np.linalg.norm(model.expression, axis=-1).max(1)
    silent = [n for n, s in zip(model.expression_names, size, strict=True) if s == 0]
    assert silent == ["tongueOut"]
    np.testing.assert_allclose(size[52:], 2.5, atol=0.01)


def test_details_add_what_names_lack(model: FaceModel) -> None:
    flat = model.expression.reshape(len(model.expression), -1).astype(np.float64)
    flat = flat[np.abs(flat).max(1) > 0]
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    named, details = flat[:51], flat[51:]
    assert np.abs(details @ named.T).max() < 0.01
    assert np.abs(details @ details.T - np.eye(len(details))).max() < 0.01


def test_blink_closes_the_eye_and_leaves_the_other(model: FaceModel) -> None:
    closed = posed(model, eyeBlinkRight=1.0)
    for upper, lower in ((160, 144), (159, 145), (158, 153)):
        assert gap(closed, upper, lower) < 0.1 * gap(model.mean, upper, lower)
    assert gap(closed, 386, 374) == pytest.approx(gap(model.mean, 386, 374), abs=0.01)


def test_mouth_opens_and_closes_again(model: FaceModel) -> None:
    opened = posed(model, jawOpen=1.0)
    assert 18 < gap(opened, 13, 14) < 36
    assert opened[152, 1] > model.mean[152, 1] + 12
    assert np.abs(opened[159] - model.mean[159]).max() < 0.2
    shut = posed(model, jawOpen=1.0, mouthClose=1.0)
    assert gap(shut, 13, 14) < 1.5
    assert gap(shut, 81, 178) < 1.5


def test_directions_of_expressions(model: FaceModel) -> None:
    smile = posed(model, mouthSmileLeft=1.0, mouthSmileRight=1.0) - model.mean
    assert smile[61, 0] < -3
    assert smile[61, 1] < -3
    assert smile[291, 0] > 3
    assert posed(model, mouthFrownLeft=1.0)[291, 1] > model.mean[291, 1] + 3
    assert posed(model, browInnerUp=1.0)[107, 1] < model.mean[107, 1] - 3
    assert posed(model, browDownRight=1.0)[107, 1] > model.mean[107, 1] + 3
    assert posed(model, mouthLeft=1.0)[13, 0] > 4
    assert posed(model, jawRight=1.0)[152, 0] < -4
    assert gap(posed(model, mouthPucker=1.0), 61, 291) < gap(model.mean, 61, 291) - 12


def test_modes_are_standard_deviations(model: FaceModel) -> None:
    size = np.sqrt((model.identity.astype(np.float64) ** 2).sum((1, 2)))
    assert len(size) == 40
    assert np.all(np.diff(size) < 1e-6)
    flat = model.identity.reshape(40, -1) / size[:, None]
    np.testing.assert_allclose(flat @ flat.T, np.eye(40), atol=0.01)
    assert len(model.albedo) == 20
    rng = np.random.default_rng(0)
    colors = model.colors(rng.normal(size=20).astype(np.float32))
    assert colors.min() >= 0
    assert colors.max() <= 1


def test_vertices_add_up(model: FaceModel) -> None:
    rng = np.random.default_rng(0)
    shape = rng.normal(size=40).astype(np.float32)
    weights = rng.random((3, len(model.expression))).astype(np.float32)
    found = model.vertices(shape, weights)
    slow = model.mean + np.einsum("s,svd->vd", shape, model.identity)
    slow = slow + np.einsum("ne,evd->nvd", weights, model.expression)
    np.testing.assert_allclose(found, slow, atol=1e-3)
    np.testing.assert_allclose(model.vertices(shape[:4], 0 * weights)[0], model.neutral(shape[:4]))


def test_models_without_modes_stand_still(model: FaceModel) -> None:
    none = np.zeros((0, 468, 3), np.float32)
    bare = dataclasses.replace(
        model, identity=none, expression=none, albedo=none, expression_names=(), eye_identity=None
    )
    nothing = np.zeros(0, np.float32)
    np.testing.assert_array_equal(bare.vertices(nothing, np.zeros((2, 0)))[1], model.mean)
    np.testing.assert_array_equal(bare.colors(nothing), model.albedo_mean)
    np.testing.assert_array_equal(bare.eyes(nothing), model.eye_centers)


def test_irises_look_where_gaze_says(model: FaceModel) -> None:
    gaze = np.array([[[0.0, 0.0], [0.3, -0.2]]], np.float32)
    shape = np.zeros(40, np.float32)
    irises = model.irises(shape, gaze)
    assert irises.shape == (1, 10, 3)
    direction = irises[0, 5] - model.eyes(shape)[1]
    cosine = direction @ gaze_direction(gaze[0, 1]) / np.linalg.norm(direction)
    assert cosine == pytest.approx(1.0, abs=1e-5)
    rim = np.linalg.norm(irises[0, 1:5] - irises[0, 0], axis=1)
    np.testing.assert_allclose(rim, model.iris_radius, atol=1e-3)
    assert irises[0, 1, 0] > irises[0, 0, 0] > irises[0, 3, 0]
    assert irises[0, 2, 1] < irises[0, 0, 1] < irises[0, 4, 1]


def test_contract_is_checked(model: FaceModel) -> None:
    with pytest.raises(ContractError, match="coefficients"):
        model.neutral(np.zeros(41, np.float32))
    with pytest.raises(ContractError, match="expression has shape"):
        model.vertices(np.zeros(3, np.float32), np.zeros((2, 5), np.float32))
    with pytest.raises(ContractError, match="outside"):
        dataclasses.replace(model, triangles=np.array([[0, 1, 468]]))
    with pytest.raises(ContractError, match="no eyeballs"):
        dataclasses.replace(model, eye_centers=None).eyes(np.zeros(1, np.float32))


def test_file_round_trip(model: FaceModel, tmp_path: Path) -> None:
    path = tmp_path / "face.safetensors"
    save_face_model(model, path)
    again = load_face_model(path)
    shipped = Path(str(resources.files("likeness.face3d") / "likeness_face.safetensors"))
    assert path.read_bytes() == shipped.read_bytes()
    assert again.expression_names == model.expression_names
    np.testing.assert_array_equal(again.expression, model.expression)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BundleError, match="safetensors"):
        load_face_model(path)
    with pytest.raises(BundleError, match="no face model"):
        load_face_model("nobody")


def test_shipped_file_is_small_and_documented() -> None:
    folder = Path(str(resources.files("likeness.face3d")))
    data = (folder / "likeness_face.safetensors").read_bytes()
    record = json.loads((folder / "likeness_face.json").read_text())
    assert len(data) < 1_500_000
    assert record["sha256"] == hashlib.sha256(data).hexdigest()
    assert len(record["portraits"]) == 50

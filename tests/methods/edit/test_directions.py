"""Directions: found from labels, weights and samples, and fetched from files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.errors import BundleError, ConfigError, ContractError
from likeness.importers.directions import read_directions
from likeness.methods.edit.directions import (
    Direction,
    directions_of,
    from_labels,
    from_pca,
    from_sefa,
    sheet_of,
    weights_of,
)
from likeness.methods.edit.generator import open_generator
from likeness.store import load_bundle, save_bundle
from tests.importers.hostile import WithState
from tests.methods.edit.tiny import stylegan

RANDOM = np.random.default_rng(1)


def labelled(noise: float = 0.1) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """(M,3,8) codes, two labels that depend on correlated normals, and these normals."""
    codes = RANDOM.standard_normal((400, 1, 8)).astype(np.float32).repeat(3, 1)
    normals = np.zeros((2, 8), np.float32)
    normals[0, 0], normals[1, :2] = 1, [0.6, 0.8]
    told = codes[:, 0] @ normals.T + noise * RANDOM.standard_normal((400, 2))
    return codes, {"smile": told[:, 0], "age": told[:, 1]}, normals


def test_labels_give_back_the_planes_they_were_made_by() -> None:
    codes, labels, normals = labelled()
    (smile,) = from_labels(codes, {"smile": labels["smile"]})
    step = smile.step[0] / np.linalg.norm(smile.step)
    assert step @ normals[0] > 0.99
    assert smile.facts["correlation"] > 0.95
    # Strength 1 is a deviation of the label.
    assert float(smile.step[0] @ normals[0]) == pytest.approx(labels["smile"].std(), rel=0.1)


def test_a_direction_leaves_the_other_labels_alone() -> None:
    codes, labels, normals = labelled()
    smile, age = from_labels(codes, labels)
    for direction, own, other in ((smile, 0, 1), (age, 1, 0)):
        moved = direction.step[0] @ normals.T
        assert abs(moved[other]) < 0.08 * abs(moved[own])


def test_rows_without_a_label_are_left_out_and_too_few_refused() -> None:
    codes, labels, _ = labelled()
    holes = labels["smile"].copy()
    holes[::2] = np.nan
    (found,) = from_labels(codes, {"smile": holes})
    assert found.facts["rows"] == 200
    holes[8:] = np.nan
    with pytest.raises(ConfigError, match="smile.*at least 8"):
        from_labels(codes, {"smile": holes})


def test_sefa_finds_what_layers_answer_to_most() -> None:
    generator = open_generator(stylegan())
    with torch.no_grad():
        for block in generator.module.synthesis.levels():  # type: ignore[union-attr]
            for conv in block.convolutions():
                conv.style.weight[:, 1:] *= 0.01
            block.color.style.weight[:, 1:] *= 0.01
    first = from_sefa(generator, 2)[0]
    step = first.step[0] / np.linalg.norm(first.step[0])
    assert abs(step[0]) > 0.99
    coarse = from_sefa(generator, 1, slice(0, 2))[0]
    assert np.abs(coarse.step[:2]).min() > 0 or np.linalg.norm(coarse.step[:2]) > 0
    assert (coarse.step[2:] == 0).all()


def test_pca_finds_the_longest_axis() -> None:
    generator = open_generator(stylegan())
    found = from_pca(generator, 3, samples=512)
    codes = generator.sample(512, torch.Generator().manual_seed(0)).mean(1).numpy()
    lengths = [np.linalg.norm(d.step) for d in found]
    assert lengths == sorted(lengths, reverse=True)
    along = (codes - codes.mean(0)) @ (found[0].step[0] / lengths[0])
    assert along.std() == pytest.approx(lengths[0], rel=1e-3)


def test_moving_is_linear_and_shapes_are_checked() -> None:
    direction = Direction("a", np.ones((1, 4), np.float32), "made", {})
    moved = direction.moved(torch.zeros(2, 3, 4), torch.tensor([1.0, -2.0]))
    assert moved[:, 0, 0].tolist() == [1, -2]
    with pytest.raises(ContractError, match="same generator"):
        direction.moved(torch.zeros(1, 3, 5), torch.ones(1))


def test_directions_travel_in_bundles(tmp_path: Path) -> None:
    made = Direction(
        "smile", RANDOM.standard_normal((6, 16)).astype(np.float32), "pca", {"share": 0.5}
    )
    bundle = stylegan()
    save_bundle(
        replace(bundle, networks={**bundle.networks, "directions": weights_of([made])}),
        tmp_path / "a.bundle",
    )
    (found,) = directions_of(load_bundle(tmp_path / "a.bundle"))
    assert (found.name, found.origin, found.facts) == ("smile", "pca", {"share": 0.5})
    np.testing.assert_array_equal(found.step, made.step)


def test_a_sheet_shows_each_direction_on_two_faces() -> None:
    generator = open_generator(stylegan())
    sheet = sheet_of(generator, from_pca(generator, 2, samples=64), (-1, 0, 1))
    assert {name: tuple(rows.shape) for name, rows in sheet.items()} == {
        "pca0": (6, 3, 16, 16),
        "pca1": (6, 3, 16, 16),
    }
    assert torch.equal(sheet["pca0"][1], sheet["pca1"][1])
    assert not torch.equal(sheet["pca0"][0], sheet["pca1"][0])


@pytest.mark.parametrize("shape", [(16,), (1, 16), (6, 16), (1, 6, 16)])
def test_published_layouts_are_read(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = RANDOM.standard_normal(shape)
    np.save(tmp_path / "age.npy", values)
    torch.save(torch.from_numpy(values).float(), tmp_path / "age.pt")
    for name in ("age.npy", "age.pt"):
        (found,) = read_directions(tmp_path / name, (6, 16)).items()
        assert found[0] == "age"
        np.testing.assert_allclose(found[1], values.reshape(-1, 16), rtol=1e-6)


def test_files_of_other_generators_and_hostile_ones_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((18, 512)))
    with pytest.raises(BundleError, match=r"\(18, 512\)"):
        read_directions(tmp_path / "wide.npy", (6, 16))
    np.save(tmp_path / "rows.npy", np.zeros((5, 16)))
    with pytest.raises(BundleError, match="5 rows"):
        read_directions(tmp_path / "rows.npy", (6, 16))
    np.save(tmp_path / "object.npy", np.array([WithState()], object), allow_pickle=True)
    with pytest.raises(BundleError):
        read_directions(tmp_path / "object.npy", (6, 16))
    torch.save({"age": WithState()}, tmp_path / "hostile.pt")
    with pytest.raises(BundleError):
        read_directions(tmp_path / "hostile.pt", (6, 16))
    with pytest.raises(BundleError):
        read_directions(tmp_path / "none.npy", (6, 16))

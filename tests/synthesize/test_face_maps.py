"""What landmarks draw, and how views, turns and meshes follow them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness import geometry
from likeness.errors import ConfigError, ContractError
from likeness.methods.swap.survey.same_mesh import followed, triangles_of, unsteady
from likeness.synthesize.face_maps import (
    CONTOURS,
    REGIONS,
    angles,
    filled,
    heatmaps,
    hull,
    part_of,
    regions,
    rotation,
    shape,
    turned,
)
from likeness.synthesize.fsgan import FSGANConfig, soft_erosion, view_weights
from likeness.synthesize.rsgan import RSGAN, RSGANConfig
from likeness.synthesize.unifacegan import RegionNorm, reshaped
from tests.methods.swap.test_picture_training import face_at


def turn_of(yaw: float, pitch: float, roll: float = 0.0) -> torch.Tensor:
    degrees = (np.radians(np.float32(angle)) for angle in (yaw, pitch, roll))
    return torch.from_numpy(geometry.rotation_from_euler(*degrees))[None]


def test_a_polygon_covers_its_own_area() -> None:
    angle = torch.linspace(0, 2 * np.pi, 41)[:-1]
    circle = torch.stack([0.4 + 0.3 * torch.cos(angle), 0.5 + 0.3 * torch.sin(angle)], 1)
    drawn = filled(circle[None], 64)
    assert float(drawn.mean()) == pytest.approx(np.pi * 0.09, rel=0.01)
    x = (torch.arange(64) + 0.5) / 64
    assert float((drawn[0, 0].sum(0) * x).sum() / drawn.sum()) == pytest.approx(0.4, abs=2e-3)


def test_regions_part_a_picture() -> None:
    points = torch.stack([face_at(14.0), face_at(17.0)])
    maps = regions(points, 32)
    assert maps.shape == (2, len(REGIONS), 32, 32)
    torch.testing.assert_close(maps.sum(1), torch.ones(2, 32, 32))
    assert float(maps.min()) >= 0
    torch.testing.assert_close(1 - maps[:, :1], hull(points, 32))
    # The mouth lies below the eyes.
    y = torch.arange(32.0)[:, None]
    eyes, mouth = (
        (maps[:, REGIONS.index(name)] * y).sum((1, 2)) / maps[:, REGIONS.index(name)].sum((1, 2))
        for name in ("eyes", "mouth")
    )
    assert bool((mouth > eyes + 4).all())


def test_a_landmarks_spot_is_where_the_landmark_is() -> None:
    points = face_at(16.0)[None]
    drawn = heatmaps(points, 64)
    assert drawn.shape == (1, len(CONTOURS), 64, 64)
    for index, contour in enumerate(CONTOURS):
        x, y = (points[0, contour[0], :2] * 64 - 0.5).round().long().clamp(0, 63).tolist()
        assert float(drawn[0, index, y, x]) > 0.6
    assert float(drawn.max()) <= 1


def test_a_turn_is_read_from_landmarks() -> None:
    face = face_at(16.0)[None]
    base = rotation(face)
    for yaw, pitch in ((20.0, 0.0), (-30.0, 10.0), (0.0, -15.0)):
        by = turn_of(yaw, pitch)
        read = rotation(turned(face, by))
        torch.testing.assert_close(read, by @ base, atol=1e-4, rtol=1e-4)
        flat = torch.rad2deg(angles(by))[0].tolist()
        assert flat == pytest.approx([yaw, pitch], abs=0.01)


def test_parts_of_a_turn_add_up() -> None:
    by = torch.cat([turn_of(40, -10, 5), turn_of(-3, 8), turn_of(0, 0)])
    third = part_of(by, 1 / 3)
    torch.testing.assert_close(third @ third @ third, by, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(part_of(by, 0.0), torch.eye(3).expand(3, 3, 3))


def test_shape_forgets_place_turn_and_size() -> None:
    face = face_at(16.0)[None]
    moved = turned(face, turn_of(25, -12, 8)) * 1.3 + torch.tensor([0.1, -0.05, 0.0])
    torch.testing.assert_close(shape(moved)[0], shape(face)[0], atol=1e-4, rtol=1e-4)
    change = torch.randn(478, 3) * 0.05
    change -= change.mean(0)
    fresh = reshaped(moved, change)
    torch.testing.assert_close(reshaped(fresh, torch.zeros(478, 3)), fresh)
    # What was added is what is found, up to what it changes of the head's own axes.
    added = (fresh - moved) @ rotation(moved) / shape(moved)[1]
    torch.testing.assert_close(added[0], change, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_views_are_weighed_by_where_the_wanted_one_lies(seed: int) -> None:
    random = np.random.default_rng(seed)
    views = torch.from_numpy(random.normal(0, 0.4, (6, 2)).astype(np.float32))
    shares = torch.from_numpy(random.dirichlet((1, 1, 1)).astype(np.float32))
    inside = (views[:3] * shares[:, None]).sum(0)
    weights = view_weights(views, inside)
    assert float(weights.sum()) == pytest.approx(1, abs=1e-5)
    assert float(weights.min()) >= 0
    assert int((weights > 0).sum()) <= 3
    torch.testing.assert_close(weights @ views, inside, atol=1e-4, rtol=1e-4)


def test_outside_of_all_views_the_nearest_is_taken() -> None:
    views = torch.tensor([[0.0, 0.0], [0.4, 0.0], [0.2, 0.3]])
    assert view_weights(views, torch.tensor([1.0, -0.2])).tolist() == [0, 1, 0]
    assert view_weights(views, torch.tensor([0.1, -1.0])).tolist() == pytest.approx([0.75, 0.25, 0])
    assert view_weights(views[:1], torch.tensor([1.0, 1.0])).tolist() == [1]
    same = torch.zeros(3, 2)
    assert float(view_weights(same, torch.tensor([0.2, 0.1])).sum()) == 1


def test_a_region_shrinks_softly() -> None:
    region = hull(face_at(16.0)[None], 64)
    shrunk = soft_erosion(region)
    assert bool((shrunk <= region + 1e-6).all() | (shrunk <= 1).all())
    assert 0.5 < float((shrunk > 0.99).float().sum() / region.sum()) < 0.95
    assert float(shrunk[0, 0, 32, 32]) == 1
    assert float(soft_erosion(torch.zeros(1, 1, 64, 64)).max()) == 0


def test_places_on_a_face_are_followed_to_where_it_moves() -> None:
    size, face = 64, face_at(16.0)[None]
    mesh = triangles_of(face)
    by = turned(face, turn_of(8, -4, 10)) + torch.tensor([0.06, -0.03, 0.0])
    places, covered = followed(face.numpy(), by.numpy(), mesh, size)
    assert covered.mean() == pytest.approx(float(hull(face, size).mean()), rel=0.1)
    for index in (1, 152, 61, 10):
        x, y = (face[0, index, :2] * size - 0.5).round().long().clamp(0, size - 1).tolist()
        if covered[0, 0, y, x] > 0:
            found = (places[0, y, x] + 1) / 2
            torch.testing.assert_close(found, by[0, index, :2], atol=1.2 / size, rtol=0)
    # A pattern that moves along is steady, one that stays is not.
    still, _ = followed(face.numpy(), face.numpy(), mesh, size)
    y, x = torch.meshgrid(*(torch.linspace(0, 1, size) for _ in range(2)), indexing="ij")
    stripes = (torch.sin(20 * x) + torch.cos(20 * y)).expand(1, 3, size, size)
    assert float(unsteady(stripes, stripes, still, covered)) < 0.02
    assert float(unsteady(stripes, stripes, places, covered)) > 0.2
    assert float(unsteady(stripes, stripes, places, torch.zeros_like(covered))) == 0


def test_each_region_has_its_own_scale_and_shift() -> None:
    torch.manual_seed(0)
    norm = RegionNorm(4)
    x, looks = torch.randn(1, 4, 8, 8), torch.randn(1, len(REGIONS), 32)
    maps = torch.zeros(1, len(REGIONS), 8, 8)
    maps[:, 1, :, :4] = 1
    maps[:, 4, :, 4:] = 1
    before = norm(x, maps, looks).detach()
    looks[:, 4] += 1
    changed = (norm(x, maps, looks).detach() - before).abs().sum((0, 1, 2))
    assert float(changed[:4].max()) == 0
    assert float(changed[4:].min()) > 0


def test_pictures_and_landmarks_of_other_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected 64"):
        RSGANConfig(size=32)
    with pytest.raises(ConfigError):
        FSGANConfig(size=64, others=(4, 0, 4, 4))
    network = RSGAN(RSGANConfig(16, (4, 4), 3, 5))
    faces = torch.rand(1, 3, 16, 16), torch.rand(1, 478, 3)
    assert network(*faces, *faces).shape == (1, 4, 16, 16)
    with pytest.raises(ContractError, match="points are"):
        network(faces[0], faces[1][:, :68], *faces)
    with pytest.raises(ContractError, match="crops are"):
        network(torch.rand(1, 3, 8, 8), faces[1], *faces)

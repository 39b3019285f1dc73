from __future__ import annotations

import numpy as np
import torch

from likeness.condition import portrait_crop
from likeness.condition.atlas import Atlas, box_around, fetch
from likeness.condition.conditioner import PortraitConditioner, select
from likeness.condition.mesh import MOUTH, SKIN
from likeness.condition.paint import cover
from likeness.methods.portrait.model import conditioner_of
from likeness.types import Floats, Shot

SIDE = 128


def guide_for(shot: Shot) -> PortraitConditioner:
    crop = portrait_crop(shot.track, shot.clip.size, SIDE)
    return conditioner_of(shot, np.arange(len(shot.track)), crop.crop_from_frame[0], SIDE)


def stripes() -> torch.Tensor:
    """A smooth picture (1,3,h,w) that tells places apart."""
    y, x = torch.meshgrid(torch.linspace(0, 6, SIDE), torch.linspace(0, 6, SIDE), indexing="ij")
    return torch.stack([x.sin(), y.sin(), (x + y).cos()])[None] * 0.5 + 0.5


def jaw_open(conditioner: PortraitConditioner) -> Floats:
    model = conditioner.mesh.model
    weights = np.zeros(len(model.expression), np.float32)
    weights[model.expression_names.index("jawOpen")] = 0.7
    return weights


def test_what_was_unrolled_is_drawn_again_where_it_was(actor_shot: Shot) -> None:
    conditioner = guide_for(actor_shot)
    atlas = Atlas.of(conditioner.mesh, 256)
    one = select(actor_shot.params, np.array([10]))
    posed = conditioner.mesh.pose(one, conditioner.crop_from_frame, conditioner.frame_size)
    picture = stripes()
    texture = atlas.unroll(picture, posed.vertices[..., :2])
    coverage = cover(conditioner.mesh, posed.vertices[0], SIDE, SIDE)
    drawn = fetch(texture, atlas.find(coverage))
    # Away from the silhouette, where the unrolled face folds over itself.
    skin = torch.from_numpy(coverage.kinds == SKIN)[None, None]
    inner = -torch.nn.functional.max_pool2d(-skin.float(), 9, 1, 4) > 0.5
    error = (drawn - picture).abs().mean(1, keepdim=True)[inner]
    assert len(error) > 500
    assert error.quantile(0.95) < 0.02


def test_an_open_mouth_has_a_place(actor_shot: Shot) -> None:
    conditioner = guide_for(actor_shot)
    shut, opened = (
        Atlas.of(conditioner.mesh, 128),
        Atlas.of(conditioner.mesh, 128, jaw_open(conditioner)),
    )
    count = [(atlas.coverage.kinds == MOUTH).sum() for atlas in (shut, opened)]
    assert count[1] > 60
    assert count[1] > 2 * count[0]


def test_points_are_located_where_the_mesh_lies(actor_shot: Shot) -> None:
    conditioner = guide_for(actor_shot)
    atlas = Atlas.of(conditioner.mesh, 128)
    rest = conditioner.mesh.model.neutral(conditioner.mesh.shape)
    np.testing.assert_allclose(atlas.locate(rest), atlas.places[: len(rest)], atol=1e-3)
    assert atlas.places[: len(rest)].min() > 0
    assert atlas.places[: len(rest)].max() < 128


def test_boxes_are_whole_and_inside() -> None:
    box = box_around(np.array([[3.2, 50.0], [97.5, 99.0]], np.float32), 5, 100)
    assert box.tolist() == [0, 45, 100, 97]

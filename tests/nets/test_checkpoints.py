"""Reading official state dicts: exact names in, ours out, and a clear no to anything else."""

from __future__ import annotations

import pytest
import torch

from likeness.errors import BundleError
from likeness.nets.checkpoints import (
    indices,
    renamed,
    shape_at,
    shapes_of,
    stage_depths,
    stage_modules,
)


def test_every_tensor_gets_our_name_for_its_module() -> None:
    state = {"a.0.weight": torch.zeros(2), "a.0.bias": torch.ones(3)}
    answer = renamed(state, {"a.0": "stem.conv", "b": "unused"})
    assert answer == {"stem.conv.weight": state["a.0.weight"], "stem.conv.bias": state["a.0.bias"]}


def test_tensors_without_a_place_are_named() -> None:
    state = {f"x{i}.weight": torch.zeros(1) for i in range(9)} | {"a.weight": torch.zeros(1)}
    with pytest.raises(BundleError, match=r"9 of 10 tensors have no place .*: x0.weight, x1"):
        renamed(state, {"a": "a"})


@pytest.mark.parametrize(
    ("shape", "message"), [((3, 4), "expected 4 dim"), ((3, 0, 1, 1), "of 1 or more")]
)
def test_a_tensor_of_another_shape_is_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        shape_at({"w": shape}, "w", 4)


def test_a_missing_tensor_is_named() -> None:
    with pytest.raises(BundleError, match="no tensor is called 'w'"):
        shape_at({}, "w", 4)


def test_gaps_in_a_numbering_are_refused() -> None:
    shapes = {"b.0.w": (1,), "b.2.w": (1,)}
    with pytest.raises(BundleError, match="expected no gaps"):
        indices(shapes, r"b\.(\d+)\.")
    assert indices(shapes, r"c\.(\d+)\.") == ()


def test_stages_are_counted_block_by_block() -> None:
    keys = ["layer1.0.a", "layer1.1.a", "layer2.0.a", "other.3.a"]
    assert stage_depths(dict.fromkeys(keys, (1,))) == (2, 1)
    for wrong in (["layer2.0.a"], ["layer1.1.a"], ["layer1.0.a", "layer3.0.a"], []):
        with pytest.raises(BundleError):
            stage_depths(dict.fromkeys(wrong, (1,)))


def test_stages_count_from_one_in_files_and_from_zero_here() -> None:
    assert stage_modules((1, 2), {"bn1": "enter"}) == {
        "layer1.0.bn1": "stages.0.0.enter",
        "layer2.0.bn1": "stages.1.0.enter",
        "layer2.1.bn1": "stages.1.1.enter",
    }


def test_shapes_are_plain_tuples() -> None:
    assert shapes_of({"a": torch.zeros(2, 3), "b": torch.zeros(())}) == {"a": (2, 3), "b": ()}

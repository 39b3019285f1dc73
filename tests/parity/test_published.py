"""Official state dicts, through the importers' own renaming, give the official networks' answers.

`pytest tests/parity [--parity-dir DIR]`. Every tensor is filled by a rule that knows only its
official key and shape, so a network that takes them all and answers the same numbers has the same
layers in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from likeness.nets.checkpoints import shapes_of
from likeness.networks import NETWORKS
from tests.parity.published import GOLDENS

CASES = [
    pytest.param(name, marks=[pytest.mark.slow] if golden.slow else [], id=name)
    for name, golden in GOLDENS.items()
]


def difference(spec: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Say how each output differs; `worst_excess` counts in tolerances."""
    lines = [f"{output}: {found}" for output, found in report["outputs"].items()]
    return "\n".join([f"{spec['name']} is another network than {spec['source']}:", *lines])


@pytest.mark.parametrize("name", CASES)
def test_official_weights_give_official_answers(name: str, goldens: Path, rule: ModuleType) -> None:
    if not (goldens / f"{name}.json").is_file():
        pytest.skip(f"no {name}.json in {goldens}")
    golden, spec = GOLDENS[name], rule.load_spec(name, str(goldens))
    state = rule.torch_state_dict(spec)
    config = golden.family.infer(shapes_of(state), **golden.hints(spec))
    # Built without memory of its own, so that the largest network is held only once.
    with torch.device("meta"):
        network = NETWORKS[golden.family.network][0](config)
    network.load_state_dict(golden.family.rename(state), strict=True, assign=True)
    network.eval()
    del state
    with torch.inference_mode():
        answers = golden.answer(network, rule.torch_inputs(spec))
    report = rule.compare(spec, answers)
    assert report["ok"], difference(spec, report)


def test_every_golden_is_tried(goldens: Path) -> None:
    there = {path.stem for path in goldens.glob("*.json")}
    assert there <= set(GOLDENS), f"no test for {', '.join(sorted(there - set(GOLDENS)))}"

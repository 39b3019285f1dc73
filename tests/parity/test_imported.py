"""A file made from a golden's state dict, imported, stored and opened again, gives its answer."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch

from likeness.importers.checkpoints import import_checkpoint
from likeness.importers.kinds import KINDS
from likeness.networks import build
from likeness.store import load_bundle, save_bundle
from tests.importers.pickled import saehd
from tests.parity.published import GOLDENS

FAST = {"simswap_arcface_r18se", "bisenet19", "stylegan2_ada_256", "dfl_liae_ud_128"}
"""One of each kind that a second or two are enough for."""
CASES = [
    pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow], id=name)
    for name in GOLDENS
]


@pytest.mark.parametrize("name", CASES)
def test_imported_files_give_official_answers(
    name: str, goldens: Path, rule: ModuleType, tmp_path: Path
) -> None:
    if not (goldens / f"{name}.json").is_file():
        pytest.skip(f"no {name}.json in {goldens}")
    golden, spec = GOLDENS[name], rule.load_spec(name, str(goldens))
    state = rule.torch_state_dict(spec)
    kind = next(
        name
        for name, kind in KINDS.items()
        if any(golden.family in slot.families for slot in kind.slots if slot.required)
    )
    if kind == "dfl":
        file = saehd(tmp_path / "model", state, spec["config"]["archi"])
    else:
        file = tmp_path / "official.pth"
        torch.save(state, file)
    save_bundle(import_checkpoint(kind, file), tmp_path / "x.bundle")
    networks = load_bundle(tmp_path / "x.bundle").networks
    weights = next(w for w in networks.values() if w.network == golden.family.network)
    with torch.inference_mode():
        answers = golden.answer(build(weights), rule.torch_inputs(spec))
    report = rule.compare(spec, answers)
    assert report["ok"], report

"""`likeness models` on bundles that were just written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from likeness.cli.app import run
from likeness.store import save_bundle
from likeness.types import Bundle, Weights


def write_bundle(path: Path) -> None:
    weights = Weights("portrait", {"width": 4}, {"w": torch.zeros(3, 5)})
    save_bundle(Bundle("reenact", {"portrait": weights}, {}, {"steps": 1}, "CC0-1.0"), path)


def test_list_names_bundles_and_what_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(tmp_path / "a.bundle")
    write_bundle(tmp_path / "b.bundle")
    (tmp_path / "b.bundle" / "bundle.json").write_text("{")
    assert run(["models", "list", str(tmp_path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["bundles"]["a.bundle"] == {"method": "reenact", "license": "CC0-1.0"}
    assert "JSON" in facts["bundles"]["b.bundle"]["error"]
    assert "likeness" in facts["face_models"]


def test_info_counts_parameters_and_shows_digests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(tmp_path / "a.bundle")
    assert run(["models", "info", str(tmp_path / "a.bundle"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    network = facts["networks"]["portrait"]
    assert network["parameters"] == 15
    assert len(network["sha256"]) == 64
    assert facts["target"] is None
    assert run(["models", "info", str(tmp_path / "a.bundle")]) == 0
    assert "CC0-1.0" in capsys.readouterr().out

"""Where the goldens lie, and the rule that fills networks and inputs beside them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "parity"
RULE = "weights.py"


@pytest.fixture(scope="session")
def goldens(request: pytest.FixtureRequest) -> Path:
    """Folder with what the official networks answered."""
    folder: Path = request.config.getoption("--parity-dir") or PUBLISHED
    if not folder.is_dir():
        pytest.skip(f"no goldens at {folder}; name their folder with --parity-dir DIR")
    return folder.resolve()


@pytest.fixture(scope="session")
def rule(goldens: Path) -> ModuleType:
    """The rule that fills tensors; a folder with other inputs need not bring its own."""
    path = next((p for p in (PUBLISHED / RULE, goldens / RULE) if p.is_file()), None)
    if path is None:
        pytest.skip(f"no {RULE} in {PUBLISHED} or {goldens}")
    spec = importlib.util.spec_from_file_location("parity_rule", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

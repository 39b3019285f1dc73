"""The fuzzers stand on their own, repeat themselves, and find nothing in a few tries."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "hostile_files.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """The benchmark, imported by its path alone."""
    spec = importlib.util.spec_from_file_location("hostile_files", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["pickles", "states", "onnx", "bundles", "text"])
def test_a_few_files_of_every_kind_end_well(kind: str, program: ModuleType, tmp_path: Path) -> None:
    if kind == "onnx":
        pytest.importorskip("onnx", reason="ONNX files need likeness[onnx]")
        pytest.importorskip("onnxruntime", reason="ONNX files need likeness[onnx]")
    program.warm(kind)
    found = [program.outcome(program.KINDS[kind], f"{kind}:9:{i}", tmp_path) for i in range(12)]
    assert set(found) <= {"ok", "sentence"}, list(tmp_path.iterdir())


def test_a_seed_makes_the_same_file_again(program: ModuleType, tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        path = program.make_pickle(random.Random("pickles:1"), tmp_path / name)  # noqa: S311  # repeatable, no secret
        made.append(path.read_bytes())
    assert made[0] == made[1]


def test_what_goes_wrong_is_counted_as_what_it_is(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import time

    from likeness.errors import BundleError

    def sentence(_: Path) -> None:
        raise BundleError("refused")

    def crash(_: Path) -> None:
        raise KeyError("x")

    monkeypatch.setattr(program, "SECONDS", 1)
    readers = {
        "ok": lambda _: None,
        "sentence": sentence,
        "crash": crash,
        "over memory": lambda _: bytearray(3 * 2**30),
        "hang": lambda _: time.sleep(30),
    }
    for expected, read in readers.items():
        kind = program.Kind(lambda _, folder: folder, read)
        assert program.outcome(kind, "x:0:1", tmp_path) == expected
    aborting = program.Kind(lambda _, folder: folder, lambda _: os.kill(os.getpid(), 15))
    assert program.outcome(aborting, "x:0:2", tmp_path) == "crash"

"""Machine code that is kept follows what it was compiled with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LOOP = """
from likeness.compiled import njit
from constants import FACTOR
from helper import raised


@njit(cache=True)
def scaled(x):
    return raised(x) * FACTOR


if __name__ == "__main__":
    print(scaled(2.0))
"""
HELPER = """
from likeness.compiled import njit


@njit(cache=True)
def raised(x):
    return x + {}
"""


def test_a_constant_or_function_of_another_file_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text(LOOP)

    def run(factor: float, added: float) -> float:
        (tmp_path / "constants.py").write_text(f"FACTOR = {factor}\n")
        (tmp_path / "helper.py").write_text(HELPER.format(added))
        done = subprocess.run(
            [sys.executable, "-c", "import runpy; runpy.run_module('loop', run_name='__main__')"],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return float(done.stdout)

    assert run(3.0, 1.0) == 9.0
    assert run(5.0, 1.0) == 15.0
    assert run(5.0, 2.0) == 20.0

"""What README and examples show is run."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from likeness.store import save_shot
from likeness.types import Clip, FaceParams, FaceTrack, Shot

ROOT = Path(__file__).parent.parent


@pytest.fixture
def blinking_shot(tmp_path: Path) -> Path:
    """Two seconds at 25 fps with blinks after 0.4 and 1.2 seconds, saved as anna.shot."""
    n = 50
    lids = np.zeros((n, 2), np.float32)
    lids[10:14] = lids[30:33] = 0.9
    track = FaceTrack(
        start=0,
        boxes=np.zeros((n, 4), np.float32),
        landmarks=np.zeros((n, 478, 3), np.float32),
        scores=np.ones(n, np.float32),
        observed=np.ones(n, np.bool_),
    )
    params = FaceParams(
        model="likeness",
        shape=np.zeros(2, np.float32),
        albedo=np.zeros(2, np.float32),
        expression=lids,
        expression_names=("eyeBlinkLeft", "eyeBlinkRight"),
        rotation=np.zeros((n, 3), np.float32),
        translation=np.zeros((n, 3), np.float32),
        light=np.zeros((n, 9, 3), np.float32),
        gaze=np.zeros((n, 2, 2), np.float32),
        focal=500.0,
    )
    clip = Clip(tmp_path / "anna.mp4", "0" * 64, (64, 64), np.arange(n), Fraction(1, 25), 1)
    save_shot(Shot(clip, track, params), tmp_path / "anna.shot")
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_program_in_the_readme_trains_reenacts_and_verifies(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    imported = re.findall(r"^(?:import|from) (\S+)", program, re.MULTILINE)
    assert imported == ["pathlib", "likeness"]
    assert run(tmp_path, "-c", program) == "25 frames, manifest valid, mark True\n"
    example = runpy.run_path(str(ROOT / "examples" / "portrait.py"))["main"]
    report = example(
        tmp_path / "anna.mp4", tmp_path / "ben.mp4", tmp_path / "again.mp4", minutes=0.02
    )
    assert (report.frames, report.fallback_frames) == (25, ())


def test_blinks_are_counted(blinking_shot: Path) -> None:
    told = run(blinking_shot, str(ROOT / "examples" / "count_blinks.py"), "anna.shot")
    assert told.splitlines() == ["2 blinks in 2.0 s", "0.40 1.20"]


def test_links_in_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}, which is not there"

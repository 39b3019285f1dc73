"""The performance as a table: out, changed by hand, and in again."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from likeness.errors import BundleError
from likeness.fit.edit import apply_edits, curves_of
from likeness.store import read_table, write_table
from likeness.types import Shot


def _fed_back(shot: Shot, path: Path) -> Shot:
    seconds = (shot.clip.pts - shot.clip.pts[0]) * float(shot.clip.time_base)
    edits = curves_of(read_table(path))
    return replace(shot, params=apply_edits(shot.params, seconds, edits, shot.params).params)


def test_a_table_fed_back_gives_the_same_table(actor_shot: Shot, tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    write_table(actor_shot, first)
    again = _fed_back(actor_shot, first)
    write_table(again, second)
    assert first.read_text() == second.read_text()
    np.testing.assert_allclose(again.params.rotation, actor_shot.params.rotation, atol=2e-6)
    # Onto another performance, too: the table alone decides.
    still = replace(actor_shot.params, rotation=np.zeros_like(actor_shot.params.rotation))
    write_table(_fed_back(replace(actor_shot, params=still), first), second)
    assert first.read_text() == second.read_text()


def test_one_changed_cell_changes_one_value(actor_shot: Shot, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_table(actor_shot, path)
    rows = list(csv.reader(path.open()))
    place = rows[0].index("jawOpen")
    rows[11][place] = "0.9"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    moved = _fed_back(actor_shot, path).params.expression - actor_shot.params.expression
    moved[np.abs(moved) < 1e-5] = 0
    assert np.count_nonzero(moved) == 1
    changed = _fed_back(actor_shot, path).params.column("jawOpen")[10]
    assert changed == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 lines"),
        ("frame,yaw\n", "1 lines"),
        ("frame,yaw,yaw\n0,1,1\n", "each once"),
        ("frame,yaw\n0,left\n", "line 2: yaw is 'left'"),
        ("frame,yaw\n0,inf\n", "line 2: yaw is 'inf'"),
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(text)
    with pytest.raises(BundleError, match=message):
        read_table(path)

"""The doctor sees this machine as it is, and says what mends what is broken."""

from __future__ import annotations

import json

import pytest

from likeness import doctor
from likeness.cli.app import run


def test_this_machine_can_run_the_tests(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["healthy"] is True
    assert facts["machine"]["cores"] >= 1
    assert facts["machine"]["bfloat16_gain"] > 0
    assert facts["parts"]["encoder: h264"] == "usable"
    assert set(facts["missing"]) <= set(facts["parts"])


def test_what_is_missing_comes_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = doctor.Part("tracker: bundled", False, "no MediaPipe", mend="pip install mediapipe")
    monkeypatch.setattr(doctor, "_tracker", lambda: broken)
    assert not doctor.examine().healthy
    assert run(["doctor"]) == 1
    shown = capsys.readouterr()
    assert "pip install mediapipe" in shown.out
    assert shown.err == ""


def test_a_part_with_a_stand_in_is_no_illness() -> None:
    found = doctor.examine()
    spare = doctor.Part("encoder: av1", False, "missing", needed=False, mend="pip install av")
    assert doctor.Diagnosis(found.machine, (*found.parts, spare)).healthy

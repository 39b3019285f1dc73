"""Each verb once, from end to end, on two seconds of the actor."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from likeness.actor import Actor, Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.cli.app import run
from likeness.cli.track import numbered
from likeness.decode import open_clip, read_marks
from likeness.provenance import read_manifest, trust_anchors
from likeness.store import load_bundle, load_shot

SIZE = 160


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with target.mp4 (2 s), driver.mp4 (0.6 s) and run.toml (three training steps)."""
    folder = tmp_path_factory.mktemp("verbs")
    camera = RenderConfig((SIZE, SIZE), samples=1)
    for name, actor, seconds in (("target", 3, 2.0), ("driver", 5, 0.6)):
        motion = Motion.from_seed(1, seconds, style="expressive")
        write_actor_clip(Actor.from_seed(actor), motion, folder / f"{name}.mp4", camera)
    (folder / "run.toml").write_text("[train]\nsteps = 3\nsize = 64\nfast = {keyframes = 6}\n")
    return folder


@pytest.fixture(scope="module")
def bundle(place: Path) -> Path:
    """A portrait after three steps: of no use but for being whole."""
    path = place / "target.bundle"
    command = ["train", "reenact", str(place / "target.mp4"), "-o", str(path)]
    assert run([*command, "--config", str(place / "run.toml")]) == 0
    return path


def ask(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run a command with --json and return its object."""
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    facts = json.loads(capsys.readouterr().out)
    assert isinstance(facts, dict)
    return facts


def test_track_finds_the_actor(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, overlay, table = place / "t.shot", place / "t.mp4", place / "t.csv"
    facts = ask(
        capsys,
        *("track", str(place / "target.mp4"), "-o", str(output)),
        *("--overlay", str(overlay), "--csv", str(table)),
    )
    assert (facts["frames"], facts["people"], facts["observed_share"]) == (50, 1, 1.0)
    assert 0 < facts["landmark_rms_px"] < 2
    assert facts["fps"] > 0
    assert len(load_shot(output).params) == 50
    assert len(open_clip(overlay)) == 50
    assert read_manifest(overlay, trust_anchors()).trusted
    assert len(list(csv.reader(table.open()))) == 51


def test_a_dry_run_writes_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(place.rglob("*"))
    clip = str(place / "target.mp4")
    facts = ask(capsys, "track", clip, "-o", str(place / "no.shot"), "--dry-run")
    assert facts["frames"] == 50
    facts = ask(
        capsys,
        *("train", "reenact", clip, "-o", str(place / "no.bundle")),
        *("--dry-run", "--minutes", "3", "--seed", "8", "--preset", "paper"),
    )
    train = facts["settings"]["train"]
    assert (train["minutes"], train["seed"], train["preset"]) == (3.0, 8, "paper")
    assert sorted(place.rglob("*")) == before


def test_a_portrait_records_how_it_was_trained(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    assert loaded.method == "reenact.fast"
    assert loaded.training["steps"] == 3
    assert loaded.training["settings"]["size"] == 64
    assert loaded.shot is not None
    assert sorted(entry.name for entry in bundle.parent.glob(".*.partial")) == []


def test_reenact_runs_on_the_drivers_timeline(
    place: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = place / "result.mp4"
    facts = ask(capsys, "reenact", str(bundle), str(place / "driver.mp4"), "-o", str(output))
    keys = {"output", "frames", "fallback_frames", "seconds", "peak_rss_mb"}
    assert keys <= facts.keys()
    assert (facts["frames"], facts["fallback_frames"]) == (15, [])
    clip = open_clip(output)
    assert (len(clip), clip.size) == (15, (SIZE, SIZE))
    assert "Synthetic media" in read_marks(output)["comment"]
    assert (place / "result.mp4.manifest.json").is_file()
    assert facts["manifest"] == "embedded"
    assert read_manifest(output, trust_anchors()).trusted
    assert (read_manifest(output).valid, read_manifest(output).trusted) == (True, False)


def test_what_cannot_hold_its_manifest_says_where_it_is(
    place: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = place / "beside.mkv"
    facts = ask(capsys, "reenact", str(bundle), str(place / "driver.mp4"), "-o", str(output))
    assert facts["manifest"] == "beside.mkv.c2pa"
    assert read_manifest(output, trust_anchors()).trusted


def test_reenact_repeats_the_target_without_a_driver(
    place: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = ask(capsys, "reenact", str(bundle), "-o", str(place / "self.mp4"))
    assert facts["frames"] == 50


def test_evaluate_self_judges_the_held_out_third(
    place: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet, page = place / "sheet.png", place / "page.html"
    clip = str(place / "target.mp4")
    shown = ("--sheet", str(sheet), "--report", str(page))
    planned = ask(capsys, "evaluate", "self", str(bundle), clip, *shown, "--dry-run")
    assert planned["plan"]["consent"][0]["actor"] == 3
    assert not sheet.exists()
    facts = ask(capsys, "evaluate", "self", str(bundle), clip, *shown)
    assert (facts["sheet"], facts["report"]) == (str(sheet), str(page))
    assert read_manifest(sheet, trust_anchors()).trusted
    assert "sharpness_mouth" in page.read_text(encoding="utf-8")
    assert facts["frames"] == 50 - 50 * 2 // 3
    assert 5 < facts["psnr_face"] < 50
    assert {
        *("psnr", "ssim", "psnr_eyes", "psnr_mouth", "sharpness_face", "landmark_error_px"),
        *("sharpness_eyes", "sharpness_mouth", "background_steadiness", "intervals"),
        *("gaze_error_deg", "blink_correlation", "temporal_error", "baseline_nearest_psnr"),
        *("baseline_nearest_psnr_face", "seconds_per_frame"),
    } <= facts.keys()
    wrong = ask(capsys, "evaluate", "self", str(bundle), str(place / "driver.mp4"), code=1)
    assert wrong["kind"] == "BundleError"


def test_a_video_equals_itself(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = str(place / "driver.mp4")
    facts = ask(capsys, "evaluate", "pair", clip, clip)
    assert {"psnr", "temporal_error", "av_offset_ms"} <= facts.keys()
    assert (facts["frames"], facts["landmark_error_px"]) == (15, 0)
    assert facts["ssim"] == pytest.approx(1)


def test_nobody_in_the_clip_is_told(
    tmp_path: Path, plain_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = ask(capsys, "track", str(plain_clip), "-o", str(tmp_path / "a.shot"), code=1)
    assert facts["kind"] == "TrackError"
    assert not (tmp_path / "a.shot").exists()


def test_further_people_are_numbered() -> None:
    names = [numbered(Path("x/a.shot"), i).as_posix() for i in range(3)]
    assert names == ["x/a.shot", "x/a.2.shot", "x/a.3.shot"]

"""Judging swaps by their files: the truth between two actors, the target itself, planted faults."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.actor import Motion, RenderConfig, frames, with_face_of
from likeness.cli.app import run
from likeness.decode import open_clip
from likeness.errors import MediaError, TrackError
from likeness.evaluate.source import source_ingredient, source_of
from likeness.evaluate.swap import evaluate_swap
from likeness.metrics.swap import SwapReport
from likeness.people import recognizer
from likeness.provenance import read_manifest, trust_anchors
from likeness.types import Window
from tests.stage import actor

COUNT, SIDE = 14, 128


def film(who, motion: Motion) -> np.ndarray:
    shot = torch.cat(list(frames(who, motion, RenderConfig((SIDE, SIDE)))))
    return (shot.permute(0, 2, 3, 1).numpy() * 255 + 0.5).astype(np.uint8)


def ellipse(soft: float) -> np.ndarray:
    """(1,SIDE,SIDE,1) in [0,1]: the middle of the face, with an edge of `soft` radii."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    radius = np.sqrt(((x - 64) / 26) ** 2 + ((y - 66) / 34) ** 2)
    return np.clip((1 - radius) / soft, 0, 1)[None, ..., None]


def laid(pictures, soft: float, light: float = 0.0) -> np.ndarray:
    """Lay the middle of the true swap over the target, as a layer would."""
    mask = ellipse(soft)
    mixed = mask * (pictures["swap"] + light) + (1 - mask) * pictures["target"]
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, make_clip: Callable[..., Path]):
    """Folder with target.mp4, swap.mp4 (its truth), laid.mp4, and the source's photos."""
    folder = tmp_path_factory.mktemp("swap")
    motion = Motion.from_seed(5, 3, style="expressive").cut(Window(20, 20 + COUNT))
    source, target = actor(8), actor(3)
    pictures = {"target": film(target, motion), "swap": film(with_face_of(target, source), motion)}
    pictures["laid"] = laid(pictures, 0.35)
    for name, shot in pictures.items():
        make_clip(folder / f"{name}.mp4", shot)
    (folder / "photos").mkdir()
    speaking = Motion.from_seed(9, 2).cut(Window(0, 40))
    still = replace(speaking, **{
        name: getattr(speaking, name)[::16] for name in
        ("expression", "angles", "translation", "gaze")
    })  # fmt: skip
    for i, photo in enumerate(film(source, still)):
        make_clip(folder / "photos" / f"{i}.png", photo[None], codec="png", pix_fmt="rgb24")
    return folder, pictures


@pytest.fixture(scope="module")
def truth(stage) -> SwapReport:
    folder, _ = stage
    return evaluate_swap(folder / "swap.mp4", folder / "target.mp4", folder / "photos").report


@pytest.fixture(scope="module")
def layer(stage) -> SwapReport:
    """What is measured of a well laid layer, into which faults are planted."""
    folder, _ = stage
    return evaluate_swap(folder / "laid.mp4", folder / "target.mp4", folder / "photos").report


def judged(stage, make_clip, spoiled: np.ndarray) -> SwapReport:
    folder, _ = stage
    path = make_clip(folder / "spoiled.mp4", spoiled)
    return evaluate_swap(path, folder / "target.mp4", folder / "photos").report


def test_the_truth_between_two_actors_is_nearly_perfect(truth: SwapReport) -> None:
    assert truth.frames == COUNT
    assert truth.faces_lost == 0
    assert truth.nearer_to_source == 1
    assert truth.identity_source < 0.4 < truth.identity_apart
    assert truth.identity_own < 0.25
    assert truth.pose_error_deg < 2
    assert truth.expression_error < 0.8
    assert truth.gaze_error_deg < 7
    assert truth.mouth_correlation > 0.9
    assert truth.mouth_gain == pytest.approx(1, abs=0.3)
    assert abs(truth.temporal_error) < 0.006


def test_the_target_itself_is_nearer_to_the_target(stage) -> None:
    folder, _ = stage
    report = evaluate_swap(
        folder / "target.mp4", folder / "target.mp4", folder / "photos" / "0.png"
    ).report
    assert report.nearer_to_source == 0
    assert report.identity_target < 0.25 < report.identity_source
    assert report.pose_error_deg == pytest.approx(0, abs=1e-6)
    assert report.expression_error == report.gaze_error_deg == 0
    assert report.seam == report.temporal_error == report.outside_changed == 0
    assert report.identity_own is None


def steady(report: SwapReport, well: SwapReport, but: set[str]) -> None:
    """Expect everything but the keys of a fault to stay what it is, up to reading faces anew."""
    allowed = {
        "identity_source": 0.08, "identity_target": 0.08,
        "pose_error_deg": 1.5, "expression_error": 0.4, "gaze_error_deg": 2,
        "mouth_correlation": 0.08, "temporal_error": 0.003, "seam": 0.008, "outside_changed": 0.02,
    }  # fmt: skip
    for name, by in allowed.items():
        if name not in but:
            assert getattr(report, name) == pytest.approx(getattr(well, name), abs=by), name


def test_a_planted_seam_raises_the_seam_alone(stage, layer: SwapReport, make_clip) -> None:
    assert layer.seam < 0.01
    report = judged(stage, make_clip, laid(stage[1], 1e-3, light=24))
    assert report.seam > layer.seam + 0.02
    steady(report, layer, {"seam"})


def test_planted_flicker_raises_the_temporal_error_alone(
    stage, layer: SwapReport, make_clip
) -> None:
    sign = np.where(np.arange(COUNT) % 2, 1, -1)[:, None, None, None]
    report = judged(stage, make_clip, laid(stage[1], 0.35, light=12 * sign))
    assert report.temporal_error > layer.temporal_error + 0.008
    steady(report, layer, {"temporal_error"})


def test_another_face_elsewhere_is_no_swap(stage, make_clip) -> None:
    folder, pictures = stage
    moved = np.roll(pictures["swap"], SIDE // 2, 2)
    wide = np.concatenate([moved, pictures["swap"][:, :, ::-1]], 2)
    path = make_clip(folder / "other.mp4", np.ascontiguousarray(wide))
    with pytest.raises(MediaError, match="one shape"):
        evaluate_swap(path, folder / "target.mp4", folder / "photos")


def test_sources_are_whoever_most_pictures_show(stage, make_clip, tmp_path: Path) -> None:
    folder, _ = stage
    who = recognizer()
    photos = source_of(folder / "photos", who)
    assert photos.pictures.shape == (3, 3, 256, 256)
    clip = source_of(folder / "swap.mp4", who)
    assert len(clip.codes) == COUNT
    assert who.distance(photos.code(who), clip.code(who)) < 0.45
    assert source_of(folder / "swap.mp4", None).codes.shape == (COUNT, 0)
    blank = make_clip(tmp_path / "blank.png", np.full((1, 64, 64, 3), 90, np.uint8), codec="png",
                      pix_fmt="rgb24")  # fmt: skip
    with pytest.raises(TrackError, match=r"no face was found in blank\.png"):
        source_of(blank, who)
    assert source_ingredient(blank).sha256 == open_clip(blank).digest
    assert source_ingredient(folder / "photos").role == "source"


def test_the_command_writes_a_signed_sheet_and_a_page(stage, capsys, tmp_path: Path) -> None:
    folder, _ = stage
    sheet, page = tmp_path / "sheet.png", tmp_path / "page.html"
    files = [str(folder / name) for name in ("swap.mp4", "target.mp4")]
    source = ["--source", str(folder / "photos" / "0.png")]
    wanted = ["--sheet", str(sheet), "--report", str(page), "--json"]
    assert run(["evaluate", "swap", *files, *source, *wanted]) == 0
    assert '"nearer_to_source": 1.0' in capsys.readouterr().out
    assert read_manifest(sheet, trust_anchors()).trusted
    text = page.read_text(encoding="utf-8")
    assert "identity_source" in text
    assert "distance to source and target" in text or text.count("data:image/png") >= 6

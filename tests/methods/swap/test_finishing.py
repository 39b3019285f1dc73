"""The finish around a swapper: missed frames, things in front, masks, layers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from likeness.composite.finish import FinishConfig, OnMiss
from likeness.decode import Decoder, open_clip
from likeness.encode import LayersFolder
from likeness.errors import ConfigError, MediaError
from likeness.hand_off import render_layers
from likeness.methods.swap.facts import turned_away
from likeness.methods.swap.method import Swapped, check_finish, swapped
from likeness.methods.swap.view import SwapFace, TargetView
from likeness.painting import paint
from likeness.plan.plan import Plan
from likeness.plan.swap import plan_swap
from likeness.provenance import read_manifest, trust_anchors
from likeness.provenance.permission import permit
from likeness.provenance.watermark import Detector
from likeness.types import Shot, Timeline, Window

PLAIN = FinishConfig(occluders=False, color="none", grain=0.0, motion_blur=0.0)


class Green:
    """Draws the target's own face in another color, wherever it may."""

    def draw(self, view: TargetView) -> SwapFace:
        tinted = view.pixels * torch.tensor([0.6, 1.0, 0.7])[:, None, None]
        return SwapFace(tinted, torch.ones_like(view.pixels[:, :1]))


def plan_of(shot: Shot, config: FinishConfig) -> Plan:
    return plan_swap(shot, (), config)


def read(shot: Shot, window: Window) -> torch.Tensor:
    with Decoder(shot.clip) as decoder:
        return decoder.read(window)


def with_gap(shot: Shot, start: int, stop: int) -> Shot:
    observed = shot.track.observed.copy()
    observed[start:stop] = False
    return replace(shot, track=replace(shot.track, observed=observed))


@pytest.mark.parametrize("how", ["hold", "blur", "blank", "original"])
def test_frames_without_the_face_do_what_on_miss_says(actor_shot: Shot, how: OnMiss) -> None:
    # Frames 4 to 7 are a blink of the tracker, 16 to 40 are not.
    shot = with_gap(with_gap(actor_shot, 4, 8), 16, 41)
    method = swapped(Green(), plan_of(shot, replace(PLAIN, on_miss=how)))
    for frame, missed, away in ((2, False, False), (6, True, False), (24, True, True)):
        window = Window(frame, frame + 1)
        before = read(shot, window)
        after = paint(before, [method], window)
        changed = not torch.equal(before, after)
        kept = missed and (how == "original" or (how == "hold" and away))
        assert changed != kept, (how, frame)
        if missed and how in ("blur", "blank"):
            x, y = shot.track.landmarks[frame, 168, :2].astype(int)
            part = np.s_[0, :, y - 6 : y + 7, x - 14 : x + 15]
            assert after[part].std() < 0.4 * before[part].std() + 0.05


def test_on_miss_may_hold_for_a_range(actor_shot: Shot) -> None:
    shot = with_gap(actor_shot, 16, 41)
    config = replace(PLAIN, ranges=({"frames": "20-30", "on_miss": "blank"},))
    method = swapped(Green(), plan_of(shot, config))
    window = Window(18, 22)
    before = read(shot, window)
    after = paint(before, [method], window)
    same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert same == [True, True, False, False]


def test_a_mask_leaves_black_places_bit_for_bit(actor_shot: Shot, tmp_path: Path) -> None:
    mask = np.zeros((128, 128), np.uint8)
    mask[:, 64:] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    config = replace(PLAIN, mask_file=tmp_path / "mask.png")
    method = swapped(Green(), plan_of(actor_shot, config))
    window = Window(5, 8)
    before = read(actor_shot, window)
    after = paint(before, [method], window)
    assert torch.equal(after[..., :63], before[..., :63])
    assert (after - before)[..., 66:].abs().max() > 0.05
    cv2.imwrite(str(tmp_path / "mask.png"), mask[:100])
    with pytest.raises(ConfigError, match="128x100"):
        check_finish(config, actor_shot, Timeline.of(actor_shot.clip))


def test_a_mask_may_move(actor_shot: Shot, tmp_path: Path) -> None:
    for n in range(len(actor_shot.clip)):
        cv2.imwrite(str(tmp_path / f"m_{n:03d}.png"), np.full((128, 128), 255 * (n % 2), np.uint8))
    config = replace(PLAIN, mask_file=tmp_path / "m_%03d.png")
    method = swapped(Green(), plan_of(actor_shot, config))
    window = Window(4, 8)
    before = read(actor_shot, window)
    after = paint(before, [method], window)
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [1, 0, 1, 0]
    (tmp_path / "m_047.png").unlink()
    with pytest.raises(ConfigError, match="47 frames"):
        check_finish(config, actor_shot, Timeline.of(actor_shot.clip))


def test_angles_are_between_the_face_and_the_camera(actor_shot: Shot) -> None:
    params = actor_shot.params
    rotation = np.zeros_like(params.rotation)
    rotation[:, 1] = np.deg2rad(40)
    straight = np.zeros_like(params.translation)
    straight[:, 2] = 700
    turned = replace(params, rotation=rotation, translation=straight)
    assert turned_away(turned) == pytest.approx(np.full(48, 40), abs=1e-3)
    beside = straight + np.array([700 * np.tan(np.deg2rad(40)), 0, 0], np.float32)
    found = turned_away(replace(turned, translation=beside.astype(np.float32)))
    assert min(abs(found[0] - 80), abs(found[0])) < 1e-2


def test_finish_is_checked_before_work(actor_shot: Shot) -> None:
    line = Timeline.of(actor_shot.clip)
    config = replace(PLAIN, ranges=({"frames": "40-60", "color": "rct"},))
    with pytest.raises(ConfigError, match="0 to 47"):
        check_finish(config, actor_shot, line)
    assert check_finish(PLAIN, actor_shot, line) == ()
    told = check_finish(replace(PLAIN, fade=(5.0, 30.0)), actor_shot, line)
    assert "fades" in told[0]


@pytest.mark.parametrize("kind", ["png", "exr"])
def test_layers_put_together_are_the_result_of_the_alpha_blend(
    actor_shot: Shot, tmp_path: Path, kind: str
) -> None:
    plan = plan_of(actor_shot, replace(PLAIN, blend="alpha"))
    short = replace(
        plan,
        timeline=replace(plan.timeline, pts=plan.timeline.pts[:2]),
        shown=np.arange(2),
        guessed=plan.guessed[:2],
    )
    method: Swapped = swapped(Green(), plan)
    folder = LayersFolder(tmp_path / "out", kind=kind)  # type: ignore[arg-type]
    permission = permit("swap", (), targets=(actor_shot.clip,))
    report = render_layers(short, [method], permission, folder)
    assert report.frames == 2
    assert report.layers == (f"plate_%05d.{kind}", f"patch_%05d.{kind}", "matte_%05d.png")
    told = json.loads((tmp_path / "out" / "layers.json").read_text())
    assert len(told["frames"]) == 2
    window = Window(1, 2)
    wanted = paint(read(actor_shot, window), [method], window)[0]
    frame, face = told["frames"][1], told["frames"][1]["faces"][0]
    found = {
        name: picture(tmp_path / "out" / place)
        for name, place in (
            ("plate", frame["plate"]),
            ("patch", face["patch"]),
            ("matte", face["matte"]),
        )
    }
    x, y = (-np.array(face["crop_from_frame"])[:, 2]).astype(int)
    h, w = told["crop_sizes"][0]
    result = found["plate"].clone()
    top, left, bottom, right = max(0, y), max(0, x), min(128, y + h), min(128, x + w)
    inner = np.s_[:, top - y : bottom - y, left - x : right - x]
    under = result[:, top:bottom, left:right]
    matte = found["matte"][inner]
    result[:, top:bottom, left:right] = under + matte * (found["patch"][inner] - under)
    assert (result - wanted).abs().max() < 0.05
    assert (result - wanted).abs().mean() < 0.008
    if kind == "png":
        depth = cv2.imread(str(tmp_path / "out" / face["patch"]), cv2.IMREAD_UNCHANGED).dtype
        assert depth == np.uint16
        for place in (frame["plate"], face["patch"], face["matte"]):
            assert read_manifest(tmp_path / "out" / place, trust_anchors()).trusted
        detector = Detector((128, 128))
        detector.add(found["plate"][None])
        assert detector.read().p_value < 1e-4
        again = render_layers(short, [method], permission, folder)
        assert again.frames == 2


def picture(path: Path) -> torch.Tensor:
    with Decoder(open_clip(path)) as decoder:
        return decoder.read(Window(0, 1))[0]


def test_layers_never_replace_what_is_not_theirs(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "layers.json").write_text("{}")
    with pytest.raises(MediaError, match="not of an earlier run"):
        LayersFolder(tmp_path / "out").prove()
    (tmp_path / "out" / "layers.json").unlink()
    LayersFolder(tmp_path / "out").prove()
    (tmp_path / "out" / "plate_00003.png").write_bytes(b"mine")
    with pytest.raises(MediaError, match="overwritten"):
        LayersFolder(tmp_path / "out").prove()
    with pytest.raises(MediaError, match="ending"):
        LayersFolder(tmp_path / "out.mp4").prove()

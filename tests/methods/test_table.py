"""What any method gets: a row of the table, and the whole pipeline in front of it and behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likeness import pipeline
from likeness.decode import Decoder, open_clip, stream
from likeness.encode import MarkedFile
from likeness.methods import table
from likeness.methods.portrait.model import target_conditioner
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.portrait.tasks import FastConfig
from likeness.methods.protocol import Recipe
from likeness.plan.plan import Plan, repetition
from likeness.plan.target import Target
from likeness.provenance.permission import permit_synthesis
from likeness.store import load_bundle, save_bundle
from likeness.types import Bundle, Crop, Layer, Shot, Window
from likeness.verbs.evaluate import evaluate_self
from likeness.verbs.reenact import reenact
from likeness.verbs.train import train_portrait


class Gray:
    """A method of ten lines: a constant picture on the portrait's square."""

    def __init__(self, bundle: Bundle, plan: Plan, device: torch.device) -> None:
        self.conditioner = target_conditioner(Target.of(bundle))

    def condition(self, window: Window, frames: torch.Tensor) -> int:
        return len(frames)

    def synthesize(self, told: int) -> Layer:
        crop = self.conditioner.crop(told)
        return Layer(crop, torch.full((told, 3, *crop.size), 0.5), torch.ones(told, 1, *crop.size))


@pytest.fixture(scope="module")
def path(actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "actor.bundle"
    fast = FastConfig(batch=2, keyframes=8, apart=2, widths=(8, 8, 8, 8, 8))
    train_portrait(actor_shot, path, ReenactTraining(size=64, steps=2, method=fast))
    return path


def test_a_method_of_ten_lines_is_a_row_of_the_table(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Recipe("gray", "reenact", ("target",), settings=None, parts=("plate",), open=Gray)
    monkeypatch.setattr(table, "METHODS", {**table.METHODS, "reenact.gray": row})
    bundle = load_bundle(path)
    save_bundle(replace(bundle, method="reenact.gray"), tmp_path / "gray.bundle")
    output = tmp_path / "gray.mp4"
    report = reenact(tmp_path / "gray.bundle", None, output)
    assert bundle.shot is not None
    assert report.frames == len(open_clip(output)) == 48
    square = Target.of(bundle).square
    with Decoder(open_clip(output)) as decoder:
        frame = decoder.read(Window(20, 21))[0]
    low, side = -square.crop_from_frame[0, :, 2] / square.crop_from_frame[0, 0, 0], 20
    x, y = (int(v + 64 / square.crop_from_frame[0, 0, 0] / 2) for v in low)
    middle = frame[:, y - side : y + side, x - side : x + side]
    assert (middle - 0.5).abs().max() < 0.05
    judged = evaluate_self(tmp_path / "gray.bundle", bundle.shot.clip.path)
    assert judged.psnr_face is not None
    assert judged.psnr_face < 20


STAGES = {
    "track": ("likeness.pipeline", "track"),
    "fit": ("likeness.pipeline", "fit"),
    "transfer": ("likeness.plan.reenactment", "transfer"),
    "composite": ("likeness.painting", "composite"),
    "encode": ("likeness.encode.sink", "encode"),
}


def test_a_drivers_way_enters_each_stage_once(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from likeness.actor import Motion, RenderConfig
    from likeness.actor_clip import write_actor_clip
    from tests.stage import SIDE, actor

    driver = tmp_path / "driver.mp4"
    write_actor_clip(actor(6), Motion.from_seed(9, 0.48), driver, RenderConfig((SIDE, SIDE)))
    called: Counter[str] = Counter()

    def counted(name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            called[name] += 1
            return inner(*given, **named)

        return call

    for name, (module, attribute) in STAGES.items():
        target = f"{module}.{attribute}"
        __import__(module)
        import sys

        monkeypatch.setattr(target, counted(name, getattr(sys.modules[module], attribute)))
    reenact(path, driver, tmp_path / "out.mp4")
    # 12 frames are 3 windows; whatever is done per clip is done once.
    assert dict(called) == {"track": 1, "fit": 1, "transfer": 1, "composite": 3, "encode": 1}


class Blot:
    """A gray square over a part of the frame."""

    def __init__(self, left: int, shade: float) -> None:
        shift = np.array([[[1, 0, -left], [0, 1, -8]]], np.float32)
        self.crop, self.shade = Crop((16, 16), shift), shade

    def condition(self, window: Window, frames: torch.Tensor) -> int:
        return len(frames)

    def synthesize(self, told: int) -> Layer:
        crop = Crop(self.crop.size, np.repeat(self.crop.crop_from_frame, told, 0))
        rgb = torch.full((told, 3, 16, 16), self.shade)
        return Layer(crop, rgb, torch.ones(told, 1, 16, 16))


def test_several_methods_act_in_one_pass_and_absent_frames_stay(
    actor_shot: Shot, tmp_path: Path, path: Path
) -> None:
    plan = repetition(actor_shot)
    absent = np.zeros(48, bool)
    absent[10:14] = True
    plan = replace(plan, absent=absent)
    permission = permit_synthesis(load_bundle(path).people, "reenact")
    methods = [Blot(8, 0.2), Blot(100, 0.8)]
    pipeline.render(plan, methods, permission, MarkedFile(tmp_path / "two.mp4"))
    for window, frames in stream(open_clip(tmp_path / "two.mp4"), 24):
        for n, frame in zip(window, frames, strict=True):
            dark, light = frame[:, 12:20, 12:20].mean(), frame[:, 12:20, 104:112].mean()
            assert (abs(dark - 0.2) < 0.03) == (not absent[n])
            assert (abs(light - 0.8) < 0.03) == (not absent[n])


def test_every_preset_can_be_told_on_the_command_line() -> None:
    from likeness.cli import train

    told = train.reenact.__doc__ or ""
    assert all(name in told for name in table.presets("reenact"))

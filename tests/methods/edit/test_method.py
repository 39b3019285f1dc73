"""The whole method on an actor's clip, with tiny generators."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.decode import Decoder
from likeness.errors import BundleError, ConfigError
from likeness.methods.edit.crops import AlignConfig, smoothed_squares
from likeness.methods.edit.generator import open_generator
from likeness.methods.edit.method import StitchedClip, open_stitch, stitch_directions
from likeness.methods.table import METHODS, recipe_of
from likeness.painting import paint
from likeness.training.bank import fill_bank
from likeness.types import Bundle, Shot, Window
from tests.methods.edit.tiny import SIDE, eigenfaces, plan_of, quick, stylegan
from tests.stage import film

CPU = torch.device("cpu")
COUNT = 12


class PulledPlugError(Exception):
    """Somebody pulled the plug."""


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    """A few frames of an actor."""
    return film(tmp_path_factory.mktemp("few"), count=COUNT)


@pytest.fixture(scope="module")
def faces(shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Eigenfaces of the clip's own crops."""
    squares = smoothed_squares(shot.track.landmarks, np.ones(COUNT, bool), AlignConfig())
    path = tmp_path_factory.mktemp("bank") / "crops.bin"
    bank = fill_bank(shot.clip, squares.crop(SIDE), np.arange(COUNT), path)
    return eigenfaces(np.array(bank.pixels))


def frames_of(shot: Shot) -> torch.Tensor:
    frames = torch.empty(COUNT, 3, *shot.clip.size)
    with Decoder(shot.clip) as decoder:
        decoder.read(Window(0, COUNT), frames)
    return frames


def strength(value: float = 1.0) -> dict[str, np.ndarray]:
    return {"brighter": np.full(COUNT, value, np.float32)}


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.bin"))}


def test_the_table_offers_it(faces: Bundle) -> None:
    assert recipe_of(faces, "edit") is METHODS["edit.stitch"]
    assert METHODS["edit.stitch"].directions(faces) == ("brighter",)


def test_a_direction_changes_the_face_and_nothing_else(
    shot: Shot, faces: Bundle, tmp_path: Path
) -> None:
    method = open_stitch(faces, plan_of(shot, strength()), CPU, folder=tmp_path)
    real = frames_of(shot)
    result = paint(real, [method], Window(0, COUNT))
    for n, (x, y) in enumerate(shot.track.landmarks[:, 4, :2].round().astype(int)):
        around = (slice(None), slice(y - 12, y + 12), slice(x - 12, x + 12))
        assert (result[n][around] - real[n][around]).abs().mean() > 0.03
    box = shot.track.boxes
    outside = torch.ones(COUNT, 1, *shot.clip.size, dtype=torch.bool)
    for n, (x0, y0, x1, y1) in enumerate(box):
        grown = 0.35 * (x1 - x0)
        outside[n, :, int(y0 - grown) : int(y1 + grown), int(x0 - grown) : int(x1 + grown)] = False
    assert outside.any()
    assert torch.equal(result * outside, real * outside)


def test_a_frame_is_answered_alike_in_any_window(shot: Shot, faces: Bundle, tmp_path: Path) -> None:
    method = open_stitch(faces, plan_of(shot, strength()), CPU, folder=tmp_path)
    real = frames_of(shot)
    whole = paint(real, [method], Window(0, COUNT))
    single = torch.cat([paint(real[n : n + 1], [method], Window(n, n + 1)) for n in range(COUNT)])
    assert torch.equal(whole, single)


@pytest.mark.parametrize("stage", ["frames", "mask", "invert", "tune", "stitch"])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    shot: Shot, faces: Bundle, tmp_path: Path, stage: str
) -> None:
    plan = plan_of(shot, strength())
    open_stitch(faces, plan, CPU, folder=tmp_path / "whole")

    def pull(name: str, done: int, total: int) -> None:
        if name == stage and done >= min(total, 5):
            raise PulledPlugError

    with pytest.raises(PulledPlugError):
        open_stitch(faces, plan, CPU, folder=tmp_path / "parts", progress=pull)
    seen: list[str] = []
    open_stitch(
        faces, plan, CPU, folder=tmp_path / "parts", progress=lambda name, *_: seen.append(name)
    )
    assert content(tmp_path / "parts") == content(tmp_path / "whole")
    order = ["frames", "mask", "invert", "tune", "stitch"]
    assert not set(seen) & set(order[: order.index(stage)])


def test_a_finished_run_is_not_repeated(shot: Shot, faces: Bundle, tmp_path: Path) -> None:
    plan, seen = plan_of(shot, strength()), []
    for _ in range(2):
        seen.clear()
        open_stitch(faces, plan, CPU, folder=tmp_path, progress=lambda name, *_: seen.append(name))
    assert seen == []


def test_another_strength_only_stitches_anew(shot: Shot, faces: Bundle, tmp_path: Path) -> None:
    open_stitch(faces, plan_of(shot, strength()), CPU, folder=tmp_path)
    seen: set[str] = set()
    open_stitch(
        faces,
        plan_of(shot, strength(-1)),
        CPU,
        folder=tmp_path,
        progress=lambda name, *_: seen.add(name),
    )
    assert seen == {"stitch"}


def test_frames_without_strength_stay_as_they_are(
    shot: Shot, faces: Bundle, tmp_path: Path
) -> None:
    ramp = np.zeros(COUNT, np.float32)
    ramp[6:] = 1
    method = open_stitch(faces, plan_of(shot, {"brighter": ramp}), CPU, folder=tmp_path)
    real = frames_of(shot)
    result = paint(real, [method], Window(0, COUNT))
    assert torch.equal(result[:6], real[:6])
    assert not torch.equal(result[6:], real[6:])


def test_a_preview_edits_the_first_frames(shot: Shot, faces: Bundle, tmp_path: Path) -> None:
    config = replace(quick(), preview=4)
    method = open_stitch(faces, plan_of(shot, strength(), config), CPU, folder=tmp_path)
    assert isinstance(method, StitchedClip)
    assert (method.rows[:4] >= 0).all()
    assert (method.rows[4:] == -1).all()
    assert len(method.paster.faces) == 4


def test_stylegan_fills_the_same_slot(shot: Shot, tmp_path: Path) -> None:
    bundle = stylegan()
    assert stitch_directions(bundle) == ("somewhere",)
    plan = plan_of(shot, {"somewhere": np.ones(COUNT, np.float32)}, quick(1, 1))
    method = open_stitch(bundle, plan, CPU, folder=tmp_path)
    real = frames_of(shot)
    assert (paint(real, [method], Window(0, COUNT)) - real).abs().max() > 0.02


def test_an_unknown_direction_is_told(shot: Shot, faces: Bundle, tmp_path: Path) -> None:
    plan = plan_of(shot, {"wiser": np.ones(COUNT, np.float32)})
    with pytest.raises(ConfigError, match="wiser.*brighter"):
        open_stitch(faces, plan, CPU, folder=tmp_path)


def test_another_generators_encoder_is_refused() -> None:
    bundle, other = stylegan(), stylegan()
    part = other.networks["encoder"]
    shorter = {**part.config, "layers": 4}
    tensors = {k: v for k, v in part.tensors.items() if not k.startswith(("heads.4", "heads.5"))}
    tensors["average"] = tensors["average"][:4]
    changed = replace(part, config=shorter, tensors=tensors)
    with pytest.raises(BundleError, match="4 codes of 16"):
        open_generator(replace(bundle, networks={**bundle.networks, "encoder": changed}))

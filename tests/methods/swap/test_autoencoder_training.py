"""One-to-one training: what each part learns when, resuming to the bit, two toy faces swapped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likeness.errors import ConfigError
from likeness.methods.swap.autoencoder.augment import SwapAugmentConfig
from likeness.methods.swap.autoencoder.losses import SwapLossConfig
from likeness.methods.swap.autoencoder.settings import (
    SwapTraining,
    core_minutes,
    network_of,
    resolved,
)
from likeness.methods.swap.autoencoder.tasks import (
    POINTER,
    Growth,
    Judges,
    SwapScheduleConfig,
    SwapTask,
)
from likeness.methods.swap.autoencoder.train import levels_of
from likeness.synthesize.autoencoder import Autoencoder
from likeness.synthesize.comb import Comb
from likeness.training.loop import LoopConfig, train
from tests.methods.swap.toys import SIDE, person, pictures_of

CPU = torch.device("cpu")
TINY = SwapTraining(arch="df", options="u", size=SIDE, width=6, inter=16, mask=3, batch=2)


def task_of(config: SwapTraining = TINY, growth: Growth | None = None, **changes: Any) -> SwapTask:
    torch.manual_seed(0)
    config = resolved(config, 100)
    names = ("anna", "ben", "carl")[: 3 if config.arch == "comb" else 2]
    people = [person(name, people=names) for name in names]
    return SwapTask(
        network_of(config, len(names)),
        people,
        config.batch,
        changes.get("augment", SwapAugmentConfig()),
        changes.get("loss", SwapLossConfig(adversarial=0)),
        changes.get("schedule", SwapScheduleConfig()),
        0,
        CPU,
        growth,
    )


def touched(task: SwapTask, progress: float) -> set[str]:
    """First words of the weights that a step's loss moves."""
    sample = task.sample(np.random.default_rng(0))
    task.generator.zero_grad(set_to_none=True)
    task.losses(sample, progress).generator.backward()
    named = task.generator.named_parameters()
    return {name.split(".")[0] for name, weight in named if weight.grad is not None}


def test_two_toy_faces_are_swapped() -> None:
    task = task_of(replace(TINY, batch=4), schedule=SwapScheduleConfig(learning_rate=3e-3))
    train(task, LoopConfig(steps=70, learning_rate=3e-3, average=0.9), None, "toys")
    opened = np.array([0.1, 0.9])
    ben, anna = (
        torch.from_numpy(pictures_of(name, SIDE, opened)).float() / 255 for name in ("ben", "anna")
    )
    with torch.no_grad():
        swapped = task.generator(ben)
    middle = (slice(None), slice(None), slice(8, 16), slice(12, 20))
    error = (swapped.rgb[middle] - anna[middle]).abs().mean()
    untouched = (ben[middle] - anna[middle]).abs().mean()
    assert float(error) < 0.4 * float(untouched)
    # The mask is the face's, and the face is the source's wherever the target's is.
    assert float(swapped.mask[..., 12:18, 14:18].mean()) > 0.7
    assert float(swapped.mask[..., :3, :3].mean()) < 0.3


def test_what_goes_in_is_warped_only_at_first() -> None:
    task = task_of()
    batches = task.sample(np.random.default_rng(0))
    given: list[torch.Tensor] = []
    encode = task.generator.encode

    def watched(rgb: torch.Tensor) -> torch.Tensor:
        given.append(rgb)
        return encode(rgb)

    task.generator.encode = watched  # type: ignore[method-assign]
    for progress, part in ((0.1, "warped"), (0.69, "warped"), (0.71, "real")):
        task.losses(batches, progress)
        wanted = torch.cat([getattr(batch, part) for batch in batches])
        assert torch.equal(given.pop(), wanted)


def test_dropout_begins_where_the_schedule_says() -> None:
    task = task_of(schedule=SwapScheduleConfig(dropout_from=0.5, kept=0.3, wave=7))
    made = task.optimizer(task.generator.parameters())
    sample = task.sample(np.random.default_rng(0))
    task.losses(sample, 0.4)
    assert (made.kept, made.wave) == (1.0, 0)  # type: ignore[attr-defined]
    task.losses(sample, 0.6)
    assert (made.kept, made.wave) == (0.3, 7)  # type: ignore[attr-defined]


def test_the_shared_layer_of_liae_rests_once_warping_ends() -> None:
    plain = SwapLossConfig(adversarial=0, points=0)
    task = task_of(replace(TINY, arch="liae"), loss=plain)
    assert touched(task, 0.1) == {"encoder", "inter_shared", "inter_target", "decoder"}
    assert touched(task, 0.8) == {"encoder", "inter_target", "decoder"}


def test_judges_come_late_and_see_the_source_alone() -> None:
    loss = SwapLossConfig(adversarial=0.1, true_face=0.05, judge_width=2)
    task = task_of(loss=loss)
    assert isinstance(task.discriminator, Judges)
    sample = task.sample(np.random.default_rng(0))
    for progress, moved in ((0.2, {"codes"}), (0.9, {"codes", "patches"})):
        found = task.losses(sample, progress)
        assert found.discriminator is not None
        task.discriminator.zero_grad(set_to_none=True)
        found.discriminator().backward()
        named = task.discriminator.named_parameters()
        assert {name.split(".")[0] for name, w in named if w.grad is not None} == moved
    plain = task_of().losses(sample, 0.9).generator
    assert float(task.losses(sample, 0.9).generator) > float(plain)
    with pytest.raises(ConfigError, match="only df has"):
        task_of(replace(TINY, arch="liae"), loss=loss)


def test_styles_pull_the_swap_to_the_target() -> None:
    plain = task_of()
    styled = task_of(loss=SwapLossConfig(adversarial=0, face_style=10, background_style=10))
    sample = plain.sample(np.random.default_rng(0))
    apart = styled.losses(sample, 0.1).generator - plain.losses(sample, 0.1).generator
    assert float(apart) > 0


@pytest.mark.parametrize("arch", ["df", "comb"])
def test_a_resumed_training_is_the_same_to_the_bit(arch: str, tmp_path: Path) -> None:
    config = replace(TINY, arch=arch, width=32 if arch == "comb" else 6)
    schedule = SwapScheduleConfig(warp_until=0.3, dropout_from=0.4, adversarial_from=0.5)
    loss = SwapLossConfig(adversarial=0.1, judge_width=2)
    growth = Growth(3, 0.0, 1.0) if arch == "comb" else None

    def run(steps: int, folder: Path, resume: bool, stop: int | None = None) -> Any:
        task = task_of(config, growth, schedule=schedule, loss=loss)
        if stop is not None:
            take = task.losses

            def losses(sample: Any, progress: float) -> Any:
                # A process that is killed: whatever was saved last is what there is.
                if progress >= stop / steps:
                    raise KeyboardInterrupt
                return take(sample, progress)

            task.losses = losses  # type: ignore[method-assign]
        loop = LoopConfig(steps=steps, learning_rate=1e-3, save_minutes=0)
        return train(task, loop, folder, "same", resume)

    whole = run(6, tmp_path / "whole", False)
    with pytest.raises(KeyboardInterrupt):
        run(6, tmp_path / "broken", False, stop=4)
    gone_on = run(6, tmp_path / "broken", True)
    assert whole.steps == gone_on.steps == 6
    for name, weight in whole.weights.items():
        assert torch.equal(weight, gone_on.weights[name]), name


def test_a_comb_grows_level_by_level() -> None:
    config = SwapTraining(arch="comb", size=128, first_size=16)
    levels = levels_of(config)
    assert [4 << level for level, _ in levels] == [16, 32, 64, 128]
    assert sum(share for _, share in levels) == pytest.approx(1)
    assert levels[3][1] > levels[2][1] > levels[0][1]
    with pytest.raises(ConfigError, match="first_size is 24"):
        levels_of(replace(config, first_size=24))
    comb = replace(TINY, arch="comb", width=32)
    task = task_of(comb, Growth(3, 0.5, 0.2), schedule=SwapScheduleConfig(fade=0.5))
    assert isinstance(task.generator, Comb)
    sample = task.sample(np.random.default_rng(0))
    for progress, share in ((0.5, 0.0), (0.55, 0.5), (0.65, 1.0)):
        task.losses(sample, progress)
        assert task.generator.share == pytest.approx(share)
    assert len(sample) == 3


def test_the_network_follows_the_time() -> None:
    little, much = (resolved(SwapTraining(), work) for work in (10, 2000))
    assert little.size is not None
    assert much.size is not None
    assert little.width is not None
    assert much.width is not None
    assert little.size < much.size
    assert little.width < much.width
    assert little.loss.adversarial == 0 < much.loss.adversarial
    assert little.decoder is not None
    assert little.decoder < little.width
    assert resolved(SwapTraining(width=12), 10).decoder == 12
    assert (little.schedule.kept, little.schedule.learning_rate) == (1, 1e-3)
    assert (much.schedule.kept, much.schedule.learning_rate) == (0.3, 4e-4)
    with pytest.raises(ConfigError, match="a share above 0"):
        SwapScheduleConfig(kept=0)
    assert little.augment.warp == 0.5
    assert much.augment.warp == 1
    assert resolved(SwapTraining(judged="always"), 1).loss.adversarial > 0
    kept = resolved(SwapTraining(size=64, width=10, inter=20, mask=4), 2000)
    network = network_of(kept)
    assert isinstance(network, Autoencoder)
    shape = network.config
    assert (shape.size, shape.encoder, shape.decoder) == (64, 10, 10)
    assert (shape.inter, shape.mask) == (20, 4)
    assert core_minutes(10, 2, False) == 20 < core_minutes(10, 2, True)
    # What is resolved stays as it is, whatever the time.
    assert resolved(kept, 1) == kept
    with pytest.raises(ConfigError, match="or --arch comb"):
        network_of(kept, 3)
    with pytest.raises(ConfigError, match="did you mean"):
        SwapTraining(arch="lia")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="letters"):
        SwapTraining(options="x")


def test_both_people_begin_as_one() -> None:
    network = task_of().generator
    picture = torch.rand(1, 3, SIDE, SIDE)
    assert isinstance(network, Autoencoder)
    with torch.no_grad():
        assert torch.equal(network(picture).rgb, network.reconstruct_target(picture).rgb)


def test_the_code_is_asked_where_points_are() -> None:
    plain = task_of(loss=SwapLossConfig(adversarial=0, points=0))
    asked = task_of(
        replace(TINY, batch=4),
        loss=SwapLossConfig(adversarial=0, points=30),
        schedule=SwapScheduleConfig(learning_rate=3e-3),
    )
    sample = asked.sample(np.random.default_rng(0))
    assert torch.isfinite(sample[0].marks[:, :136]).all()
    assert torch.isnan(sample[0].marks[:, 136:]).all()
    assert touched(asked, 0.1) - touched(plain, 0.1) == {POINTER}
    train(asked, LoopConfig(steps=120, learning_rate=3e-3, average=0.9), None, "points")
    pointer, network = asked.generator.get_submodule(POINTER), asked.generator
    assert isinstance(network, Autoencoder)
    lip = 66 * 2 + 1
    still = SwapAugmentConfig(turn=0, zoom=1, shift=0)
    for one in asked.people:
        batch = one.draw(np.random.default_rng(1), 16, still)
        with torch.no_grad():
            told = pointer(network.numbers(network.encode(batch.real)))[:, lip]
        known = batch.marks[:, lip]
        assert float(torch.corrcoef(torch.stack([told, known]))[0, 1]) > 0.8

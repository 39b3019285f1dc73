"""Progressive training: budget, schedule, hand-over and resuming."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from likeness.errors import ContractError
from likeness.training.loop import LoopConfig, Losses
from likeness.training.phases import Phase, train_phases


class Line:
    """Fit y = 2x - 1, and write down which progress each step was told."""

    def __init__(self, weights: Mapping[str, Tensor] | None, told: list[float]) -> None:
        torch.manual_seed(1)
        self.generator = nn.Linear(1, 1)
        self.discriminator: nn.Module | None = None
        self.told = told
        if weights is not None:
            self.generator.load_state_dict(dict(weights))

    def sample(self, random: np.random.Generator) -> Tensor:
        return torch.from_numpy(random.uniform(-1, 1, (16, 1)).astype(np.float32))

    def losses(self, sample: Tensor, progress: float) -> Losses:
        self.told.append(progress)
        return Losses((self.generator(sample) - (2 * sample - 1)).square().mean())


def phases(told: list[float], stop_at: int | None = None) -> list[Phase[Line]]:
    class Stopping(Line):
        def losses(self, sample: Tensor, progress: float) -> Losses:
            if len(self.told) == stop_at:
                raise KeyboardInterrupt
            return super().losses(sample, progress)

    def begin(weights: Mapping[str, Tensor] | None) -> Line:
        return Stopping(weights, told)

    return [Phase("small", 0.6, begin), Phase("large", 0.4, begin)]


def config(**changes: float) -> LoopConfig:
    return LoopConfig(steps=100, learning_rate=0.2, average=0.9, **changes)  # type: ignore[arg-type]


def test_one_schedule_runs_through_all_stages(tmp_path: Path) -> None:
    told: list[float] = []
    reported: list[tuple[int, int]] = []
    trained = train_phases(
        *(phases(told), config(), tmp_path, "x", False),
        progress=lambda _, done, total: reported.append((done, total)),
    )
    assert dict(trained.steps) == {"small": 60, "large": 40}
    assert trained.outcome.steps == 100
    assert np.allclose(told, np.arange(100) / 100)
    assert reported == [(step, 100) for step in range(1, 101)]
    assert len(trained.outcome.losses) == 100
    assert trained.outcome.weights["weight"].item() == pytest.approx(2, abs=0.1)
    assert trained.task.told is told


def test_a_stage_begins_where_the_one_before_ended(tmp_path: Path) -> None:
    given: list[Mapping[str, Tensor] | None] = []

    def begin(weights: Mapping[str, Tensor] | None) -> Line:
        given.append(None if weights is None else {k: v.clone() for k, v in weights.items()})
        return Line(weights, [])

    alone = train_phases([Phase("only", 1.0, begin)], config(), tmp_path / "a", "x")
    both = [Phase("small", 0.5, begin), Phase("large", 0.5, begin)]
    train_phases(both, config(), tmp_path / "b", "x")
    assert given[0] is given[1] is None
    assert given[2] is not None
    assert given[2]["weight"].item() != alone.outcome.weights["weight"].item()
    begun, handed = Line(None, []).generator.weight.item(), given[2]["weight"].item()
    assert abs(handed - 2) < 0.3 * abs(begun - 2)


@pytest.mark.parametrize("stop_at", [30, 60, 80])
def test_resuming_equals_never_stopping(tmp_path: Path, stop_at: int) -> None:
    often = config(save_minutes=0)
    whole = train_phases(phases([]), config(), tmp_path / "whole", "x")
    with pytest.raises(KeyboardInterrupt):
        train_phases(phases([], stop_at), often, tmp_path / "parts", "x")
    told: list[float] = []
    rest = train_phases(phases(told), often, tmp_path / "parts", "x", resume=True)
    assert torch.equal(whole.outcome.weights["weight"], rest.outcome.weights["weight"])
    assert rest.outcome.steps == 100
    assert len(told) == 100 - stop_at


def test_a_new_start_forgets_later_stages(tmp_path: Path) -> None:
    train_phases(phases([]), config(), tmp_path, "x")
    told: list[float] = []
    train_phases(phases(told), config(), tmp_path, "x")
    assert len(told) == 100


def test_minutes_are_shared(tmp_path: Path) -> None:
    trained = train_phases(phases([]), LoopConfig(minutes=0.02), tmp_path, "x")
    assert 1.1 < trained.outcome.seconds < 8
    assert set(trained.steps) == {"small", "large"}


def test_shares_make_a_whole(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"add up to 0.6"):
        train_phases(phases([])[:1], config(), tmp_path, "x")


def test_too_few_steps_for_all_stages(tmp_path: Path) -> None:
    trained = train_phases(phases([]), LoopConfig(steps=1), tmp_path, "x")
    assert dict(trained.steps) == {"small": 1}

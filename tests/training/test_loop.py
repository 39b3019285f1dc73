from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from likeness.errors import BundleError
from likeness.store import load_state, save_state
from likeness.training.loop import LoopConfig, Losses, train


class Line:
    """Fit y = 2x - 1; a discriminator-free task of two weights."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.generator = nn.Linear(1, 1)
        self.discriminator: nn.Module | None = None

    def sample(self, random: np.random.Generator) -> torch.Tensor:
        return torch.from_numpy(random.uniform(-1, 1, (16, 1)).astype(np.float32))

    def losses(self, sample: torch.Tensor, progress: float) -> Losses:
        return Losses((self.generator(sample) - (2 * sample - 1)).square().mean())


def _config(steps: int | None, **changes: float) -> LoopConfig:
    return LoopConfig(steps=steps, learning_rate=0.05, average=0.9, **changes)  # type: ignore[arg-type]


def test_it_learns_and_repeats_to_the_bit(tmp_path: Path) -> None:
    first = train(Line(), _config(300), tmp_path / "a", "x")
    again = train(Line(), _config(300), tmp_path / "b", "x")
    assert torch.equal(first.weights["weight"], again.weights["weight"])
    assert first.weights["weight"].item() == pytest.approx(2, abs=0.05)
    assert first.weights["bias"].item() == pytest.approx(-1, abs=0.05)
    assert first.losses[-1] < 0.01 * first.losses[0]


def test_resuming_equals_never_stopping(tmp_path: Path) -> None:
    class Stopping(Line):
        calls = 0

        def losses(self, sample: torch.Tensor, progress: float) -> Losses:
            Stopping.calls += 1
            if Stopping.calls == 61:
                raise KeyboardInterrupt
            return super().losses(sample, progress)

    whole = train(Line(), _config(100), tmp_path / "whole", "x")
    often = _config(100, save_minutes=0)
    with pytest.raises(KeyboardInterrupt):
        train(Stopping(), often, tmp_path / "parts", "x")
    rest = train(Line(), often, tmp_path / "parts", "x", resume=True)
    assert rest.steps == 100
    assert torch.equal(whole.weights["weight"], rest.weights["weight"])


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    train(Line(), _config(5), tmp_path, "x")
    with pytest.raises(BundleError, match="other settings"):
        train(Line(), _config(5), tmp_path, "y", resume=True)


def test_minutes_end_it(tmp_path: Path) -> None:
    outcome = train(Line(), LoopConfig(minutes=0.01), tmp_path, "x")
    assert 0.5 < outcome.seconds < 5
    assert outcome.steps > 10


class Chooses(Line):
    """The same line, by an optimizer of its own."""

    made: torch.optim.Optimizer

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        self.made = torch.optim.SGD(list(parameters), lr=0.1, momentum=0.9)
        return self.made


def test_a_task_chooses_its_optimizer(tmp_path: Path) -> None:
    own, adam = Chooses(), Line()
    outcome = train(own, _config(200), tmp_path / "own", "x")
    assert own.made.state
    assert outcome.weights["weight"].item() == pytest.approx(2, abs=0.05)
    # SGD's own rate is the peak of the schedule: twice the loop's 0.05, and 2 % of it in the end.
    assert own.made.param_groups[0]["lr"] == pytest.approx(0.1 * 0.02, rel=0.05)
    other = train(adam, _config(200), tmp_path / "adam", "x")
    assert not torch.equal(outcome.weights["weight"], other.weights["weight"])


def test_an_optimizer_that_equals_the_default_gives_the_same_bits(tmp_path: Path) -> None:
    class Adam(Line):
        def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
            return torch.optim.Adam(parameters, lr=0.05, betas=(0.9, 0.99))

    one = train(Adam(), _config(60), tmp_path / "one", "x")
    other = train(Line(), _config(60), tmp_path / "other", "x")
    assert torch.equal(one.weights["weight"], other.weights["weight"])


def test_two_rates_keep_their_ratio(tmp_path: Path) -> None:
    class Split(Line):
        def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
            weight, bias = parameters
            groups = [{"params": [weight]}, {"params": [bias], "lr": 0.0}]
            self.made = torch.optim.AdamW(groups, lr=0.05)
            return self.made

    task = Split()
    before = task.generator.bias.item()  # type: ignore[operator, union-attr]
    train(task, _config(40), tmp_path, "x")
    assert task.generator.bias.item() == before  # type: ignore[operator, union-attr]
    assert task.made.param_groups[0]["lr"] > 0


def test_the_rate_begins_anew_where_it_is_told_to(tmp_path: Path) -> None:
    class Watched(Line):
        def __init__(self) -> None:
            super().__init__()
            self.rates: list[float] = []

        def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
            self.made = torch.optim.SGD(parameters, lr=0.05)
            return self.made

        def losses(self, sample: torch.Tensor, progress: float) -> Losses:
            self.rates.append(self.made.param_groups[0]["lr"])
            return super().losses(sample, progress)

    task, plain = Watched(), Watched()
    config = LoopConfig(steps=1000, learning_rate=0.05, restarts=(0.4, 0.8), restart=0.5)
    train(task, config, tmp_path / "a", "x")
    train(plain, _config(1000), tmp_path / "b", "x")
    assert task.rates[400] == task.rates[800] == pytest.approx(0.025)
    assert task.rates[399] == pytest.approx(0.05 * 0.02, rel=0.01)
    assert task.rates[799] == pytest.approx(0.025 * 0.02, rel=0.01)
    assert task.rates[999] == pytest.approx(0.025 * 0.02, rel=0.01)
    assert task.rates[200] == pytest.approx(0.05 * 0.51, rel=1e-6)
    falls = np.flatnonzero(np.diff(task.rates[50:]) > 0) + 50
    assert falls.tolist() == [399, 799]
    # Nothing changes where nothing begins anew.
    assert plain.rates[500] == pytest.approx(0.05 * 0.51, rel=1e-6)
    assert all(np.diff(plain.rates[50:]) < 0)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("SGD", {"momentum": 0.9}), ("SGD", {}), ("RMSprop", {}), ("AdamW", {}), ("Adagrad", {})],
)
def test_resuming_an_own_optimizer_equals_never_stopping(
    tmp_path: Path, kind: str, settings: dict[str, float]
) -> None:
    class Own(Line):
        stop = -1

        def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
            made: torch.optim.Optimizer = getattr(torch.optim, kind)(
                parameters, lr=0.02, **settings
            )
            return made

        def losses(self, sample: torch.Tensor, progress: float) -> Losses:
            self.stop -= 1
            if self.stop == 0:
                raise KeyboardInterrupt
            return super().losses(sample, progress)

    whole = train(Own(), _config(50), tmp_path / "whole", "x")
    often, stopping = _config(50, save_minutes=0), Own()
    stopping.stop = 31
    with pytest.raises(KeyboardInterrupt):
        train(stopping, often, tmp_path / "parts", "x")
    rest = train(Own(), often, tmp_path / "parts", "x", resume=True)
    assert rest.steps == 50
    assert torch.equal(whole.weights["weight"], rest.weights["weight"])


def test_a_state_of_another_optimizer_is_refused(tmp_path: Path) -> None:
    train(Chooses(), _config(5), tmp_path, "x")
    with pytest.raises(BundleError, match=r"'SGD'.*expected .*'Adam'"):
        train(Line(), _config(5), tmp_path, "x", resume=True)


STATES: dict[str, Any] = {
    "step": {"facts": {"step": -1}},
    "a step in words": {"facts": {"step": "many"}},
    "seconds": {"facts": {"seconds": []}},
    "curve": {"facts": {"curve": {"a": 1}}},
    "no facts": {"facts": {"step": None}},
    "shape": {"tensors": {"generator.weight": torch.zeros(3, 3)}},
    "type": {"tensors": {"generator.weight": torch.zeros(1, 1, dtype=torch.int64)}},
    "average": {"tensors": {"average.bias": torch.zeros(7)}},
    "optimizer": {"tensors": {"optimizer.generator.x.step": torch.zeros(1)}},
    "a mean of another shape": {
        "tensors": {"optimizer.generator.0.exp_avg": torch.zeros(5)},
    },
    "far optimizer": {"tensors": {"optimizer.generator.99.step": torch.zeros(1)}},
    "no numbers": {"tensors": {"generator.bias": torch.tensor([float("nan")])}},
}


@pytest.mark.parametrize("changes", STATES.values(), ids=STATES)
def test_a_state_with_other_things_inside_is_a_sentence(
    changes: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    train(Line(), _config(3), tmp_path, "x")
    found = load_state(tmp_path)
    assert found is not None
    tensors, facts = found
    save_state(
        tmp_path,
        {**tensors, **changes.get("tensors", {})},
        {**facts, **changes.get("facts", {})},
    )
    with pytest.raises(BundleError, match=r"damaged|no numbers"):
        train(Line(), _config(6), tmp_path, "x", resume=True)


def test_a_training_without_a_folder_leaves_nothing(tmp_path: Path) -> None:
    kept = train(Line(), _config(20), tmp_path / "a", "x")
    free = train(Line(), _config(20, save_minutes=0), None, "x", resume=True)
    assert torch.equal(kept.weights["weight"], free.weights["weight"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]

"""FaceShifter and IPGAN learn from people as SimSwap does, and say how they are called."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness import config as settings
from likeness.errors import ConfigError, ContractError
from likeness.importers.recognizer import recognizer_bundle
from likeness.methods.swap.simswap.any_task import AnyTask
from likeness.methods.swap.simswap.learn import Given, learn_system
from likeness.methods.swap.simswap.people import People
from likeness.methods.swap.survey.faceshifter import FaceShifterTask
from likeness.methods.swap.survey.ipgan import IPGANTask
from likeness.methods.swap.survey.settings import FaceShifterTraining, IPGANTraining
from likeness.methods.swap.survey.systems import SYSTEMS
from likeness.networks import build
from likeness.recognize.source import Describer
from likeness.synthesize.ipgan import IPGAN, IPGANConfig
from likeness.synthesize.swap_contract import SwapContract
from likeness.training.footage import Budget
from likeness.types import Weights
from likeness.verbs.swap_people import find_members, open_people
from tests.methods.swap.test_compact_training import mean_color
from tests.methods.swap.test_compact_training import people as people

CPU = torch.device("cpu")
SIDE = 32
SHIFTER = FaceShifterTraining(size=SIDE, width=8, most=16, batch=6, judge_width=4, steps=2)
IP = IPGANTraining(size=SIDE, width=8, numbers=8, batch=6, judge_width=4, steps=2)


@dataclass
class Bank:
    """Pictures of people, in memory."""

    pixels: torch.Tensor
    person_indices: np.ndarray[Any, Any]
    people: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    def crops(self, rows: np.ndarray[Any, Any]) -> torch.Tensor:
        return self.pixels[rows]


def disks() -> People:
    """Three people who are a disk of one color each before a gray wall, in four places."""
    colors = torch.tensor([[0.9, 0.2, 0.2], [0.2, 0.8, 0.3], [0.2, 0.3, 0.9]])
    y, x = np.mgrid[:SIDE, :SIDE]
    pictures = torch.full((12, 3, SIDE, SIDE), 0.4)
    for row in range(12):
        disk = torch.from_numpy((y - 16) ** 2 + (x - 12 - 2 * (row % 4)) ** 2 < 100)
        pictures[row][:, disk] = colors[row // 4][:, None]
    theta = torch.eye(2, 3).expand(12, 2, 3).contiguous()
    codes = mean_color().describe(functional.interpolate(pictures, size=(112, 112)))
    bank: Any = Bank(pictures, np.repeat(np.arange(3), 4), ("a", "b", "c"))
    return People(bank, codes, theta, 112)


def task_of(kind: str, describer: Describer) -> AnyTask:
    torch.manual_seed(0)
    given = Given(disks(), describer, Weights("none", {}, {}), CPU, {})
    if kind == "faceshifter":
        config = replace(SHIFTER, adversarial=0.02, identity=1.0)
        return FaceShifterTask(given, config)
    return IPGANTask(given, replace(IP, adversarial=0.01))


@pytest.mark.parametrize(("kind", "rate"), [("faceshifter", 3e-3), ("ipgan", 4e-3)])
def test_it_learns_and_results_come_nearer_to_the_source(kind: str, rate: float) -> None:
    task: Any = task_of(kind, mean_color())
    people, rows = task.people, np.array([1, 5, 9])
    others = np.roll(rows, 1)
    wanted = (people.codes[others] - task.center) * task.scale
    target = people.bank.crops(rows)

    def apart() -> float:
        task.generator.eval()
        with torch.inference_mode():
            drawn = task.generator(target, wanted)
            told = float(task.identity(drawn, people.theta[rows], wanted))
        task.generator.train()
        return told

    before, seen = apart(), []
    optimizer = torch.optim.Adam(task.generator.parameters(), rate)
    for step in range(80):
        loss = task.losses(task.sample(np.random.default_rng(step)), 0).generator
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(loss.detach()))
    assert np.mean(seen[-10:]) < 0.6 * np.mean(seen[:10])
    assert apart() < 0.65 * before


@pytest.mark.parametrize("kind", ["faceshifter", "ipgan"])
def test_both_sides_are_taught(kind: str) -> None:
    task: Any = task_of(kind, mean_color())
    step = task.losses(task.sample(np.random.default_rng(0)), 0.0)
    step.generator.backward()
    assert all(p.grad is not None for p in task.generator.parameters())
    assert step.discriminator is not None
    task.judges.zero_grad()
    step.discriminator().backward()
    assert any(float(p.grad.abs().max()) > 0 for p in task.judges.parameters())


def test_what_ipgan_draws_with_comes_with_the_sample() -> None:
    task: Any = task_of("ipgan", mean_color())
    first, again = (task.losses(task.sample(np.random.default_rng(3)), 0.0) for _ in range(2))
    assert float(first.generator.detach()) == float(again.generator.detach())


@pytest.mark.parametrize("kind", ["faceshifter", "ipgan"])
def test_a_training_answers_how_its_network_is_called(
    people: Path, tmp_path: Path, kind: str
) -> None:
    found = find_members(open_people([people]))
    budget = Budget(None, 1, 0, tmp_path, "a" * 64, False, CPU)
    made = SHIFTER if kind == "faceshifter" else IP
    config = replace(made, max_faces=3, batch=2, steps=1)
    system = SYSTEMS[type(config)]
    learned, contract, sheet = learn_system(system, found, recognizer_bundle(), config, budget)
    assert (contract.family, contract.size, len(contract.center)) == (kind, SIDE, 128)
    assert sheet.shape == (3, 3 * SIDE, 3 * SIDE)
    # A bundle keeps it as JSON.
    kept = json.loads(json.dumps(settings.to_json(contract)))
    assert settings.resolve(SwapContract, kept) == contract
    network = build(learned.networks["generator"])
    code = contract.counted(torch.tensor(contract.center)[None])
    assert float(code.abs().max()) < 1e-6
    drawn = network(torch.rand(1, 3, SIDE, SIDE), code)
    assert drawn.shape == (1, 3, SIDE, SIDE)


def test_codes_are_counted_as_in_training() -> None:
    contract = SwapContract("x", 32, "simswap_224", form="raw", center=(1.0, 2.0), spread=2.0)
    counted = contract.counted(torch.tensor([[3.0, 2.0]]))
    assert counted.tolist() == [[1.0, 0.0]]
    with pytest.raises(ContractError, match="the center has 2 numbers"):
        contract.counted(torch.zeros(1, 3))
    with pytest.raises(ConfigError, match="spread"):
        SwapContract("x", 32, "simswap_224", spread=0.0)
    plain = SwapContract("x", 32, "simswap_224")
    assert torch.equal(plain.counted(torch.ones(1, 5)), torch.ones(1, 5))


def test_shapes_that_cannot_be_are_refused() -> None:
    for wrong in ({"size": 48}, {"same": 0.0}, {"batch": 1}, {"width": 0}):
        for kind in (FaceShifterTraining, IPGANTraining):
            with pytest.raises(ConfigError):
                kind(**wrong)
    with pytest.raises(ConfigError, match="expected 64"):
        IPGANConfig(size=32)
    network = IPGAN(IPGANConfig(16, (4, 4), 3, 5))
    with pytest.raises(ContractError):
        network(torch.rand(1, 3, 16, 16), torch.rand(1, 4))
    assert FaceShifterTraining().network(128).size == IPGANTraining().network(7).size == 64

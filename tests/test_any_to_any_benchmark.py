"""The benchmark of networks for any two people knows all of them, and calls each as it is told."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from likeness import config as settings
from likeness.methods.swap.compact.pairs import Pairs, pairs_of_actors
from likeness.methods.swap.survey.systems import SETTINGS
from likeness.synthesize.fsnet import FSNet
from likeness.synthesize.simswap import SimSwap
from likeness.synthesize.swap_contract import SwapContract
from likeness.training.footage import weights_of
from likeness.types import Bundle
from tests.methods.swap.test_compact_training import mean_color, toys

FOLDER = Path(__file__).parents[1] / "benchmarks"
SIDE = 64


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark, imported with its neighbors."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("any_to_any")


def toy_pairs() -> Pairs:
    """Three people at twice the side of the networks."""
    pairs = pairs_of_actors(toys(), mean_color())
    large = pairs.faces.pictures.repeat(4, 2).repeat(4, 3)
    cover = pairs.faces.cover.repeat(4, 2).repeat(4, 3)
    return replace(pairs, faces=replace(pairs.faces, pictures=large, cover=cover))


def test_it_trains_every_network_that_learn_system_does(program: ModuleType) -> None:
    assert set(program.CONFIGS) == set(SETTINGS)
    for name, config in program.CONFIGS.items():
        assert type(config) is SETTINGS[name]
        assert config.size == SIDE
        assert config.steps is not None, f"{name} is not repeatable"
    assert set(program.BY_PICTURES) | set(program.START) < set(SETTINGS)


def test_nobody_is_judged_by_whom_settings_were_chosen(program: ModuleType) -> None:
    count = 10
    held = set(range(program.HELD, program.HELD + count))
    chosen = set(range(program.CHOSEN, program.CHOSEN + count))
    assert not held & chosen
    assert not (held | chosen) & set(program.TRAINED)
    assert len(set(program.TRAINED)) == 70


def test_people_are_laid_out_as_networks_learn_them(program: ModuleType) -> None:
    pairs, points = toy_pairs(), torch.rand(12, 478, 3)
    people = program.filmed(pairs, points)
    assert people.bank.pixels.shape == (12, 3, SIDE, SIDE)
    assert people.swaps is None
    assert sorted(people.bank.person_indices.tolist()) == [0] * 4 + [1] * 4 + [2] * 4
    both = program.one_source(people, people)
    # The second of those held out comes before all others.
    assert both.bank.person_indices[:4].tolist() == [0] * 4
    assert np.array_equal(both.bank.pixels[:4], people.bank.pixels[4:8])
    assert torch.equal(both.points[:4], points[4:8])
    assert (both.bank.people[0], len(both.bank), len(both.codes)) == ("source", 16, 16)


def test_networks_are_told_of_one_picture_of_the_next(program: ModuleType) -> None:
    pairs = toy_pairs()
    held = program.Held.of(pairs, torch.rand(12, 478, 3), range(3), 4)
    assert held.photos(1, 2) == [4, 6]
    table = importlib.import_module("any_to_any_table")
    torch.manual_seed(0)
    config = program.CONFIGS["simswap"].network(12)
    network = SimSwap(config).eval()
    contract = SwapContract("simswap", SIDE, "simswap_224", form="raw", space="dlib", spread=2.0)
    told = {"contract": settings.to_json(contract)}
    bundle = Bundle(
        "x", {"generator": weights_of("simswap", config, network.state_dict())}, told, {}, ""
    )
    drawn = table.drawn(bundle, held)
    code = held.codes[held.photos(2, 1)] / 2
    with torch.inference_mode():
        expected = network(held.target[5:6], code).clamp(0, 1)
    torch.testing.assert_close(drawn[5:6], expected, atol=2e-3, rtol=0)
    shape = program.CONFIGS["fsnet"].network()
    other = FSNet(shape).eval()
    contract = replace(contract, family="fsnet", source="faces", mask=True)
    told = {"contract": settings.to_json(contract)}
    bundle = Bundle(
        "x", {"generator": weights_of("fsnet", shape, other.state_dict())}, told, {}, ""
    )
    drawn = table.drawn(bundle, held, 2)
    assert drawn.shape == (12, 3, SIDE, SIDE)
    assert bool(torch.isfinite(drawn).all())


def test_a_row_says_what_was_measured(program: ModuleType) -> None:
    table = importlib.import_module("any_to_any_table")
    assert program.rows_of(["a"])[-1] == "a"
    kept = {
        "trained": "1.0 min, 7 steps",
        "numbers": [0.5, 0.25, 50.0, *[1.0] * 5, None],
        "lost": 2,
    }
    row = table.line("a", kept)
    assert row.startswith("| a (2 lost) | 1.0 min, 7 steps | 0.500 | 0.250 | 50 |")
    assert row.endswith("|  |")

"""HEAR-Net, Korshunova's style transfer, MegaFS and CihaNet learn, and say how they are called."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likeness import config as settings
from likeness.decode import Decoder
from likeness.errors import BundleError, ConfigError, ConsentError, ContractError, TrackError
from likeness.importers.recognizer import recognizer_bundle
from likeness.methods.swap.compact.pairs import pairs_of_actors
from likeness.methods.swap.photos import photos_in
from likeness.methods.swap.published import PublishedConfig, published_swapper
from likeness.methods.swap.simswap.answers import counting, people_of_pairs
from likeness.methods.swap.simswap.learn import Given, System, learn_system
from likeness.methods.swap.simswap.people import People, PersonFaces
from likeness.methods.swap.simswap.settings import SimSwapTraining
from likeness.methods.swap.simswap.task import SimSwapTask
from likeness.methods.swap.source import photos_bundle
from likeness.methods.swap.survey.cihanet import CIHANET, CihaTask, CihaTraining
from likeness.methods.swap.survey.cover import cover
from likeness.methods.swap.survey.hear import HEAR, HearTask, HearTraining
from likeness.methods.swap.survey.korshunova import (
    KORSHUNOVA,
    KorshunovaTask,
    KorshunovaTraining,
    _nearest,
    light_apart,
    seen_in,
    unlike,
)
from likeness.methods.swap.survey.megafs import MEGAFS, MegaFSTask, MegaFSTraining, network_of
from likeness.methods.swap.survey.perceptual import Features
from likeness.methods.swap.survey.systems import SETTINGS, SYSTEMS
from likeness.methods.swap.view import SwapTarget
from likeness.nets.identity_dlib import DlibIdentity, DlibIdentityConfig
from likeness.nets.inversion import Inversion, InversionConfig
from likeness.networks import build
from likeness.synthesize.cihanet import CihaConfig, CihaNet
from likeness.synthesize.faceshifter import AEIConfig, AEINet
from likeness.synthesize.hear import Hear, HearConfig
from likeness.synthesize.korshunova import Korshunova, KorshunovaConfig
from likeness.synthesize.megafs import MegaFS, MegaFSConfig
from likeness.synthesize.stylegan import Stylegan, StyleganConfig
from likeness.synthesize.swap_contract import SwapContract
from likeness.training.footage import Budget, weights_of
from likeness.training.narrow import Narrowed
from likeness.types import Bundle, Shot, Weights, Window
from likeness.verbs.swap_consents import permit_people
from likeness.verbs.swap_people import Member
from tests.methods.swap.test_compact_training import mean_color, toys

CPU = torch.device("cpu")
SIDE = 32
HEARING = HearTraining(size=SIDE, width=8, most=16, halvings=3, batch=6, judged=6)
STYLE = KorshunovaTraining(size=SIDE, branches=3, width=8, batch=4, nearest=2, max_faces=3)
MEGA = MegaFSTraining(size=SIDE, batch=6, cells=1, judged=6, inversion=0.0)
CIHA = CihaTraining(size=SIDE, width=8, most=16, halvings=2, batch=6, judge_width=4, judged=6)
SIM = SimSwapTraining(
    size=SIDE, widths=(8, 16), blocks=1, batch=6, judge_width=4, judged=6, identity=1.0,
    adversarial=0.0, penalty=0.0,
)  # fmt: skip
NOTHING = Weights("none", {}, {})


def actors() -> People:
    return people_of_pairs(pairs_of_actors(toys(), mean_color()), SIDE)


def given(start: Bundle | None = None) -> Given:
    return Given(actors(), mean_color(), NOTHING, CPU, {}, start)


def first_stage(code: int) -> AEINet:
    torch.manual_seed(1)
    return AEINet(AEIConfig((4, 8, 8, 8), (8, 8, 8, 8, 4), code)).eval()


def generator(side: int = SIDE) -> Bundle:
    torch.manual_seed(1)
    faces = StyleganConfig((16, 16, 16, 8), latent=16, code=16, depth=1)
    coder = InversionConfig(32, 8, 16, (16, 16, 16, 16), (1, 1, 1, 1))
    networks = {
        "generator": weights_of("stylegan", faces, Stylegan(faces).state_dict()),
        "encoder": weights_of("inversion", coder, Inversion(coder).state_dict()),
    }
    return Bundle("edit.stitch", networks, {"size": side}, {}, "")


def looks() -> Features:
    torch.manual_seed(2)
    config = DlibIdentityConfig((1, 1, 1), (8, 8, 16), code=4, size=64)
    return Features(DlibIdentity(config), CPU)


def task_of(kind: str) -> Any:
    torch.manual_seed(0)
    if kind == "hear":
        config = replace(HEARING, same=0.8, change=0.02, identity=0.02, reconstruction=10.0)
        return HearTask(given(), config, first_stage(12))
    if kind == "megafs":
        parts = given(generator())
        return MegaFSTask(parts, MEGA, network_of(parts, MEGA))
    if kind == "simswap":
        return SimSwapTask(given(), SIM)
    return CihaTask(given(), replace(CIHA, adversarial=0.01))


def steps(task: Any, count: int, rate: float) -> list[float]:
    optimizer = torch.optim.Adam(task.generator.parameters(), rate)
    seen = []
    for step in range(count):
        loss = task.losses(task.sample(np.random.default_rng(step)), 0.5).generator
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(loss.detach()))
    return seen


@pytest.mark.parametrize(
    ("kind", "count", "rate"),
    [("hear", 30, 1e-2), ("megafs", 50, 1e-2), ("cihanet", 50, 5e-3), ("simswap", 60, 1e-2)],
)
def test_it_learns_whose_face_is_wanted(kind: str, count: int, rate: float) -> None:
    task = task_of(kind)
    sample = task.sample(np.random.default_rng(1000))
    told = {
        "hear": torch.cat([sample.code, sample.own], 1),
        "megafs": sample.source,
    }.get(kind, sample.code)

    def missed() -> float:
        """How far results are from the known answers."""
        task.generator.eval()
        with torch.inference_mode():
            result = task.generator(sample.target, told)
        task.generator.train()
        return float((result - sample.answer)[rows].abs().mean())

    # What the first stage did not put there nobody can refine; of its own face the error tells.
    rows = slice(0, sample.same) if kind == "hear" else slice(sample.same, None)
    before, seen = missed(), steps(task, count, rate)
    assert np.mean(seen[-10:]) < 0.75 * np.mean(seen[:5])
    assert missed() < 0.8 * before


@pytest.mark.parametrize("kind", ["hear", "megafs", "cihanet", "simswap"])
def test_a_step_can_be_computed_in_bfloat16(kind: str) -> None:
    wide, narrow = task_of(kind), Narrowed(task_of(kind))
    sample = wide.sample(np.random.default_rng(3))
    expected, found = (one.losses(sample, 0.5) for one in (wide, narrow))
    assert float(found.generator.detach()) == pytest.approx(
        float(expected.generator.detach()), rel=0.05
    )
    found.generator.backward()
    if found.discriminator is not None:
        found.discriminator().backward()


def test_batches_know_their_answers() -> None:
    task = task_of("cihanet")
    sample = task.sample(np.random.default_rng(0))
    assert (sample.same, sample.known) == (2, 6)
    assert torch.equal(sample.answer[:2], sample.target[:2])
    colors = mean_color().describe(torch.nn.functional.interpolate(sample.source, size=(112, 112)))
    expected = (colors - task.center) * task.scale
    assert float((expected - sample.code).abs().max()) < 0.1
    # A swap differs from its target where the face is, and is the source's color there.
    middle = sample.answer[2:, :, 16, 16]
    assert float((middle - sample.source[2:, :, 16, 16]).abs().max()) < 0.01
    assert float((middle - sample.target[2:, :, 16, 16]).abs().mean()) > 0.1
    assert task.people.spread > 0


def test_what_a_swap_changes_counts_more() -> None:
    target, answer = torch.full((1, 3, 16, 16), 0.5), torch.full((1, 3, 16, 16), 0.5)
    answer[:, :, 6:10, 6:10] += 0.2
    weight = counting(target, answer, 4.0)
    assert weight.shape == (1, 1, 16, 16)
    assert float(weight[0, 0, 8, 8]) == 5.0
    assert float(weight[0, 0, 0, 0]) == 1.0
    assert torch.equal(counting(target, answer, 0.0), torch.ones(1, 1, 16, 16))


def test_the_first_stage_stands_still_and_its_error_is_seen() -> None:
    task = task_of("hear")
    before = {k: v.clone() for k, v in task.network.first.state_dict().items()}
    task.generator.train()
    steps(task, 2, 1e-2)
    after = task.network.first.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    network, target = task.network.eval(), torch.rand(2, 3, SIDE, SIDE)
    code = torch.rand(2, 24)
    with torch.inference_mode():
        swapped, error = network.begun(target, code)
        assert torch.allclose(error, target - network.first(target, code[:, 12:]), atol=1e-5)
        assert torch.allclose(swapped, network.first(target, code[:, :12]), atol=1e-5)
        told = network.refine(swapped, error)
        assert float((told - network.refine(swapped, error * 0)).abs().max()) > 0
    with pytest.raises(ContractError, match="and the target's own"):
        network(target, code[:, :12])


def test_before_training_both_stages_draw_what_the_first_one_does() -> None:
    network = Hear(HearConfig(AEIConfig((4, 8, 8, 8), (8, 8, 8, 8, 4), 3), (4, 8))).eval()
    target, code = torch.rand(1, 3, SIDE, SIDE), torch.rand(1, 6)
    assert torch.equal(network(target, code), network.first(target, code[:, :3]))


def test_things_lie_over_target_and_answer_alike() -> None:
    random = np.random.default_rng(0)
    one, other = torch.zeros(3, 3, SIDE, SIDE), torch.ones(3, 3, SIDE, SIDE)
    laid = cover(random, (one, other), np.array([True, False, True]))
    assert torch.equal(laid[0][1], one[1])
    same = (laid[0] - laid[1]).abs() < 1e-5
    assert 0.01 < float(same[0].float().mean()) < 0.95
    assert all(float(part.min()) >= 0 and float(part.max()) <= 1 for part in laid)


def test_the_style_transfer_takes_the_source_over() -> None:
    torch.manual_seed(0)
    marks = np.random.default_rng(0).random((24, 5, 2)).astype(np.float32)
    config = replace(STYLE, content=0.1, light=0.1, smooth=0.1)
    task = KorshunovaTask(given(), config, marks, looks())
    seen = steps(task, 60, 4e-3)
    assert np.mean(seen[-5:]) < 0.75 * np.mean(seen[:5])
    sample: Any = task.sample(np.random.default_rng(5))
    with torch.inference_mode():
        result = task.network(sample.target)
    source = task.people.bank.crops(task.rows[:1])[0, :, 16, 16]
    before = (sample.target[:, :, 16, 16] - source).abs().mean()
    assert float((result[:, :, 16, 16] - source).abs().mean()) < 0.8 * float(before)


def test_what_a_style_transfer_sees_reaches_its_last_layer() -> None:
    torch.manual_seed(0)
    network = Korshunova(KorshunovaConfig(SIDE, 4, 8))
    seen: list[torch.Tensor] = []
    network.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.rand(2, 3, SIDE, SIDE))
    # Two dozen layers with torch's own beginning would leave a ten-thousandth of it.
    assert 0.1 < float(seen[0].detach().std()) < 10


def test_patches_are_looked_for_near_their_place_and_pictures_by_their_landmarks() -> None:
    torch.manual_seed(0)
    known = torch.nn.functional.normalize(torch.randn(1, 2, 6, 5, 5), dim=2)
    moved = torch.cat([known[:, 1, :, :1], known[:, 1, :, :-1]], 2)
    assert float(unlike(known[:, 0], known, 0)) < 1e-6
    assert float(unlike(moved, known, 0)) > 0.3
    assert float(unlike(moved, known, 1)) < 1e-6
    points = np.random.default_rng(0).random((4, 6, 2)).astype(np.float32)
    points[3] = points[1] * 2 + 5
    near = _nearest(points, np.array([3]), np.array([0, 1, 2]), 2)
    assert near.shape == (1, 2)
    assert near[0, 0] == 1


def test_what_the_features_do_not_see_is_known() -> None:
    theta = torch.tensor([[[0.5, 0.0, 0.25], [0.0, 0.5, -0.25]]])
    seen = seen_in(torch.zeros(1, 3, 16, 16), theta)[0, 0]
    expected = torch.zeros(16, 16)
    expected[2:10, 6:14] = 1
    assert torch.equal(seen, expected)


def test_light_is_where_it_falls_from_and_not_how_bright() -> None:
    gray = torch.rand(1, 3, 16, 16) * 0.1 + 0.4
    side = torch.linspace(0.5, 1.5, 16)
    assert float(light_apart(gray * 1.5, gray)) < 1e-3
    assert float(light_apart(gray * side, gray)) > 20 * float(light_apart(gray * 1.5, gray))


def test_codes_that_stay_are_the_targets() -> None:
    network = MegaFS(
        MegaFSConfig(
            StyleganConfig((8, 8, 8), latent=16, code=16, depth=1),
            InversionConfig(32, 6, 16, (16, 16, 16, 16), (1, 1, 1, 1)),
            kept=2,
            cells=2,
        )
    )
    source, target = torch.randn(2, 6, 16), torch.randn(2, 6, 16)
    moved = network.transfer(source, target)
    assert torch.equal(moved[:, :2], target[:, :2])
    same = network.transfer(target, target)
    assert not torch.equal(moved[:, 2:], same[:, 2:])
    assert not any(p.requires_grad for p in network.faces.parameters())
    with pytest.raises(ContractError):
        network(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32))


def test_inside_the_maps_is_identity_and_outside_the_context() -> None:
    torch.manual_seed(0)
    network = CihaNet(CihaConfig((4, 8), 3)).eval()
    rgb, codes = torch.rand(1, 3, 16, 16), torch.randn(2, 1, 3)
    _, maps = network.hallucinate(rgb, codes[0])
    assert [one.shape[2] for one in maps] == [8, 16]
    assert all(float(one.detach().min()) > 0 and float(one.detach().max()) < 1 for one in maps)
    assert float((network(rgb, codes[0]) - network(rgb, codes[1])).abs().max()) > 1e-4
    for level in network.levels:
        torch.nn.init.constant_(level.spread.bias, -60.0)
    assert torch.equal(network(rgb, codes[0]), network(rgb, codes[1]))
    with pytest.raises(ContractError):
        network(torch.rand(1, 3, 15, 16), codes[0])


def started(system: System, contract: SwapContract) -> Bundle | None:
    if system is MEGAFS:
        return generator()
    config = AEIConfig((4, 8, 8, 8), (8, 8, 8, 8, 4), 128)
    network = weights_of("faceshifter", config, AEINet(config).state_dict())
    told = {"contract": settings.to_json(contract)}
    return Bundle("swap.faceshifter", {"generator": network}, told, {}, "")


@pytest.mark.parametrize("system", [HEAR, KORSHUNOVA, MEGAFS, CIHANET], ids=lambda one: one.family)
def test_a_training_answers_how_its_network_is_called(
    tmp_path: Path, system: System, actor_shot: Shot
) -> None:
    marks = actor_shot.track.landmarks
    found = {
        name: (PersonFaces(actor_shot.clip, np.arange(at, at + 3), marks[at : at + 3]),)
        for name, at in (("anna", 0), ("ben", 20))
    }
    budget = Budget(None, 1, 0, tmp_path, "a" * 64, False, CPU)
    config: Any = {
        HEAR: HEARING, KORSHUNOVA: STYLE, MEGAFS: MEGA, CIHANET: CIHA
    }[system]  # fmt: skip
    config = replace(config, steps=1, batch=2, max_faces=3)
    counted = SwapContract(
        "faceshifter", SIDE, "simswap_224", form="raw", center=(0.5,) * 128, spread=2.0
    )
    start = started(system, counted)
    start = start if system.builds_on else None
    answer = learn_system(system, found, recognizer_bundle(), config, budget, start)
    learned, contract, sheet = answer
    assert (contract.family, contract.size) == (system.family, SIDE)
    assert sheet.shape == (3, 3 * SIDE, 3 * SIDE)
    kept = settings.resolve(SwapContract, json.loads(json.dumps(settings.to_json(contract))))
    assert kept == contract
    assert isinstance(build(learned.networks["generator"]), torch.nn.Module)
    if system is HEAR:
        assert (contract.spread, contract.center[0], contract.own) == (2.0, 0.5, True)
    # The bundle that comes out draws a face over a clip.
    told = {"contract": settings.to_json(contract)}
    bundle = Bundle(f"swap.{system.family}", learned.networks, told, {}, "")
    photos = photos_bundle("swap.photo", photos_in(actor_shot, 1))
    both = replace(bundle, networks={**bundle.networks, **photos.networks})
    if system is KORSHUNOVA:
        with pytest.raises(BundleError, match="draws the one person"):
            published_swapper(both, actor_shot, PublishedConfig(boost=1), CPU)
        both = bundle
    swapper = published_swapper(both, actor_shot, PublishedConfig(boost=1), CPU)
    target, window = SwapTarget.of(actor_shot, np.arange(len(actor_shot.clip)) / 24), Window(0, 2)
    with Decoder(actor_shot.clip) as decoder:
        face = swapper.draw(target.view(window, decoder.read(window)))
    assert face.rgb.shape[:2] == (2, 3)
    assert float(face.alpha.max()) > 0.99


def test_what_a_training_builds_on_is_asked_for() -> None:
    for system in SYSTEMS.values():
        start = None if system in (HEAR, MEGAFS) else generator()
        with pytest.raises(BundleError, match="--start"):
            system.prove_start(start)
    HEAR.prove_start(generator())
    CIHANET.prove_start(None)
    with pytest.raises(BundleError, match="holds no generator"):
        HEAR.make(given(), HEARING)
    lacking = replace(generator(), networks={"generator": generator().networks["generator"]})
    with pytest.raises(BundleError, match="holds no encoder"):
        MEGAFS.make(given(lacking), MEGA)
    with pytest.raises(ConfigError, match="expected one size"):
        MEGAFS.make(given(generator()), replace(MEGA, size=64))
    with pytest.raises(BundleError, match="expected faceshifter"):
        HEAR.make(given(generator()), HEARING)
    alone = replace(actors().bank, people=("one",))
    one = replace(given(), people=replace(actors(), bank=alone))
    with pytest.raises(TrackError, match="the source first"):
        KORSHUNOVA.make(one, STYLE)


def test_only_the_source_of_a_style_transfer_lends_a_face(actor_shot: Shot) -> None:
    members = [Member(name, (actor_shot.clip,), ()) for name in ("anna", "ben")]
    all_lend, one_lends = (permit_people(members, (), (), first) for first in (False, True))
    assert [person["role"] for person in all_lend.people] == ["source"]
    assert sorted(person["role"] for person in one_lends.people) == ["source", "target"]
    # Whoever the first stage was learned from agrees as well.
    assert len(permit_people(members, (), all_lend.people).people) == 1
    with pytest.raises(ConsentError):
        permit_people(members, (), ({"role": "source", "name": "carl"},))


def test_shapes_that_cannot_be_are_refused() -> None:
    for wrong in ({"size": 50}, {"batch": 1}, {"max_faces": 1}):
        for kind in SETTINGS.values():
            with pytest.raises(ConfigError):
                kind(**wrong)
    for make in (
        lambda: HearConfig(widths=(4,)),
        lambda: KorshunovaConfig(size=6, branches=4),
        lambda: CihaConfig(widths=(4,)),
        lambda: MegaFSConfig(kept=18),
        lambda: MegaFSConfig(encoder=InversionConfig(layers=4)),
    ):
        with pytest.raises(ConfigError):
            make()
    with pytest.raises(ContractError):
        Korshunova(KorshunovaConfig(16, 2, 4))(torch.rand(1, 3, 32, 32))


def test_maps_begin_half_open_and_learn() -> None:
    torch.manual_seed(0)
    network = CihaNet(CihaConfig((8, 16, 16), 4))
    rgb, code = torch.rand(2, 3, 16, 16), torch.randn(2, 4)
    drawn, maps = network.hallucinate(rgb, code)
    assert [one.shape[2] for one in maps] == [4, 8, 16]
    assert all(float(one.mean()) == pytest.approx(0.5, abs=0.05) for one in maps)
    # The code reaches the picture through all of them.
    other = network(rgb, -code)
    assert float((other - drawn).abs().mean()) > 0.01
    drawn.square().mean().backward()
    for level in network.levels:
        grad = level.map.weight.grad  # type: ignore[union-attr]
        assert float(grad.abs().max()) > 0  # type: ignore[union-attr,operator]


def test_no_convolution_shuts_a_map_in_all_places() -> None:
    torch.manual_seed(0)
    network = CihaNet(CihaConfig((8, 16, 16), 4)).eval()
    rgb, code = torch.rand(2, 3, 16, 16), torch.randn(2, 4)
    for level in network.levels:
        torch.nn.init.normal_(level.map.weight, -3.0, 1.0)
    _, maps = network.hallucinate(rgb, code)
    for one in maps:
        assert float(one.mean()) == pytest.approx(0.5, abs=0.1)
        assert float(one.amax((1, 2, 3)).min()) > 0.6
        assert float(one.amin((1, 2, 3)).max()) < 0.4

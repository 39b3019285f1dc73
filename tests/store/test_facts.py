"""What is inside a bundle is looked at before it is used: facts, tensors, settings of networks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likeness import store
from likeness.errors import BundleError
from likeness.networks import NETWORKS, build
from likeness.store.facts import check_portrait
from likeness.types import Bundle, Shot, Weights
from tests.confined import confined
from tests.store.test_store import edit, make_bundle, make_shot

CROP = [[0.5, 0.0, 1.0], [0.0, 0.5, 2.0]]
NAN = float("nan")


def portrait(shot: Shot) -> Bundle:
    h, w = shot.clip.size
    return Bundle(
        "reenact.fast",
        {
            "gallery": Weights(
                "gallery",
                {},
                {
                    "pictures": torch.zeros(2, 3, 32, 32, dtype=torch.uint8),
                    "times": torch.tensor([0, 2]),
                },
            ),
            "plate": Weights("plate", {}, {"picture": torch.zeros(3, h, w, dtype=torch.uint8)}),
        },
        {"size": 32, "crop_from_frame": CROP, "frame_size": [h, w]},
        {"frames": [0, 3], "steps": 1},
        "none",
        shot=shot,
    )


FACTS: list[tuple[str, Any]] = [
    ("training__frames", [0, 10**9]),
    ("training__frames", [-1, 3]),
    ("training__frames", [3, 0]),
    ("training__frames", [0]),
    ("training__frames", "0-3"),
    ("training__steps", -1),
    ("training__steps", []),
    ("training__seconds", "long"),
    ("training__losses", [0.0] * 20_000),
    ("training__losses", {"a": 1}),
    ("training__imported", "yes"),
    ("training__imported", {"commercial_use": "perhaps"}),
    ("training__more", [[0] * 1000] * 1000),
    ("input__size", 0),
    ("input__size", 10**9),
    ("input__size", "large"),
    ("input__crop_from_frame", [[0, 0, 0], [0, 0, 0]]),
    ("input__crop_from_frame", [[1, 0, 0], [0, -1, 0]]),
    ("input__crop_from_frame", [[1e300, 0, 0], [0, 1e300, 0]]),
    ("input__crop_from_frame", [1, 0, 0]),
    ("input__frame_size", [0, 10]),
    ("input__rate", 0),
]


@pytest.mark.parametrize(("name", "value"), FACTS, ids=lambda v: str(v)[:30])
def test_facts_out_of_range_are_named(name: str, value: Any, tmp_path: Path) -> None:
    store.save_bundle(portrait(make_shot(tmp_path)), tmp_path / "a.bundle")
    edit(tmp_path / "a.bundle" / "bundle.json", **{name: value})
    with pytest.raises(BundleError, match=name.split("__")[0]):
        store.load_bundle(tmp_path / "a.bundle")


def test_a_whole_portrait_passes(tmp_path: Path) -> None:
    store.save_bundle(portrait(make_shot(tmp_path)), tmp_path / "a.bundle")
    facts = check_portrait(store.load_bundle(tmp_path / "a.bundle"))
    assert (facts.size, facts.frames) == (32, (0, 3))
    # What methods add on their own stays theirs.
    store.save_bundle(make_bundle(), tmp_path / "b.bundle")
    assert store.load_bundle(tmp_path / "b.bundle").training["seed"] == 7


BYTES = torch.uint8
PARTS: dict[str, dict[str, Any]] = {
    "frames beyond the shot": {"training": {"frames": [0, 4]}},
    "no frames": {"training": {"frames": [2, 2]}},
    "frames missing": {"training": {}},
    "size missing": {"input": {"crop_from_frame": CROP}},
    "no shot": {"shot": None},
    "times beyond the shot": {"gallery": {"times": torch.tensor([0, 3])}},
    "times before it": {"gallery": {"times": torch.tensor([-1, 0])}},
    "times are fractions": {"gallery": {"times": torch.tensor([0.0, 1.0])}},
    "times are a table": {"gallery": {"times": torch.tensor([[0, 1]])}},
    "fewer pictures": {"gallery": {"pictures": torch.zeros(1, 3, 32, 32, dtype=BYTES)}},
    "other pictures": {"gallery": {"pictures": torch.zeros(2, 3, 16, 16, dtype=BYTES)}},
    "fractions as pictures": {"gallery": {"pictures": torch.zeros(2, 3, 32, 32)}},
    "flat pictures": {"gallery": {"pictures": torch.zeros(2, dtype=BYTES)}},
    "another plate": {"plate": {"picture": torch.zeros(3, 5, 5, dtype=BYTES)}},
    "a flat plate": {"plate": {"picture": torch.zeros(5, dtype=BYTES)}},
}


@pytest.mark.parametrize("changes", PARTS.values(), ids=PARTS)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    whole = portrait(make_shot(tmp_path))
    networks = {
        name: dataclasses.replace(weights, tensors={**weights.tensors, **changes.get(name, {})})
        for name, weights in whole.networks.items()
    }
    facts = {key: value for key, value in changes.items() if key not in networks}
    with pytest.raises(BundleError, match=r"train it again|train the portrait again"):
        check_portrait(dataclasses.replace(whole, networks=networks, **facts))


def test_a_picture_that_is_missing_is_named(tmp_path: Path) -> None:
    whole = portrait(make_shot(tmp_path))
    for name in ("plate", "gallery"):
        networks = {**whole.networks, name: Weights(name, {}, {})}
        with pytest.raises(BundleError, match="lacks"):
            check_portrait(dataclasses.replace(whole, networks=networks))


def small(name: str) -> Weights:
    network, settings = NETWORKS[name]
    return Weights(name, {}, network(settings()).state_dict())


@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_values_that_are_no_numbers_are_refused_whatever_their_digest(
    value: float, tmp_path: Path
) -> None:
    whole = make_bundle()
    broken = Weights("portrait", {}, {"w": torch.full((3,), value)})
    store.save_bundle(
        dataclasses.replace(whole, networks={"portrait": broken}), tmp_path / "a.bundle"
    )
    with pytest.raises(BundleError, match="no numbers"):
        store.load_bundle(tmp_path / "a.bundle")


def test_weights_are_held_against_what_the_network_declares() -> None:
    whole = small("portrait")
    build(whole)
    name = next(key for key, tensor in whole.tensors.items() if tensor.ndim == 4)
    tensor = whole.tensors[name]
    wrong: dict[str, Any] = {
        "has shape": tensor.flatten(),
        "expected torch.float32": tensor.long(),
        "no numbers": torch.full_like(tensor, NAN),
        "is missing": None,
    }
    for message, other in wrong.items():
        tensors = {k: v for k, v in whole.tensors.items() if k != name}
        tensors |= {} if other is None else {name: other}
        with pytest.raises(BundleError, match=message):
            build(dataclasses.replace(whole, tensors=tensors))
    with pytest.raises(BundleError, match="is not known"):
        build(dataclasses.replace(whole, tensors={**whole.tensors, "x": torch.zeros(1)}))


@pytest.mark.parametrize("value", [10**9, -(10**9), [64] * 1000, {"a": 10**12}])
@pytest.mark.parametrize("name", ["portrait", "stylegan", "spacetime", "autoencoder"])
def test_settings_beyond_any_network_cost_nothing(name: str, value: Any) -> None:
    setting = dataclasses.fields(NETWORKS[name][1])[0].name
    weights = Weights(name, {setting: value}, {})
    assert confined(lambda: build(weights), seconds=10, megabytes=500) == "sentence"


ARRAYS: dict[str, Any] = {
    "pts": np.array([0.0, 1, 2, 3, 4]),
    "observed": np.ones(3, np.float32),
    "landmarks": np.full((3, 478, 3), NAN, np.float32),
    "rotation": np.full((3, 3), np.inf, np.float32),
    "boxes": np.zeros((9, 4), np.float32),
    "shape": np.zeros((3, 5), np.float32),
    "gaze": np.zeros((3, 2, 2), np.float64),
    "light": np.float32(3),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_a_shot_with_the_right_digest_are_checked(name: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "a.shot"
    store.save_shot(make_shot(tmp_path), path)
    arrays = {**load_file(path / "arrays.safetensors"), name: np.asarray(ARRAYS[name])}
    save_file(arrays, path / "arrays.safetensors")
    digest = store.files.sha256_of(path / "arrays.safetensors")
    edit(path / "shot.json", arrays__sha256=digest)
    with pytest.raises(BundleError, match=rf"{name}|track"):
        store.load_shot(path)


def test_a_track_beyond_its_clip_is_refused(tmp_path: Path) -> None:
    store.save_shot(make_shot(tmp_path), tmp_path / "a.shot")
    edit(tmp_path / "a.shot" / "shot.json", start=3)
    with pytest.raises(BundleError, match="tracks frames 3 to 6 of a clip with 5"):
        store.load_shot(tmp_path / "a.shot")


def test_names_from_a_stranger_cannot_speak_to_a_terminal(tmp_path: Path) -> None:
    store.save_bundle(make_bundle(), tmp_path / "a.bundle")
    index = tmp_path / "a.bundle" / "bundle.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "\x1b[2J": 1}))
    with pytest.raises(BundleError) as caught:
        store.load_bundle(tmp_path / "a.bundle")
    assert "\x1b" not in str(caught.value)


def test_a_preview_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    store.save_bundle(make_bundle(), tmp_path / "a.bundle")
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"0" * 999))
    (tmp_path / "a.bundle" / "preview.png").write_bytes(bomb)
    with pytest.raises(BundleError, match=r"preview\.png"):
        store.load_bundle(tmp_path / "a.bundle")

"""Bundles, shots and states: what is saved comes back, and what was tampered with does not."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from likeness import store
from likeness.errors import BundleError
from likeness.types import (
    AudioTrack,
    Bundle,
    Clip,
    ColorTags,
    FaceParams,
    FaceTrack,
    Floats,
    Shot,
    Weights,
)

Fields = tuple[str, ...]


def make_shot(folder: Path, n: int = 3, seed: int = 0, identity: bool = True) -> Shot:
    rng = np.random.default_rng(seed)

    def values(*shape: int) -> Floats:
        return rng.standard_normal(shape).astype(np.float32)

    clip = Clip(
        path=folder / "clip.mp4",
        digest="ab" * 32,
        size=(120, 160),
        pts=np.cumsum(rng.integers(1, 900, n + 2)).astype(np.int64),
        time_base=Fraction(1, 12800),
        last_duration=512,
        color=ColorTags(1, 1, 1, True),
        bit_depth=10,
        rotation=90,
        pixel_aspect=Fraction(4, 3),
        audio=(AudioTrack(1, "aac", 44100, 2),),
        codec="h264",
    )
    track = FaceTrack(
        start=1,
        boxes=values(n, 4),
        landmarks=values(n, 478, 3),
        scores=values(n),
        observed=rng.random(n) > 0.5,
        identity=values(8) if identity else None,
    )
    params = FaceParams(
        model="likeness",
        shape=values(5),
        albedo=values(4),
        expression=values(n, 2),
        expression_names=("jawOpen", "eyeBlinkLeft"),
        rotation=values(n, 3),
        translation=values(n, 3),
        light=values(n, 9, 3),
        gaze=values(n, 2, 2),
        focal=321.5,
    )
    return Shot(clip, track, params)


def make_bundle(shot: Shot | None = None) -> Bundle:
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(4, 3, generator=generator)
    return Bundle(
        method="reenact.fast",
        networks={
            "portrait": Weights("portrait", {"width": 8}, {"a.weight": weight, "a.view": weight.T}),
            "average": Weights("portrait", {}, {"x": torch.ones(2, dtype=torch.bfloat16)}),
        },
        input={"size": [256, 256], "range": [0, 1]},
        training={"steps": 10, "seed": 7},
        license="Apache-2.0",
        people=({"role": "target", "name": "seed 3"},),
        shot=shot,
        preview=torch.linspace(0, 1, 3 * 6 * 5).reshape(3, 6, 5),
        versions={"likeness": "0.0.1"},
    )


def assert_same_arrays(one: Any, other: Any, skip: Fields = ()) -> None:
    for item in dataclasses.fields(one):
        a, b = getattr(one, item.name), getattr(other, item.name)
        if item.name in skip:
            continue
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b, item.name


@pytest.mark.parametrize("identity", [True, False])
def test_a_shot_comes_back_as_it_was(tmp_path: Path, identity: bool) -> None:
    shot = make_shot(tmp_path, identity=identity)
    store.save_shot(shot, tmp_path / "a.shot")
    back = store.load_shot(tmp_path / "a.shot")
    assert_same_arrays(shot.clip, back.clip)
    assert_same_arrays(shot.track, back.track)
    assert_same_arrays(shot.params, back.params)


def test_a_shot_finds_its_clip_after_both_moved(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    (before / "clip.mp4").touch()
    store.save_shot(make_shot(before), before / "a.shot")
    before.rename(after)
    assert store.load_shot(after / "a.shot").clip.path == after / "clip.mp4"


@settings(max_examples=20)
@given(
    hnp.arrays(
        np.float32, (2, 3), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
)
def test_params_survive_saving(tmp_path_factory: pytest.TempPathFactory, turn: Floats) -> None:
    folder = tmp_path_factory.mktemp("shot")
    shot = make_shot(folder, n=2)
    shot = dataclasses.replace(shot, params=dataclasses.replace(shot.params, rotation=turn))
    store.save_shot(shot, folder / "a.shot")
    np.testing.assert_array_equal(store.load_shot(folder / "a.shot").params.rotation, turn)


def test_a_bundle_comes_back_as_it_was(tmp_path: Path) -> None:
    bundle = make_bundle(make_shot(tmp_path))
    store.save_bundle(bundle, tmp_path / "a.bundle")
    back = store.load_bundle(tmp_path / "a.bundle")
    assert back.networks.keys() == bundle.networks.keys()
    for name, weights in bundle.networks.items():
        assert back.networks[name].config == weights.config
        for key, tensor in weights.tensors.items():
            assert torch.equal(back.networks[name].tensors[key], tensor)
    for item in ("method", "input", "training", "license", "people"):
        assert getattr(back, item) == getattr(bundle, item)
    assert bundle.shot is not None
    assert back.shot is not None
    assert_same_arrays(bundle.shot.params, back.shot.params)
    assert back.preview is not None
    assert bundle.preview is not None
    assert float((back.preview - bundle.preview).abs().max()) <= 0.5 / 255 + 1e-6
    assert back.versions["likeness"] == "0.0.1"


def test_saving_again_keeps_the_resume_state_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    store.save_bundle(make_bundle(make_shot(tmp_path)), path)
    store.save_state(path / "resume", {"m": torch.ones(3)}, {"step": 4})
    store.save_bundle(make_bundle(), path)
    assert not (path / "shot").exists()
    state = store.load_state(path / "resume")
    assert state is not None
    assert state[1] == {"step": 4}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bundle"]


def test_a_training_may_begin_before_its_bundle_stands(tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    store.save_state(path / "resume", {"m": torch.ones(3)}, {"step": 4})
    store.save_bundle(make_bundle(), path)
    assert store.load_bundle(path).method == "reenact.fast"
    assert store.load_state(path / "resume") is not None


def test_other_peoples_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"x")
    (tmp_path / "file").write_bytes(b"x")
    for name in ("photos", "file"):
        with pytest.raises(BundleError, match="choose another output"):
            store.save_bundle(make_bundle(), tmp_path / name)
    assert (tmp_path / "photos" / "one.jpg").read_bytes() == b"x"


def test_a_failed_save_leaves_the_old_bundle(tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    store.save_bundle(make_bundle(), path)
    broken = dataclasses.replace(make_bundle(), training={"loss": object()})
    with pytest.raises(BundleError):
        store.save_bundle(broken, path)
    assert store.load_bundle(path).training == {"steps": 10, "seed": 7}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bundle"]


def edit(path: Path, **changes: Any) -> None:
    index = json.loads(path.read_text())
    for dotted, value in changes.items():
        *parents, last = dotted.split("__")
        table = index
        for parent in parents:
            table = table[parent]
        table[last] = value
    path.write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "has format 2, this version reads 1"),
        ({"kind": "shot"}, "describes 'shot', expected 'bundle'"),
        ({"networks__portrait__weights__file": "../outside.safetensors"}, "weights.file"),
        ({"networks__portrait__weights__file": "/etc/passwd"}, "weights.file"),
        ({"networks__portrait__weights__file": "C:x.safetensors"}, "weights.file"),
        ({"networks__portrait__network": "os.system"}, "network"),
        ({"networks__portrait__weights__sha256": "0" * 64}, "expects 000000000000"),
        ({"networks__portrait__weights__sha256": "short"}, "sha256"),
        ({"networks__portrait__extra": 1}, "Extra inputs"),
        ({"method": 3}, "method"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_mislabelled_bundle_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    store.save_bundle(make_bundle(), tmp_path / "a.bundle")
    edit(tmp_path / "a.bundle" / "bundle.json", **changes)
    with pytest.raises(BundleError, match=message):
        store.load_bundle(tmp_path / "a.bundle")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000])
def test_a_broken_index_is_refused(tmp_path: Path, text: str) -> None:
    store.save_bundle(make_bundle(), tmp_path / "a.bundle")
    (tmp_path / "a.bundle" / "bundle.json").write_text(text)
    with pytest.raises(BundleError):
        store.load_bundle(tmp_path / "a.bundle")


def test_a_truncated_network_is_refused_by_digest_and_by_content(tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    store.save_bundle(make_bundle(), path)
    weights = path / "portrait.safetensors"
    for length in (0, 4, 20, weights.stat().st_size - 1):
        weights.write_bytes(weights.read_bytes()[:length])
        with pytest.raises(BundleError, match="damaged or replaced"):
            store.load_bundle(path)
        from likeness.store.files import sha256_of

        edit(path / "bundle.json", networks__portrait__weights__sha256=sha256_of(weights))
        with pytest.raises(BundleError, match="no valid safetensors"):
            store.load_bundle(path)
        store.save_bundle(make_bundle(), path)


def test_missing_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="holds no bundle.json"):
        store.load_bundle(tmp_path / "absent.bundle")
    path = tmp_path / "a.bundle"
    store.save_bundle(make_bundle(make_shot(tmp_path)), path)
    (path / "preview.png").write_bytes(b"no picture")
    with pytest.raises(BundleError, match="PNG"):
        store.load_bundle(path)
    (path / "preview.png").unlink()
    with pytest.raises(BundleError, match="preview.png"):
        store.load_bundle(path)
    (path / "portrait.safetensors").unlink()
    with pytest.raises(BundleError, match="portrait.safetensors cannot be read"):
        store.load_bundle(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip__time_base": "1/0"}, "time_base"),
        ({"clip__time_base": "-1/25"}, "time_base"),
        ({"clip__rotation": 45}, "rotation"),
        ({"focal": -1.0}, "focal is -1.0"),
        ({"expression_names": ["jawOpen"]}, "expression has shape"),
        ({"start": -1}, "start"),
        ({"arrays__file": "../a.safetensors"}, "arrays.file"),
    ],
)
def test_an_inconsistent_shot_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    store.save_shot(make_shot(tmp_path), tmp_path / "a.shot")
    edit(tmp_path / "a.shot" / "shot.json", **changes)
    with pytest.raises(BundleError, match=message):
        store.load_shot(tmp_path / "a.shot")


def test_a_state_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "resume"
    assert store.load_state(path) is None
    store.save_state(path, {"w": torch.zeros(2)}, {"step": 1})
    # A crash after the tensors were written, before the index was.
    (path / "partial.safetensors").write_bytes(b"half")
    (path / "state_0123456789abcdef.safetensors").write_bytes(b"half")
    state = store.load_state(path)
    assert state is not None
    assert state[1] == {"step": 1}
    store.save_state(path, {"w": torch.ones(2)}, {"step": 2, "loss": [0.5]})
    state = store.load_state(path)
    assert state is not None
    assert torch.equal(state[0]["w"], torch.ones(2))
    assert state[1] == {"step": 2, "loss": [0.5]}
    assert len(list(path.iterdir())) == 2


def test_a_damaged_state_is_an_error_not_a_fresh_start(tmp_path: Path) -> None:
    store.save_state(tmp_path, {"w": torch.zeros(2)}, {"step": 1})
    next(tmp_path.glob("state_*")).write_bytes(b"half")
    with pytest.raises(BundleError, match="damaged or replaced"):
        store.load_state(tmp_path)


def test_cached_shots_follow_the_content_and_the_settings(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)
    clip, settings_digest = shot.clip, "cd" * 32
    assert store.cached_shots(clip, settings_digest) is None
    folder = store.cache_shots(clip, settings_digest, [shot, make_shot(tmp_path, seed=1)])
    assert folder == store.shot_cache(clip, settings_digest)
    assert folder.parent == tmp_path / ".likeness"
    renamed = dataclasses.replace(clip, path=tmp_path / "renamed.mp4")
    back = store.cached_shots(renamed, settings_digest)
    assert back is not None
    assert len(back) == 2
    assert back[0].clip is renamed
    assert store.cached_shots(clip, "ef" * 32) is None
    assert store.cached_shots(dataclasses.replace(clip, digest="12" * 32), settings_digest) is None


def test_nobody_in_the_clip_is_remembered_too(tmp_path: Path) -> None:
    clip = make_shot(tmp_path).clip
    store.cache_shots(clip, "cd" * 32, [])
    assert store.cached_shots(clip, "cd" * 32) == ()


def test_a_damaged_cache_is_a_miss(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)
    folder = store.cache_shots(shot.clip, "cd" * 32, [shot])
    (folder / "0.shot" / "arrays.safetensors").write_bytes(b"half")
    assert store.cached_shots(shot.clip, "cd" * 32) is None


def test_a_read_only_folder_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, clips = tmp_path / "home", tmp_path / "clips"
    clips.mkdir(mode=0o555)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    folder = store.shot_cache(make_shot(clips).clip, "cd" * 32)
    assert folder.parent == home / ".cache" / "likeness"


def test_a_table_holds_degrees_seconds_and_names(tmp_path: Path) -> None:
    shot = make_shot(tmp_path)
    store.write_table(shot, tmp_path / "a.csv")
    rows = [line.split(",") for line in (tmp_path / "a.csv").read_text().splitlines()]
    table = dict(zip(rows[0], rows[2], strict=True))
    assert len(rows) == 1 + len(shot.track)
    assert int(table["frame"]) == shot.track.start + 1
    since = int(shot.clip.pts[2] - shot.clip.pts[0])
    assert float(table["seconds"]) == pytest.approx(since * shot.clip.time_base, abs=1e-6)
    assert float(table["jawOpen"]) == pytest.approx(float(shot.params.expression[1, 0]), rel=1e-4)
    right_yaw = np.degrees(shot.params.gaze[1, 0, 0])
    assert float(table["gaze_right_yaw"]) == pytest.approx(float(right_yaw), rel=1e-4)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.csv"]

"""Manifests: stable JSON, digests, round trip."""

from __future__ import annotations

import hashlib
import json

import pytest

from likeness.errors import MediaError
from likeness.provenance import COMPOSITE, Ingredient, Manifest, sha256_of, sidecar_of


def example(**changes):
    content = {
        "title": "Anna reads",
        "action": "reenact",
        "ingredients": (Ingredient("target", "anna.mp4", "ab" * 32),),
        "software": "likeness 0.1.0",
        "settings": {"transfer": "full", "seed": 3},
        "people": ({"name": "Anna Ö", "consent": "signed"},),
        "created": "2025-01-02T03:04:05+00:00",
    }
    return Manifest(**{**content, **changes})


def test_json_is_stable_and_sorted():
    text = example().json()
    assert text == example(settings={"seed": 3, "transfer": "full"}).json()
    content = json.loads(text)
    assert list(content) == sorted(content)
    assert content["digital_source_type"] == COMPOSITE
    assert COMPOSITE.endswith("/compositeWithTrainedAlgorithmicMedia")
    assert "Anna Ö" in text


def test_parse_undoes_json():
    assert Manifest.parse(example().json()) == example()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"title": 3}', '{"title": "a"}'])
def test_parse_refuses_other_text(text):
    with pytest.raises(MediaError, match="manifest cannot be read"):
        Manifest.parse(text)


def test_marks_hold_digest_and_manifest():
    marks = example().marks()
    assert hashlib.sha256(marks["description"].encode()).hexdigest() in marks["comment"]
    assert "Synthetic media" in marks["comment"]


def test_defaults_say_when_and_by_what():
    manifest = Manifest("t", "render")
    assert manifest.software.startswith("likeness")
    assert manifest.created.endswith("+00:00")


def test_sha256(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert sha256_of(path) == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(MediaError, match="cannot be read"):
        sha256_of(tmp_path / "missing")


def test_sidecar_name(tmp_path):
    assert sidecar_of(tmp_path / "o.mp4").name == "o.mp4.manifest.json"

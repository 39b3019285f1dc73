"""Consent records: written, read, signed, judged and ended."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.errors import ConsentError
from likeness.provenance.consent import (
    Consent,
    Scope,
    load_consent,
    objections,
    parse_consent,
    revoke,
    sign_consent,
    signature_holds,
    to_toml,
    write_consent,
)
from likeness.provenance.revoked import NAME, note_revoked, revoked_numbers

TODAY = date(2026, 11, 21)


def record(**scope: object) -> Consent:
    """Anna agrees to reenactment from today on."""
    agreed = {"methods": ("reenact",), "start": TODAY, **scope}
    return Consent(person="Anna", role="target", statement="I agree.", scope=Scope(**agreed))


def pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


words = st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=60)
texts = st.text(st.characters(exclude_categories=("C",)) | st.just("\n"), min_size=1, max_size=200)


@given(person=words, statement=texts, project=words, language=words)
@settings(max_examples=60)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    person: str,
    statement: str,
    project: str,
    language: str,
) -> None:
    path = tmp_path_factory.mktemp("consent") / "c.toml"
    scope = Scope(methods=("dub",), start=TODAY, project=project, languages=(language, "de"))
    before = Consent(person=person, role="source", statement=statement, scope=scope)
    before = revoke(sign_consent(before, pem(Ed25519PrivateKey.generate())), TODAY, project)
    write_consent(before, path)
    after = load_consent(path)
    assert after == before
    assert after.digest() == before.digest()
    assert signature_holds(after)
    assert parse_consent(json.loads(json.dumps(before.json_values())), "json") == before


@pytest.mark.parametrize(
    ("against", "scope", "method", "day"),
    [
        (None, {}, "reenact", 0),
        (None, {"methods": ("all",)}, "swap", 900),
        (None, {"until": TODAY}, "reenact", 0),
        ("it ended on 2026-11-21", {"until": TODAY}, "reenact", 1),
        ("it holds from 2026-11-21 on", {}, "reenact", -1),
        ("it covers reenact, not dub", {}, "dub", 0),
        ("other clips", {"clips": ("ab" * 32,)}, "reenact", 0),
        (None, {"clips": ("ab" * 32, "cd" * 32)}, "reenact", 0),
    ],
)
def test_a_record_covers_what_it_says(
    against: str | None, scope: dict[str, object], method: str, day: int
) -> None:
    found = objections(record(**scope), method, TODAY + timedelta(days=day), clip="cd" * 32)
    assert len(found) == (0 if against is None else 1)
    assert against is None or against in found[0]


def test_a_revoked_record_covers_nothing() -> None:
    ended = revoke(record(methods=("all",)), TODAY)
    assert objections(ended, "reenact", TODAY) == ("it was revoked on 2026-11-21",)
    assert revoke(ended, TODAY + timedelta(days=9)) == ended
    assert ended.digest() == revoke(ended, TODAY).digest()
    assert objections(record(), "reenact", TODAY, gone=True) == ("it was revoked",)


def test_a_signature_holds_the_agreement_still() -> None:
    key = Ed25519PrivateKey.generate()
    signed = sign_consent(record(), pem(key))
    assert signed.signature is not None
    assert signed.signature.public_key == key.public_key().public_bytes_raw().hex()
    assert signature_holds(signed)
    assert signature_holds(revoke(signed, TODAY))
    assert signed.digest() == record().model_copy(update={"id": signed.id}).digest()
    wider = signed.model_copy(update={"scope": Scope(methods=("all",), start=TODAY)})
    assert not signature_holds(wider)
    assert objections(wider, "reenact", TODAY) == ("it was changed after it was signed",)


@pytest.mark.parametrize("key", [b"no key", pem(ec.generate_private_key(ec.SECP256R1()))])
def test_another_kind_of_key_is_refused(key: bytes) -> None:
    with pytest.raises(ConsentError, match="Ed25519"):
        sign_consent(record(), key)


def test_numbers_make_digests_unguessable() -> None:
    assert record().digest() != record().digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[scope]", "[scop]"),
        ('methods = ["reenact"]', 'methods = ["deepfake"]'),
        ('methods = ["reenact"]', "methods = []"),
        ("from = 2026-11-21", 'from = "soon"'),
        ("format = 1", "format = 2"),
        ('role = "target"', 'role = "victim"'),
        ('drivers = "any"', 'drivers = "any"\nphoto = "anna.jpg"'),
        ("format = 1", "format = "),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "c.toml"
    text = to_toml(record())
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ConsentError, match="likeness consent new"):
        load_consent(path)


def test_the_list_of_the_revoked_grows_and_names_nobody(tmp_path: Path) -> None:
    one, two = revoke(record(), TODAY), revoke(record(), TODAY)
    assert revoked_numbers(tmp_path) == frozenset()
    note_revoked(one, tmp_path)
    note_revoked(two, tmp_path)
    note_revoked(two, tmp_path)
    assert revoked_numbers(tmp_path) == {one.id, two.id}
    assert "Anna" not in (tmp_path / NAME).read_text()
    with pytest.raises(ConsentError, match="is not revoked"):
        note_revoked(record(), tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", "3"])
def test_a_damaged_list_lets_nothing_through(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(ConsentError, match="cannot be read"):
        revoked_numbers(tmp_path)

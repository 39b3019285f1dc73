"""Consent records: who agreed to what, until when; a TOML file that a person can read.

A record holds words, dates and digests, never a picture or a voice. It may be signed (Ed25519 over
canonical JSON), which proves that the holder of a key agreed to exactly this. Revoking adds a table
to the record and notes its number in this user's folder, so that copies which travelled in bundles
are refused here, too.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from likeness.config import read_toml
from likeness.errors import ConfigError, ConsentError
from likeness.files import why_unwritable

METHODS = ("all", "reenact", "animate", "dub", "swap", "edit")
"""What one can agree to."""

Method = Literal["all", "reenact", "animate", "dub", "swap", "edit"]
Role = Literal["target", "driver", "source"]
Word = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Text = Annotated[
    str, StringConstraints(min_length=1, max_length=8000, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]+$")
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Scope(_Strict):
    """What was agreed to."""

    methods: tuple[Method, ...] = Field(min_length=1)
    """What may be made; all stands for every method."""
    languages: tuple[Word, ...] = ("all",)
    """In which languages the person may be made to speak. Told to people, not checked."""
    territory: tuple[Word, ...] = ("all",)
    """Where the result may be shown. Told to people, not checked."""
    start: date = Field(alias="from")
    """First day on which it holds."""
    until: date | None = None
    """Last day on which it holds; None is until it is revoked."""
    project: Word | None = None
    """What it is for. Told to people, not checked."""
    clips: tuple[Sha256, ...] = ()
    """sha256 of the only clips of the person that may be used; empty allows any."""
    drivers: Literal["any", "consenting"] = "any"
    """Whether whoever moves the person's portrait must have agreed, too."""

    @model_validator(mode="after")
    def _in_order(self) -> Scope:
        if self.until is not None and self.until < self.start:
            raise ValueError(
                f"it ends on {self.until}, before it begins on {self.start}, and would never hold"
            )
        return self


class Signature(_Strict):
    """Proof that the holder of a key agreed."""

    algorithm: Literal["ed25519"] = "ed25519"
    public_key: Hex = Field(min_length=64, max_length=64)
    value: Hex = Field(min_length=128, max_length=128)


class Revocation(_Strict):
    """The end of an agreement."""

    on: date
    reason: Word | None = None


class Consent(_Strict):
    """One person's agreement."""

    format: Literal[1] = 1
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] = Field(
        default_factory=lambda: secrets.token_hex(16)
    )
    """Random, so that the digest gives nobody's name away by guessing."""
    person: Word
    role: Role
    """target: is shown and moved; driver: gives motion; source: gives identity in a swap."""
    statement: Text
    """What the person agreed to, in their words."""
    scope: Scope
    signature: Signature | None = None
    revoked: Revocation | None = None

    def canonical(self) -> bytes:
        """Return what was agreed to as JSON with sorted keys, without signature and revocation."""
        content = self.model_dump(mode="json", by_alias=True, exclude={"signature", "revoked"})
        return json.dumps(
            content, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()

    def digest(self) -> str:
        """Return the sha256 of `canonical()`: how manifests name the record."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def json_values(self) -> dict[str, Any]:
        """Return the whole record as JSON values, as bundles carry it."""
        return self.model_dump(mode="json", by_alias=True)


def parse_consent(content: Mapping[str, Any], where: str) -> Consent:
    """Validate a record.

    Args:
        content: From TOML or JSON.
        where: Name of the file or bundle, for messages.

    Raises:
        ConsentError: A key is unknown or missing, or a value does not fit.
    """
    try:
        return Consent.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        shown = "" if isinstance(first["input"], Mapping) else f", found {first['input']!r:.60}"
        raise ConsentError(
            f"{where} is no consent record: {at}: {what}{shown}; make one with `likeness consent "
            "new -o FILE.toml`"
        ) from error


def load_consent(path: Path) -> Consent:
    """Read a record.

    Raises:
        ConsentError: The file cannot be read or is no record.
    """
    try:
        content = read_toml(path)
    except ConfigError as error:
        raise ConsentError(
            f"{error}; make a record with `likeness consent new -o {path}`"
        ) from error
    return parse_consent(content, str(path))


def write_consent(record: Consent, path: Path) -> None:
    """Write a record as TOML; the file appears when it is whole.

    Raises:
        ConsentError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        temporary.write_text(to_toml(record), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConsentError(f"{path} cannot be written: {why_unwritable(error)}") from error


def to_toml(record: Consent) -> str:
    """Return a record as TOML.

    >>> from datetime import date
    >>> scope = Scope(methods=("reenact",), start=date(2026, 1, 31))
    >>> print(to_toml(Consent(id="0" * 32, person="A", role="target", statement="b", scope=scope)))
    # Who agreed to what. Check it with: likeness consent check FILE
    format = 1
    id = "00000000000000000000000000000000"
    person = "A"
    role = "target"
    statement = "b"
    <BLANKLINE>
    [scope]
    methods = ["reenact"]
    languages = ["all"]
    territory = ["all"]
    from = 2026-01-31
    clips = []
    drivers = "any"
    <BLANKLINE>
    """
    lines = ["# Who agreed to what. Check it with: likeness consent check FILE"]
    content = record.model_dump(by_alias=True, exclude_none=True)
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    lines += [f"{key} = {_value(v)}" for key, v in content.items() if key not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_value(v)}" for key, v in table.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    # A JSON string without control characters is a TOML string, and so is an integer.
    return json.dumps(value, ensure_ascii=False)


def objections(
    record: Consent, method: str, day: date, clip: str | None = None, gone: bool = False
) -> tuple[str, ...]:
    """Say why a record does not cover a use; nothing if it does.

    Args:
        record: Who agreed.
        method: What is to be made, such as reenact.
        day: When.
        clip: sha256 of the person's clip that is used, where one is.
        gone: The record was revoked elsewhere.
    """
    scope, found = record.scope, []
    if record.revoked is not None:
        found.append(f"it was revoked on {record.revoked.on}")
    elif gone:
        found.append("it was revoked")
    if not signature_holds(record):
        found.append("it was changed after it was signed")
    if day < scope.start:
        found.append(f"it holds from {scope.start} on, and today is {day}")
    if scope.until is not None and day > scope.until:
        found.append(f"it ended on {scope.until}, and today is {day}")
    if method not in scope.methods and "all" not in scope.methods:
        found.append(f"it covers {', '.join(scope.methods)}, not {method}")
    if clip is not None and scope.clips and clip not in scope.clips:
        found.append("it covers other clips than this one")
    return tuple(found)


def sign_consent(record: Consent, private_key: bytes) -> Consent:
    """Return the record with a signature.

    Args:
        record: What was agreed to.
        private_key: Ed25519 in PEM, without a password.

    Raises:
        ConsentError: The key is none of that kind.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(private_key, None)
    except (ValueError, TypeError) as error:
        raise ConsentError(
            f"the key cannot be read ({error}); expected Ed25519 in PEM without a password"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConsentError(f"the key is {type(key).__name__}, expected an Ed25519 private key")
    signature = Signature(
        public_key=key.public_key().public_bytes_raw().hex(),
        value=key.sign(record.canonical()).hex(),
    )
    return record.model_copy(update={"signature": signature})


def signature_holds(record: Consent) -> bool:
    """Tell whether the record is as it was signed; one that was never signed is."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if record.signature is None:
        return True
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(record.signature.public_key))
        key.verify(bytes.fromhex(record.signature.value), record.canonical())
    except (InvalidSignature, ValueError):
        return False
    return True


def revoke(record: Consent, day: date, reason: str | None = None) -> Consent:
    """Return the record with its revocation; the first one stands."""
    if record.revoked is not None:
        return record
    return record.model_copy(update={"revoked": Revocation(on=day, reason=reason)})

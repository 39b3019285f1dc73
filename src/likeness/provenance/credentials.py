"""Who signs: a certificate chain of this user's own making, or one that they bring.

At first use a root and a leaf (P-256) are made in the user's data folder. The root's private key is
thrown away once it has signed the leaf, so nobody can issue further certificates in its name; the
leaf's key is readable by its owner alone. Nobody vouches for such a chain: readers call its
manifests valid, and untrusted until they add the root. A chain from a certification authority and a
time-stamp server are named in `signing.toml` in the same folder:

    chain = "studio_chain.pem"          # leaf first; paths are relative to this folder
    key = "studio_key.pem"
    algorithm = "es256"
    time_stamp = "https://tsa.example"  # RFC 3161, asked at every signature
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from likeness.config import read_toml, resolve
from likeness.errors import ConfigError
from likeness.files import data_folder, locked, read_pem, why_unwritable

SETTINGS = "signing.toml"
TRUSTED = "trusted"
"""Folder of further roots, one or more PEM certificates a file."""
_LOCAL = "local"
_LEAF_DAYS = 3650
"""Without a time stamp a signature counts only as long as its certificate does."""
_RENEW_DAYS = 30


@dataclass(frozen=True)
class SigningConfig:
    """The content of signing.toml."""

    chain: Path | None = None
    """Certificates in PEM, leaf first, the root may be left out; None is the local chain."""
    key: Path | None = None
    """Private key of the leaf in PEM, without a password."""
    algorithm: Literal["es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519"] = "es256"
    """What the key signs with."""
    time_stamp: str | None = None
    """URL of an RFC 3161 server; with it signatures outlive their certificate."""

    def __post_init__(self) -> None:
        if (self.chain is None) != (self.key is None):
            raise ConfigError("chain and key belong together; expected both or none of them")


@dataclass(frozen=True)
class Credentials:
    """What a signature is made with."""

    chain: str
    """Certificates in PEM, leaf first."""
    key: str = field(repr=False)
    """Private key in PEM."""
    algorithm: str = "es256"
    time_stamp: str | None = None
    """URL of an RFC 3161 server or None."""


def user_folder() -> Path:
    """Return where this user's chain, settings and revocations are kept.

    Raises:
        ConfigError: no home folder is known, so that there is no such place.
    """
    folder = data_folder()
    if folder is None:
        raise ConfigError(
            "no home folder is known, so there is no place for certificates: every output is "
            "signed, and they are kept. Set XDG_DATA_HOME (or HOME) to a folder that can be "
            "written"
        )
    return folder


def load_credentials(folder: Path | None = None) -> Credentials:
    """Read the user's credentials; a local chain is made where there is none.

    Args:
        folder: Where they are kept; None is `user_folder()`.

    Raises:
        ConfigError: signing.toml or a file that it names is not usable, or the folder cannot be
            written.
    """
    folder = folder or user_folder()
    path = folder / SETTINGS
    config = resolve(SigningConfig, read_toml(path) if path.exists() else None)
    if config.chain is not None and config.key is not None:
        return Credentials(
            _text(folder / config.chain, path),
            _text(folder / config.key, path),
            config.algorithm,
            config.time_stamp,
        )
    local = _local(folder)
    return Credentials(
        _text(local / "chain.pem", local),
        _text(local / "key.pem", local),
        time_stamp=config.time_stamp,
    )


def trust_anchors(folder: Path | None = None) -> tuple[str, ...]:
    """Return the roots that this user trusts, in PEM: their own and those in `trusted/`.

    Args:
        folder: As in `load_credentials`.
    """
    folder = folder or data_folder()
    if folder is None:
        return ()
    files = [*folder.glob(f"{_LOCAL}*/root.pem"), *(folder / TRUSTED).glob("*.pem")]
    return tuple(_text(file, folder) for file in sorted(files))


def local_anchors(folder: Path | None = None) -> tuple[str, ...]:
    """Return the roots in PEM that were made here: what only this user can have signed."""
    folder = folder or data_folder()
    if folder is None:
        return ()
    return tuple(_text(file, folder) for file in sorted(folder.glob(f"{_LOCAL}*/root.pem")))


def _text(path: Path, named_in: Path) -> str:
    try:
        return read_pem(path, ConfigError)
    except ConfigError as error:
        raise ConfigError(f"{error} (it is named in {named_in})") from error


def _local(folder: Path) -> Path:
    """Return the folder of the local chain, made now if there is none that lasts."""
    place = folder / _LOCAL
    if place.is_dir() and _lasts(place / "chain.pem"):
        # Nothing is locked or written: a folder that may only be read is enough for signing.
        return place
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(folder):
            if place.is_dir() and not _lasts(place / "chain.pem"):
                # Its root stays an anchor, so that what it signed is still known as ours.
                place.rename(folder / f"{_LOCAL}-{secrets.token_hex(4)}")
            if not place.is_dir():
                _make(folder, place)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written: {why_unwritable(error)}; every output is signed, and the "
            "certificates are kept there: make it writable, or set XDG_DATA_HOME to a folder that "
            "is"
        ) from error
    return place


def _make(folder: Path, place: Path) -> None:
    for half in folder.glob(f".{_LOCAL}.*.partial"):
        # Left by a process that was killed; under the lock there is nobody else's.
        shutil.rmtree(half, ignore_errors=True)
    fresh = folder / f".{_LOCAL}.{secrets.token_hex(4)}.partial"
    fresh.mkdir(mode=0o700)
    try:
        _write_chain(fresh)
        fresh.rename(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _lasts(chain: Path) -> bool:
    text = _text(chain, chain.parent)
    try:
        leaf = x509.load_pem_x509_certificate(text.encode())
        end = leaf.not_valid_after_utc
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(
            f"{chain} holds no certificate ({error}); rename the folder {chain.parent} to "
            f"{chain.parent.name}-old, and a new chain is made"
        ) from error
    return end > datetime.now(UTC) + timedelta(days=_RENEW_DAYS)


def _write_chain(folder: Path) -> None:
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    number = secrets.token_hex(4)
    issuer = _name(f"likeness local root {number}")
    root = _certificate(issuer, issuer, root_key, root_key, authority=True)
    leaf = _certificate(
        _name(f"likeness local signer {number}"), issuer, key, root_key, authority=False
    )
    pem = serialization.Encoding.PEM
    anchor = root.public_bytes(pem)
    (folder / "root.pem").write_bytes(anchor)
    (folder / "chain.pem").write_bytes(leaf.public_bytes(pem) + anchor)
    write_private(
        folder / "key.pem",
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read.

    Raises:
        OSError: It exists or cannot be written.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _name(common: str) -> x509.Name:
    # Nothing of the person or the machine: the certificate travels in every output.
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "likeness, nobody vouches"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    """Make a certificate as the C2PA profile asks for (specification 2, section on X.509)."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A clock that runs a little late elsewhere must not make it a certificate of tomorrow.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_LEAF_DAYS + (1 if authority else 0)))
        .add_extension(x509.BasicConstraints(authority, 0 if authority else None), critical=True)
        .add_extension(_usage(authority), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if not authority:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(usage, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )

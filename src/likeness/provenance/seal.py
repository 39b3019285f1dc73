"""Seals: what this machine saw for itself of a bundle, signed, so that no text can claim it.

A procedural actor needs nobody's consent, so a bundle that says it shows one must prove it. When
such a bundle is written, after the manifest of the actor's clip was found valid and made here, the
machine signs which actor stands in which role over which content (networks and clip). Who reads the
bundle believes that only with this signature, over this content, by a certificate of this machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from likeness.provenance.credentials import (
    SETTINGS,
    load_credentials,
    local_anchors,
    user_folder,
)

SEAL = "seal"
"""Key of a person's entry in a bundle."""
_STATEMENT = "likeness: this content shows a procedural actor in this role"
_LONGEST = 20_000
"""Characters of a certificate; a usual one takes a thousand."""


def seal(actor: int, role: str, content: str) -> Mapping[str, str]:
    """Sign that a bundle's content shows an actor, with the certificate that signs manifests.

    Args:
        actor: Its number.
        role: target, driver or source.
        content: Digest of the bundle's content, as `store` tells it.

    Raises:
        ConfigError: This user's credentials cannot be read or made.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    credentials = load_credentials()
    key: Any = load_pem_private_key(credentials.key.encode(), None)
    leaf = credentials.chain.partition("-----END CERTIFICATE-----")
    signed = _sign(key, _message(actor, role, content))
    return {"certificate": leaf[0] + leaf[1] + "\n", "signature": signed.hex()}


def seal_holds(found: Any, actor: int, role: str, content: Any) -> bool:
    """Tell whether a seal was made on this machine for exactly this.

    Args:
        found: From a bundle's text: anything at all.
        actor, role: What the text claims.
        content: Digest of what the bundle holds, from who read it; None is not known.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    if not isinstance(found, Mapping) or not isinstance(content, str):
        return False
    certificate, signature = found.get("certificate"), found.get("signature")
    if not isinstance(certificate, str) or not isinstance(signature, str):
        return False
    if len(certificate) + len(signature) > _LONGEST:
        return False
    try:
        leaf = x509.load_pem_x509_certificate(certificate.encode())
        if not _ours(leaf):
            return False
        _check(leaf.public_key(), bytes.fromhex(signature), _message(actor, role, content))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _message(actor: int, role: str, content: str) -> bytes:
    facts = {"statement": _STATEMENT, "actor": actor, "role": role, "content": content}
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def _ours(leaf: Any) -> bool:
    """Tell whether a certificate is of this machine: from a root made here, or the user's own."""
    from cryptography import x509

    roots = [x509.load_pem_x509_certificate(pem.encode()) for pem in local_anchors()]
    if any(_issued(leaf, root) for root in roots):
        return True
    if not (user_folder() / SETTINGS).exists():
        return False
    return bool(leaf == x509.load_pem_x509_certificate(load_credentials().chain.encode()))


def _issued(leaf: Any, root: Any) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        leaf.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _sign(key: Any, message: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
    from cryptography.hazmat.primitives.hashes import SHA256

    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(SHA256()))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    return bytes(key.sign(message, padding.PKCS1v15(), SHA256()))


def _check(key: Any, signature: bytes, message: bytes) -> None:
    """Raise InvalidSignature unless the signature is this key's over the message."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
    from cryptography.hazmat.primitives.hashes import SHA256

    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, message, ec.ECDSA(SHA256()))
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
    else:
        key.verify(signature, message, padding.PKCS1v15(), SHA256())

"""Which of several records counts: a weaker one never takes the place of a stronger.

A signed record is replaced by one with the same key alone. A revoked record is the strongest of
all: without a signature of the one who revoked, nothing that is written later lifts it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from likeness.errors import ConsentError
from likeness.provenance.consent import Consent, signature_holds

_SHOWN = 16
"""Digits of a key that messages name."""


def successors(
    carried: Consent, given: Sequence[Consent], gone: Collection[str]
) -> tuple[Consent, ...]:
    """Return the records that take a carried one's place; the carried one where none does.

    Args:
        carried: The record that a bundle carries.
        given: Further records of the same role and person.
        gone: Numbers of the records that were revoked here.

    Raises:
        ConsentError: A given record is weaker than the carried one, or that was revoked.
    """
    ended = [r for r in given if r.id == carried.id and r.revoked is not None]
    if ended:
        carried = carried.model_copy(update={"revoked": ended[0].revoked})
    others = [record for record in given if record.digest() != carried.digest()]
    if carried.signature is not None:
        weaker = [record for record in others if not _same_key(record, carried)]
        if weaker:
            raise ConsentError(
                f"{carried.person}'s record in the bundle is signed ({_key(carried)}), and the one "
                f"that was given is {_signed(weaker[0])}; a signed record is replaced only by one "
                "with the same key. Give that, or leave --consent out"
            )
    elif others and (carried.revoked is not None or carried.id in gone):
        raise ConsentError(
            f"{carried.person}'s consent in the bundle was revoked, and nobody signed it, so that "
            "no later record can be told to come from the same person. With their new agreement, "
            "make a record and train anew with it"
        )
    return tuple(others) or (carried,)


def strongest(records: Sequence[Consent], gone: Collection[str]) -> tuple[Consent, ...]:
    """Leave out records that a stronger one of the same person and role stands against.

    Args:
        records: What was given.
        gone: Numbers of the records that were revoked here.

    Raises:
        ConsentError: A revoked record was given beside an unsigned one of the same person.
    """
    kept = []
    for record in records:
        same = [r for r in records if (r.person, r.role) == (record.person, record.role)]
        signed = [r for r in same if r.signature is not None]
        if signed and record.signature is None:
            continue
        over = [r for r in same if r is not record and (r.revoked is not None or r.id in gone)]
        if record.signature is None and over and record.revoked is None:
            raise ConsentError(
                f"two records of {record.person} were given, and one of them was revoked; give "
                "only the one that was made after that, with the person's new agreement"
            )
        kept.append(record)
    return tuple(kept)


def _same_key(record: Consent, carried: Consent) -> bool:
    if record.signature is None or carried.signature is None:
        return False
    same = record.signature.public_key == carried.signature.public_key
    return same and signature_holds(record)


def _key(record: Consent) -> str:
    return f"key {record.signature.public_key[:_SHOWN]}" if record.signature else "no key"


def _signed(record: Consent) -> str:
    if record.signature is None:
        return "not signed"
    if not signature_holds(record):
        return "changed after it was signed"
    return f"signed with another ({_key(record)})"

"""Consent of many people whose faces a network learns."""

from __future__ import annotations

from collections.abc import Sequence

from likeness.provenance.consent import Consent
from likeness.provenance.permission import Permission, permit
from likeness.verbs.swap_people import Member


def permit_people(members: Sequence[Member], consents: Sequence[Consent]) -> Permission:
    """Permit to learn from people's faces for swaps, or refuse; each person is named once.

    Raises:
        ConsentError: somebody did not agree.
    """
    clips = [clip for member in members for clip in member.clips]
    whole = permit("swap", consents, sources=clips)
    once = {
        tuple(person.get(key) for key in ("role", "name", "consent", "actor")): person
        for person in whole.people
    }
    return Permission(tuple(once.values()))

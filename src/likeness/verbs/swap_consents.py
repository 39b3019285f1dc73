"""Consent of many people whose faces a network learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from likeness.provenance.consent import Consent
from likeness.provenance.permission import Permission, permit
from likeness.verbs.swap_people import Member


def permit_people(
    members: Sequence[Member],
    consents: Sequence[Consent],
    before: Sequence[Mapping[str, Any]] = (),
    first: bool = False,
) -> Permission:
    """Permit to learn from people's faces for swaps, or refuse; each person is named once.

    Args:
        members: who is learned from.
        consents: records at hand.
        before: people of a bundle that the training builds on.
        first: whether the first member alone lends a face, and the others are targets.

    Raises:
        ConsentError: somebody did not agree.
    """
    clips = [clip for member in members for clip in member.clips]
    lent = len(members[0].clips) if first else len(clips)
    whole = permit("swap", consents, lenders=before, sources=clips[:lent], targets=clips[lent:])
    once = {
        tuple(person.get(key) for key in ("role", "name", "consent", "actor")): person
        for person in whole.people
    }
    return Permission(tuple(once.values()))
